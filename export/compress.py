"""Writes a bundle anew with weights in 16 or 8 bits, if a labelled log allows it; see README.md."""

import argparse
import sys
from pathlib import Path


def main() -> int:
    # Python looks for packages beside a script first, and PyTorch would take the folder triton/ for one.
    sys.path[:] = [
        p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent
    ]
    from kranking.export import ExportError, compress_bundle

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="what export_model.py wrote")
    parser.add_argument("directory", help="becomes the smaller bundle")
    parser.add_argument("log", help="labelled rows in Parquet that the model was not trained on")
    parser.add_argument("--weights", choices=("float16", "int8"), default="int8")
    parser.add_argument("--max-auc-loss", type=float, default=1e-3, help="of each task")
    parser.add_argument(
        "--max-ne-rise", type=float, default=1e-3, help="of each task; 0.001: 0.1 %%"
    )
    parser.add_argument(
        "--num-rows", type=int, default=100_000, help="how many of the log's first rows"
    )
    parser.add_argument("--sample-weight", metavar="COL", help="column with the weights of rows")
    parser.add_argument("--modules", nargs="*", default=[], help="modules with custom layers")
    args = parser.parse_args()
    try:
        made = compress_bundle(
            args.bundle,
            args.directory,
            args.log,
            args.weights,
            max_auc_loss=args.max_auc_loss,
            max_ne_rise=args.max_ne_rise,
            num_rows=args.num_rows,
            sample_weight=args.sample_weight,
            modules=args.modules,
        )
    except (ValueError, ExportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
