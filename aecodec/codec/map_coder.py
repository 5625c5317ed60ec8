"""Arrays to latents of maps and back: what is done around the networks of a model with a prior."""

from collections.abc import Callable

import numpy as np

from aecodec.canonical import cast_values
from aecodec.codec.bands import Index, Part, parts
from aecodec.codec.maps import MapNetworks, from_map, from_tiles, in_tiles, map_shape, to_map
from aecodec.models.prior_layout import FINE, OUTPUT_FINE
from aecodec.tiling import Tiling
from aecodec.workers import ALONE, Workers

Shape4 = tuple[int, int, int, int]
Origin = tuple[int, int]  # row and column of the whole array
Centre = Callable[[tuple[int, ...], Origin], np.ndarray]  # shape, origin -> what is subtracted before encoding

_ENCODER_BANDS = 4  # whatever the threads: what an encoder makes may differ in the last bits with what it sees at once
_TRIED = 16  # tiles along each side of what tells whether the encoder's correction matters
_MATTERS = 0.05  # of a step's squared error: a correction of the latents that is smaller on average is left out


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

    def latents(
        self, x: np.ndarray, step: int, origin: Origin, workers: Workers = ALONE, quick: bool = False, unit: int = 1
    ) -> np.ndarray:
        """Canonical `x`, all finite -> its latents in `unit`ths of a step, float32 (N, latents, a, b).

        `quick`: the encoder's network is left out where its correction is small next to what the quantizer does. The same bits
        for any number of workers.
        """
        see = self._source(x, step, origin)
        shape = map_shape(self.tiling(_four(x.shape)), self.manifest.latents)
        linear = quick and self.networks.has_linear_encoder and not self._correction_matters(see, shape, step)
        made = np.empty(shape, np.float32)

        def encode(part: Part) -> None:
            found = part.crop(self.networks.encode(see(part), step, linear))
            np.multiply(found, np.float32(unit), out=part.place(made))

        workers.map(encode, parts(shape, self.networks.encoder_reach(linear), _ENCODER_BANDS))
        return made

    def values(
        self,
        known: np.ndarray,
        step: int,
        shape: Shape4,
        origin: Origin,
        dtype: np.dtype | None = None,
        workers: Workers = ALONE,
    ) -> np.ndarray:
        """Latents U -> x_hat of canonical `shape`, float64, or cast to `dtype`."""
        cuts = self.networks.decoder_parts(known.shape, workers)
        if not self._is_plain(shape):
            tiling = self.tiling(shape)
            output = np.concatenate([self.networks.decode(part.take(known), step) for part in parts(known.shape, None, 1)])
            return self._finished(output, tiling, step, origin, dtype)
        x_hat = np.empty(shape, dtype if dtype is not None else np.float64)

        def decode(part: Part) -> None:
            output = part.crop(self.networks.decode(part.take(known), step))
            place, at = self._pixels(part.made)
            target = x_hat[place]
            target[...] = self._finished(output, self.tiling(_four(target.shape)), step, _moved(origin, at), dtype)

        workers.map(decode, cuts)
        return x_hat

    def _finished(self, output: np.ndarray, tiling: Tiling, step: int, origin: Origin, dtype: np.dtype | None) -> np.ndarray:
        """The decoder's output (N, values, a, b) -> canonical of the tiling's shape, float64, or cast to `dtype`."""
        manifest, (t, c, y, x) = self.manifest, self.manifest.tile
        n, _, a, b = output.shape
        # All is done while each channel's values lie together.
        rows = output.astype(np.float64, copy=not output.flags.c_contiguous).reshape(n, t, c, y * x, a * b)
        with np.errstate(over="ignore", invalid="ignore"):
            rows *= (np.array(manifest.scale) * manifest.latent_unit)[:, None, None] * (step / OUTPUT_FINE)
            output = rows.reshape(n, -1, a, b)
            if manifest.reference is not None:
                x_hat = from_map(output, tiling) + self._centre(tiling.shape, origin)
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

    def _correction_matters(self, see: Callable[[Part], np.ndarray], shape: Shape4, step: int) -> bool:
        """Whether the encoder's network changes latents by enough, in the middle of a map of `shape`, to be worth its time."""
        starts = [max(0, (length - _TRIED) // 2) for length in shape[2:]]
        rows, columns = (slice(start, min(start + _TRIED, length)) for start, length in zip(starts, shape[2:], strict=True))
        index = (slice(shape[0] // 2, shape[0] // 2 + 1), rows, columns)
        seen = see(Part(index, index, index))
        difference = self.networks.encode(seen, step) - self.networks.encode(seen, step, linear=True)
        return not float(np.mean(np.square(difference))) < _MATTERS / 12

    def _source(self, x: np.ndarray, step: int, origin: Origin) -> Callable[[Part], np.ndarray]:
        """What gives the map that an encoder sees for a part."""
        if not self._is_plain(_four(x.shape)):
            whole = to_map(self._in_steps(x, step, origin), self.tiling(_four(x.shape)))
            return lambda part: part.take(whole)

        def see(part: Part) -> np.ndarray:
            place, at = self._pixels(part.seen)
            return to_map(self._in_steps(x[place], step, _moved(origin, at)), self.tiling(_four(x[place].shape)))

        return see

    def _in_steps(self, x: np.ndarray, step: int, origin: Origin) -> np.ndarray:
        """`x` as the encoder sees it: float32, the centre subtracted, in units of the step."""
        unit = self.manifest.latent_unit * step
        factor = (1.0 / (np.array(self.manifest.scale) * unit)).reshape(1, -1, 1, 1)
        centre = self._centre(x.shape, origin)
        if x.dtype.itemsize <= 2:  # whole numbers that float32 holds
            in_steps = x - centre.astype(np.float32)
            in_steps *= factor.astype(np.float32)
            return in_steps
        return np.asarray(((x - centre) * factor).astype(np.float32))

    def _is_plain(self, shape: Shape4) -> bool:
        """True if each position of a map is a rectangle of one step, so that a part of the map is a part of the array."""
        return self.manifest.tile[0] == 1 and shape[2:] != (1, 1)

    def _pixels(self, index: Index) -> tuple[tuple[slice, ...], Origin]:
        """Where in a canonical array lies a part of its map, and the row and column where that begins."""
        steps, rows, columns = index
        _, _, y, x = self.manifest.tile
        at = (rows.start * y, columns.start * x)
        return (steps, slice(None), slice(at[0], rows.stop * y), slice(at[1], columns.stop * x)), at


def _moved(origin: Origin, by: Origin) -> Origin:
    return origin[0] + by[0], origin[1] + by[1]


def _four(shape: tuple[int, ...]) -> Shape4:
    n, c, h, w = shape
    return n, c, h, w
