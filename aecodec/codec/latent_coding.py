"""Latents of a chunk as bytes and back, whichever way its model codes them: tile by tile in bands, or as maps in slices."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aecodec.canonical import cast_values
from aecodec.codec.map_latents import CodedMap, decode_map, encode_map
from aecodec.codec.model import Model, Origin
from aecodec.errors import FormatError, ModelError
from aecodec.models.prior_layout import FINE
from aecodec.packing.contexts import decode_latents, encode_latents
from aecodec.packing.varint import Cursor
from aecodec.quantizer import quantize, symbol_limit
from aecodec.workers import ALONE, Workers

Shape4 = tuple[int, int, int, int]


@dataclass(frozen=True)
class CodedLatents:
    """Latents of an array of canonical `shape` at `origin`, quantized with a `step`."""

    model: Model
    shape: Shape4
    origin: Origin
    step: int
    symbols: np.ndarray | CodedMap
    workers: Workers = ALONE

    @cached_property
    def x_hat(self) -> np.ndarray:
        """What they decode to: float64 canonical."""
        model = self.model
        if isinstance(self.symbols, CodedMap) and model.maps is not None:
            return model.maps.values(self.symbols.known, self.step, self.shape, self.origin, workers=self.workers)
        assert isinstance(self.symbols, np.ndarray)
        return model.reconstruct(self.symbols, self.step, self.shape, self.origin)

    def pack(self, thorough: bool) -> bytes:
        """The section's bytes."""
        if isinstance(self.symbols, CodedMap):
            return self.symbols.pack(thorough, self.workers)
        manifest = self.model.manifest
        grid = self.model.tiling(self.shape).grid
        return encode_latents(self.symbols, grid, manifest.bands, self.step * manifest.latent_unit, thorough)


class LatentCoder:
    """Codes canonical `values`, all finite, with as many steps as one likes. `quick`: of models of maps, see MapCoder.latents."""

    def __init__(self, model: Model, values: np.ndarray, origin: Origin, workers: Workers = ALONE, quick: bool = False) -> None:
        self._workers, self._quick = workers, quick
        n, c, h, w = values.shape
        self.model, self.values, self.origin, self.shape = model, values, origin, (n, c, h, w)

    @cached_property
    def _latents(self) -> np.ndarray:
        return self.model.latents(self.values, self.origin)

    def code(self, step: int) -> CodedLatents | None:
        """The latents with `step`; None if they are beyond what the model can decode."""
        model = self.model
        if model.maps is not None:
            latents = model.maps.latents(self.values, step, self.origin, self._workers, self._quick, FINE)
            coded = encode_map(latents, model.maps.networks, step, self._workers)
            return CodedLatents(model, self.shape, self.origin, step, coded, self._workers) if coded is not None else None
        symbols = quantize(self._latents, step, model.manifest.latent_unit, model.manifest.latent_limit)
        return CodedLatents(model, self.shape, self.origin, step, symbols)


def decode_latent_section(
    cursor: Cursor,
    model: Model | None,
    shape: Shape4,
    origin: Origin,
    dtype: np.dtype | None = None,
    workers: Workers = ALONE,
) -> np.ndarray:
    """Varint step and section -> x_hat, canonical of `shape`, float64, or cast to `dtype`."""
    if model is None:
        raise ModelError("the chunk has latents, but the file names no model")
    manifest = model.manifest
    step = cursor.varint(manifest.latent_limit)
    if step == 0:
        raise FormatError("chunk has a latent step of 0")
    model.check_fits(shape, whole=False)
    section = cursor.section()
    if model.maps is not None:
        known = decode_map(section, model.tiling(shape), model.maps.networks, step, workers)
        section.end()
        return model.maps.values(known, step, shape, origin, dtype, workers)
    symbols = decode_latents(section, model.tiling(shape).grid, manifest.bands, step * manifest.latent_unit)
    section.end()
    if symbols.size and max(int(symbols.max()), -int(symbols.min())) > symbol_limit(step, manifest.latent_limit):
        raise FormatError(f"a symbol times the step {step} is beyond the model's latent limit {manifest.latent_limit}")
    x_hat = model.reconstruct(symbols, step, shape, origin)
    return x_hat if dtype is None else cast_values(x_hat, dtype)
