"""What each dimension means, and the canonical order (steps, channels, rows, columns) that the codec works in.

Letters: `t` samples in stream order, `c` channels (may repeat), `z y x` space. The canonical array has four axes: `t` and
`z` merge into steps, all `c` into channels; a dimension that is absent has length 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aecodec.errors import AxesError

LETTERS = "tczyx"
CANONICAL_ORDER = "tzcyx"
MAX_DIMENSIONS = 32

_MEANINGS = {
    "yx": "one field or image",
    "tc": "samples of channels",
    "tx": "samples of profiles",
    "tyx": "samples of fields",
    "cyx": "channels of one field",
    "zyx": "one volume",
    "tcx": "samples of channels of profiles",
}


@dataclass(frozen=True)
class Axes:
    """One letter per dimension of the user's array."""

    letters: str

    @property
    def stream(self) -> int | None:
        """The dimension along which an array is cut into chunks: `t`, else the first of `z y x`; None without any."""
        for letter in "tzyx":
            if letter in self.letters:
                return self.letters.index(letter)
        return None

    @property
    def order(self) -> tuple[int, ...]:
        """The permutation that brings the user's dimensions into canonical order."""
        return tuple(sorted(range(len(self.letters)), key=lambda i: (CANONICAL_ORDER.index(self.letters[i]), i)))

    def canonical_shape(self, shape: Sequence[int]) -> tuple[int, int, int, int]:
        """(steps, channels, rows, columns) of an array of `shape`."""

        def size(group: str) -> int:
            return math.prod(n for n, letter in zip(shape, self.letters, strict=True) if letter in group)

        return size("tz"), size("c"), size("y"), size("x")

    def canonical(self, array: np.ndarray) -> np.ndarray:
        """`array` as (steps, channels, rows, columns); a view where numpy can give one."""
        return array.transpose(self.order).reshape(self.canonical_shape(array.shape))

    def restore(self, canonical: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """The inverse of `canonical` for an array of `shape`; a view where numpy can give one."""
        permuted = canonical.reshape([shape[i] for i in self.order])
        return permuted.transpose(np.argsort(self.order)) if self.order else permuted


def parse_axes(axes: str, ndim: int) -> Axes:
    """The axes a user named, checked against the number of dimensions."""
    if not isinstance(axes, str):
        raise AxesError(f"axes must be a string such as 'tcyx', got {type(axes).__name__}")
    unknown = sorted(set(axes) - set(LETTERS))
    if unknown:
        raise AxesError(f"axes={axes!r} has unknown letter(s) {', '.join(unknown)}; use t (samples), c (channels), z y x (space)")
    if len(axes) != ndim:
        raise AxesError(f"axes={axes!r} names {len(axes)} dimension(s) but the array has {ndim}; give one letter for each")
    repeated = [letter for letter in "tzyx" if axes.count(letter) > 1]
    if repeated:
        raise AxesError(f"axes={axes!r} repeats {', '.join(repeated)}; only c may repeat")
    return Axes(axes)


def guess_axes(shape: Sequence[int], dtype: np.dtype, lossless: bool) -> Axes:
    """Axes nobody named: by dtype and number of dimensions where that leaves no doubt.

    Lossless data get the commonest reading whatever they are, since only the size depends on it.
    """
    ndim = len(shape)
    image = dtype.kind == "u" and dtype.itemsize <= 2
    if image and ndim in (3, 4) and shape[-1] in (3, 4):
        return Axes("tyxc"[4 - ndim :])
    certain = {0: "", 1: "t", 4: "tcyx", 5: "tczyx"}
    if image:
        certain[2] = "yx"
    if ndim in certain:
        return Axes(certain[ndim])
    if lossless or ndim > 5:
        return Axes({2: "yx", 3: "tyx"}.get(ndim, "t" + "c" * (ndim - 3) + "yx"))
    choices = ", ".join(f"axes={a!r} ({_MEANINGS[a]})" for a in _MEANINGS if len(a) == ndim)
    raise AxesError(f"cannot tell the axes of a {ndim}-D {dtype} array of shape {tuple(shape)}; pass one of {choices}")
