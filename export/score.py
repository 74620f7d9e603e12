"""Scores a Parquet log with a bundle, block by block; goes on where it was stopped; see README.md."""

import argparse
import sys
from pathlib import Path


def main() -> int:
    # Python looks for packages beside a script first, and PyTorch would take the folder triton/ for one.
    sys.path[:] = [
        p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent
    ]
    from kranking.serving import score_parquet

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="what export_model wrote")
    parser.add_argument("log", help="a Parquet file or a folder of them")
    parser.add_argument("out", help="becomes a folder of parts, a Parquet file for each block")
    parser.add_argument("--block-rows", type=int, default=131_072, help="rows of a part")
    parser.add_argument("--keep", nargs="+", default=[], metavar="COL", help="columns to keep")
    parser.add_argument("--threads", type=int, help="threads of ONNX Runtime")
    args = parser.parse_args()
    try:
        scores = score_parquet(
            args.bundle,
            args.log,
            args.out,
            keep=args.keep,
            block_rows=args.block_rows,
            threads=args.threads,
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(scores)
    return 0


if __name__ == "__main__":
    sys.exit(main())
