"""What all chunks of a store's array share, as its metadata have it (normative: FORMAT.md, "Codings")."""

from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np

from aecodec.api.options import FidelityOptions, ModelLike
from aecodec.axes import Axes, guess_axes, parse_axes
from aecodec.canonical import ArraySpec, checked_dtype
from aecodec.codec.effort import DEFAULT_LEVEL, effort_of
from aecodec.codec.model import Model
from aecodec.errors import AecodecError, FidelityError, FormatError
from aecodec.fidelity import Fidelity, fidelity_from_options
from aecodec.integrations.models import ModelReference, reference_to
from aecodec.integrations.stored_chunk import as_numbers, decode_chunk, encode_chunk
from aecodec.models.bundle import Bundle

_KEYS = {"axes", "fidelity", "level", "model"}


@dataclass(frozen=True)
class Coding:
    """`axes` None: guessed for each chunk, which then says what it is."""

    axes: str | None = None
    fidelity: Fidelity = Fidelity()  # noqa: RUF009  # frozen
    level: int = DEFAULT_LEVEL
    reference: ModelReference | None = None

    def to_json(self) -> dict[str, Any]:
        """The record in a store's metadata."""
        model = self.reference.to_json() if self.reference is not None else None
        return {"axes": self.axes, "fidelity": self.fidelity.to_json(), "level": self.level, "model": model}

    @classmethod
    def from_json(cls, record: Any) -> "Coding":
        """Parse and validate; the record may be hostile."""
        if not isinstance(record, dict):
            raise FormatError(f"coding {str(record)[:60]!r} is no object")
        if unknown := set(record) - _KEYS:
            raise FormatError(f"coding has unknown key {str(min(unknown, key=str))[:40]!r}; upgrade aecodec")
        axes, level, model = record.get("axes"), record.get("level", DEFAULT_LEVEL), record.get("model")
        try:
            if axes is not None:
                parse_axes(axes, len(axes))
            fidelity = Fidelity.from_json(record.get("fidelity", {"kind": "lossless"}))
            if type(level) is not int:
                raise FormatError(f"coding has level {str(level)[:40]!r}, a whole number is due")
            effort_of(level)
        except FormatError:
            raise
        except (AecodecError, TypeError) as error:
            raise FormatError(f"malformed coding: {error}") from None
        return cls(axes, fidelity, level, None if model is None else ModelReference.from_json(model))

    def for_array(self, shape: tuple[int, ...], dtype: np.dtype) -> "Coding":
        """The same with axes for an array of this shape and dtype, guessed if there are none; AxesError if they do not fit."""
        if self.axes is not None:
            parse_axes(self.axes, len(shape))
            return self
        return replace(self, axes=self._axes(shape, dtype).letters)

    def check(self, chunk_shape: tuple[int, ...], dtype: np.dtype) -> None:
        """FidelityError or DtypeError if chunks of this shape and dtype cannot be kept so."""
        kind = self.fidelity.kind
        if dtype.kind in "mMb" and kind != "lossless":
            raise FidelityError(f"{kind} was asked of {dtype} values, which are kept exactly: use lossless=True")
        dtype = np.dtype("i8") if dtype.kind in "mM" else checked_dtype(dtype)
        if self.fidelity.needs_range:
            raise FidelityError(f"{kind} of chunks needs the array's value range; pass value_range=(low, high)")
        spec = ArraySpec(dtype, self._axes(chunk_shape, dtype), chunk_shape)
        if kind in ("max_error", "max_range_error"):
            self.fidelity.allowed_errors(spec.channels)
        if kind in ("psnr", "quality"):
            self.fidelity.spans(spec.channels)

    def encode(self, array: np.ndarray, described: bool = False) -> bytes:
        """The stored chunk of an array."""
        axes = self._axes(array.shape, array.dtype)
        return encode_chunk(array, axes, self.fidelity, self.model(), self.level, described)

    def decode(self, data: Any, shape: tuple[int, ...] | None = None, dtype: np.dtype | None = None) -> np.ndarray:
        """The array of a stored chunk; shape and dtype are the store's, if it says them."""
        if shape is None or dtype is None:
            return decode_chunk(data, self.model)
        numbers = as_numbers(np.empty(0, dtype)).dtype
        found = decode_chunk(data, self.model, ArraySpec(numbers, self._axes(shape, dtype), shape))
        return found.view(dtype) if dtype != numbers else found

    def model(self) -> Model | None:
        """The running model, one for each process."""
        return self.reference.running() if self.reference is not None else None

    def _axes(self, shape: tuple[int, ...], dtype: np.dtype) -> Axes:
        if self.axes is not None:
            return parse_axes(self.axes, len(shape))
        return guess_axes(shape, dtype, self.fidelity.kind == "lossless")


def make_coding(
    model: ModelLike | Bundle,
    axes: str | None,
    level: int,
    embed_model: bool | None,
    model_url: str | None,
    **fidelity: Unpack[FidelityOptions],
) -> Coding:
    """A coding from the arguments that all stores' codecs take."""
    effort_of(level)
    asked = fidelity_from_options(**fidelity)
    if axes is not None:
        parse_axes(axes, len(axes))
    return Coding(axes, asked, level, reference_to(model, embed_model, model_url))
