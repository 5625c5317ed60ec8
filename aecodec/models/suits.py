"""For which arrays a model may be taken though nobody named it, as its manifest says; the record may be hostile."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aecodec.axes import parse_axes
from aecodec.fidelity import KINDS

DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
MOST = 16  # entries of a list
_LISTS = ("dtypes", "axes", "fidelity")


@dataclass(frozen=True)
class Suits:
    """Names of dtypes, axes, and kinds of fidelity, all of which an array's must be among."""

    dtypes: tuple[str, ...]
    axes: tuple[str, ...]
    fidelity: tuple[str, ...]
    unknown: dict[str, Any] = field(default_factory=dict)  # keys of a later version, which narrow it in ways not known here

    def holds(self, dtype: np.dtype, axes: str, fidelity: str) -> bool:
        """True if an array of `dtype` and `axes`, with this kind of fidelity asked for, is what the model is for."""
        name = dtype.newbyteorder("=").name
        return not self.unknown and name in self.dtypes and axes in self.axes and fidelity in self.fidelity

    def to_json(self) -> dict[str, Any]:
        """The manifest's record."""
        return {**self.unknown, **{name: list(getattr(self, name)) for name in _LISTS}}

    @classmethod
    def from_json(cls, record: Any) -> "Suits":
        """Parse and validate; KeyError, TypeError or ValueError (AxesError is one) for what cannot be."""
        if not isinstance(record, dict):
            raise TypeError(f"suits {str(record)[:40]!r} is no object")
        dtypes, axes, fidelity = (_texts(name, record[name]) for name in _LISTS)
        for name, found, known in (("dtypes", dtypes, DTYPES), ("fidelity", fidelity, KINDS)):
            if strange := set(found) - set(known):
                raise ValueError(f"suits: {min(strange)[:40]!r} is none of the {name} {', '.join(known)}")
        for letters in axes:
            parse_axes(letters, len(letters))
        return cls(dtypes, axes, fidelity, {key: value for key, value in record.items() if key not in _LISTS})

    def __str__(self) -> str:
        return f"{'/'.join(self.dtypes)}, axes {'/'.join(self.axes)}, {'/'.join(self.fidelity)}"


def _texts(name: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not 1 <= len(values) <= MOST:
        raise TypeError(f"suits: {name} must be a list of 1 to {MOST} texts")
    for value in values:
        if type(value) is not str or len(value) > 2 * MOST:
            raise TypeError(f"suits: {str(value)[:40]!r} among its {name} is no text of at most {2 * MOST} characters")
    if len(set(values)) != len(values):
        raise ValueError(f"suits: its {name} are not distinct")
    return tuple(values)
