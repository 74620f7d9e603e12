"""Puts a bundle into a Triton model repository; see README.md beside this file."""

import argparse
import sys

from kranking.serving import write_triton


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="what export_model wrote")
    parser.add_argument("repository", help="the folder that Triton's --model-repository names")
    parser.add_argument("--name", default="ranker", help="the model's name in requests")
    parser.add_argument("--version", type=int, help="default: the next one")
    parser.add_argument("--backend", default="onnxruntime", choices=("onnxruntime", "python"))
    parser.add_argument(
        "--signature", default="serve_ids", help="serve, rank or user_tower: on a log's columns"
    )
    args = parser.parse_args()
    try:
        folder = write_triton(
            args.bundle,
            args.repository,
            name=args.name,
            version=args.version,
            backend=args.backend,
            signature=args.signature,
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
