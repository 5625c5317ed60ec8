"""Networks that see maps of latents, each tile in its place, at work: encoder, priors, decoder (FORMAT.md, "Priors")."""

import math
from collections.abc import Callable

import numpy as np

from aecodec.codec.bands import Part, parts
from aecodec.errors import ModelError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.models.bundle import Bundle
from aecodec.models.exact import prove_maps
from aecodec.models.graph_check import MAP_SHARE, SizedGraph, check_maps, size_predictor
from aecodec.models.linear_part import linear_part
from aecodec.models.linear_predictor import linear_predictor
from aecodec.models.predictor_check import check_predictor
from aecodec.phase_inputs import Inputs
from aecodec.phases import Phase
from aecodec.runtime import SizedExecutor
from aecodec.tiling import Tiling
from aecodec.workers import ALONE, Workers

MakeExecutor = Callable[[bytes, SizedGraph], SizedExecutor]


class MapNetworks:
    """The graphs of a model with a prior, checked and proven before any is run."""

    def __init__(self, bundle: Bundle, make: MakeExecutor, limits: Limits = DEFAULT_LIMITS, compiled: bool = True) -> None:
        """`compiled`: whether a linear predictor of the first slice may be computed by other means than its graph."""
        manifest = bundle.manifest
        prior = manifest.prior
        assert prior is not None
        self.manifest, self.prior = manifest, prior
        values, limit, kinds = math.prod(manifest.tile), manifest.latent_limit, len(prior.kinds) + 1
        checked = check_maps(bundle.decoder, "decoder", manifest.latents, values, limits, flat=True)
        self._decoder = make(bundle.decoder, checked)
        prove_maps(bundle.decoder, "known", limit, kinds)
        self._encoder: SizedExecutor | None = None
        if bundle.encoder is not None:
            checked = check_maps(bundle.encoder, "encoder", values, manifest.latents, limits)
            self._encoder = make(bundle.encoder, checked)
        self._linear = self._linear_encoder(bundle, make, limits)
        check_predictor(bundle.priors[0], prior.layout)
        self._first = make(bundle.priors[0], size_predictor(bundle.priors[0], prior.layout, limits))
        self.linear = linear_predictor(bundle.priors[0], prior.layout) if compiled else None
        self._priors = []
        for k, graph in enumerate(bundle.priors[1:], 1):
            outputs = prior.widths[k] * (1 + prior.means[k - 1])
            checked = check_maps(graph, f"prior-{k}", prior.ends[k - 1], outputs, limits)
            found = prove_maps(graph, "known", limit, kinds)
            if found.grain < 0:
                raise ModelError(f"the model's prior-{k} ends in steps of 2**{found.grain}, but must give whole numbers")
            self._priors.append(make(graph, checked))

    @property
    def has_linear_encoder(self) -> bool:
        """True if the encoder is a linear map and a correction, which may be left out."""
        return self._linear is not None

    def encode(self, values: np.ndarray, step: int, linear: bool = False) -> np.ndarray:
        """Map of values in steps, float32 -> latents in steps, float32; only the `linear` part of them, if that is asked for."""
        if linear and self._linear is not None:
            return self._linear.run(np.ascontiguousarray(values))
        if self._encoder is None:
            raise ModelError("the model holds only a decoder; pass the full model to encode with it")
        return self._encoder.run(np.ascontiguousarray(values), self._kind(step))

    def encoder_reach(self, linear: bool) -> int | None:
        """Positions around each that the encoder sees; None if all of a map."""
        executor = self._linear if linear and self._linear is not None else self._encoder
        return executor.graph.reach if executor is not None else None

    def decode(self, known: np.ndarray, step: int) -> np.ndarray:
        """Map of latents U, float32 whole numbers -> values in 1/64 of a step, (N, values, rows, columns)."""
        n, _, rows, columns = known.shape
        made = self._decoder.run(np.ascontiguousarray(known), self._kind(step))
        return made.reshape(n, math.prod(self.manifest.tile), rows, columns)

    def decoder_parts(self, shape: tuple[int, ...], workers: Workers = ALONE) -> list[Part]:
        """How a map of latents is cut for the decoder; what it gives is the same however it is cut."""
        return parts(shape, self._decoder.graph.reach, workers.threads)

    def expect(self, k: int, known: np.ndarray, step: int) -> tuple[np.ndarray | None, np.ndarray]:
        """Means of slice k in 1/16 of a step, or None, and scale indices, both (N, width, rows, columns) float32."""
        width = self.prior.widths[k]
        made = self._priors[k - 1].run(np.ascontiguousarray(known), self._kind(step))
        return (made[:, :width] if made.shape[1] > width else None), made[:, -width:]

    def prior_parts(self, k: int, shape: tuple[int, ...], workers: Workers = ALONE) -> list[Part]:
        """How a map of latents is cut for the prior of slice k."""
        return parts(shape, self._priors[k - 1].graph.reach, workers.threads)

    def predict(self, inputs: Inputs, phase: Phase) -> np.ndarray:
        """Means and magnitudes of a phase of the first slice, float32 (N, 2, lines, values)."""
        return self._first.run(inputs.planes, np.array([phase.kind]))

    def _kind(self, step: int) -> np.ndarray:
        return np.array([self.prior.kind(step)])

    @staticmethod
    def _linear_encoder(bundle: Bundle, make: MakeExecutor, limits: Limits) -> SizedExecutor | None:
        graph = linear_part(bundle.encoder, limits) if bundle.encoder is not None else None
        return make(graph, SizedGraph(graph, limits, MAP_SHARE)) if graph is not None else None


