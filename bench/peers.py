"""SZ3, SPERR and ZFP at their best: each array is handed over in every layout a codec takes, and the smallest output counts.

What a layout's several outputs would need to be kept together is not counted, which favours the peers. Integers go in as
float32 with the bound widened to just under the next half and come back rounded: the loosest tolerance that keeps the bound.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import imagecodecs
import numpy as np
import zfpy
from pysz import sz, szAlgorithm, szConfig, szErrorBoundMode

_HALF = 0.49  # what rounding to integers gives back of the error
_LIMIT = 1 + 1e-6  # of the bound: float32 output may round past it by a little

Parts = list[np.ndarray]
Coder = Callable[[np.ndarray, float], tuple[int, np.ndarray]]  # one array and a tolerance -> bytes, the decoded array

SETTINGS = {
    "SZ3": "pysz, ABS error bound, algorithms INTERP_LORENZO (its default), INTERP, LORENZO_REG, else defaults; 2-D to 4-D layouts",
    "SPERR": "imagecodecs.sperr_encode, mode pwe, level = bound, chunks and the rest by default; 2-D and 3-D layouts",
    "ZFP": "zfpy.compress_numpy, fixed accuracy, tolerance = bound; 2-D to 4-D layouts",
}


@dataclass(frozen=True)
class Coded:
    """The size of an encoded array, its worst absolute and root mean square error, and the setting that gave them."""

    size: int
    worst: float
    rms: float
    setting: str


def peer_results(array: np.ndarray, axes: str, bound: float) -> dict[str, Coded]:
    """The smallest output of each peer that keeps `bound`; where none does, the smallest, whose error tells."""
    return {codec: _smallest(_attempts(codec, array, axes, bound), bound) for codec in SETTINGS}


def layouts(array: np.ndarray, axes: str) -> dict[str, Parts]:
    """Ways to hand an array over: as it is, as a 3-D stack, per channel, per sample, per slice; none twice."""
    names = [letter for letter in "tcyx" if letter in axes]
    ordered = array.transpose([axes.index(letter) for letter in names])
    rows, columns = ordered.shape[-2:]
    found: dict[str, Parts] = {"whole": [array]}
    if ordered.shape != array.shape:
        found["channels first"] = [ordered]
    found["stack"] = [ordered.reshape(-1, rows, columns)]
    if "t" in names and "c" in names:
        found["per channel"] = [ordered[:, c] for c in range(ordered.shape[1])]
    if "t" in names:
        found["per sample"] = list(ordered)
    found["per slice"] = list(ordered.reshape(-1, rows, columns))
    unique: dict[tuple[tuple[int, ...], int], tuple[str, Parts]] = {}
    for name, parts in found.items():
        squeezed = [np.ascontiguousarray(part.squeeze()) for part in parts]
        unique.setdefault((squeezed[0].shape, len(squeezed)), (name, squeezed))
    return dict(unique.values())


def _smallest(attempts: Iterator[Coded], bound: float) -> Coded:
    """Of those within the bound if there are any."""
    found = list(attempts)
    return min([c for c in found if c.worst <= bound * _LIMIT] or found, key=lambda coded: coded.size)


def _attempts(codec: str, array: np.ndarray, axes: str, bound: float) -> Iterator[Coded]:
    for layout, parts in layouts(array, axes).items():
        if parts[0].ndim > DIMENSIONS[codec]:
            continue
        for variant, coder in CODERS[codec].items():
            setting = f"{layout}, {variant}" if variant else layout
            yield code(coder, parts, widened(array, bound)[1], setting)


def code(coder: Coder, parts: Parts, parameter: float, setting: str) -> Coded:
    """The parts coded one by one with the same parameter: sizes added, errors over all; integers as float32 and rounded."""
    size, worst, squares = 0, 0.0, 0.0
    for part in parts:
        taken, decoded = coder(widened(part, 0.0)[0], parameter)
        error = part.astype(np.float64) - rounded(part, decoded)
        size, worst = size + taken, max(worst, float(np.abs(error).max()))
        squares += float(np.square(error).sum())
    return Coded(size, worst, math.sqrt(squares / sum(part.size for part in parts)), setting)


def widened(array: np.ndarray, bound: float) -> tuple[np.ndarray, float]:
    """What a peer is handed: integers as float32, with their bound widened by what rounding gives back."""
    return (array.astype(np.float32), bound + _HALF) if array.dtype.kind in "iu" else (array, bound)


def rounded(array: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """What a peer gave back, in the shape of `array`, rounded if that is of integers."""
    decoded = decoded.reshape(array.shape)
    return np.rint(decoded) if array.dtype.kind in "iu" else decoded


def worst_error(array: np.ndarray, decoded: np.ndarray) -> float:
    """Largest absolute difference, in float64."""
    return float(np.abs(array.astype(np.float64) - decoded.astype(np.float64)).max())


def rms_error(array: np.ndarray, decoded: np.ndarray) -> float:
    """Root mean square difference, in float64."""
    return math.sqrt(float(np.square(array.astype(np.float64) - decoded.astype(np.float64)).mean()))


def _sz3(algorithm: int) -> Coder:
    def code(array: np.ndarray, tolerance: float) -> tuple[int, np.ndarray]:
        config = szConfig(*array.shape)
        config.absErrorBound, config.errorBoundMode, config.cmprAlgo = tolerance, szErrorBoundMode.ABS, algorithm
        packed = sz.compress(array, config)[0]
        return packed.nbytes, sz.decompress(packed, array.dtype, array.shape)[0]

    return code


def _sperr(array: np.ndarray, tolerance: float) -> tuple[int, np.ndarray]:
    packed = imagecodecs.sperr_encode(array, level=tolerance, mode="pwe")
    return len(packed), imagecodecs.sperr_decode(packed)


def _zfp(array: np.ndarray, tolerance: float) -> tuple[int, np.ndarray]:
    packed = zfpy.compress_numpy(array, tolerance=tolerance)
    return len(packed), zfpy.decompress_numpy(packed)


DIMENSIONS = {"SZ3": 4, "SPERR": 3, "ZFP": 4}
CODERS: dict[str, dict[str, Coder]] = {
    "SZ3": {name: _sz3(getattr(szAlgorithm, name)) for name in ("INTERP_LORENZO", "INTERP", "LORENZO_REG")},
    "SPERR": {"": _sperr},
    "ZFP": {"": _zfp},
}
