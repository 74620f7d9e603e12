"""Command line of `kranking.export` and `kranking.serving`: `python -m kranking.export COMMAND`."""

import argparse
import sys
from collections.abc import Sequence

from kranking.export import ExportError
from kranking.export._commands import add_commands
from kranking.serving import internal as serving


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a subcommand and returns its exit code: 1, with a message on stderr, if it fails.

    Args:
        arguments: The subcommand and its arguments; `None` reads them from the command line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m kranking.export", description="Exports, verifies and serves bundles."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_commands(commands)
    serving.add_commands(commands)
    args = parser.parse_args(arguments)
    try:
        return args.run(args)
    except (ValueError, ExportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
