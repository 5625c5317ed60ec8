"""Power spectra of original and reconstruction, which show what smoothing would hide."""

from dataclasses import dataclass

import numpy as np

_MOST_PLANES = 16
_MOST_BANDS = 48
_LONGEST = 1 << 16


@dataclass(frozen=True)
class Spectrum:
    """Mean power by wavenumber, in cycles per sample (0.5: Nyquist); of the error, too. `retained`: power of the reconstruction
    over that of the original in the upper half of the wavenumbers."""

    along: str
    wavenumber: list[float]
    original: list[float]
    restored: list[float]
    error: list[float]
    retained: float


def spectrum(x: np.ndarray, x_hat: np.ndarray) -> Spectrum:
    """Of one channel (steps, rows, columns): radial over rows and columns, along the only one of them, or along the steps.

    Periodograms of planes with their mean taken off, under a Hann window, averaged over planes and over rings of wavenumbers.
    """
    dimensions: tuple[int, ...]
    if min(x.shape[1:]) >= 8:
        along, dimensions = "rows and columns", (1, 2)
    elif max(x.shape[1:]) >= 8:
        along, dimensions = ("columns", (2,)) if x.shape[2] >= x.shape[1] else ("rows", (1,))
    else:
        along, dimensions = "steps", (0,)
    if dimensions == (0,):
        x, x_hat = x[:_LONGEST], x_hat[:_LONGEST]
    else:
        chosen = np.unique(np.linspace(0, len(x) - 1, _MOST_PLANES).astype(int))
        x, x_hat = x[chosen], x_hat[chosen]
    ring = _rings(x.shape, dimensions)
    powers = [_power(part, dimensions) for part in (x, x_hat, x.astype(np.float64) - x_hat)]
    bands = max(2, min(_MOST_BANDS, max(x.shape[d] for d in dimensions) // 2))
    number = np.minimum((ring * 2 * bands).astype(int), bands)  # the corners beyond Nyquist last
    counts = np.bincount(number.ravel(), minlength=bands + 1)[:bands]
    means = [np.bincount(number.ravel(), power.ravel(), bands + 1)[:bands] / np.maximum(counts, 1) for power in powers]
    used = counts > 0
    used[0] = False  # the mean was taken off
    centre = (np.arange(bands) + 0.5) / (2 * bands)
    upper = used & (centre > 0.25)
    before = float((means[0] * counts)[upper].sum())
    retained = float((means[1] * counts)[upper].sum()) / before if before > 0 else 1.0
    columns = [column[used].tolist() for column in (centre, *means)]
    return Spectrum(along, columns[0], columns[1], columns[2], columns[3], retained)


def _power(x: np.ndarray, dimensions: tuple[int, ...]) -> np.ndarray:
    """Mean periodogram over the other dimensions."""
    values = x.astype(np.float64)
    values = values - values.mean(axis=dimensions, keepdims=True)
    for dimension in dimensions:
        shape = [1, 1, 1]
        shape[dimension] = -1
        values = values * np.hanning(x.shape[dimension] + 2)[1:-1].reshape(shape)
    power = np.abs(np.fft.fftn(values, axes=dimensions)) ** 2
    others = tuple(d for d in range(3) if d not in dimensions)
    return np.asarray(power.mean(axis=others))


def _rings(shape: tuple[int, ...], dimensions: tuple[int, ...]) -> np.ndarray:
    """The wavenumber of each coefficient."""
    square: np.ndarray = np.zeros(())
    for place, dimension in enumerate(dimensions):
        axis = [1] * len(dimensions)
        axis[place] = -1
        square = square + np.fft.fftfreq(shape[dimension]).reshape(axis) ** 2
    return np.sqrt(square)
