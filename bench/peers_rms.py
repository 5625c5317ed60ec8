"""SZ3, SPERR and ZFP at a given root mean square error and no bound, in every layout that they take.

Each layout and mode is measured at parameters around the error asked for; its size there is interpolated, log size over log
error, between the two measured points next to it. The smallest counts: of those, and of every point measured that is within
the error. Integers go in as float32 and come back rounded.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import imagecodecs
import numpy as np
import zfpy
from peers import CODERS, DIMENSIONS, Coded, Coder, code, layouts

SETTINGS = {
    "SZ3": "pysz, ABS error bound, algorithms INTERP_LORENZO, INTERP, LORENZO_REG; 2-D to 4-D layouts",
    "SPERR": "imagecodecs.sperr_encode, mode psnr, each part's level from its own range: one error for all parts; 2-D and 3-D",
    "ZFP": "zfpy.compress_numpy, fixed accuracy and fixed precision; 2-D to 4-D layouts",
}
_CLOSE = 1.03
_SEARCH, _REFINE = 16, 3


@dataclass(frozen=True)
class Point:
    """What one parameter gave."""

    parameter: float
    rms: float
    size: int


@dataclass(frozen=True)
class AtError:
    """A peer's size at the error asked for, and the setting that gives it."""

    size: float
    setting: str


def peers_at(array: np.ndarray, axes: str, rms: float) -> dict[str, AtError]:
    """The smallest size of each peer at this root mean square error; infinite where it is out of reach."""
    found = {}
    for codec, coders in _CODERS.items():
        attempts = list(_attempts(array, axes, rms, coders, DIMENSIONS[codec]))
        found[codec] = min(attempts, key=lambda attempt: attempt.size)
    return found


def _attempts(array: np.ndarray, axes: str, rms: float, coders: dict[str, Coder], dimensions: int) -> Iterator[AtError]:
    for layout, parts in layouts(array, axes).items():
        if parts[0].ndim > dimensions:
            continue
        for variant, coder in coders.items():

            def measure(parameter: float, coder: Coder = coder, parts: list[np.ndarray] = parts) -> Coded:
                return code(coder, parts, parameter, "")

            yield AtError(size_at(measure, rms), f"{layout}, {variant}")


def size_at(measure: Callable[[float], Coded], rms: float) -> float:
    """Bytes at this error, from a bracket of measured points."""
    points: list[Point] = []

    def visit(parameter: float) -> Point:
        coded = measure(parameter)
        points.append(Point(parameter, coded.rms, coded.size))
        return points[-1]

    parameter = rms * math.sqrt(3.0)
    for _ in range(_SEARCH):
        point = visit(parameter)
        if _bracket(points, rms):
            break
        factor = min(max(rms / point.rms, 1 / 8), 8.0) if point.rms else 8.0
        parameter *= factor * 1.2 if factor > 1 else factor / 1.2
    for _ in range(_REFINE):
        pair = _bracket(points, rms)
        if pair is None or pair[1].rms <= pair[0].rms * _CLOSE or pair[0].rms == 0:
            break
        visit(math.exp(np.interp(math.log(rms), *_logs(pair, lambda point: point.parameter))))
    within = [float(point.size) for point in points if point.rms <= rms]
    pair = _bracket(points, rms)
    if pair is not None and pair[0].rms > 0:
        within.append(math.exp(np.interp(math.log(rms), *_logs(pair, lambda point: point.size))))
    return min(within, default=math.inf)


def _bracket(points: list[Point], rms: float) -> tuple[Point, Point] | None:
    """The nearest points on either side."""
    below = [point for point in points if point.rms <= rms]
    above = [point for point in points if point.rms > rms]
    if not below or not above:
        return None
    return max(below, key=lambda point: point.rms), min(above, key=lambda point: point.rms)


def _logs(pair: tuple[Point, Point], value: Callable[[Point], float]) -> tuple[list[float], list[float]]:
    return [math.log(point.rms) for point in pair], [math.log(value(point)) for point in pair]


def _sperr_psnr(array: np.ndarray, rms: float) -> tuple[int, np.ndarray]:
    span = float(np.ptp(array))
    # A part flatter than the error takes next to nothing: any level serves.
    level = max(1.0, 20.0 * math.log10(span / rms)) if span > 0 else 1.0
    packed = imagecodecs.sperr_encode(array, level=level, mode="psnr")
    return len(packed), imagecodecs.sperr_decode(packed)


def _zfp_precision(array: np.ndarray, rms: float) -> tuple[int, np.ndarray]:
    bits = max(1, min(32, round(math.log2(max(float(np.ptp(array)), rms) / rms)) + 3))
    packed = zfpy.compress_numpy(array, precision=bits)
    return len(packed), zfpy.decompress_numpy(packed)


_CODERS: dict[str, dict[str, Coder]] = {
    "SZ3": CODERS["SZ3"],
    "SPERR": {"psnr": _sperr_psnr},
    "ZFP": {"accuracy": CODERS["ZFP"][""], "precision": _zfp_precision},
}
