"""Fine units, in which the predicted path counts, and how many of them the residual's lattice is apart."""

from dataclasses import dataclass

import numpy as np

from aecodec.prediction import VALUE_LIMIT, to_frames

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


@dataclass(frozen=True)
class FineValues:
    """Canonical `values` as real numbers of fine units, worked out where they are asked for.

    `base`: float64 (channels, rows, columns) or (channels, 1, 1); `scales`: fine units to a unit of each channel (channels,).
    """

    values: np.ndarray
    base: np.ndarray
    scales: np.ndarray

    def all(self) -> np.ndarray:
        """Of all values, float64."""
        fine = np.empty(self.values.shape)
        scale = self.scales.reshape(1, -1, 1, 1)
        length = max(1, _CACHED // max(1, self.values[:1].size))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(fine), length):
                part = fine[start : start + length]
                np.subtract(self.values[start : start + length], self.base, out=part, dtype=np.float64)
                part *= scale
        return fine

    def sites(self, chosen: np.ndarray) -> np.ndarray:
        """Of those that `chosen`, bool (channels, rows, columns), names in each step, float64 (steps, sites)."""
        base, scales = (np.broadcast_to(of, chosen.shape)[chosen] for of in (self.base, self.scales.reshape(-1, 1, 1)))
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray((self.values[:, chosen] - base) * scales)

    def frames(self, chosen: tuple[slice, ...]) -> np.ndarray:
        """Of those that `chosen` slices out of the frames, float64."""
        base, scales = (np.broadcast_to(of[None], self.values.shape) for of in (self.base, self.scales.reshape(-1, 1, 1)))
        values, base, scales = (to_frames(each)[chosen] for each in (self.values, base, scales))
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray((values - base) * scales)


def fine_values(values: np.ndarray, base: np.ndarray, lattice: FineLattice, most: np.ndarray) -> FineValues | None:
    """Canonical `values`, of magnitudes up to `most` (channels,), in fine units from `base`; None if some are too far out."""
    fine = FineValues(values, np.broadcast_to(base[0], (len(lattice.units), *base.shape[2:])), 1.0 / lattice.units)
    limit = VALUE_LIMIT - lattice.spacing
    with np.errstate(over="ignore", invalid="ignore"):
        farthest = ((most + np.abs(base).max(axis=(0, 2, 3))) / lattice.units).max()
        if not farthest <= limit:
            exact = fine.all()
            if not max(exact.max(), -exact.min()) <= limit:
                return None
    return fine
