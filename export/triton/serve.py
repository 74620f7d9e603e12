"""Starts the Triton server of the package nvidia-pytriton on a model repository, on this machine only.

Run it with the Python that the package is installed in; Ctrl-C ends it. See README.md beside this file.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path, help="the model repository")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--http-port", type=int, default=8000)
    parser.add_argument("--grpc-port", type=int, default=8001)
    parser.add_argument("--metrics-port", type=int, default=8002)
    args = parser.parse_args()
    if not args.repository.is_dir():
        parser.error(f"`repository` should be a folder. Received: {args.repository}")
    site = Path(sysconfig.get_path("platlib"))
    with tempfile.TemporaryDirectory(prefix="triton-") as folder:
        backends = gather_backends(site / "pytriton" / "tritonserver", Path(folder))
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(site / "nvidia_pytriton.libs"),
            # The backend's own Python reads no PYTHONPATH: it takes the packages of the first on PATH.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        server = subprocess.Popen(command(args, site, backends), env=environment)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: server.terminate())
        return server.wait()


def gather_backends(server: Path, folder: Path) -> Path:
    """Copies the Python backend and the stub for this Python into the folder that Triton expects."""
    python = folder / "backends" / "python"
    shutil.copytree(server / "backends" / "python", python)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = "triton_python_backend_stub"
    shutil.copy(server / "python_backend_stubs" / version / stub, python / stub)
    return python.parent


def command(args: argparse.Namespace, site: Path, backends: Path) -> list[str]:
    return [
        str(site / "pytriton" / "tritonserver" / "bin" / "tritonserver"),
        f"--model-repository={args.repository.resolve()}",
        f"--backend-directory={backends}",
        # Versions change when asked by the repository's API: the new one answers before the old one goes.
        "--model-control-mode=explicit",
        "--load-model=*",
        "--disable-auto-complete-config",
        f"--http-address={args.host}",
        f"--grpc-address={args.host}",
        f"--metrics-address={args.host}",
        f"--http-port={args.http_port}",
        f"--grpc-port={args.grpc_port}",
        f"--metrics-port={args.metrics_port}",
    ]


if __name__ == "__main__":
    sys.exit(main())
