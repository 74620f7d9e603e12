"""Internals of `kranking.serving` for use by the command line in `kranking.export`."""

from kranking.serving._commands import add_commands as add_commands

__all__ = [
    "add_commands",
]
