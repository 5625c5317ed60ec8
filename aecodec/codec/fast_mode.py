"""The bounded path of the fastest levels: lattice mode without latents, its bound proven beforehand instead of checked.

The body is that of lattice_mode.py (FORMAT.md, "Mode 2, lattice").
"""

import numpy as np

from aecodec.codec.effort import Effort
from aecodec.codec.finite import FiniteValues
from aecodec.codec.sections import encode_classes, encode_steps
from aecodec.compiled.room import room
from aecodec.fast_lattice import SafeLattice, predicted_residual, safe_lattice
from aecodec.lorenzo import as_planes
from aecodec.packing.estimate import residual_bits
from aecodec.packing.residuals import encode_whole, encode_zigzagged_cells, hasty_residual_size, spread_part
from aecodec.packing.stream import unzigzag
from aecodec.packing.varint import put_section

CLASSES, PER_CHANNEL = 2, 16
_SPARSE = 2.0  # bits a value
_PART = 1 << 15  # values
_LONGER = 4  # times: trees of the scales that cells have take the more of a piece the shorter it is


def encode_fast(seen: FiniteValues, errors: np.ndarray, effort: Effort) -> bytes | None:
    """A chunk -> body; None where the bound cannot be proven. `errors`: largest absolute error of each channel."""
    values, classes = seen.values, seen.classes
    lattice = safe_lattice(errors, seen.low, seen.high, values.dtype)
    if lattice is None:
        return None
    mask, cell, bits = _choose(values, lattice, effort)
    with room() as mine:
        unsigned = predicted_residual(values, lattice, mask, zigzagged=True, room=mine)
        if cell and not (bits < _SPARSE and _better_whole(unsigned, cell)):
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


def _better_whole(unsigned: np.ndarray, cell: int) -> bool:
    """Whether a part is smaller without cells: no estimate foresees repeats and regions of zeros."""
    part = spread_part(unsigned, _PART)
    return 8 * hasty_residual_size(part) <= residual_bits(unzigzag(part).astype(np.int32), cell)


def _choose(values: np.ndarray, lattice: SafeLattice, effort: Effort) -> tuple[int, int, float]:
    """Lorenzo axes that make a piece from the middle smallest, the cell size that a longer one is smallest with, and that size,
    estimated, in bits a value."""
    sizes = values.shape

    def left(mask: int, length: int) -> np.ndarray:
        piece = values[_middle(sizes, length)]
        return unzigzag(predicted_residual(piece, lattice, mask, zigzagged=True)).astype(np.int32)

    useful = sum(1 << axis for axis, size in enumerate(sizes) if size > 1)
    masks = sorted({mask & useful for mask in effort.predictors if as_planes(sizes, mask) is not None})
    mask = min(masks, key=lambda mask: residual_bits(left(mask, effort.sample_values), effort.cells[0]))
    longer = left(mask, _LONGER * effort.sample_values)
    sizes_by_cell = {cell: residual_bits(longer, cell) for cell in effort.cells}
    cell = min(effort.cells, key=lambda cell: sizes_by_cell[cell])
    return mask, cell, sizes_by_cell[cell] / longer.size


def _middle(shape: tuple[int, ...], budget: int) -> tuple[slice, ...]:
    """A block of about `budget` values from the middle, steps given up before rows."""
    kept = list(shape)
    for axis in (0, 2, 3):
        rest = int(np.prod(kept)) // kept[axis]
        kept[axis] = min(kept[axis], max(2, budget // rest))
    return tuple(slice((size - k) // 2, (size - k) // 2 + k) for size, k in zip(shape, kept, strict=True))
