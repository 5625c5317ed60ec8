"""Progress bars and summaries, on standard error, bars on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_UNITS = ("B", "kB", "MB", "GB", "TB")


@contextmanager
def progress(description: str, total: int | None, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A function that advances the bar by so many bytes; it does nothing where there is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda size: bar.advance(task, size)


def say(message: str, quiet: bool = False) -> None:
    """A line of summary."""
    if not quiet:
        print(message, file=sys.stderr)  # noqa: T201  # the one place for summaries


def size_text(size: float) -> str:
    """A size for people: 4.21 MB."""
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError
