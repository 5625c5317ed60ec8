"""Fine units, in which the predicted path counts, and how many of them the residual's lattice is apart."""

from dataclasses import dataclass

import numpy as np

from aecodec.prediction import VALUE_LIMIT

FINE = 16  # fine units to a lattice step of floats
LARGEST_SPACING = 1 << 20
_CACHED = 1 << 15  # values that are worked on while they are in cache


@dataclass(frozen=True)
class FineLattice:
    """Fine units of each channel, and the spacing of the residual's lattice in them."""

    units: np.ndarray
    spacing: int


def fine_lattice(steps: np.ndarray, dtype: np.dtype) -> FineLattice | None:
    """The lattice of these steps (channels,), positive; None if those of integers are not equal whole numbers, or too large."""
    if dtype.kind == "f":
        return FineLattice(steps / FINE, FINE)
    spacing = float(steps[0])
    if not ((steps == spacing).all() and spacing <= LARGEST_SPACING and spacing == np.rint(spacing)):
        return None
    return FineLattice(np.ones(len(steps)), int(spacing))


def fine_units(values: np.ndarray, base: np.ndarray, lattice: FineLattice, most: np.ndarray) -> np.ndarray | None:
    """Canonical `values`, of magnitudes up to `most` (channels,), as real numbers of fine units; None if some are too far out."""
    fine = np.empty(values.shape)
    scale, limit = (1.0 / lattice.units).reshape(1, -1, 1, 1), VALUE_LIMIT - lattice.spacing
    length = max(1, _CACHED // max(1, values[:1].size))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(values), length):
            part = fine[start : start + length]
            np.subtract(values[start : start + length], base, out=part, dtype=np.float64)
            part *= scale
        farthest = ((most + np.abs(base).max(axis=(0, 2, 3))) / lattice.units).max()
        if not farthest <= limit and not max(fine.max(), -fine.min()) <= limit:
            return None
    return fine
