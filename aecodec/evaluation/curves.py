"""Rate-distortion curves: a model and the peers that are installed, at the fidelity asked for and around it.

Pieces are canonical (steps, channels, rows, columns), without NaN.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from aecodec.api.functions import compress, decompress
from aecodec.api.options import ModelLike
from aecodec.evaluation.peers import QUALITIES, Coded, bounded_peers, picture_peers, within_bounds, zstd_size
from aecodec.fidelity import Fidelity

_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the bound asked for
_PSNRS = (-10.0, -5.0, 0.0, 5.0, 10.0)
_DEFAULT_PSNR = 40.0


@dataclass(frozen=True)
class Point:
    """One codec at one setting: bits per value, largest absolute error, PSNR in dB over the channels' value ranges (None: no
    error), and the seconds that coding and decoding took."""

    setting: str
    bits: float
    worst: float
    psnr: float | None
    asked: bool = False
    encoding: float = 0.0
    decoding: float = 0.0


@dataclass(frozen=True)
class Curve:
    """One codec. `model_bytes`: what a receiver needs beside the files, once."""

    name: str
    points: list[Point]
    model_bytes: int = 0


@dataclass(frozen=True)
class Setting:
    """A label, the keywords of `compress`, and whether it is what was asked for."""

    label: str
    fidelity: dict[str, Any]
    asked: bool


def ladder(fidelity: Fidelity, dtype: np.dtype, low: np.ndarray, high: np.ndarray) -> list[Setting]:
    """The fidelity asked for and others around it; `low`, `high`: of each channel."""
    channels = low.size
    errors = fidelity.allowed_errors(channels)
    if errors is not None:
        one = len(set(errors.tolist())) == 1
        wanted = [(f, (errors * f).tolist()) for f in _FACTORS]
        return [Setting(f"{e[0]:.3g}" if one else f"{f:g} x asked", {"max_error": e[0] if one else e}, f == 1.0) for f, e in wanted]
    if fidelity.kind == "lossless" and dtype.kind in "iu":
        return [Setting("lossless", {}, True)]
    ranges = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    if dtype == np.uint8:
        ranges = [(0.0, 255.0)] * channels
    number = fidelity.value if isinstance(fidelity.value, float) else _DEFAULT_PSNR
    if fidelity.kind == "quality":
        qualities = sorted({10.0, 30.0, 50.0, 75.0, 90.0, number})
        return [Setting(f"quality {q:g}", {"quality": q, "value_range": ranges}, q == number) for q in qualities]
    number = number if fidelity.kind == "psnr" else _DEFAULT_PSNR
    return [Setting(f"{number + d:g} dB", {"psnr": number + d, "value_range": ranges}, d == 0.0) for d in _PSNRS if number + d > 0]


def spans_of(dtype: np.dtype, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """What PSNR is relative to: the value range of each channel, or 255."""
    return np.full(low.size, 255.0) if dtype == np.uint8 else np.maximum(high - low, 1e-300)


def coded(
    name: str,
    model: ModelLike,
    pieces: list[np.ndarray],
    settings: list[Setting],
    spans: np.ndarray,
    level: int,
    model_bytes: int = 0,
) -> Curve:
    """The curve of a model (False: of prediction without one), which is not in the files."""
    points = []
    for setting in settings:
        results = []
        for piece in pieces:
            start = perf_counter()
            packed = compress(piece, model, "tcyx", level=level, embed_model=False, **setting.fidelity)
            middle = perf_counter()
            decoded = decompress(packed, model=model)
            results.append(Coded(len(packed), decoded, middle - start, perf_counter() - middle))
        points.append(replace(point(setting.label, pieces, results, spans), asked=setting.asked))
    return Curve(name, points, model_bytes)


def peer_curves(pieces: list[np.ndarray], settings: list[Setting], spans: np.ndarray) -> list[Curve]:
    """The peers that are installed: under the bounds of the settings if these are bounds, of pictures if these are some, zstd."""
    curves = []
    if settings and "max_error" in settings[0].fidelity:
        for name, coder in bounded_peers().items():
            points = []
            for setting in settings:
                errors = np.broadcast_to(np.asarray(setting.fidelity["max_error"], np.float64), spans.shape)
                results = [within_bounds(coder, piece, errors) for piece in pieces]
                points.append(replace(point(setting.label, pieces, results, spans), asked=setting.asked))
            curves.append(Curve(name, points))
    for name, coder in picture_peers(pieces[0]).items():
        curves.append(Curve(name, [point(f"quality {q}", pieces, [coder(p, q) for p in pieces], spans) for q in QUALITIES]))
    values = sum(piece.size for piece in pieces)
    start = perf_counter()
    bits = 8.0 * sum(map(zstd_size, pieces)) / values
    curves.append(Curve("zstd, lossless", [Point("level 19", bits, 0.0, None, encoding=perf_counter() - start)]))
    return curves


def point(setting: str, pieces: list[np.ndarray], results: Sequence[Coded], spans: np.ndarray) -> Point:
    """What came of pieces."""
    values = sum(piece.size for piece in pieces)
    worst = squares = 0.0
    for piece, result in zip(pieces, results, strict=True):
        error = piece.astype(np.float64) - result.decoded
        worst = max(worst, float(np.abs(error).max()))
        squares += float(np.square(error / spans[:, None, None]).sum())
    psnr = None if worst == 0.0 else -10.0 * math.log10(squares / values)
    bits = 8.0 * sum(result.size for result in results) / values
    return Point(setting, bits, worst, psnr, False, sum(r.encoding for r in results), sum(r.decoding for r in results))
