"""Checks a bundle and prints a table; ends with status 1 if anything failed. See README.md beside this."""

import argparse
import sys
from pathlib import Path


def main() -> int:
    # Python looks for packages beside a script first, and PyTorch would take the folder triton/ for one.
    sys.path[:] = [
        p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent
    ]
    from kranking.export import verify_bundle

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", help="the bundle")
    parser.add_argument("--rows", metavar="LOG.parquet", help="a log to compare on as well")
    parser.add_argument("--num-rows", type=int, default=1000, help="how many of its first rows")
    parser.add_argument("--check-rows", type=int, default=64, help="random rows of the comparison")
    parser.add_argument("--check-seed", type=int, default=0, help="seed of those rows")
    parser.add_argument("--modules", nargs="*", default=[], help="modules with custom layers")
    args = parser.parse_args()
    try:
        verification = verify_bundle(
            args.directory,
            log=args.rows,
            num_log_rows=args.num_rows,
            num_check_rows=args.check_rows,
            check_seed=args.check_seed,
            modules=args.modules,
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(verification)
    return 0 if verification.passed else 1


if __name__ == "__main__":
    sys.exit(main())