def to_map(array: np.ndarray, tiling: Tiling) -> np.ndarray:
    """Canonical `array` -> its map, (N, tile values, rows, columns)."""
    steps, _, rows, columns = tiling.grid
    t, c, y, x = tiling.tile
    if t == 1 and array.shape[2:] == (rows * y, columns * x):  # the usual case, in one copy
        cut = array.reshape(steps, c, rows, y, columns, x).transpose(0, 1, 3, 5, 2, 4)
        return np.ascontiguousarray(cut).reshape(steps, c * y * x, rows, columns)
    tiles = tiling.split(array).reshape(steps, rows, columns, -1)
    if tiling.shape[2] == tiling.shape[3] == 1:
        return np.ascontiguousarray(tiles.transpose(1, 3, 2, 0))
    return np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))


def from_map(values: np.ndarray, tiling: Tiling) -> np.ndarray:
    """The inverse of `to_map`: canonical, the padding dropped."""
    steps, _, rows, columns = tiling.grid
    t, c, y, x = tiling.tile
    if tiling.shape[2] == tiling.shape[3] == 1:
        return tiling.join(values.transpose(3, 0, 2, 1).reshape(-1, *tiling.tile))
    if t == 1:
        whole = values.reshape(steps, c, y, x, rows, columns).transpose(0, 1, 4, 2, 5, 3).reshape(steps, c, rows * y, columns * x)
        return whole[:, :, : tiling.shape[2], : tiling.shape[3]]
    return tiling.join(values.transpose(0, 2, 3, 1).reshape(-1, *tiling.tile))


def map_shape(tiling: Tiling, channels: int) -> tuple[int, int, int, int]:
    """The shape of a map of `channels`."""
    steps, _, rows, columns = tiling.grid
    if tiling.shape[2] == tiling.shape[3] == 1:
        return 1, channels, 1, steps
    return steps, channels, rows, columns


def in_tiles(found: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A map (N, m, a, b) of an array of canonical `shape` as one row per tile, in C order of the tile grid: (tiles, m)."""
    axes = (3, 2, 0, 1) if shape[2] == shape[3] == 1 else (0, 2, 3, 1)
    return found.transpose(axes).reshape(-1, found.shape[1])


def from_tiles(rows: np.ndarray, tiling: Tiling) -> np.ndarray:
    """The inverse of `in_tiles`, from any shape that ends in m: float32 (N, m, a, b)."""
    n, m, a, b = map_shape(tiling, rows.shape[-1])
    if tiling.shape[2] == tiling.shape[3] == 1:
        return np.ascontiguousarray(rows.reshape(b, m).T).reshape(1, m, 1, b)
    return np.ascontiguousarray(rows.reshape(n, a, b, m).transpose(0, 3, 1, 2))
