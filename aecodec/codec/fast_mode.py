"""The bounded path of the fastest levels: lattice mode without latents, its bound proven beforehand instead of checked.

The body is that of lattice_mode.py (FORMAT.md, "Mode 2, lattice").
"""

import numpy as np

from aecodec.canonical import fill_missing
from aecodec.codec.effort import Effort
from aecodec.codec.sections import encode_classes, encode_steps, non_finite_classes
from aecodec.fast_lattice import SafeLattice, predicted_residual, safe_lattice
from aecodec.lorenzo import as_planes
from aecodec.packing.contexts import encode_whole, encode_zigzagged_cells
from aecodec.packing.estimate import residual_bits
from aecodec.packing.stream import unzigzag
from aecodec.packing.varint import put_section

CLASSES, PER_CHANNEL = 2, 16


def encode_fast(array: np.ndarray, errors: np.ndarray, effort: Effort) -> bytes | None:
    """Canonical `array` -> body; None where the bound cannot be proven. `errors`: largest absolute error of each channel."""
    values, classes = array, None
    low, high = _range(values)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        classes = non_finite_classes(array)
        values = fill_missing(array)
        low, high = _range(values)
    lattice = safe_lattice(errors, low, high, array.dtype)
    if lattice is None:
        return None
    mask, cell = _choose(values, lattice, effort)
    unsigned = predicted_residual(values, lattice, mask, zigzagged=True)
    if cell:
        section = encode_zigzagged_cells(unsigned, cell, effort.thorough)
    else:
        section = encode_whole(unsigned, effort.thorough, hasty=True)

    stored, per_channel = encode_steps(lattice.steps)
    body = bytearray([(PER_CHANNEL if per_channel else 0) | (0 if classes is None else CLASSES)])
    body += stored
    body.append(mask)
    put_section(body, section)
    if classes is not None:
        put_section(body, encode_classes(classes))
    return bytes(body)


def _range(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of each channel, float64; NaN where a channel has one."""
    return values.min(axis=(0, 2, 3)).astype(np.float64), values.max(axis=(0, 2, 3)).astype(np.float64)


def _choose(values: np.ndarray, lattice: SafeLattice, effort: Effort) -> tuple[int, int]:
    """Lorenzo axes and cell size that make a piece from the middle smallest."""
    sizes = values.shape
    piece = values[_middle(sizes, effort.sample_values)]
    useful = sum(1 << axis for axis, size in enumerate(sizes) if size > 1)
    masks = sorted({mask & useful for mask in effort.predictors if as_planes(sizes, mask) is not None})
    residuals = {mask: unzigzag(predicted_residual(piece, lattice, mask, zigzagged=True)).astype(np.int32) for mask in masks}
    mask = min(masks, key=lambda mask: residual_bits(residuals[mask], effort.cells[0]))
    return mask, min(effort.cells, key=lambda cell: residual_bits(residuals[mask], cell)) if len(effort.cells) > 1 else 0


def _middle(shape: tuple[int, ...], budget: int) -> tuple[slice, ...]:
    """A block of about `budget` values from the middle, steps given up before rows."""
    kept = list(shape)
    for axis in (0, 2, 3):
        rest = int(np.prod(kept)) // kept[axis]
        kept[axis] = min(kept[axis], max(2, budget // rest))
    return tuple(slice((size - k) // 2, (size - k) // 2 + k) for size, k in zip(shape, kept, strict=True))
