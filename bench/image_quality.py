"""How far a decoded photograph is from the original: PSNR over RGB, and MS-SSIM.

MS-SSIM after Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment", 2003: five scales,
their exponents, an 11 x 11 Gaussian window of deviation 1.5, K1 = 0.01, K2 = 0.03; the windows lie inside the image, scales
follow by means of 2 x 2 values. It is taken of each of R, G and B, and averaged.
"""

import math

import numpy as np

PEAK = 255.0
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_RADIUS, _DEVIATION = 5, 1.5
_C1, _C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
SMALLEST_SIDE = (2 * _RADIUS + 1) * 2 ** (len(EXPONENTS) - 1)


def psnr(original: np.ndarray, decoded: np.ndarray) -> float:
    """dB of 8-bit images of one shape, from the mean of the squared error over all their values; infinite for equal ones."""
    _check_alike(original, decoded)
    mse = float(np.square(original.astype(np.float64) - decoded).mean())
    return 10.0 * math.log10(PEAK**2 / mse) if mse else math.inf


def ms_ssim(original: np.ndarray, decoded: np.ndarray) -> float:
    """0 to 1, for 8-bit images (rows, columns, channels) with sides of 176 or more; ValueError for smaller ones."""
    _check_alike(original, decoded)
    if min(original.shape[:2]) < SMALLEST_SIDE:
        raise ValueError(f"MS-SSIM of {original.shape[:2]} rows and columns: five scales take {SMALLEST_SIDE} of each")
    planes = ((original[..., c].astype(np.float64), decoded[..., c].astype(np.float64)) for c in range(original.shape[2]))
    return float(np.mean([_of_plane(x, y) for x, y in planes]))


def in_decibels(similarity: float) -> float:
    """-10 log10(1 - MS-SSIM), in which curves near 1 can be told apart."""
    return -10.0 * math.log10(1.0 - similarity) if similarity < 1 else math.inf


def _of_plane(x: np.ndarray, y: np.ndarray) -> float:
    product = 1.0
    for scale, exponent in enumerate(EXPONENTS):
        luminance, structure = _similarity(x, y)
        if scale == len(EXPONENTS) - 1:
            structure = structure * luminance
        product *= max(0.0, float(structure.mean())) ** exponent
        x, y = _halved(x), _halved(y)
    return product


def _similarity(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luminance term, and contrast and structure terms together, of each window."""
    mean_x, mean_y = _smoothed(x), _smoothed(y)
    products, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    structure = (2.0 * (_smoothed(x * y) - products) + _C2) / (_smoothed(x * x + y * y) - squares + _C2)
    return (2.0 * products + _C1) / (squares + _C1), structure


def _smoothed(plane: np.ndarray) -> np.ndarray:
    """Gaussian means of all windows that lie inside."""
    weights = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _DEVIATION) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        length = plane.shape[axis] - 2 * _RADIUS
        windows = [
            plane[start : start + length] if axis == 0 else plane[:, start : start + length] for start in range(weights.size)
        ]
        total = windows[_RADIUS] * weights[_RADIUS]
        for near in range(_RADIUS):
            total += (windows[near] + windows[-1 - near]) * weights[near]
        plane = total
    return plane


def _halved(plane: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 values; an odd last row or column is left out."""
    rows, columns = (n // 2 * 2 for n in plane.shape)
    even = plane[:rows, :columns]
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4.0


def _check_alike(original: np.ndarray, decoded: np.ndarray) -> None:
    if original.shape != decoded.shape or original.dtype != np.uint8 or decoded.dtype != np.uint8:
        raise ValueError(f"{decoded.dtype} {decoded.shape} is compared with {original.dtype} {original.shape}; uint8 alike is due")
