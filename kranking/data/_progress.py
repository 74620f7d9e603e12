"""A progress bar for what takes long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LONG = 500_000  # rows; less is done before anybody wonders


@contextmanager
def progress(title: str, rows: int) -> Iterator[Callable[[int], None]]:
    """Shows a bar over `rows` if there are many; gives the function that moves it on."""
    if rows < _LONG:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=rows)
        yield lambda done: bar.advance(task, done)
