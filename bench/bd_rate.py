"""BD-rate: how many bits more or less one codec takes than another at the same quality, averaged over qualities.

After Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001, with piecewise cubic Hermite
interpolation (Fritsch and Carlson 1980, as JCT-VC uses it) in place of one cubic: the logarithm of the rate is a function of
the quality, integrated over the qualities that both curves reach.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

FEWEST = 4  # points of a curve
AVERAGE, MEAN_CURVE = "mean over images", "mean curve"


@dataclass(frozen=True)
class Point:
    """One setting of one codec on one image: `setting` tells the points of a curve apart."""

    codec: str
    image: str
    setting: float
    rate: float
    quality: float


@dataclass(frozen=True)
class Comparison:
    """`percent` of bits over the anchor's; `image` is one, or AVERAGE or MEAN_CURVE."""

    codec: str
    anchor: str
    image: str
    percent: float


def bd_rate(anchor: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]]) -> float:
    """Mean relative difference of the rates of `other`: -0.3 is 30 % less. Curves are (rate, quality) of each setting.

    ValueError for fewer than four points, qualities that do not differ, or curves with no quality in common.
    """
    curves = [_log_rate(anchor), _log_rate(other)]
    low = max(float(curve.x[0]) for curve in curves)
    high = min(float(curve.x[-1]) for curve in curves)
    if not low < high:
        raise ValueError(f"the curves have no qualities in common: one starts at {low:g}, the other ends at {high:g}")
    areas = [float(curve.integrate(low, high)) for curve in curves]
    return float(np.expm1((areas[1] - areas[0]) / (high - low)))


def comparisons(points: Iterable[Point], anchors: Sequence[str]) -> list[Comparison]:
    """Every codec against each anchor: image by image, the mean of these, and of the mean curve.

    The mean curve has a point per setting: means of rate and of quality over the images.
    """
    curves: dict[str, dict[str, dict[float, tuple[float, float]]]] = {}
    for point in points:
        curves.setdefault(point.codec, {}).setdefault(point.image, {})[point.setting] = (point.rate, point.quality)
    found = []
    for codec, ours in curves.items():
        for anchor in (name for name in anchors if name in curves and name != codec):
            theirs = curves[anchor]
            shared = [image for image in ours if image in theirs]
            each = [100.0 * bd_rate(list(theirs[image].values()), list(ours[image].values())) for image in shared]
            found += [Comparison(codec, anchor, image, percent) for image, percent in zip(shared, each, strict=True)]
            found.append(Comparison(codec, anchor, AVERAGE, float(np.mean(each))))
            found.append(Comparison(codec, anchor, MEAN_CURVE, 100.0 * bd_rate(_mean(theirs, shared), _mean(ours, shared))))
    return found


def _mean(curves: dict[str, dict[float, tuple[float, float]]], images: Sequence[str]) -> list[tuple[float, float]]:
    settings = curves[images[0]]
    values = np.array([[curves[image][setting] for setting in settings] for image in images]).mean(axis=0)
    return [(float(rate), float(quality)) for rate, quality in values]


def _log_rate(curve: Sequence[tuple[float, float]]) -> PchipInterpolator:
    """The logarithm of the rate as a function of the quality."""
    if len(curve) < FEWEST:
        raise ValueError(f"a curve of {len(curve)} points: BD-rate takes {FEWEST} or more")
    rates, qualities = np.array(sorted(curve, key=lambda point: point[1])).T
    if not (np.diff(qualities) > 0).all():
        raise ValueError(f"two settings have the same quality, of {np.round(qualities, 4).tolist()}")
    return PchipInterpolator(qualities, np.log(rates))
