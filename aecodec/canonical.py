"""Between the user's array and the canonical one: dtype, byte order, complex and bool, axes, and the stream axis."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from aecodec.axes import Axes
from aecodec.errors import DtypeError, FormatError

_KINDS = "biufc"


def checked_dtype(dtype: Any) -> np.dtype:
    """The dtype if it can be stored; DtypeError says what to do if not."""
    found = np.dtype(dtype)
    if found.hasobject:
        raise DtypeError(f"dtype {found} holds Python objects; convert the array to numbers first, e.g. array.astype(float)")
    if found.kind not in _KINDS or found.itemsize > (16 if found.kind == "c" else 8):
        raise DtypeError(f"dtype {found} is not supported; use bool, (u)int8-64, float16-64 or complex64-128")
    return found


def as_array(data: Any) -> np.ndarray:
    """Anything with the buffer protocol, `__array__` or DLPack as an array; bytes become 1-D uint8."""
    if isinstance(data, (bytes, bytearray, memoryview)) and (not isinstance(data, memoryview) or data.format == "B"):
        return np.frombuffer(data, np.uint8) if not isinstance(data, memoryview) else np.asarray(data)
    if isinstance(data, np.ndarray):
        array = data.view(np.ndarray)
    elif not hasattr(data, "__array__") and hasattr(data, "__dlpack__"):
        array = np.from_dlpack(data)
    else:
        array = np.asarray(data)
    checked_dtype(array.dtype)
    return array


@dataclass(frozen=True)
class ArraySpec:
    """What a file holds: the user's dtype (with byte order), axes and shape."""

    dtype: np.dtype
    axes: Axes
    shape: tuple[int, ...]

    @property
    def length(self) -> int:
        """Size along the stream axis; 1 without one."""
        return 1 if self.axes.stream is None else self.shape[self.axes.stream]

    def with_length(self, length: int) -> "ArraySpec":
        """The spec of an array with another size along the stream axis."""
        stream = self.axes.stream
        if stream is None:
            return self
        return replace(self, shape=(*self.shape[:stream], length, *self.shape[stream + 1 :]))

    @property
    def real_dtype(self) -> np.dtype:
        """Native dtype that the codec works in: the parts of a complex number, the byte of a bool."""
        if self.dtype.kind == "c":
            return np.dtype(f"f{self.dtype.itemsize // 2}")
        return np.dtype(np.uint8) if self.dtype.kind == "b" else self.dtype.newbyteorder("=")

    @cached_property
    def canonical_shape(self) -> tuple[int, int, int, int]:
        """(steps, channels, rows, columns)."""
        steps, channels, rows, columns = self.axes.canonical_shape(self.shape)
        return steps, channels * (2 if self.dtype.kind == "c" else 1), rows, columns

    @property
    def channels(self) -> int:
        """Channels of the canonical array."""
        return self.canonical_shape[1]

    @property
    def stream_axis(self) -> int:
        """Axis of the canonical array that the stream axis is part of."""
        stream = self.axes.stream
        return 0 if stream is None else {"t": 0, "z": 0, "y": 2, "x": 3}[self.axes.letters[stream]]

    @property
    def steps_per_sample(self) -> int:
        """Canonical steps of one step of the stream axis (the size of z, where t is the stream axis)."""
        if self.axes.stream is None or self.axes.letters[self.axes.stream] != "t":
            return 1
        return math.prod(n for n, letter in zip(self.shape, self.axes.letters, strict=True) if letter == "z")

    def to_canonical(self, array: np.ndarray) -> np.ndarray:
        """An array of this spec (any length) -> (steps, channels, rows, columns) of `real_dtype`, contiguous."""
        native = array.astype(self.dtype.newbyteorder("="), copy=False)
        canonical = self.axes.canonical(native)
        if self.dtype.kind == "c":
            parts = np.ascontiguousarray(canonical)[..., None].view(self.real_dtype)
            n, c, h, w = canonical.shape
            canonical = parts.transpose(0, 1, 4, 2, 3).reshape(n, 2 * c, h, w)
        plain = np.ascontiguousarray(canonical).view(self.real_dtype)
        if self.dtype.kind == "b" and plain.max(initial=0) > 1:  # numpy takes any byte but 0 for True, and some libraries make such
            plain = (plain != 0).view(np.uint8)
        return plain

    def from_canonical(self, canonical: np.ndarray) -> np.ndarray:
        """The inverse of `to_canonical` for an array of exactly this spec; FormatError for bools that are neither."""
        if self.dtype.kind == "c":
            n, c, h, w = canonical.shape
            parts = np.ascontiguousarray(canonical.reshape(n, c // 2, 2, h, w).transpose(0, 1, 3, 4, 2))
            canonical = parts.view(self.dtype.newbyteorder("="))[..., 0]
        elif self.dtype.kind == "b":
            if canonical.max(initial=0) > 1:
                raise FormatError(f"bool array has a byte of {int(canonical.max())}, which is neither 0 nor 1")
            canonical = canonical.view(np.bool_)
        return self.axes.restore(canonical, self.shape)


def fill_missing(slab: np.ndarray) -> np.ndarray:
    """`slab` with each non-finite value replaced by the finite one before it in C order (0 where there is none)."""
    if slab.dtype.kind != "f" or np.isfinite(slab).all():
        return slab
    flat = slab.reshape(-1)
    finite = np.isfinite(flat)
    source = np.maximum.accumulate(np.where(finite, np.arange(flat.size), -1))
    first = flat[finite][0] if finite.any() else slab.dtype.type(0)
    return np.where(source >= 0, flat[source], first).reshape(slab.shape)


def cast_values(reals: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Float64 `reals` as `dtype`: integers are rounded to nearest even and clipped, NaN becomes 0."""
    if dtype.kind not in "iu":
        with np.errstate(over="ignore"):
            return reals.astype(dtype)
    if np.isnan(reals.max(initial=0.0)):
        reals = np.nan_to_num(reals)
    info = np.iinfo(dtype)
    whole = np.rint(reals)
    # The largest 64-bit integers are not floats: stay below them.
    np.clip(whole, max(info.min, -(2.0**62)), min(info.max, 2.0**62), out=whole)
    return whole.astype(dtype)
