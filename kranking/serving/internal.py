"""What the command line in `kranking.export` needs of serving's internals and users do not."""

from kranking.serving._commands import add_commands as add_commands

__all__ = [
    "add_commands",
]
