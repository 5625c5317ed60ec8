"""Maps cut into parts that can be run one by one or side by side: whole steps, or bands that see a little of their neighbours."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Index = tuple[slice, slice, slice]  # steps, rows, columns
_SHORTEST = 8  # positions along a band's shorter side, so that what it sees twice stays a small part
_LARGEST = 1 << 16  # positions of whole steps that are run together


@dataclass(frozen=True)
class Part:
    """Where in a map lies what is `made`, what must be `seen` for it, and where in what is seen the made lies."""

    made: Index
    seen: Index
    inner: Index

    def take(self, array: np.ndarray, channels: slice = slice(None)) -> np.ndarray:
        """What is seen of a map (steps, channels, rows, columns), contiguous."""
        return np.ascontiguousarray(array[_whole(self.seen, channels)])

    def crop(self, found: np.ndarray) -> np.ndarray:
        """View of the made in what was found for all that is seen."""
        return found[_whole(self.inner, slice(None))]

    def place(self, array: np.ndarray, channels: slice = slice(None)) -> np.ndarray:
        """View of the made in a map."""
        return array[_whole(self.made, channels)]


def parts(shape: tuple[int, ...], reach: int | None, bands: int) -> list[Part]:
    """A map of `shape` (steps, channels, rows, columns) in parts, for a graph of such a `reach`: a single step in up to `bands`."""
    n, _, rows, columns = shape
    everything = (slice(0, rows), slice(0, columns))
    if n > 1 or reach is None:
        size = max(1, min(_LARGEST // max(1, rows * columns), -(-n // bands)))
        cuts = [slice(start, min(start + size, n)) for start in range(0, n, size)]
        return [Part((cut, *everything), (cut, *everything), (slice(None), *everything)) for cut in cuts]
    length = max(rows, columns)
    ends = np.linspace(0, length, max(1, min(bands, length // max(_SHORTEST, 4 * reach))) + 1).astype(int).tolist()
    found = []
    for start, stop in pairwise(ends):
        first, last = max(0, start - reach), min(length, stop + reach)
        indices = [
            _along(slice(a, b), everything, rows >= columns)
            for a, b in ((start, stop), (first, last), (start - first, stop - first))
        ]
        found.append(Part(*indices))
    return found


def _along(cut: slice, everything: tuple[slice, slice], by_rows: bool) -> Index:
    rows, columns = everything
    return (slice(0, 1), cut, columns) if by_rows else (slice(0, 1), rows, cut)


def _whole(index: Index, channels: slice) -> tuple[slice, slice, slice, slice]:
    steps, rows, columns = index
    return steps, channels, rows, columns
