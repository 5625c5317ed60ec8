"""Lorenzo residuals on a lattice by compiled functions: the bits of fast_lattice.py in numpy."""

import numpy as np

from aecodec.compiled.kernels import kernels

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def zigzagged_residual(
    planes: np.ndarray, inverses: np.ndarray, along_rows: bool, along_columns: bool, residual: np.ndarray
) -> bool:
    """Fill `residual` with that of float `planes` (planes, rows, columns) on lattices of these inverse steps, one or one for each
    plane: uint16 or uint32, which holds it. False if numpy has to find it."""
    if kernels is None or planes.dtype not in _FLOATS or not planes.size or inverses.size not in (1, len(planes)):
        return False
    values = np.ascontiguousarray(planes)
    kernels.residual_of(values, np.ascontiguousarray(inverses, np.float64), residual, planes.shape, along_rows, along_columns)
    return True
