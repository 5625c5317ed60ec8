"""Uniform quantization of latents to symbols, and the integers the decoder is fed.

The decoder's input is `symbol * step` in units of the model's latent unit, an integer of magnitude at most the model's
latent limit: the limit is what its proof of exactness rests on, so the encoder clips symbols to it.
"""

import numpy as np


def quantize(y: np.ndarray, step: int, unit: float, limit: int) -> np.ndarray:
    """Symbols of latents `y` (floats, any shape) as int32.

    `step` is in latent `unit`s.
    """
    top = symbol_limit(step, limit)
    with np.errstate(invalid="ignore", over="ignore"):
        symbols = np.rint(y * y.dtype.type(1.0 / (step * unit)))
        np.clip(symbols, -(2.0**30), 2.0**30, out=symbols)
        symbols[symbols != symbols] = 0  # NaN
        # A float32 bound may round up past the limit; the integer clip is what counts.
        return np.clip(symbols.astype(np.int32), -top, top)


def dequantize(symbols: np.ndarray, step: int) -> np.ndarray:
    """Integer-valued float64 `y_hat` for the decoder."""
    return symbols.astype(np.float64) * float(step)


def symbol_limit(step: int, limit: int) -> int:
    """Largest magnitude of a symbol whose product with `step` stays within `limit`."""
    return min(limit // step, 2**30)
