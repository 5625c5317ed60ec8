"""Weighted prediction on a lattice: differences along columns from those of the line above and of the step before.

Lorenzo prediction along several axes adds the noise of all its neighbours up, and takes what lies next to a value for as good as
the value itself; weights that were fitted take of each as much as it is worth. Nothing is predicted from its own line, so whole
lines are restored at once. Normative: FORMAT.md, "Mode 2, lattice".
"""

import numpy as np

from aecodec.compiled.kernels import kernels
from aecodec.compiled.room import Room
from aecodec.packing.stream import unzigzag, zigzag

WEIGHTED = 16  # the predictor byte, beside the sets of Lorenzo axes
TERMS = ((0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0))  # steps before, rows above, columns later
_BITS = 6
_UNIT, _HALF = 1 << _BITS, 1 << (_BITS - 1)
_LARGEST_SUM = 3 * _UNIT  # of magnitudes, so that residuals stay within a few times the differences
_LARGEST_FITTED = 2**15 - 1  # differences beyond it count as it: so sums are exact, in any order
_RIDGE = 1e-3  # of a term's energy, so that terms which say the same share the weight

Shape4 = tuple[int, int, int, int]


def differences(indices: np.ndarray) -> np.ndarray:
    """Along the columns of (steps, channels, rows, columns), the first of each line as it is; int32, wrapping."""
    return np.diff(indices.astype(np.int32, copy=False), axis=3, prepend=np.int32(0))


def fit_weights(indices: np.ndarray) -> np.ndarray:
    """The weights, int8 (5,), that leave the least energy of a sample's differences: ridge regression."""
    energies, products = _moments(indices)
    energies[np.diag_indices(len(TERMS))] *= 1.0 + _RIDGE
    energies[np.diag_indices(len(TERMS))] += 1e-9
    weights = np.rint(np.linalg.solve(energies, products) * _UNIT)
    total = float(np.abs(weights).sum())
    if not total <= _LARGEST_SUM:  # NaN too
        weights = np.zeros(len(TERMS)) if not np.isfinite(total) else np.trunc(weights * (_LARGEST_SUM / total))
    return np.clip(weights, -127, 127).astype(np.int8)


def _moments(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the products of terms with each other, (5, 5), and with the differences, (5,): whole numbers."""
    if kernels is not None and indices.size:
        found = np.empty((len(TERMS), len(TERMS) + 1))
        kernels.weighted_moments(np.ascontiguousarray(indices, np.int32), found, indices.shape)
        upper = np.triu(found[:, :-1])
        return upper + np.triu(upper, 1).T, found[:, -1]
    limited = np.clip(differences(indices), -_LARGEST_FITTED, _LARGEST_FITTED).astype(np.float64)
    steps, _, rows, _ = limited.shape
    inside = (slice(1 if steps > 1 else 0, None), slice(None), slice(1 if rows > 1 else 0, None), slice(1, None))
    matrix = np.stack([_moved(limited, term)[inside].reshape(-1) for term in TERMS])
    return matrix @ matrix.T, matrix @ limited[inside].reshape(-1)


def share_of(weights: np.ndarray) -> float:
    """How many times the largest difference what is predicted may be."""
    return float(np.abs(weights.astype(np.float64)).sum()) / _UNIT


def residual_of_indices(indices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What the prediction leaves of lattice `indices` (steps, channels, rows, columns); int32 of that shape, wrapping."""
    if indices.size and kernels is not None:
        return unzigzag(zigzagged_of_indices(indices, weights))
    found = differences(indices)
    return found - _predicted([_moved(found, term) for term in TERMS], weights)


def zigzagged_of_indices(indices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same zigzagged, uint32; `indices` may be float64."""
    if not indices.size or kernels is None:
        return zigzag(residual_of_indices(indices.astype(np.int32), weights))
    left = np.empty(indices.shape, np.uint32)
    whole = np.ascontiguousarray(indices, np.float64)  # which holds them all
    kernels.weighted_residual(whole, np.ones(1), np.ascontiguousarray(weights, np.int8), left, indices.shape)
    return left


def weighted_residual(values: np.ndarray, inverses: np.ndarray, weights: np.ndarray, narrow: bool, room: Room) -> np.ndarray | None:
    """The same of canonical floats (contiguous) on lattices of these inverse steps, one, or one for each channel: zigzagged, 1-D,
    uint16 where `narrow`, else uint32, in `room`. None without the compiled module."""
    if kernels is None:
        return None
    residual = room.empty(values.shape, np.uint16 if narrow else np.uint32)
    kernels.weighted_residual(values, np.ascontiguousarray(inverses, np.float64), weights, residual, values.shape)
    return residual.reshape(-1)


def weighted_restore(residual: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The inverse of `residual_of_indices` for signed integers of up to 32 bits; int32."""
    if kernels is None:
        return _restored(residual, weights)
    indices = np.empty(residual.shape, np.int32)
    _restore(residual, weights, np.empty(0), indices)
    return indices


def weighted_values(residual: np.ndarray, weights: np.ndarray, steps: np.ndarray, out: np.ndarray) -> bool:
    """Write the values at those indices on lattices of these steps (channels,) into `out`, contiguous; False if others have to."""
    if kernels is None or out.dtype not in (np.float32, np.float64):
        return False
    _restore(residual, weights, np.ascontiguousarray(steps, np.float64), out)
    return True


def _restore(residual: np.ndarray, weights: np.ndarray, steps: np.ndarray, out: np.ndarray) -> None:
    assert kernels is not None
    left, fitted = np.ascontiguousarray(residual), np.ascontiguousarray(weights, np.int8)
    if left.size:
        kernels.weighted_restore(left, left.itemsize, fitted, steps, out, left.shape)


def _restored(residual: np.ndarray, weights: np.ndarray) -> np.ndarray:
    left = np.array(residual, np.int32, order="C")
    steps, channels, rows, columns = left.shape
    found = np.zeros((2, channels, rows + 1, columns + 1), np.int32)  # of a step and the one before, with zeros around
    for step in range(steps):
        now, before = found[step % 2], found[1 - step % 2]
        for row in range(rows):
            above, same, both = now[:, row], before[:, row + 1], before[:, row]
            terms = [above[:, :-1], above[:, 1:], same[:, :-1], same[:, 1:], both[:, :-1]]
            np.add(left[step, :, row], _predicted(terms, weights), out=now[:, row + 1, :-1])
        np.cumsum(now[:, 1:, :-1], axis=2, dtype=np.int32, out=left[step])
    return left


def _moved(found: np.ndarray, term: tuple[int, int, int]) -> np.ndarray:
    """The differences that a term takes at each place; 0 where there is none."""
    steps, rows, columns = term
    out = np.zeros_like(found)
    n, _, h, w = found.shape
    out[steps:, :, rows:, : w - columns] = found[: n - steps, :, : h - rows, columns:]
    return out


def _predicted(terms: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    total = np.full(terms[0].shape, _HALF, np.int32)
    for term, weight in zip(terms, weights.tolist(), strict=True):
        total += term * np.int32(weight)
    total >>= _BITS
    return total
