"""Arrays to latents of maps and back: what is done around the networks of a model with a prior."""

from collections.abc import Callable

import numpy as np

from aecodec.canonical import cast_values
from aecodec.codec.maps import MapNetworks, from_map, from_tiles, in_tiles, to_map
from aecodec.models.prior_layout import FINE, OUTPUT_FINE
from aecodec.tiling import Tiling

Shape4 = tuple[int, int, int, int]
Origin = tuple[int, int]  # row and column of the whole array
Centre = Callable[[tuple[int, ...], Origin], np.ndarray]  # shape, origin -> what is subtracted before encoding


class MapCoder:
    """The networks with the manifest's units around them. `centre` as Model.centre."""

    def __init__(self, networks: MapNetworks, centre: Centre) -> None:
        self.networks, self._centre = networks, centre
        self.manifest = networks.manifest

    @property
    def middle_step(self) -> int:
        """A quantizer step in the middle of those the networks were trained for."""
        kinds = self.networks.prior.kinds
        return kinds[len(kinds) // 2] if kinds else 1

    def tiling(self, shape: Shape4) -> Tiling:
        """How a canonical array is cut."""
        return Tiling(shape, self.manifest.tile)

    def latents(self, x: np.ndarray, step: int, origin: Origin) -> np.ndarray:
        """Canonical `x`, all finite -> its latents in steps, float32 (N, latents, a, b)."""
        return self.networks.encode(to_map(self._in_steps(x, step, origin), self.tiling(_four(x.shape))), step)

    def values(self, known: np.ndarray, step: int, shape: Shape4, origin: Origin, dtype: np.dtype | None = None) -> np.ndarray:
        """Latents U -> x_hat of canonical `shape`, float64, or cast to `dtype`."""
        manifest, tiling, (t, c, y, x) = self.manifest, self.tiling(shape), self.manifest.tile
        output = self.networks.decode(known, step).astype(np.float64, copy=False)
        rows = output.reshape(len(output), t, c, y * x, -1)  # all is done while each channel's values lie together
        with np.errstate(over="ignore", invalid="ignore"):
            rows *= (np.array(manifest.scale) * manifest.latent_unit)[:, None, None] * (step / OUTPUT_FINE)
            if manifest.reference is not None:
                x_hat = from_map(output, tiling) + self._centre(shape, origin)
                return x_hat if dtype is None else cast_values(x_hat, dtype)
            rows += np.array(manifest.offset)[:, None, None]
        return from_map(output if dtype is None else cast_values(output, dtype), tiling)

    def tile_latents(self, x: np.ndarray, origin: Origin) -> np.ndarray:
        """Canonical `x` -> latents of the middle step for other uses: float32 (tiles, latents), in units of the scale."""
        step = self.middle_step
        return in_tiles(self.latents(x, step, origin), x.shape) * np.float32(step * self.manifest.latent_unit)

    def from_tile_latents(self, latents: np.ndarray, shape: Shape4) -> np.ndarray:
        """The inverse of `tile_latents`: float64 canonical of `shape`."""
        step, limit = self.middle_step, float(self.manifest.latent_limit)
        known = np.clip(np.rint(latents.astype(np.float64) * (FINE / (self.manifest.latent_unit * step))), -limit, limit)
        return self.values(from_tiles(known.astype(np.float32), self.tiling(shape)), step, shape, (0, 0))

    def _in_steps(self, x: np.ndarray, step: int, origin: Origin) -> np.ndarray:
        """`x` as the encoder sees it: float32, the centre subtracted, in units of the step."""
        unit = self.manifest.latent_unit * step
        factor = (1.0 / (np.array(self.manifest.scale) * unit)).reshape(1, -1, 1, 1)
        centre = self._centre(x.shape, origin)
        if x.dtype.itemsize <= 2:  # whole numbers that float32 holds
            return np.asarray((x - centre.astype(np.float32)) * factor.astype(np.float32))
        return np.asarray(((x - centre) * factor).astype(np.float32))


def _four(shape: tuple[int, ...]) -> Shape4:
    n, c, h, w = shape
    return n, c, h, w
