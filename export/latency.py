"""Measures how fast a bundle answers; see README.md beside this file."""

import argparse
import json
import sys
from pathlib import Path


def main() -> int:
    # Python looks for packages beside a script first, and PyTorch would take the folder triton/ for one.
    sys.path[:] = [
        p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent
    ]
    from kranking.serving import serving_latency

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="what export_model.py wrote")
    parser.add_argument("--baseline", help="another bundle, whose files take part")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 100, 1000], metavar="ROWS")
    parser.add_argument("--candidates", type=int, default=500, help="candidates of a request")
    parser.add_argument("--threads", type=int, default=1, help="of both runtimes")
    parser.add_argument("--rounds", type=int, default=100, help="measured calls of each size")
    parser.add_argument("--seed", type=int, default=0, help="seed of the requests")
    parser.add_argument("--out", type=Path, default=Path("runs/latency"), help="folder of results")
    args = parser.parse_args()
    try:
        measured = serving_latency(
            args.bundle,
            args.baseline,
            batches=args.batches,
            candidates=args.candidates,
            threads=args.threads,
            rounds=args.rounds,
            seed=args.seed,
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "latency.json").write_text(json.dumps(measured.to_json(), indent=1) + "\n")
    (args.out / "result.json").write_text(json.dumps(measured.figures(), indent=1) + "\n")
    measured.plot(args.out / "latency.png")
    print(measured.to_markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
