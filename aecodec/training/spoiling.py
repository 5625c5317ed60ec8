"""What a restoring network learns from: crops, spoiled in known ways, with planes that say how (FORMAT.md, "Restorer").

Strengths are drawn for each crop: noise of a standard deviation, square patches missing, a Gaussian blur, a resolution of half.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aecodec.filling import fill_gaps
from aecodec.models.restores import BLUR, CONDITIONS, MISSING, NOISE, UPSCALED
from aecodec.resampling import halve, twice
from aecodec.training.families.corruptions import Blur, MaskedPatches

_MOST_NOISE = 55 / 255  # of the range
_LITTLE_NOISE = 5 / 255
_SHARES = {"denoise": 0.4, "inpaint": 0.25, "deblur": 0.1, "upscale": 0.25}
_MIXED = 0.2  # of crops that are spoiled in another way have noise, too
_CLIPPED = 0.25  # of noisy crops stay within the range, as images do
_PATCHES = (1, 2, 4, 8, 8, 12, 16)
_MISSING_SHARES = (0.05, 0.6)
_BLURS = (0.4, 2.5)
_GRAY = 0.1


@dataclass(frozen=True)
class Spoiler:
    """Spoils for `tasks`, names of `_SHARES`; `gray`: some crops of three channels become gray, as some images are."""

    tasks: tuple[str, ...]
    gray: bool

    def __call__(self, crops: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Crops (n, frames, channels, rows, columns) in units of the range -> planes (n, frames * channels + 4, rows,
        columns), and the clean middle frames (n, channels, rows, columns), float32.
        """
        n, frames, channels, rows, columns = crops.shape
        shares = np.array([_SHARES[task] for task in self.tasks])
        chosen = np.asarray(rng.choice(len(self.tasks), size=n, p=shares / shares.sum()))
        planes = np.empty((n, frames * channels + CONDITIONS, rows, columns), np.float32)
        clean = np.empty((n, channels, rows, columns), np.float32)
        for i, crop in enumerate(crops):
            gray = self.gray and rng.random() < _GRAY
            kept = np.broadcast_to(crop.mean(1, keepdims=True), crop.shape) if gray else crop
            clean[i] = kept[frames // 2]
            spoiled, conditions = self._spoiled(kept, self.tasks[int(chosen[i])], rng)
            planes[i, : frames * channels] = spoiled.reshape(-1, rows, columns)
            planes[i, frames * channels :] = conditions
        return planes, clean

    def _spoiled(self, crop: np.ndarray, task: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        conditions: np.ndarray = np.zeros((CONDITIONS, *crop.shape[2:]), np.float32)
        axes = tuple(axis for axis in (-2, -1) if crop.shape[axis] > 1)
        if task == "deblur":
            strength = float(rng.uniform(*_BLURS))
            crop, conditions[BLUR] = _blurred(crop, strength, rng), strength
        elif task == "upscale":
            crop, conditions[UPSCALED] = halve(crop, axes), 1.0
        noise = _noise(task, rng)
        if noise:
            crop = crop + _normal(crop, rng) * np.float32(noise)
            if rng.random() < _CLIPPED:
                crop = np.clip(crop, 0.0, 1.0)
            conditions[NOISE] = noise
        if task == "upscale":
            crop = twice(crop, axes)
        if task == "inpaint":
            kept = _kept(crop.shape[2:], rng)
            crop, conditions[MISSING] = fill_gaps(crop, ~kept), ~kept
        return crop, conditions


def _noise(task: str, rng: np.random.Generator) -> float:
    if task == "denoise":
        return float(rng.uniform(0.0, _MOST_NOISE))
    if task == "inpaint":
        return float(rng.uniform(0.0, _MOST_NOISE)) if rng.random() < _MIXED else 0.0
    return float(rng.uniform(0.0, _LITTLE_NOISE)) if rng.random() < 2 * _MIXED else 0.0


def _normal(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """White noise; the same in all channels of what is gray."""
    gray = crop.shape[1] > 1 and np.array_equal(crop[:, :1].repeat(crop.shape[1], 1), crop)
    return rng.standard_normal((crop.shape[0], 1 if gray else crop.shape[1], *crop.shape[2:]), np.float32)


def _blurred(crop: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    if crop.shape[2] > 1:
        return Blur(strength, strength)(crop[None], rng)[0]
    return Blur(strength, strength)(crop.transpose(3, 1, 2, 0)[None], rng)[0].transpose(3, 1, 2, 0)  # the columns of a series


def _kept(space: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """bool (rows, columns): False in square patches."""
    rows, columns = space
    size, share = int(rng.choice(_PATCHES)), float(rng.uniform(*_MISSING_SHARES))
    patches = MaskedPatches(share, share, size)
    if rows > 1:
        return patches(np.ones((1, 1, 1, rows, columns), np.float32), rng)[0, 0, 0] > 0
    return patches(np.ones((1, columns, 1, 1, 1), np.float32), rng)[0, :, 0, :, 0].T > 0
