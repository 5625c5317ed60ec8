"""A model's latents as one vector for each place of the tile grid, and back to values: what all tasks compute with."""

import numpy as np

from aecodec.codec.model import Model, Origin
from aecodec.errors import ModelError
from aecodec.tasks.pieces import Shape4


class LatentSpace:
    """Vectors (places, width) of a model: the latents of all tiles that differ only in their channels, one after the other.

    Places are (steps, rows, columns) of the tile grid in C order, so that scores see all channels together, whatever the tile.
    """

    def __init__(self, model: Model, channels: int) -> None:
        manifest = model.manifest
        self.model, self.latents = model, manifest.latents
        self.groups = -(-channels // manifest.tile[1])
        self.width = self.groups * self.latents
        if manifest.prior is None and model.bundle.encoder is None:
            raise ModelError(f"model {model.id[:12]} holds only a decoder; anomalies and features need the full model")

    def grid(self, shape: Shape4) -> tuple[int, int, int]:
        """Places along steps, rows and columns."""
        steps, _, rows, columns = self.model.tiling(shape).grid
        return steps, rows, columns

    def encode(self, x: np.ndarray, origin: Origin = (0, 0)) -> np.ndarray:
        """Canonical `x`, all finite -> vectors, float64 (places, width)."""
        n, c, h, w = x.shape
        steps, rows, columns = self.grid((n, c, h, w))
        y = self.model.latents(x, origin).reshape(steps, self.groups, rows, columns, self.latents)
        return np.moveaxis(y, 1, 3).reshape(-1, self.width).astype(np.float64)

    def decode(self, vectors: np.ndarray, shape: Shape4, origin: Origin = (0, 0)) -> np.ndarray:
        """Vectors (places, width) -> x_hat, float64 canonical of `shape`."""
        steps, rows, columns = self.grid(shape)
        y = np.moveaxis(vectors.reshape(steps, rows, columns, self.groups, self.latents), 3, 1).reshape(-1, self.latents)
        if self.model.maps is not None:
            return self.model.maps.from_tile_latents(y.astype(np.float32), shape).astype(np.float64)
        limit = float(self.model.manifest.latent_limit)
        whole = np.clip(np.rint(y / self.model.manifest.latent_unit), -limit, limit)
        return self.model.reconstruct(whole, 1, shape, origin)
