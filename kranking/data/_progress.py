"""Progress bar for long operations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LONG = 500_000  # rows; below this, no bar is needed


@contextmanager
def progress(title: str, rows: int) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar if there are many `rows`; yields a function that advances it."""
    if rows < _LONG:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=rows)
        yield lambda done: bar.advance(task, done)
