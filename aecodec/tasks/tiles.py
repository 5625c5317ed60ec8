"""Arrays of any size through a graph that sees a part at a time, each part with all that its values depend on: no seams.

Parts overlap by the graph's halo, and of each only the core is kept, so the result is that of the whole array at once, wherever
it is cut. Sizes are filled up to the graph's multiples by repeating the last value, which is part of what is computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

Pair = tuple[int, int]  # rows and columns


@dataclass(frozen=True)
class Part:
    """`core`: (row slice, column slice) of the array that it gives; `window`: what it is computed from, in filled-up sizes."""

    core: tuple[slice, slice]
    window: tuple[slice, slice]

    @property
    def inner(self) -> tuple[slice, slice]:
        """Where the core lies in the window."""
        a, b = (slice(c.start - w.start, c.stop - w.start) for c, w in zip(self.core, self.window, strict=True))
        return a, b


def bands(shape: Pair, core: Pair, halo: Pair, multiple: Pair) -> Iterator[list[Part]]:
    """The parts of an array of `shape`, in bands of `core` rows from the top; core and halo are multiples of `multiple`."""
    rows, columns = (_spans(*each) for each in zip(shape, core, halo, multiple, strict=True))
    for row, row_window in rows:
        yield [Part((row, column), (row_window, window)) for column, window in columns]


def filled(size: int, multiple: int) -> int:
    """The smallest multiple that is no smaller."""
    return -(-size // multiple) * multiple


def _spans(size: int, core: int, halo: int, multiple: int) -> list[tuple[slice, slice]]:
    whole = filled(size, multiple)
    return [
        (slice(start, min(start + core, size)), slice(max(0, start - halo), min(whole, start + core + halo)))
        for start in range(0, size, core)
    ]
