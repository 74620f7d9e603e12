"""Writes a bundle anew with its embedding tables apart, for a client to look up; see README.md."""

import argparse
import sys
from pathlib import Path


def main() -> int:
    # Python looks for packages beside a script first, and PyTorch would take the folder triton/ for one.
    sys.path[:] = [
        p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent
    ]
    from kranking.export import ExportError, split_tables

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="what export_model.py or compress.py wrote")
    parser.add_argument("directory", help="becomes the bundle with its tables apart")
    parser.add_argument(
        "--min-bytes", type=int, default=2**20, help="a smaller table stays in the graph"
    )
    parser.add_argument("--modules", nargs="*", default=[], help="modules with custom layers")
    args = parser.parse_args()
    try:
        made = split_tables(
            args.bundle, args.directory, min_bytes=args.min_bytes, modules=args.modules
        )
    except (ValueError, ExportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
