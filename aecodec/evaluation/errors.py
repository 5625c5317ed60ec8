"""Errors of a reconstruction: per channel, and as a histogram against the bound. Arrays are canonical (steps, channels, rows,
columns); values that are not finite are left out."""

import math
from dataclasses import dataclass

import numpy as np

from aecodec.lattice import within_bound

_BINS = 81


@dataclass(frozen=True)
class ChannelErrors:
    """One channel: range of its values, bound (None without), largest absolute error, root mean square and mean error, PSNR in dB
    over the range (None: no error), values outside the bound."""

    low: float
    high: float
    bound: float | None
    worst: float
    rms: float
    mean: float
    psnr: float | None
    broken: int


@dataclass(frozen=True)
class Histogram:
    """Shares of all values by their error. `edges`: one more than `shares`, in `unit`s: bounds, or root mean square errors."""

    edges: list[float]
    shares: list[float]
    unit: str
    scale: float


def channel_errors(x: np.ndarray, x_hat: np.ndarray, bounds: np.ndarray | None) -> list[ChannelErrors]:
    """One entry a channel."""
    sound = within_bound(x, x_hat, bounds) | ~_finite(x) if bounds is not None else np.ones(x.shape, bool)
    found = []
    for c in range(x.shape[1]):
        values = x[:, c][_finite(x[:, c])].astype(np.float64)
        error = values - x_hat[:, c][_finite(x[:, c])]
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        mse = float(np.square(error).mean()) if values.size else 0.0
        span = 255.0 if x.dtype == np.uint8 else high - low
        found.append(
            ChannelErrors(
                low,
                high,
                None if bounds is None else float(bounds[c]),
                float(np.abs(error).max(initial=0.0)),
                math.sqrt(mse),
                float(error.mean()) if values.size else 0.0,
                10.0 * math.log10(span * span / mse) if mse > 0 and span > 0 else None,
                int((~sound[:, c]).sum()),
            )
        )
    return found


def histogram(x: np.ndarray, x_hat: np.ndarray, bounds: np.ndarray | None) -> Histogram:
    """Errors relative to the bound of their channel or, without one, to the root mean square of all errors."""
    with np.errstate(invalid="ignore"):
        error = x.astype(np.float64) - x_hat
    usable = _finite(x)
    if bounds is not None and (bounds > 0).all():
        relative, unit, scale, reach = error / bounds[:, None, None], "bound", 1.0, 1.25
    else:
        scale = float(np.sqrt(np.square(error[usable]).mean())) if usable.any() else 0.0
        relative, unit, reach = error / (scale or 1.0), "rms", 5.0
    counts, edges = np.histogram(np.clip(relative[usable], -reach, reach), _BINS, (-reach, reach))
    return Histogram(edges.tolist(), (counts / max(1, counts.sum())).tolist(), unit, scale)


def _finite(x: np.ndarray) -> np.ndarray:
    return np.isfinite(x) if x.dtype.kind == "f" else np.ones(x.shape, bool)
