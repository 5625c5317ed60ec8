"""Bicubic resampling by 2 (Keys 1981, a = -1/2) along rows and columns, or steps; edges are repeated."""

import numpy as np

__all__ = ["REACH", "halve", "twice"]

REACH = 2  # values to each side of one that are looked at when it is doubled


def _cubic(distance: float) -> float:
    d = abs(distance)
    return 1.5 * d**3 - 2.5 * d**2 + 1.0 if d <= 1 else -0.5 * d**3 + 2.5 * d**2 - 4.0 * d + 2.0


_TAPS = tuple(_cubic(d) for d in (1.75, 0.75, 0.25, 1.25))  # of what lies a quarter before a value: from two before to one after


def twice(x: np.ndarray, axes: tuple[int, ...] = (-2, -1)) -> np.ndarray:
    """Float `x`, enlarged to twice its size along `axes`; centres of blocks of two stay where the values were."""
    for axis in axes:
        moved = np.moveaxis(x, axis, -1)
        n = moved.shape[-1]
        padded = np.concatenate([moved[..., :1].repeat(REACH, -1), moved, moved[..., -1:].repeat(REACH, -1)], -1)
        out = np.empty((*moved.shape[:-1], 2 * n), x.dtype)
        out[..., ::2] = _weighted(padded, _TAPS, 0, n, 1)
        out[..., 1::2] = _weighted(padded, _TAPS[::-1], 1, n, 1)
        x = np.moveaxis(out, -1, axis)
    return x


def halve(x: np.ndarray, axes: tuple[int, ...] = (-2, -1)) -> np.ndarray:
    """Float `x` of even sizes, reduced to half along `axes` by the kernel widened to twice its size, as Pillow's BICUBIC does."""
    taps = tuple(_cubic(d / 2.0) / 2.0 for d in (3.5, 2.5, 1.5, 0.5, 0.5, 1.5, 2.5, 3.5))
    for axis in axes:
        moved = np.moveaxis(x, axis, -1)
        padded = np.concatenate([moved[..., :1].repeat(3, -1), moved, moved[..., -1:].repeat(3, -1)], -1)
        x = np.moveaxis(_weighted(padded, taps, 0, moved.shape[-1] // 2, 2), -1, axis)
    return x


def _weighted(padded: np.ndarray, taps: tuple[float, ...], first: int, count: int, stride: int) -> np.ndarray:
    dtype = padded.dtype.type
    parts = (padded[..., first + k : first + k + stride * count : stride] * dtype(tap) for k, tap in enumerate(taps))
    return np.asarray(sum(parts))
