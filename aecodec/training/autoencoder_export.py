"""From a trained autoencoder of tiles to a sealed bundle: whole weights, graphs, the first slice's predictor, proof, manifest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from aecodec.models.bundle import Bundle
from aecodec.models.exact import prove_maps
from aecodec.models.manifest import Manifest
from aecodec.models.network_graphs import WholeConv, decoder_graph, encoder_graph, prior_graph
from aecodec.models.predictor import predictor_graph
from aecodec.models.predictor_fit import PredictorFitter
from aecodec.models.prior_layout import FINE, PriorLayout
from aecodec.phases import ORDER_SOURCES, TIME_SOURCES, PhaseLayout
from aecodec.training.autoencoder import Corrector, TileAutoencoder
from aecodec.training.layers import ByteConv, IntegerConv, freeze_all
from aecodec.training.prior import SlicePrior
from aecodec.training.steps import StepRange

LATENT_LIMIT = (1 << 17) - 1
_UNITS = 16  # latent units in the smallest step, so that steps in between are fine enough
_PREDICTOR_ROWS = 100000
_FIRST_VALUES = 1 << 20  # of first slices that their predictor is fitted on, at each step
_REACH = 8


@dataclass(frozen=True)
class Target:
    """What a model is for: axes, tile (steps, channels, rows, columns), and each channel's offset and scale."""

    axes: str
    tile: tuple[int, int, int, int]
    offset: tuple[float, ...]
    scale: tuple[float, ...]


def export_autoencoder(
    network: TileAutoencoder, steps: StepRange, maps: Sequence[np.ndarray], target: Target, family: str, provenance: dict[str, Any]
) -> Bundle:
    """The bundle. `maps`: examples (n, tile values, rows, columns) in units of the scale, for the first slice's predictor.

    Layers that are not frozen yet are frozen here. ModelError if the proof fails.
    """
    freeze_unfrozen(network)
    shape = network.shape
    synthesis = torch.cat([network.means.t(), network.synthesis], 1).detach().numpy()
    analysis = torch.cat([network.means, network.analysis]).detach().numpy()
    outer = (network.encoder.first, network.encoder.last)
    first, last = ((layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in outer)
    encoder = encoder_graph(analysis, shape.first, (first, last), _conv(network.encoder.second))
    decoder = decoder_graph(shape.first, synthesis, _whole(network.decoder))
    layout = _first_layout(shape.first, maps)
    graphs = [_first_predictor(network, steps, maps, layout)]
    for each, known, end in zip(network.priors, shape.ends, shape.ends[1:], strict=False):
        graphs.append(prior_graph(shape.first, known, end < shape.latents, _whole(cast(SlicePrior, each))))
    unit = 2.0 ** (math.floor(math.log2(steps.low)) - round(math.log2(_UNITS)))
    kinds = tuple(math.ceil(start / unit) for start in steps.starts)
    for graph in (decoder, *graphs[1:]):
        prove_maps(graph, "known", LATENT_LIMIT, len(kinds) + 1)
    manifest = Manifest(
        family=family,
        axes=target.axes,
        tile=target.tile,
        offset=target.offset,
        scale=target.scale,
        bands=((shape.latents, 1.0),),
        latent_unit=unit,
        latent_limit=LATENT_LIMIT,
        exact=True,
        prior=PriorLayout(shape.ends, layout, kinds, tuple(end < shape.latents for end in shape.ends[1:])),
        provenance=provenance,
    )
    return Bundle(manifest, decoder, encoder, priors=tuple(graphs)).sealed()


def freeze_unfrozen(network: TileAutoencoder) -> None:
    """Round what training left real."""
    for part in (network.decoder, network.priors, network.encoder.second):
        if not all(each.frozen for each in part.modules() if isinstance(each, (IntegerConv, ByteConv))):
            freeze_all(part)


def _layers(part: Corrector | SlicePrior) -> tuple[IntegerConv, ByteConv, IntegerConv]:
    return part.first, part.second, part.last


def _whole(part: Corrector | SlicePrior) -> tuple[WholeConv, WholeConv, WholeConv]:
    a, b, c = (_conv(layer) for layer in _layers(part))
    return a, b, c


def _conv(layer: IntegerConv | ByteConv) -> WholeConv:
    with torch.no_grad():
        weight, bias = layer.whole()
    return WholeConv(np.rint(weight.numpy()).astype(np.int32), np.rint(bias.numpy()), layer.bits.numpy())


def _first_layout(first: int, maps: Sequence[np.ndarray]) -> PhaseLayout:
    """Frames by a pyramid if examples have several; the first slice's latents one after the other."""
    frames = min(len(each) for each in maps)
    reach = min(_REACH, 1 << max(0, (frames - 1).bit_length() - 1)) if frames > 1 else 1
    sources = (TIME_SOURCES if reach > 1 else ()) + ORDER_SOURCES[: first - 1]
    return PhaseLayout(reach, 0, min(first, 8), sources, False)


def _first_predictor(network: TileAutoencoder, steps: StepRange, maps: Sequence[np.ndarray], layout: PhaseLayout) -> bytes:
    """The predictor of the first slice, fitted on means of the examples, cut to one size, at steps all over the range."""
    n, _, rows, columns = np.min([each.shape for each in maps], axis=0)
    means = network.means.numpy()
    most = max(1, _FIRST_VALUES // (n * len(means) * rows * columns))
    chosen = maps[:: -(-len(maps) // most)]
    first = np.stack([np.einsum("mv,nvab->nmab", means, each[:n, :, :rows, :columns], dtype=np.float64) for each in chosen])
    fitter = PredictorFitter(layout, _PREDICTOR_ROWS)
    fitter.fit(np.concatenate([first * (FINE / step) for step in steps.spread(4)]), FINE, None)
    return predictor_graph(layout, fitter.weights)
