"""What a restorer gains on what was held out, which a shipped model states of itself."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import aecodec
from aecodec.axes import parse_axes
from aecodec.canonical import cast_values
from aecodec.resampling import halve
from aecodec.tasks.restore import restore

_MOST = 16  # arrays
_NOISE = 0.1  # of the range
_PATCH, _MISSING = 8, 0.25


def restored(model: aecodec.Model, held_out: Sequence[np.ndarray], axes: str) -> list[dict[str, Any]]:
    """One record for each task of a model's restorer but deblurring: PSNR of the spoiled arrays and of the restored, in dB.

    Noise of a tenth of the range; a quarter of 8 x 8 blocks missing, the middle of the range in their place; half the
    resolution, where the spoiled array is what repeating each value gives.
    """
    restores = model.manifest.restores
    if restores is None or restores.series:
        return []
    span = max(b - a for a, b in zip(restores.low, restores.high, strict=True))
    tasks = {"denoise": _noisy, "inpaint": _masked, "upscale": _halved}
    records = []
    for task in restores.tasks:
        if task not in tasks:
            continue
        figures = []
        for number, array in enumerate(held_out[:: -(-len(held_out) // _MOST)]):
            clean = _even(array, axes)
            spoiled, shown, given = tasks[task](clean, axes, span, min(restores.low), np.random.default_rng(number))
            made = restore(spoiled, model, task, axes=axes, **given)
            figures.append([_psnr(clean, each, span) for each in (shown, made)])
        before, after = np.mean(figures, 0)
        records.append({"task": task, "spoiled_psnr": round(float(before), 3), "psnr": round(float(after), 3)})
    return records


def _noisy(clean: np.ndarray, axes: str, span: float, low: float, rng: np.random.Generator) -> Any:
    spoiled = (clean + rng.normal(0.0, _NOISE * span, clean.shape)).astype(np.float32)
    return spoiled, spoiled, {"noise": _NOISE * span, "value_range": (low, low + span)}


def _masked(clean: np.ndarray, axes: str, span: float, low: float, rng: np.random.Generator) -> Any:
    rows, columns = (clean.shape[axes.index(letter)] for letter in "yx")
    cells = rng.random((-(-rows // _PATCH), -(-columns // _PATCH))) < _MISSING
    mask = cells.repeat(_PATCH, 0).repeat(_PATCH, 1)[:rows, :columns]
    found = parse_axes(axes, len(axes))
    everywhere = found.restore(np.broadcast_to(mask, found.canonical_shape(clean.shape)).copy(), clean.shape)
    shown = np.where(everywhere, np.asarray(low + span / 2, clean.dtype), clean)
    return shown, shown, {"mask": mask}


def _halved(clean: np.ndarray, axes: str, span: float, low: float, rng: np.random.Generator) -> Any:
    places = (axes.index("y"), axes.index("x"))
    small = cast_values(halve(clean.astype(np.float64), places), clean.dtype)
    return small, small.repeat(2, places[0]).repeat(2, places[1]), {}


def _even(array: np.ndarray, axes: str) -> np.ndarray:
    """Without the last row or column of odd sizes."""
    return array[
        tuple(slice(0, n // 2 * 2) if letter in "yx" else slice(None) for n, letter in zip(array.shape, axes, strict=True))
    ]


def _psnr(clean: np.ndarray, other: np.ndarray, span: float) -> float:
    return 10.0 * math.log10(span**2 / max(1e-30, float(np.square(clean.astype(np.float64) - other).mean())))
