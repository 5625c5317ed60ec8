"""A PSNR without a bound on each value: the widest lattice whose root mean square error is what was asked for.

A lattice of step s errs by s / sqrt(12) where its residual is wide, and by less where most of it is 0; so the step is found
by trying, each time in proportion to what the last one left unused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aecodec.fidelity import Fidelity

_CLOSE = 0.985  # of the error allowed, beyond which another try is not worth its time
_WIDEST, _SAFETY = 1.6, 0.997
_MOST = 40  # tries, until even bytes are better
_APART = 8  # channels that get steps of their own; of more, the steps would cost too much


@dataclass(frozen=True)
class Attempt:
    """A body, and the array that it decodes to."""

    body: bytes
    restored: np.ndarray


Encode = Callable[[np.ndarray], Attempt | None]  # largest absolute error of each channel -> what comes of it


def widest_within(array: np.ndarray, errors: np.ndarray, allowed: np.ndarray, encode: Encode, tries: int) -> bytes | None:
    """The smallest body found whose root mean square error in each channel is at most `allowed` (channels,); None if there is none.

    `errors` (channels,) are the first to be tried; more than `tries` are only if none has served yet.
    """
    best: bytes | None = None
    for turn in range(_MOST):
        if best is not None and turn >= tries:
            break
        attempt = encode(errors)
        if attempt is None:
            break
        used = shares(array, attempt.restored, allowed)
        if used.max(initial=0.0) <= 1.0:
            best = attempt.body if best is None or len(attempt.body) < len(best) else best
            if used.min(initial=1.0) >= _CLOSE:
                break
        together = used if used.size <= _APART else np.full_like(used, used.max())
        errors = errors * (np.minimum(_WIDEST, 1.0 / np.maximum(together, 1e-3)) * _SAFETY)
    return best


def shares(array: np.ndarray, restored: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Root mean square error of each channel, over the finite values of `array`, as a share of what is `allowed` (channels,)."""
    limit = np.where(allowed > 0, allowed, np.finfo(np.float64).tiny).reshape(1, -1, 1, 1)
    with np.errstate(invalid="ignore", over="ignore"):
        relative = (array.astype(np.float64) - restored.astype(np.float64)) / limit
        count = np.full(allowed.shape, relative[:, 0].size)
        if array.dtype.kind == "f":
            finite = np.isfinite(array)
            relative[~finite] = 0.0
            count = finite.sum(axis=(0, 2, 3))
        return np.asarray(np.sqrt(np.sum(relative * relative, axis=(0, 2, 3)) / np.maximum(count, 1)))


def cheapest(array: np.ndarray, step: float, attempts: Sequence[Attempt]) -> bytes:
    """The body whose squared error and bits together cost least, at the price that bits have where a quantizer's `step` is fine:
    its error, step**2 / 12, falls by a factor of 4 with each bit a value."""
    price = 2.0 * np.log(2.0) * step * step / 12.0

    def cost(attempt: Attempt) -> float:
        difference = array.astype(np.float64) - attempt.restored
        return float(np.sum(difference * difference)) + price * 8 * len(attempt.body)

    return min(attempts, key=cost).body


def first_errors(fidelity: Fidelity, channels: int, dtype: np.dtype) -> np.ndarray:
    """Errors whose lattice gives about the PSNR or quality: that of step s has mean square s**2 / 12, of integers
    (s**2 - 1) / 12."""
    if fidelity.kind == "psnr":
        rms = fidelity.allowed_rms(channels)
        return np.sqrt(3.0) * rms if dtype.kind == "f" else (np.sqrt(12.0 * rms * rms + 1.0) - 1.0) / 2.0
    return fidelity.relative_step() * fidelity.spans(channels) / 2
