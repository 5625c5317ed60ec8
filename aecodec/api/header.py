"""The header of an array file: what the array is, what was asked of it, which model decodes it."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from aecodec.axes import MAX_DIMENSIONS, parse_axes
from aecodec.canonical import ArraySpec, checked_dtype
from aecodec.errors import AecodecError, FormatError
from aecodec.fidelity import Fidelity
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.version import __version__

_DTYPE = re.compile(r"[<>|][biufc](1|2|4|8|16)")
_MODEL_ID = re.compile(r"[0-9a-f]{64}")
_MAX_SIZE = 2**62


@dataclass(frozen=True)
class Header:
    """Parsed header. `spec` has length 0 along the stream axis: how long the array is, only its chunks say."""

    spec: ArraySpec
    fidelity: Fidelity
    model_id: str | None

    def to_json(self) -> dict[str, Any]:
        """The header record."""
        shape: list[int | None] = list(self.spec.shape)
        if self.spec.axes.stream is not None:
            shape[self.spec.axes.stream] = None
        dtype = self.spec.dtype
        return {
            "axes": self.spec.axes.letters,
            "dtype": dtype.newbyteorder("<").str if dtype.byteorder == "=" and np.little_endian else dtype.str,
            "fidelity": self.fidelity.to_json(),
            "model": self.model_id,
            "shape": shape,
            "writer": f"aecodec {__version__}",
        }

    @classmethod
    def from_json(cls, record: dict[str, Any], limits: Limits = DEFAULT_LIMITS) -> "Header":
        """Parse and validate; the record may be hostile."""
        try:
            shape, letters, dtype = record["shape"], record["axes"], record["dtype"]
            model_id, fidelity = record["model"], record["fidelity"]
        except KeyError as error:
            raise FormatError(f"header lacks {error}") from None
        if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
            raise FormatError(f"header has unknown dtype {str(dtype)[:40]!r}")
        if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
            raise FormatError(f"header shape must be a list of at most {MAX_DIMENSIONS} sizes")
        if model_id is not None and not (isinstance(model_id, str) and _MODEL_ID.fullmatch(model_id)):
            raise FormatError("header names a model by something other than a SHA-256")
        try:
            axes = parse_axes(letters, len(shape))
            if axes.stream is not None and shape[axes.stream] is not None:
                raise FormatError(f"header has shape {str(shape)[:80]}; the size along the stream axis must be null")
            sizes = [0 if i == axes.stream else size for i, size in enumerate(shape)]
            if not all(type(size) is int and 0 <= size < _MAX_SIZE for size in sizes):
                raise FormatError(f"header has shape {str(shape)[:80]}; sizes must be whole numbers of 0 or more")
            header = cls(ArraySpec(checked_dtype(dtype), axes, tuple(sizes)), Fidelity.from_json(fidelity), model_id)
        except FormatError:
            raise
        except (AecodecError, TypeError) as error:
            raise FormatError(f"malformed header: {error}") from None
        limits.check("dimensions", len(shape), f"the header declares {len(shape)} dimensions")
        limits.check("channels", header.spec.channels, f"the header declares {header.spec.channels} channels")
        return header


def alike(first: Header, other: Header) -> bool:
    """True if arrays of the two can be joined along the stream axis."""
    return _kind(first.spec) == _kind(other.spec)


def check_alike(first: Header, other: Header, part: str) -> None:
    """FormatError, naming the `part` that has `other`, unless both can be joined along the stream axis."""
    if not alike(first, other):
        raise FormatError(
            f"{part} has {_described(other.spec)}, but those before it have {_described(first.spec)}; "
            "only arrays that agree can be joined along the stream axis: split the file there"
        )


def _kind(spec: ArraySpec) -> tuple[np.dtype, str, tuple[int, ...]]:
    return spec.dtype.newbyteorder("="), spec.axes.letters, spec.with_length(0).shape


def _described(spec: ArraySpec) -> str:
    sizes = ", ".join("any" if axis == spec.axes.stream else str(size) for axis, size in enumerate(spec.shape))
    return f"dtype {spec.dtype}, axes {spec.axes.letters!r} and sizes ({sizes})"
