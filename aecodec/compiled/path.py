"""Phases coded and decoded, and symbols sorted, by compiled functions: the same bits as prediction.py with the model's graph."""

import numpy as np

from aecodec.compiled.kernels import kernels
from aecodec.compiled.room import room
from aecodec.compiled.walk import serves, walk
from aecodec.models.linear_predictor import LinearPredictor
from aecodec.packing.scale import INDICES
from aecodec.phases import PhaseLayout, Shape5

_NONE = np.zeros(0, bool)
# Values in frames; what is subtracted from them, (channels, rows, columns) or (channels, 1, 1); fine units to a unit, (channels,).
Source = tuple[np.ndarray, np.ndarray, np.ndarray]
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def compiled_serves(shape: Shape5, layout: PhaseLayout) -> bool:
    """True if `decode_phases` and `encode_phases` can be called."""
    return kernels is not None and serves(shape, layout)


def decode_phases(
    values: np.ndarray,
    layout: PhaseLayout,
    spacing: int,
    predictor: LinearPredictor,
    symbols: np.ndarray,
    used: np.ndarray,
    ends: np.ndarray,
    free: np.ndarray | None,
) -> bool:
    """Fill `values`, int32 (1, frames, channels, rows, columns), contiguous, of which only the base grid is known.

    `symbols`: int16 or int32, those of scale index i from `used`[i], which is moved on, to `ends`[i]; False if they do not suffice.
    """
    assert kernels is not None
    flat = _NONE if free is None else np.ascontiguousarray(free)
    taken = (symbols, used, ends, symbols.itemsize)
    with room() as mine:
        return all(kernels.decode_phases(part, *taken) for part in walk(values, layout, predictor, spacing, flat, mine))


def encode_phases(
    values: np.ndarray,
    layout: PhaseLayout,
    spacing: int,
    predictor: LinearPredictor,
    source: Source,
    dead_zone: float,
    free: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Fill `values` likewise, as a decoder will, near the `source`. Returns symbols and ends as `sort_by_index`."""
    assert kernels is not None
    flat = _NONE if free is None else np.ascontiguousarray(free)
    exact, base, scales = source
    exact = np.ascontiguousarray(exact, exact.dtype if exact.dtype in _FLOATS else np.float64)
    reals = (exact, np.ascontiguousarray(base), np.ascontiguousarray(scales))
    for dtype in (np.uint16, np.int32):  # the first phases, of few values, tell whether the narrow ones suffice
        with room() as mine:
            symbols, indices, done = mine.empty(values.size, dtype), mine.empty(values.size, np.uint8), 0
            for part in walk(values, layout, predictor, spacing, flat, mine):
                done = kernels.encode_phases(part, *reals, symbols, indices, dead_zone, done)
                if done < 0:
                    break
            else:
                return sort_by_index(symbols[:done], indices[:done])
    raise AssertionError("symbols of 32 bits always fit")


def sort_by_index(symbols: np.ndarray, index: np.ndarray, least: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Symbols by their uint8 `index`, in order within each, zigzagged, and where each index's end, int64 (INDICES,).

    `symbols`: int32, or uint16 that are zigzagged already. Those of an index below `least` are left out.
    """
    assert kernels is not None
    ordered, ends = np.empty(symbols.size, f"u{symbols.itemsize}"), np.empty(INDICES, np.int64)
    width = kernels.sort_by_index(symbols, index, ordered, ends, least)
    return ordered.view(f"u{width}")[: int(ends[-1])], ends


def spread_by_index(symbols: np.ndarray, index: np.ndarray, used: np.ndarray, ends: np.ndarray, out: np.ndarray) -> bool:
    """Fill int32 `out` with the next of the `symbols` that each uint8 `index` has, from `used`, which is moved on, to `ends`.

    Where the index is 0 there is none, but a 0. False if they do not suffice.
    """
    assert kernels is not None
    return kernels.spread_by_index(symbols, symbols.itemsize, used, ends, index, out)
