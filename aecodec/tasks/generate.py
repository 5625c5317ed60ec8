"""New arrays from a variational model: drawn from its sampler, on the way between two, or reconstructed beside their originals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aecodec.api.options import ModelLike, as_model
from aecodec.codec.model import Model
from aecodec.errors import ModelError, UsageError
from aecodec.models.mixture import Mixture
from aecodec.tasks.able import able

__all__ = ["generate", "interpolate", "reconstruct"]

_MOST = 1 << 20
_VALUES = 1 << 24  # of samples that are decoded at once


def generate(model: ModelLike, count: int = 64, seed: int = 0, *, spread: float = 1.0, provider: str = "auto") -> np.ndarray:
    """New tiles drawn from a model's sampler: float32 (count, steps, channels, rows, columns), in the units of its arrays.

    `spread`: standard deviations of the draws, 1 as in the data; less gives more usual samples, and less different ones. The
    same seed gives the same latents.

    Raises:
        ModelError: the model has no sampler.
        UsageError: a count or spread that cannot be.
    """
    if not 1 <= count <= _MOST or not 0 <= spread <= 4:
        raise UsageError(f"count={count} must be 1 to {_MOST}, spread={spread} 0 to 4")
    running = _running(model, provider)
    return decoded(running, sampler_of(running).sample(count, np.random.default_rng(seed), spread))


def interpolate(model: ModelLike, first: Any, last: Any, count: int = 8, *, provider: str = "auto") -> np.ndarray:
    """Tiles on the straight way from one array's latents to another's: float32 (count, steps, channels, rows, columns).

    `first`, `last`: arrays of one tile each, whatever their dimensions of size 1. The ends are their reconstructions.
    """
    if not 2 <= count <= _MOST:
        raise UsageError(f"count={count} must be 2 to {_MOST}")
    running = _running(model, provider)
    a, b = (latents_of(running, [each])[0] for each in (first, last))
    way = np.linspace(0.0, 1.0, count, dtype=np.float32)[:, None]
    return decoded(running, (1.0 - way) * a + way * b)


def reconstruct(model: ModelLike, arrays: Sequence[Any], *, provider: str = "auto") -> np.ndarray:
    """What decoder and encoder make of arrays of one tile each: float32 (n, steps, channels, rows, columns)."""
    running = _running(model, provider)
    return decoded(running, latents_of(running, arrays))


def sampler_of(model: Model) -> Mixture:
    """What a model's latents are drawn from; ModelError names the models that have one."""
    manifest, part = model.manifest, model.bundle.sampler
    if manifest.samples is None or part is None:
        others = able(lambda m: m.samples is not None)
        known = f"installed models that can: {', '.join(others)}" if others else "no installed model can"
        raise ModelError(
            f"the model {model.id[:12]} cannot be sampled from: it is of the family {manifest.family}, without a sampler; {known}; "
            "train one on arrays of your own with `aecodec train DATA --networks autoencoder --family variational`"
        )
    return Mixture.from_bytes(part, manifest.samples, manifest.latents)


def latents_of(model: Model, arrays: Sequence[Any]) -> np.ndarray:
    """Latents (n, L) of arrays of one tile each; UsageError if one is none."""
    tile = model.manifest.tile
    stacked = []
    for each in arrays:
        array = np.asarray(each)
        if tuple(n for n in array.shape if n > 1) != tuple(n for n in tile if n > 1):
            raise UsageError(f"an array of shape {array.shape} is no tile of the model: {tile} steps, channels, rows, columns")
        stacked.append(array.reshape(tile))
    found = [model.latents(np.ascontiguousarray(tile_values))[0] for tile_values in stacked]
    return np.stack(found)


def decoded(model: Model, latents: np.ndarray) -> np.ndarray:
    """Tiles of latents (n, L), each decoded by itself: float32 (n, steps, channels, rows, columns)."""
    tile = model.manifest.tile
    n = len(latents)
    series = tile[2] * tile[3] == 1  # whose tiles would be seen as neighbours of each other
    size = 1 if series else max(1, _VALUES // int(np.prod(tile)))
    parts = []
    for start in range(0, n, size):
        part = latents[start : start + size]
        made = model.decode(part.reshape(len(part), 1, 1, 1, -1))
        parts.append(made.reshape(len(part), *tile).astype(np.float32, copy=False))
    return np.concatenate(parts)


def _running(model: ModelLike, provider: str) -> Model:
    running = as_model(model, provider)
    if running is None:
        raise UsageError("name a model, such as one that `aecodec models list` shows")
    return running
