"""Pieces of arrays that crops are drawn from, and their split into training and validation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aecodec.canonical import fill_missing
from aecodec.errors import UsageError
from aecodec.training.sources import Piece

Window = tuple[int, int, int]  # steps, rows, columns


@dataclass(frozen=True)
class Samples:
    """Pieces (steps, channels, rows, columns) of the data's own dtype, in memory or mapped, and crops of them."""

    pieces: list[np.ndarray]
    fill: bool = False  # what is not finite is replaced by what comes before it

    def fitting(self, window: Window) -> "Samples":
        """The pieces that a window of (steps, rows, columns) fits into."""
        return replace(self, pieces=[piece for piece in self.pieces if fits(piece, window)])

    def crops(self, rng: np.random.Generator, count: int, window: Window, flips: bool = False) -> np.ndarray:
        """Random crops, float32 (count, steps, channels, rows, columns), each position as likely as any other.

        `flips`: rows and columns each reversed half of the time, as natural images allow.
        """
        usable = self.fitting(window).pieces
        volumes = np.cumsum([math.prod(_positions(piece, window)) for piece in usable])
        out = np.empty((count, window[0], usable[0].shape[1], *window[1:]), np.float32)
        for crop in out:
            piece = usable[int(np.searchsorted(volumes, rng.integers(volumes[-1]), side="right"))]
            starts = [int(rng.integers(n)) for n in _positions(piece, window)]
            crop[...] = self._cut(piece, starts, window)
            if flips:
                rows, columns = (slice(None, None, -1 if rng.random() < 0.5 else 1) for _ in range(2))
                crop[...] = crop[..., rows, columns].copy()
        return out

    def spread(self, window: Window, most: int) -> np.ndarray:
        """At most `most` windows that do not overlap, spread evenly, the same each time; float32 as `crops` gives."""
        places = [
            (piece, (t, y, x))
            for piece in self.fitting(window).pieces
            for t in range(0, len(piece) - window[0] + 1, window[0])
            for y in range(0, piece.shape[2] - window[1] + 1, window[1])
            for x in range(0, piece.shape[3] - window[2] + 1, window[2])
        ]
        chosen = np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).astype(int))
        return np.stack([self._cut(places[i][0], places[i][1], window) for i in chosen.tolist()])

    def _cut(self, piece: np.ndarray, starts: Sequence[int], window: Window) -> np.ndarray:
        t, y, x = (slice(a, a + n) for a, n in zip(starts, window, strict=True))
        crop = np.asarray(piece[t, :, y, x], dtype=np.float32)
        return fill_missing(crop) if self.fill else crop


def split(pieces: list[Piece], window: Window, share: float, rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Training and validation parts; whole sources if the share is at least one of them.

    UsageError if nothing is long enough to hold some of it out.
    """
    sources = sorted({piece.source for piece in pieces})
    count = round(share * len(sources))
    if count >= 1 and len(sources) > count:
        start = int(rng.integers(len(sources) - count + 1))
        chosen = set(sources[start : start + count])  # neighbours in a folder are often of one origin
        held_out = [piece.values for piece in pieces if piece.source in chosen]
        return [piece.values for piece in pieces if piece.source not in chosen], held_out
    training: list[np.ndarray] = []
    held_out = []
    for piece in pieces:
        axis = 0 if len(piece.values) > 1 else 2 if piece.values.shape[2] > 1 else 3
        least = window[0 if axis == 0 else axis - 1]
        parts = _cut_out(piece.values, axis, least, share, rng)
        training += parts[0]
        held_out += parts[1]
    if not held_out:
        raise UsageError(
            f"too little to train on: {len(pieces)} sample(s) of {text(extent(pieces[0].values.shape))} leave none to hold out; "
            f"give at least two that a tile of {text(window)} fits into"
        )
    return training, held_out


def _cut_out(
    values: np.ndarray, axis: int, least: int, share: float, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A contiguous part of `values`, and what is before and after it; nothing is cut out of what is too short."""
    length = values.shape[axis]
    size = max(least, round(share * length))
    if length - size < least:
        return [values], []
    places = [0, length - size, *range(least, length - size - least + 1)]
    start = places[int(rng.integers(len(places)))]
    whole, parts = (slice(None),) * axis, ((0, start), (start + size, length))
    rest = [values[(*whole, slice(a, b))] for a, b in parts if b > a]
    return rest, [values[(*whole, slice(start, start + size))]]


def extent(shape: tuple[int, ...]) -> Window:
    """(steps, rows, columns) of a canonical shape."""
    return shape[0], shape[2], shape[3]


def _positions(piece: np.ndarray, window: Window) -> tuple[int, int, int]:
    t, y, x = (n - w + 1 for n, w in zip(extent(piece.shape), window, strict=True))
    return t, y, x


def fits(piece: np.ndarray, window: Window) -> bool:
    """True if the window has a place in the piece."""
    return min(_positions(piece, window)) > 0


def text(window: Window) -> str:
    """A window for people."""
    return f"{window[0]} step(s) of {window[1]} x {window[2]} rows and columns"
