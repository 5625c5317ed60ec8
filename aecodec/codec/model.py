"""A model at work: its graphs run on arrays."""

import math
import os
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import numpy as np

from aecodec.axes import Axes, guess_axes, parse_axes
from aecodec.canonical import ArraySpec, as_array, fill_missing
from aecodec.codec.map_coder import MapCoder
from aecodec.codec.maps import MapNetworks
from aecodec.errors import ModelError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.models.bundle import Bundle
from aecodec.models.exact import prove_exact
from aecodec.models.graph_check import SizedGraph, check_coder, size_predictor
from aecodec.models.linear_predictor import LinearPredictor, linear_predictor
from aecodec.models.manifest import Manifest
from aecodec.models.predictor_check import check_predictor
from aecodec.models.registry import is_shipped
from aecodec.phase_inputs import Inputs
from aecodec.phases import Phase
from aecodec.quantizer import dequantize
from aecodec.runtime import SizedExecutor, load_executor
from aecodec.tiling import Tiling

_BATCH_VALUES = 1 << 17
_MOST_PADDED, _LARGEST_SMALL = 256, 1 << 24  # what tiles may have for each value of an array, besides those of any
Origin = tuple[int, int]  # row and column of the whole array at which a chunk begins


class Model:
    """Encoder, decoder and manifest, ready to run. Pickles; safe to share between threads.

    Whatever the bundle's origin, nothing in it is run before its parts are known to be those that its id names, its graphs to
    use only allowed operators and to stay within `limits`, and what it declares exact to be so; ModelError or LimitError if not.
    """

    def __init__(self, bundle: Bundle, provider: str = "auto", threads: int = 1, limits: Limits = DEFAULT_LIMITS) -> None:
        self.bundle, self._provider = bundle, provider
        bundle.check_sealed()
        manifest, latents = bundle.manifest, (bundle.manifest.latents,)

        def executor(graph: bytes, sized: SizedGraph, provider: str = provider, arena: bool = False) -> SizedExecutor:
            return SizedExecutor(load_executor(graph, provider, threads, arena), sized)

        self._encoder: SizedExecutor | None = None
        self._predictor: SizedExecutor | None = None
        self.maps: MapCoder | None = None  # the graphs of a model with a prior
        if manifest.prior is not None:
            # On CUDA a convolution may round: cuDNN may choose Winograd, FFT or TF32.
            own = "reference" if provider == "reference" else "cpu"
            networks = MapNetworks(bundle, partial(executor, provider=own, arena=True), limits, provider != "reference")
            self.maps = MapCoder(networks, self.centre)
        else:
            self._decoder = executor(bundle.decoder, check_coder(bundle.decoder, "decoder", latents, manifest.tile, limits))
            if bundle.encoder is not None:
                self._encoder = executor(bundle.encoder, check_coder(bundle.encoder, "encoder", manifest.tile, latents, limits))
        if bundle.predictor is not None and manifest.predictor is not None:
            sized = size_predictor(bundle.predictor, manifest.predictor, limits)
            check_predictor(bundle.predictor, manifest.predictor)
            # Never on CUDA: cuDNN may choose Winograd, FFT or TF32 for a convolution, and these round.
            exact = "reference" if provider == "reference" else "cpu"
            self._predictor = executor(bundle.predictor, sized, exact, arena=True)
        if manifest.exact and manifest.prior is None:
            prove_exact(bundle.decoder, manifest.latent_limit)

    @property
    def manifest(self) -> Manifest:
        """What the model says of itself."""
        return self.bundle.manifest

    @cached_property
    def id(self) -> str:
        """SHA-256 that names the model, hexadecimal."""
        return self.bundle.id

    @cached_property
    def shipped(self) -> bool:
        """True if the model comes with the library, so that files need not embed it."""
        return is_shipped(self.id)

    @cached_property
    def stored(self) -> bytes:
        """The bytes of its .aecm file."""
        return self.bundle.to_bytes()

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the model as one .aecm file; OutputExistsError if it exists and `overwrite` is not set."""
        self.bundle.save(path, overwrite)

    def __repr__(self) -> str:
        m = self.manifest
        return f"<aecodec.Model {self.id[:12]} {m.family} tile={m.tile} channels={m.channels} latents={m.latents}>"

    def check_fits(self, shape: tuple[int, int, int, int], whole: bool = True) -> None:
        """ModelError unless a canonical array of `shape` can be coded; `whole` if all its rows and columns are there."""
        manifest = self.manifest
        if not manifest.serves(shape[1]):
            expected = f"up to {manifest.most_channels}" if manifest.any_channels else str(manifest.channels)
            raise ModelError(
                f"the array has {shape[1]} channel(s), the model {self.id[:12]} is for {expected}; check axes=, or fit a model"
            )
        tiling = self.tiling(shape)
        covered = tiling.count * max(self.manifest.latents, math.prod(tiling.tile))
        if covered > _LARGEST_SMALL + _MOST_PADDED * math.prod(shape):
            raise ModelError(
                f"tiles {tiling.tile} of {self.manifest.latents} latents have {covered} values for an array of {shape}; "
                f"at most {_MOST_PADDED} times as many are allowed"
            )
        reference = self.manifest.reference
        if whole and reference is not None and shape[2:] != reference[1:]:
            raise ModelError(
                f"the array has {shape[2]} x {shape[3]} rows and columns, the model {self.id[:12]} a reference field of "
                f"{reference[1]} x {reference[2]}; fit a model on such arrays, or one with reference=False"
            )

    def tiling(self, shape: tuple[int, int, int, int]) -> Tiling:
        """How a canonical array of `shape` is cut for this model."""
        return Tiling(shape, self.manifest.tile)

    def latents(self, x: np.ndarray, origin: Origin = (0, 0)) -> np.ndarray:
        """Canonical `x`, all finite -> latents, float32 (tiles, latents), in units of the model's scale.

        Of a model with a prior, whose latents differ with the quantizer's step, those of a step in the middle of its range.
        """
        if self.maps is not None:
            return self.maps.tile_latents(x, origin)
        if self._encoder is None:
            raise ModelError(f"model {self.id[:12]} holds only a decoder; pass the full model to encode with it")
        working: Any = np.float32 if x.dtype.itemsize <= 4 and x.dtype not in (np.int32, np.uint32) else np.float64
        scale = (1.0 / np.array(self.manifest.scale)).reshape(1, -1, 1, 1).astype(working)
        centre = self.centre(x.shape, origin).astype(working)
        y = np.empty((self.tiling(_four(x.shape)).count, self.manifest.latents), np.float32)
        for steps, tiles in self._blocks(_four(x.shape)):
            normalised: np.ndarray = (x[steps].astype(working, copy=False) - centre) * scale
            split = self.tiling(_four(normalised.shape)).split(normalised.astype(np.float32, copy=False))
            self._run(self._encoder, split, y[tiles])
        return y

    def reconstruct(self, symbols: np.ndarray, step: int, shape: tuple[int, int, int, int], origin: Origin = (0, 0)) -> np.ndarray:
        """Symbols (tiles, latents), whole numbers, and their quantizer step -> x_hat, float64 canonical of `shape`.

        The same bits everywhere for an exact model: what follows the decoder is one multiplication and one addition a value.
        """
        with np.errstate(over="ignore"):  # here and below: of a model that is hostile, or not exact
            factor = (np.array(self.manifest.scale) * self.manifest.latent_unit).reshape(1, -1, 1, 1)
        centre = self.centre(shape, origin)
        x_hat = np.empty(shape)
        for steps, tiles in self._blocks(shape):
            part = x_hat[steps]
            tiling = self.tiling(_four(part.shape))
            decoded = self._run(self._decoder, dequantize(symbols[tiles], step), np.empty((tiling.count, *tiling.tile)))
            with np.errstate(over="ignore", invalid="ignore"):
                np.multiply(tiling.join(decoded), factor, out=part)
                part += centre
        return x_hat

    @cached_property
    def linear(self) -> LinearPredictor | None:
        """The predictor's weights if it is a linear one; None too where all graphs are to be run by the reference executor."""
        graph, layout = self.bundle.predictor, self.manifest.predictor
        if graph is None or layout is None or self._provider == "reference":
            return None
        return linear_predictor(graph, layout)

    def predict(self, inputs: Inputs, phase: Phase) -> np.ndarray:
        """What the predictor says of a phase, float32 (N, outputs, lines, values): means, expected magnitudes, perhaps odds."""
        layout = self.manifest.predictor
        if self._predictor is None or layout is None:
            raise ModelError(f"the chunk is predicted, but the model {self.id[:12]} has no predictor")
        n, _, lines, values = inputs.planes.shape
        kind = np.array([phase.kind])
        found = np.empty((n, layout.outputs, lines, values), np.float32)
        size = max(1, _BATCH_VALUES // (lines * values))
        for start in range(0, n, size):
            part = slice(start, start + size)
            made = self._predictor.run(inputs.planes[part], kind)
            if made.shape != found[part].shape:
                raise ModelError(f"predictor of model {self.id[:12]} returned shape {made.shape} for {found[part].shape}")
            found[part] = made
        return found

    def constant_sites(self, shape: tuple[int, ...], origin: Origin = (0, 0)) -> np.ndarray | None:
        """Where arrays are expected to equal `centre`: bool (channels, rows, columns) of this part, or None."""
        sites = self.bundle.constant
        row, column = origin
        return None if sites is None else sites[:, row : row + shape[2], column : column + shape[3]]

    def _blocks(self, shape: tuple[int, int, int, int]) -> Iterator[tuple[slice, slice]]:
        """Steps and tiles of pieces small enough that what is computed on the way stays small too."""
        tiling = self.tiling(shape)
        length = tiling.tile[0]
        across = tiling.count // tiling.grid[0] if tiling.count else 1
        rows = max(1, _BATCH_VALUES // (across * math.prod(tiling.tile)))
        for row in range(0, tiling.grid[0], rows):
            last = min(row + rows, tiling.grid[0])
            yield slice(row * length, min(last * length, shape[0])), slice(row * across, last * across)

    def centre(self, shape: tuple[int, ...], origin: Origin = (0, 0)) -> np.ndarray:
        """What is subtracted before encoding: offset and reference field, float64, broadcastable to canonical `shape`."""
        offset = np.array(self.manifest.offset).reshape(1, -1, 1, 1)
        if self.bundle.reference is None:
            return offset
        row, column = origin
        part = self.bundle.reference[:, row : row + shape[2], column : column + shape[3]]
        if part.shape[1:] != shape[2:]:
            raise ModelError(
                f"rows and columns {shape[2:]} at {origin} lie outside the reference field of {self.manifest.reference}"
            )
        with np.errstate(over="ignore"):
            return np.asarray(offset + part[None])

    def _run(self, executor: SizedExecutor, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Fill `target` with what the graph makes of `source`, a batch of tiles at a time."""
        dtype = executor.graph.output.dtype  # the input's too
        size = executor.graph.batch(source.shape[1:], max(1, _BATCH_VALUES // self.manifest.latents))
        for start in range(0, len(source), size):
            part = executor.run(source[start : start + size].astype(dtype, copy=False))
            if part.shape != target[start : start + size].shape:
                raise ModelError(
                    f"model {self.id[:12]} returned shape {part.shape}, its manifest promises {target.shape[1:]} per tile"
                )
            target[start : start + size] = part
        return target

    def encode(self, array: Any, axes: str | None = None) -> np.ndarray:
        """Latents of an array for other uses: float32 (*tile grid, latents), ordered by falling spread.

        The tile grid is (steps, channels, rows, columns). Non-finite values are replaced by their neighbours.
        """
        array = as_array(array)
        spec = self._spec(array, axes)
        canonical = fill_missing(spec.to_canonical(array))
        self.check_fits(spec.canonical_shape)
        return self.latents(canonical).reshape(*self.tiling(spec.canonical_shape).grid, -1)

    def decode(self, latents: Any, shape: tuple[int, ...] | None = None, axes: str | None = None) -> np.ndarray:
        """Array of latents that `encode` gave; `shape` is the original's (default: all that the tiles cover).

        float32, or float64 for a model of huge values.
        """
        latents = np.asarray(latents)
        grid = latents.shape[:-1]
        if latents.ndim != 5 or latents.shape[-1] != self.manifest.latents:
            raise ModelError(f"latents of shape {latents.shape} given, (*tile grid of 4, {self.manifest.latents}) expected")
        canonical_shape = tuple(g * t for g, t in zip(grid, self.manifest.tile, strict=True))
        spec = None
        if shape is not None:
            letters = axes if axes is not None else self.manifest.axes
            spec = ArraySpec(self._output_dtype, parse_axes(letters, len(shape)), tuple(shape))
            canonical_shape = spec.canonical_shape
            if self.tiling(spec.canonical_shape).grid != grid:
                raise ModelError(f"shape {shape} does not match latents on a tile grid of {grid}")
        n, c, h, w = canonical_shape
        c = c if self.manifest.any_channels else min(c, self.manifest.channels)
        limit = float(self.manifest.latent_limit)
        if self.maps is not None:
            x_hat = self.maps.from_tile_latents(latents, (n, c, h, w)).astype(self._output_dtype)
            return spec.from_canonical(x_hat) if spec else x_hat
        scaled = latents.reshape(-1, latents.shape[-1]).astype(np.float64) / self.manifest.latent_unit
        whole = np.clip(np.rint(scaled), -limit, limit)
        x_hat = self.reconstruct(whole, 1, (n, c, h, w)).astype(self._output_dtype)
        return spec.from_canonical(x_hat) if spec else x_hat

    @property
    def _output_dtype(self) -> np.dtype:
        """Dtype of decoded arrays that were never stored: float32 unless the model's values are beyond it."""
        largest = max(map(abs, (*self.manifest.scale, *self.manifest.offset)))
        return np.dtype(np.float32 if largest < 1e30 else np.float64)

    def _spec(self, array: np.ndarray, axes: str | None) -> ArraySpec:
        letters = axes if axes is not None else (self.manifest.axes if len(self.manifest.axes) == array.ndim else None)
        found: Axes = parse_axes(letters, array.ndim) if letters is not None else guess_axes(array.shape, array.dtype, False)
        return ArraySpec(array.dtype, found, array.shape)


def _four(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    n, c, h, w = shape
    return n, c, h, w
