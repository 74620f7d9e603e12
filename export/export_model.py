"""Writes a checked bundle from a saved `.keras` file; see README.md beside this file."""

import argparse
import sys
from pathlib import Path


def main() -> int:
    # Python looks for packages beside a script first, and PyTorch would take the folder triton/ for one.
    sys.path[:] = [
        p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent
    ]
    from kranking.export import ExportError, export_model

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a RankingModel saved as .keras, on any backend")
    parser.add_argument("directory", help="the bundle: new, empty or an earlier bundle")
    parser.add_argument("--formats", nargs="+", default=["saved_model", "onnx"], metavar="FORMAT")
    parser.add_argument(
        "--signatures",
        nargs="*",
        metavar="SIGNATURE",
        help="served on a log's columns: serve, rank, user_tower; all that can be if not given",
    )
    parser.add_argument("--opset", type=int, default=18, help="ONNX operator set, 17 or 18")
    parser.add_argument("--check-rows", type=int, default=64, help="random rows of the comparison")
    parser.add_argument("--check-seed", type=int, default=0, help="seed of those rows")
    parser.add_argument("--modules", nargs="*", default=[], help="modules with custom layers")
    parser.add_argument("--seed", type=int, help="seed of the training, for the manifest")
    args = parser.parse_args()
    try:
        report = export_model(
            args.model,
            args.directory,
            formats=args.formats,
            signatures=args.signatures,
            opset=args.opset,
            num_check_rows=args.check_rows,
            check_seed=args.check_seed,
            modules=args.modules,
            seed=args.seed,
        )
    except (ValueError, ExportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
