"""One chunk: canonical array <-> bytes, by the mode that makes it smallest (normative: FORMAT.md, "Chunks")."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from aecodec.codec.effort import Effort, effort_of
from aecodec.codec.float_mode import decode_floats
from aecodec.codec.hidden_mode import decode_hidden
from aecodec.codec.ladder_mode import decode_ladder, encode_ladder
from aecodec.codec.latents_mode import decode_latents_only, encode_latents_only, rms_within
from aecodec.codec.lattice_mode import decode_lattice, encode_lattice
from aecodec.codec.lossless_mode import encode_lossless, encode_whole_numbers
from aecodec.codec.model import Model, Origin
from aecodec.codec.predicted_mode import decode_predicted, encode_predicted
from aecodec.errors import FormatError
from aecodec.fidelity import Fidelity
from aecodec.packing.lossless import decode_bytes, encode_bytes, surely_smaller
from aecodec.packing.varint import Cursor

_FEW = 1 << 12
_SLACK = 1.02  # how far over what there is already an estimate may be for the real thing to be tried
_REFINEMENTS = 40  # down to an error of 0.9**40 = 1.5 % of the first guess


class Mode(IntEnum):
    """How a chunk is coded; its first byte."""

    BYTES = 0
    CONSTANT = 1
    LATTICE = 2
    LATENTS = 3
    LADDER = 4
    FLOATS = 5
    HIDDEN = 6
    PREDICTED = 7


@dataclass(frozen=True)
class ChunkCoder:
    """All that chunks of one file share. `dtype` is the canonical array's, native."""

    dtype: np.dtype
    fidelity: Fidelity
    model: Model | None = None
    level: int = 5

    def encode(self, array: np.ndarray, origin: Origin = (0, 0)) -> bytes:
        """Canonical `array` (steps, channels, rows, columns), contiguous -> body."""
        effort = effort_of(self.level).for_size(array.size)
        if array.size == 0:
            return bytes([Mode.BYTES]) + encode_bytes(array, effort.zstd_level)
        if (constant := _constant(array)) is not None:
            return bytes([Mode.CONSTANT]) + constant
        body = self._encode_lossy(array, effort, origin)
        if body is not None and surely_smaller(len(body), array, effort.zstd_level):
            return body
        plain = encode_bytes(array, effort.zstd_level, filters=body is None)
        if body is not None and len(body) <= len(plain) + 1:
            return body
        return bytes([Mode.BYTES]) + (plain if body is None else encode_bytes(array, effort.zstd_level))

    def _encode_lossy(self, array: np.ndarray, effort: Effort, origin: Origin) -> bytes | None:
        """Body of the mode that the fidelity asks for; None where only bytes serve."""
        fidelity, channels = self.fidelity, array.shape[1]
        if fidelity.kind == "max_point_error":
            body = encode_ladder(array, _single(fidelity), effort)
            return bytes([Mode.LADDER]) + body if body is not None else None
        errors = fidelity.allowed_errors(channels)
        if fidelity.kind == "lossless" and array.dtype.kind in "iu":
            errors = np.zeros(channels)
        if fidelity.kind in ("psnr", "quality"):
            if self.model is not None:
                body = encode_latents_only(array, fidelity, self.model, effort, origin)
                if body is not None:
                    return bytes([Mode.LATENTS]) + body
            return self._encode_equivalent(array, effort, origin)
        if fidelity.kind == "lossless" and array.dtype.kind == "f":
            return encode_lossless(array, effort)
        if errors is None:
            return None
        return self._encode_bounded(array, errors, effort, origin)

    def _encode_bounded(self, array: np.ndarray, errors: np.ndarray, effort: Effort, origin: Origin) -> bytes | None:
        """The smallest of what the lattice, the predictor and, if nothing may be lost, whole numbers as such give."""
        found = []
        if self.fidelity.kind == "lossless":
            found.append(encode_whole_numbers(array, effort))
        if effort.predicted and self.model is not None and self.model.manifest.predictor is not None:
            predicted = encode_predicted(array, errors, self.model, origin)
            if predicted is not None:
                found.append(bytes([Mode.PREDICTED]) + predicted.pack(effort.thorough))
        best = min((body for body in found if body is not None), key=len, default=None)
        most = _SLACK * 8 * len(best) / array.size if best is not None else np.inf
        body = encode_lattice(array, errors, self.model, effort, origin, most)
        if body is not None and (best is None or len(body) + 1 < len(best)):
            best = bytes([Mode.LATTICE]) + body
        return best

    def _encode_equivalent(self, array: np.ndarray, effort: Effort, origin: Origin) -> bytes | None:
        """A lattice fine enough for the PSNR or quality asked for, where latents alone do not serve."""
        fidelity, channels = self.fidelity, array.shape[1]
        n, c, h, w = array.shape
        errors = _equivalent_errors(fidelity, channels, array.dtype)
        for _ in range(_REFINEMENTS):
            body = encode_lattice(array, errors, self.model, effort, origin)
            if body is None or fidelity.kind == "quality":
                break
            restored = decode_lattice(Cursor(body), (n, c, h, w), self.dtype, self.model, origin)
            if rms_within(array, restored, fidelity.allowed_rms(channels)):
                break
            errors = errors * 0.9
        else:
            return None
        return bytes([Mode.LATTICE]) + body if body is not None else None

    def decode(self, body: bytes | memoryview, shape: tuple[int, int, int, int], origin: Origin = (0, 0)) -> np.ndarray:
        """The inverse of `encode` for a canonical array of `shape`."""
        cursor = Cursor(body)
        mode = cursor.byte()
        if mode == Mode.BYTES:
            return (
                decode_bytes(cursor, self.dtype.newbyteorder("<"), int(np.prod(shape)))
                .astype(self.dtype, copy=False)
                .reshape(shape)
            )
        if mode == Mode.CONSTANT:
            value = cursor.array(self.dtype, 1)
            cursor.end()
            return np.full(shape, value[0], self.dtype)
        if mode == Mode.LATTICE:
            return decode_lattice(cursor, shape, self.dtype, self.model, origin)
        if mode == Mode.LATENTS:
            return decode_latents_only(cursor, shape, self.dtype, self.model, origin)
        if mode == Mode.PREDICTED:
            return decode_predicted(cursor, shape, self.dtype, self.model, origin)
        if mode == Mode.LADDER:
            return decode_ladder(cursor, shape, self.dtype)
        if mode == Mode.FLOATS:
            return decode_floats(cursor, shape, self.dtype)
        if mode == Mode.HIDDEN:
            return decode_hidden(cursor, shape, self.dtype)
        raise FormatError(f"unknown chunk mode {mode}")


def _constant(array: np.ndarray) -> bytes | None:
    """The one value of the array as little-endian bytes, if all its values have the same bits."""
    bits = array.reshape(-1).view(f"u{array.dtype.itemsize}")
    if bits[-1] == bits[0] and (bits[:_FEW] == bits[0]).all() and (bits == bits[0]).all():
        return array.reshape(-1)[:1].astype(array.dtype.newbyteorder("<")).tobytes()
    return None


def _equivalent_errors(fidelity: Fidelity, channels: int, dtype: np.dtype) -> np.ndarray:
    """Errors whose lattice alone gives about the PSNR or quality: that of step s has mean square s**2 / 12, of integers
    (s**2 - 1) / 12."""
    if fidelity.kind == "psnr":
        rms = fidelity.allowed_rms(channels)
        return np.sqrt(3.0) * rms if dtype.kind == "f" else (np.sqrt(12.0 * rms * rms + 1.0) - 1.0) / 2.0
    return fidelity.relative_step() * fidelity.spans(channels) / 2


def _single(fidelity: Fidelity) -> float:
    return fidelity.value[0] if isinstance(fidelity.value, tuple) else fidelity.value
