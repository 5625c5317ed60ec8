"""An array's values in the units that a restorer sees, channel by channel if need be, and which of them are missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aecodec.canonical import ArraySpec
from aecodec.errors import ModelError, UsageError
from aecodec.models.restores import UNKNOWN, Restores

_BYTES = (0.0, 255.0)


@dataclass(frozen=True)
class Units:
    """`low`, `high`: per channel of the array, seen as 0 and 1; not `known` before the array is measured.

    `groups`: channels that go through the graph together. `copies`: how often a single one is repeated to fill its channels.
    """

    low: np.ndarray
    high: np.ndarray
    groups: tuple[slice, ...]
    copies: int
    known: bool
    fills: bool

    @classmethod
    def of(cls, restores: Restores, name: str, spec: ArraySpec, value_range: Sequence[float] | None) -> "Units":
        """For arrays of `spec`; ModelError if the model of this id is for others."""
        channels = spec.channels
        _, _, rows, columns = spec.canonical_shape
        if restores.series != (rows * columns == 1) or (not restores.series and min(rows, columns) < 2):
            ours = "series" if restores.series else "images and fields of rows and columns"
            raise ModelError(
                f"the model {name[:12]} restores {ours}, the array of axes {spec.axes.letters!r} has {rows} x {columns} "
                "rows and columns; check axes=, or train one with `aecodec train DATA --networks restorer`"
            )
        image = set(zip(restores.low, restores.high, strict=True)) == {_BYTES}
        together = channels == restores.channels
        if not together and not (restores.channels == 1 or (image and restores.channels == 3)):
            raise ModelError(
                f"the array has {channels} channel(s), the model {name[:12]} restores arrays of {restores.channels}; "
                "check axes=, or train one with `aecodec train DATA --networks restorer`"
            )
        if value_range is not None:
            pair = [float(v) for v in value_range]
            if len(pair) != 2 or not np.isfinite(pair[1] - pair[0]) or pair[0] >= pair[1]:
                raise UsageError(f"value_range={tuple(value_range)} must be two finite numbers, the first less than the second")
            low, high = np.full(channels, pair[0]), np.full(channels, pair[1])
        elif together:
            low, high = np.array(restores.low), np.array(restores.high)
        else:
            low, high = np.full(channels, min(restores.low)), np.full(channels, max(restores.high))
        groups = (slice(0, channels),) if together else tuple(slice(c, c + 1) for c in range(channels))
        copies = 1 if together else restores.channels
        known = value_range is not None or not image or spec.dtype == np.uint8
        return cls(low, high, groups, copies, known, "inpaint" in restores.tasks)

    @property
    def span(self) -> np.ndarray:
        """Per channel."""
        return self.high - self.low

    def to_units(self, x: np.ndarray, group: slice) -> np.ndarray:
        """Values (channels, rows, columns) of a group -> float32 units for the graph; what is no number becomes the middle."""
        low, span = (v[group, None, None] for v in (self.low, self.span))
        working = np.float32 if x.dtype.itemsize <= 2 else np.float64
        units = ((x.astype(working) - low.astype(working)) / span.astype(working)).astype(np.float32)
        if x.dtype.kind == "f":
            units = np.where(np.isfinite(units), units, np.float32(UNKNOWN))
        return units.repeat(self.copies, 0) if self.copies > 1 else units

    def to_values(self, units: np.ndarray, group: slice) -> np.ndarray:
        """The inverse, float64."""
        made = units.mean(0, dtype=np.float64, keepdims=True) if self.copies > 1 else units.astype(np.float64)
        return made * self.span[group, None, None] + self.low[group, None, None]

    def missing(self, x: np.ndarray, gaps: np.ndarray | None) -> np.ndarray | None:
        """bool (rows, columns), or None if nothing is: what a mask says, and what is no number in any channel."""
        found = gaps
        if x.dtype.kind == "f":
            bad = ~np.isfinite(x).all(0)
            found = bad if gaps is None else gaps | bad
        return found if found is not None and found.any() and (self.fills or gaps is not None) else None


def measured_range(units: Units, parts: Iterable[np.ndarray]) -> Units:
    """The units with the range of the finite values of canonical parts, per channel."""
    low, high = np.full_like(units.low, np.inf), np.full_like(units.high, -np.inf)
    for part in parts:
        finite = part if part.dtype.kind != "f" else np.where(np.isfinite(part), part, np.nan)
        axes = (0, 2, 3)
        low = np.fmin(low, np.fmin.reduce(finite, axes))
        high = np.fmax(high, np.fmax.reduce(finite, axes))
    empty = ~(low < high)
    low = np.where(np.isfinite(low), low, 0.0)
    return replace(units, low=low, high=np.where(empty, low + 1.0, high), known=True)


def canonical_mask(mask: np.ndarray, spec: ArraySpec) -> np.ndarray:
    """True where values are missing: bool (steps or 1, rows, columns); UsageError if it does not fit the array."""
    letters, shape = spec.axes.letters, spec.shape
    if mask.dtype.kind not in "biu":
        raise UsageError(f"the mask is {mask.dtype}; it must be bool, or whole numbers that are not 0 where values are missing")
    _, _, rows, columns = spec.canonical_shape
    if mask.shape == shape:
        mask = np.asarray(mask.any(axis=tuple(i for i, a in enumerate(letters) if a == "c")))
    spatial = "".join(a for a in letters if a != "c")
    sizes = tuple(n for n, a in zip(shape, letters, strict=True) if a != "c")
    if mask.shape == sizes:
        order = sorted(range(len(spatial)), key=lambda i: "tzyx".index(spatial[i]))
        return np.asarray(mask != 0).transpose(order).reshape(-1, rows, columns)
    if mask.shape == (rows, columns):
        return np.asarray(mask != 0)[None]
    raise UsageError(f"the mask has shape {mask.shape}; for an array of {shape} it must have {shape}, {sizes} or {(rows, columns)}")
