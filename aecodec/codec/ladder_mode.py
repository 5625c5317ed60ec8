"""The path of relative bounds: rungs of a geometric ladder, Lorenzo-predicted; zeros, signs and specials as classes.

Body: float64 ladder error; predictor byte; residual section; classes section; exceptions section (may be of none).
"""

import numpy as np

from aecodec.canonical import fill_missing
from aecodec.codec.effort import Effort
from aecodec.codec.samples import sample_window
from aecodec.codec.sections import apply_exceptions, decode_classes, encode_classes, encode_exceptions
from aecodec.errors import FormatError
from aecodec.ladder import NEGATIVE, POSITIVE, SMALLEST_ERROR, classify, from_ladder, lattice_error, to_ladder
from aecodec.lattice import lorenzo_residual, lorenzo_restore
from aecodec.models.search import choose_residual
from aecodec.packing.residuals import decode_residual, encode_residual
from aecodec.packing.varint import Cursor, put_section

_EXACT_INTEGERS = 2**53


def encode_ladder(array: np.ndarray, error: float, effort: Effort) -> bytes | None:
    """Canonical `array` -> body; None if relative `error` is too fine for the dtype's precision."""
    reals = _as_float(array)
    reduced = lattice_error(error, reals.dtype) if reals is not None else 0.0
    if reals is None or not reduced:
        return None
    classes = classify(reals)
    ordinary = (classes == POSITIVE) | (classes == NEGATIVE)
    magnitudes = np.where(ordinary, np.abs(reals), reals.dtype.type(np.nan))
    indices = to_ladder(np.where(ordinary.any(), fill_missing(magnitudes), reals.dtype.type(1)), reduced)
    choice = choose_residual(
        indices[sample_window(indices.shape, (1, 1, 1, 1), effort.sample_values)], effort.predictors, effort.cells
    )
    body = bytearray(np.float64(reduced).tobytes() if np.little_endian else np.float64(reduced).byteswap().tobytes())
    body.append(choice.predictor)
    residual = lorenzo_residual(indices, choice.predictor).reshape(-1)
    put_section(body, encode_residual(residual, choice.cell, effort.thorough))
    put_section(body, encode_classes(classes))
    restored = _cast(from_ladder(indices, classes, reduced, reals.dtype), array.dtype)
    with np.errstate(invalid="ignore"):
        distance = np.abs(array.astype(np.float64) - restored.astype(np.float64))
        sound = (distance <= error * np.abs(array.astype(np.float64))) | ~ordinary
    put_section(body, encode_exceptions(array, np.flatnonzero(~sound)))
    return bytes(body)


def decode_ladder(cursor: Cursor, shape: tuple[int, int, int, int], dtype: np.dtype) -> np.ndarray:
    """Body -> canonical array."""
    error = float(cursor.array(np.dtype("<f8"), 1)[0])
    if not SMALLEST_ERROR <= error < 1:
        raise FormatError(f"ladder error {error} is outside {SMALLEST_ERROR} to 1")
    predictor = cursor.byte()
    if predictor > 15:
        raise FormatError(f"chunk names unknown predictor {predictor}")
    section = cursor.section()
    residual = decode_residual(section, int(np.prod(shape))).reshape(shape)
    section.end()
    classes = decode_classes(cursor.section(), shape, NEGATIVE)
    indices = lorenzo_restore(residual, predictor)
    working = dtype if dtype.kind == "f" else np.dtype(np.float64)
    array = _cast(from_ladder(indices, classes, error, working), dtype)
    apply_exceptions(cursor.section(), array)
    cursor.end()
    return array


def _as_float(array: np.ndarray) -> np.ndarray | None:
    """Floats as they are, integers as float64; None where that would lose digits."""
    if array.dtype.kind == "f":
        return array
    if array.size and max(int(array.max()), -int(array.min())) > _EXACT_INTEGERS:
        return None
    return array.astype(np.float64)


def _cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return values
    info = np.iinfo(dtype)
    return np.clip(np.rint(np.nan_to_num(values)), max(info.min, -(2.0**62)), min(info.max, 2.0**62)).astype(dtype)
