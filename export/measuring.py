"""Sizes and distortion of what was held out, which a shipped model states of itself."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import aecodec


def measure(
    model: aecodec.Model, held_out: Sequence[np.ndarray], axes: str, fidelities: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """One record per fidelity: bits a value with the model beside the files, and without any; PSNR, worst error."""
    return [{**fidelity, **_measured(model, held_out, axes, fidelity)} for fidelity in fidelities]


def _measured(model: aecodec.Model, held_out: Sequence[np.ndarray], axes: str, fidelity: Mapping[str, Any]) -> dict[str, Any]:
    size = plain = values = raw = 0
    worst = squares = 0.0
    low, high = math.inf, -math.inf
    for array in held_out:
        data = aecodec.compress(array, model, axes, embed_model=False, **fidelity)
        error = aecodec.decompress(data, model=model).astype(np.float64) - array
        size += len(data)
        plain += len(aecodec.compress(array, False, axes, **fidelity))
        values, raw = values + array.size, raw + array.nbytes
        finite = np.isfinite(error)
        worst = max(worst, float(np.abs(error[finite]).max(initial=0.0)))
        squares += float(np.square(error[finite]).sum())
        good = array[np.isfinite(array)]
        if good.size:
            low, high = min(low, float(good.min())), max(high, float(good.max()))
    if held_out[0].dtype == np.uint8:
        low, high = 0.0, 255.0
    found = {
        "bits_per_value": round(8 * size / values, 5),
        "ratio": round(raw / size, 4),
        "without_model_bits_per_value": round(8 * plain / values, 5),
        "worst_error": float(f"{worst:.6g}"),
    }
    if squares and high > low:
        found["psnr"] = round(20 * math.log10(high - low) - 10 * math.log10(squares / values), 4)
    return found
