"""Denoising autoencoders as restorers: each value is the mean of what they make of it in tiles of several places.

A denoising autoencoder gives the array without what it was trained to undo; where tiles meet, it may err otherwise
than inside them. Averaging over shifted grids of tiles, cycle spinning (Coifman and Donoho 1995), leaves no seams, and less noise.
"""

import itertools
from typing import Any

import numpy as np

from aecodec.codec.model import Model
from aecodec.models.manifest import Manifest
from aecodec.models.restores import MOST_HALO, MOST_MULTIPLE, Restores
from aecodec.tasks.restorer import Restorer

_UNDONE = {"gaussian": "denoise", "poisson": "denoise", "masked": "inpaint", "blur": "deblur"}
_HALF_RANGE = 128.0  # in units of the scale: half of the gray levels that networks see
_NEIGHBOURS = 5  # tiles to each side that one may depend on: four layers that see neighbours, and a shift
_CORE = 64  # tiles in rows and columns, or along a series, that one run gives


class AutoencoderRestorer(Restorer):
    """The autoencoder with the same ways as a restorer; `usable` says for which models."""

    def __init__(self, model: Model, restores: Restores, core: int = 0) -> None:
        self.restores, self._model = restores, model
        t, _, rows, columns = model.manifest.tile
        self._tile = (t, 1) if restores.series else (rows, columns)
        times = max(1, core // max(self._tile)) if core else (_CORE * _CORE if restores.series else _CORE)
        self._core = (self._tile[0] * times, 1 if restores.series else self._tile[1] * times)

    def _run(self, planes: np.ndarray) -> np.ndarray:
        """(planes, rows, columns) in units of the range -> (channels, rows, columns)."""
        low, high = (np.array(v, np.float32)[:, None, None] for v in (self.restores.low, self.restores.high))
        x = planes[: self.restores.channels] * (high - low) + low
        shifts = list(itertools.product(*(sorted({0, size // 2}) for size in self._tile)))
        total = np.zeros(x.shape)
        for down, right in shifts:
            total += self._coded(x, down, right)
        return np.asarray((total / len(shifts) - low) / (high - low), np.float32)

    def _coded(self, x: np.ndarray, down: int, right: int) -> np.ndarray:
        """What comes back of an array that lies so far down and right on the grid of tiles."""
        pads = [(before, -(before + n) % size) for before, n, size in zip((down, right), x.shape[1:], self._tile, strict=True)]
        padded = np.pad(x, ((0, 0), *pads), "edge")
        canonical = padded.transpose(1, 0, 2)[..., None] if self.restores.series else padded[None]
        canonical = np.ascontiguousarray(canonical)
        a, b, c, d = canonical.shape
        latents = self._model.latents(canonical)
        made = self._model.decode(latents.reshape(*self._model.tiling((a, b, c, d)).grid, -1))
        turned = made[..., 0].transpose(1, 0, 2) if self.restores.series else made[0]
        return np.asarray(turned[:, down : down + x.shape[1], right : right + x.shape[2]])


def usable(manifest: Manifest) -> Restores | None:
    """What a denoising autoencoder can undo, by its own word; None for other models, and tiles of several frames."""
    family: Any = manifest.provenance.get("family")
    t, _, rows, columns = manifest.tile
    series = rows * columns == 1
    if manifest.family != "denoising" or not isinstance(family, dict) or (t > 1 and not series):
        return None
    names = family.get("corruptions")
    found = {_UNDONE.get(str(name).partition(":")[0]) for name in names} if isinstance(names, list) else set()
    tasks = tuple(task for task in ("denoise", "inpaint", "deblur") if task in found)
    multiple = (1, t) if series else (rows, columns)
    halo = (0, _NEIGHBOURS * t) if series else (_NEIGHBOURS * rows, _NEIGHBOURS * columns)
    if not tasks or max(multiple) > MOST_MULTIPLE or max(halo) > MOST_HALO:
        return None
    reach = [_HALF_RANGE * scale for scale in manifest.scale]
    low = tuple(o - r for o, r in zip(manifest.offset, reach, strict=True))
    high = tuple(o + r for o, r in zip(manifest.offset, reach, strict=True))
    return Restores(tasks, 1, low, high, multiple, halo)
