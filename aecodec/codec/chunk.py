"""One chunk: canonical array <-> bytes, by the mode that makes it smallest (normative: FORMAT.md, "Chunks")."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from aecodec.codec.effort import Effort, effort_of
from aecodec.codec.equivalent import Attempt, cheapest, first_errors, widest_within
from aecodec.codec.finite import finite_values
from aecodec.codec.float_mode import decode_floats
from aecodec.codec.hidden_mode import decode_hidden
from aecodec.codec.ladder_mode import decode_ladder, encode_ladder
from aecodec.codec.latents_mode import decode_latents_only, encode_latents_only
from aecodec.codec.lattice_mode import decode_lattice, encode_lattice
from aecodec.codec.lossless_mode import encode_lossless, encode_whole_numbers
from aecodec.codec.model import Model, Origin
from aecodec.codec.predicted_encoding import encode_predicted
from aecodec.codec.predicted_mode import decode_predicted
from aecodec.errors import FormatError
from aecodec.fidelity import Fidelity
from aecodec.packing.lossless import decode_bytes, encode_bytes, surely_smaller
from aecodec.packing.varint import Cursor
from aecodec.workers import Workers

_FEW = 1 << 12
_SLACK = 1.02  # how far over what there is already an estimate may be for the real thing to be tried
_FINE = 2.5  # steps of a quality's quantizer in whole numbers, from which on down a lattice is tried
_TRIES, _THOROUGH_TRIES = 3, 6  # of lattices for a PSNR


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


# Bytes a value that decoding takes at most, beside the array itself, measured on images of 2048 x 2048 bytes: 7 without a model, 45
# with latents of tiles, 76 with latents of slices.
_WORK = {Mode.BYTES: 16, Mode.CONSTANT: 0}
_WORK_WITHOUT_MODEL, _WORK_WITH_MODEL = 48, 96


def work_bytes(body: memoryview, values: int, with_model: bool) -> int:
    """What decoding a chunk of `values` values may take, by its mode alone; `with_model`: its file has one."""
    usual = _WORK_WITH_MODEL if with_model else _WORK_WITHOUT_MODEL
    return values * (_WORK.get(Mode(body[0]), usual) if len(body) and body[0] in set(Mode) else 0)


@dataclass(frozen=True)
class ChunkCoder:
    """All that chunks of one file share. `dtype` is the canonical array's, native."""

    dtype: np.dtype
    fidelity: Fidelity
    model: Model | None = None
    level: int = 5

    @property
    def _autoencoder(self) -> Model | None:
        """The model, if its latents tell more than the values do."""
        return None if self.model is None or self.model.manifest.any_channels else self.model

    def encode(self, array: np.ndarray, origin: Origin = (0, 0), threads: int = 1) -> bytes:
        """Canonical `array` (steps, channels, rows, columns), contiguous -> body, the same for any number of `threads`."""
        with Workers(threads) as workers:
            return self._encode(array, origin, workers)

    def _encode(self, array: np.ndarray, origin: Origin, workers: Workers) -> bytes:
        effort = effort_of(self.level).for_size(array.size)
        if array.size == 0:
            return bytes([Mode.BYTES]) + encode_bytes(array, effort.zstd_level)
        if (constant := _constant(array)) is not None:
            return bytes([Mode.CONSTANT]) + constant
        body = self._encode_lossy(array, effort, origin, workers)
        if body is not None and surely_smaller(len(body), array, effort.zstd_level):
            return body
        plain = encode_bytes(array, effort.zstd_level, filters=body is None)
        if body is not None and len(body) <= len(plain) + 1:
            return body
        return bytes([Mode.BYTES]) + (plain if body is None else encode_bytes(array, effort.zstd_level))

    def _encode_lossy(self, array: np.ndarray, effort: Effort, origin: Origin, workers: Workers) -> bytes | None:
        """Body of the mode that the fidelity asks for; None where only bytes serve."""
        fidelity, channels = self.fidelity, array.shape[1]
        if fidelity.kind == "max_point_error":
            body = encode_ladder(array, _single(fidelity), effort)
            return bytes([Mode.LADDER]) + body if body is not None else None
        errors = fidelity.allowed_errors(channels)
        if fidelity.kind == "lossless" and array.dtype.kind in "iu":
            errors = np.zeros(channels)
        if fidelity.kind in ("psnr", "quality"):
            return self._encode_equivalent(array, effort, origin, workers)
        if fidelity.kind == "lossless" and array.dtype.kind == "f":
            return encode_lossless(array, effort)
        if errors is None:
            return None
        return self._encode_bounded(array, errors, effort, origin)

    def _encode_bounded(self, array: np.ndarray, errors: np.ndarray, effort: Effort, origin: Origin) -> bytes | None:
        """The smallest of what the lattice, the predictor and, if nothing may be lost, whole numbers as such give."""
        found, seen = [], finite_values(array)
        if self.fidelity.kind == "lossless":
            found.append(encode_whole_numbers(array, effort))
        if effort.predicted and self.model is not None and self.model.manifest.predictor is not None:
            predicted = encode_predicted(seen, errors, self.model, origin)
            if predicted is not None:
                found.append(bytes([Mode.PREDICTED]) + predicted.pack(effort.thorough))
        best = min((body for body in found if body is not None), key=len, default=None)
        most = _SLACK * 8 * len(best) / array.size if best is not None else np.inf
        body = encode_lattice(seen, errors, self._autoencoder, effort, origin, most)
        if body is not None and (best is None or len(body) + 1 < len(best)):
            best = bytes([Mode.LATTICE]) + body
        return best

    def _encode_equivalent(self, array: np.ndarray, effort: Effort, origin: Origin, workers: Workers) -> bytes | None:
        """Latents alone, or a lattice as fine as the PSNR or quality needs, whichever is smaller."""
        fidelity, channels = self.fidelity, array.shape[1]
        autoencoder, latents = self._autoencoder, None
        if autoencoder is not None:
            latents = encode_latents_only(array, fidelity, autoencoder, effort, origin, workers)
        found = [bytes([Mode.LATENTS]) + latents] if latents is not None else []
        if found and fidelity.kind == "quality" and array.dtype.kind in "iu":
            found = [self._unless_fine(found[0], array, effort, origin)]
        predicts = effort.predicted and self.model is not None and self.model.manifest.predictor is not None
        errors = first_errors(fidelity, channels, array.dtype)
        if fidelity.kind == "quality":
            if not found and (body := encode_lattice(finite_values(array), errors, autoencoder, effort, origin)) is not None:
                found.append(bytes([Mode.LATTICE]) + body)
        elif predicts or not found:
            encode = self._attempt_predicted if predicts else self._attempt_lattice
            tries = _THOROUGH_TRIES if effort.thorough else _TRIES
            allowed = fidelity.allowed_rms(channels)
            body = widest_within(array, errors, allowed, lambda e: encode(array, e, effort, origin), tries)
            found += [body] if body is not None else []
        return min(found, key=len, default=None)

    def _unless_fine(self, body: bytes, array: np.ndarray, effort: Effort, origin: Origin) -> bytes:
        """`body` of latents, or, at the finest qualities of whole numbers, where networks err by more than their quantizer, a
        lattice of errors up to 1 if that is better."""
        channels = array.shape[1]
        step = float((self.fidelity.relative_step() * self.fidelity.spans(channels)).max())
        if step > _FINE or (other := self._encode_bounded(array, np.ones(channels), effort, origin)) is None:
            return body
        n, c, h, w = array.shape
        return cheapest(array, step, [Attempt(each, self.decode(each, (n, c, h, w), origin)) for each in (body, other)])

    def _attempt_predicted(self, array: np.ndarray, errors: np.ndarray, effort: Effort, origin: Origin) -> Attempt | None:
        assert self.model is not None
        predicted = encode_predicted(finite_values(array), errors, self.model, origin, bounded=False)
        if predicted is None:
            return None
        assert predicted.restored is not None
        return Attempt(bytes([Mode.PREDICTED]) + predicted.pack(effort.thorough), predicted.restored)

    def _attempt_lattice(self, array: np.ndarray, errors: np.ndarray, effort: Effort, origin: Origin) -> Attempt | None:
        body = encode_lattice(finite_values(array), errors, self._autoencoder, effort, origin)
        if body is None:
            return None
        n, c, h, w = array.shape
        restored = decode_lattice(Cursor(body), (n, c, h, w), self.dtype, self.model, origin)
        return Attempt(bytes([Mode.LATTICE]) + body, restored)

    def decode(
        self,
        body: bytes | memoryview,
        shape: tuple[int, int, int, int],
        origin: Origin = (0, 0),
        threads: int = 1,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """The inverse of `encode` for a canonical array of `shape`; the same for any number of `threads`.

        `out`, of that shape, contiguous, may be filled and returned: most modes do so, others return an array of their own.
        """
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
            return decode_lattice(cursor, shape, self.dtype, self.model, origin, out=out)
        if mode == Mode.LATENTS:
            with Workers(threads) as workers:
                return decode_latents_only(cursor, shape, self.dtype, self.model, origin, workers)
        if mode == Mode.PREDICTED:
            return decode_predicted(cursor, shape, self.dtype, self.model, origin, out=out)
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


def _single(fidelity: Fidelity) -> float:
    return fidelity.value[0] if isinstance(fidelity.value, tuple) else fidelity.value
