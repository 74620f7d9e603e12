"""Puts a bundle where TensorFlow Serving finds it; see README.md beside this file."""

import argparse
import sys

from kranking.export import ExportError
from kranking.serving import write_tf_serving


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="what export_model wrote")
    parser.add_argument("directory", help="the folder of all models")
    parser.add_argument("--name", default="ranker", help="the model's name in requests")
    parser.add_argument("--version", type=int, help="default: the next one")
    parser.add_argument("--served-from", help="the directory's path as the server sees it")
    args = parser.parse_args()
    try:
        folder = write_tf_serving(
            args.bundle,
            args.directory,
            name=args.name,
            version=args.version,
            served_from=args.served_from,
        )
    except (ValueError, ExportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
