"""What an autoencoder's graphs must give, by the torch modules that they were made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aecodec.models.bundle import Bundle
from aecodec.models.prior_layout import FINE, OUTPUT_FINE
from aecodec.training.autoencoder import TileAutoencoder
from aecodec.training.autoencoder_export import freeze_unfrozen
from aecodec.training.rate import LARGEST_INDEX
from export.errors import ExportError
from export.executors import BATCHES, check_same, sessions
from export.graphs import KIND, Graph, graphs_of

_ENCODER = 4e-3  # of the largest latent: the graph keeps its weights in half precision, and rounds what they make
_DECODER = 1e-3  # of the largest value: torch sums as floats, and does not round, what the graph has in whole numbers
_ROUNDINGS = 1.0  # of the decoder's output: its linear part and its correction are rounded, by a half at most each


@dataclass(frozen=True)
class Part:
    """`run(source, kinds (n,))` gives what the graph does, within `tolerance` and `slack`; its last `indices` are clipped."""

    run: Callable[[Tensor, Tensor], Tensor]
    tolerance: float = 0.0
    slack: float = 0.0
    indices: int = 0


def check_as_in_torch(network: TileAutoencoder, bundle: Bundle) -> list[str]:
    """ExportError unless encoder, decoder and priors give what the network does, on typical inputs; the names of these parts.

    Priors give the same bits; the others are compared within what single precision leaves. Freezes what is not frozen yet.
    """
    freeze_unfrozen(network)
    parts = _parts(network)
    found = [graph for graph in graphs_of(bundle) if graph.name in parts]
    if len(found) != len(parts):
        there = ", ".join(graph.name for graph in found) or "none"
        raise ExportError(f"the network has {', '.join(parts)}, of these the model has {there}")
    for graph in found:
        _check(graph, parts[graph.name])
    return [graph.name for graph in found]


def _parts(network: TileAutoencoder) -> Mapping[str, Part]:
    def decode(known: Tensor, kind: Tensor) -> Tensor:
        return network.decode(known / FINE, kind).flatten(2) * OUTPUT_FINE

    def prior(number: int) -> Part:
        module = network.priors[number]

        def expect(known: Tensor, kind: Tensor) -> Tensor:
            mean, index = module(network.seen(known / FINE), kind)
            return torch.cat([mean * FINE, index], 1) if module.means else index

        return Part(expect, indices=module.outputs)

    priors = {f"prior-{number + 1}": prior(number) for number in range(len(network.priors))}
    return {"encoder": Part(network.encode, _ENCODER), "decoder": Part(decode, _DECODER, _ROUNDINGS), **priors}


def _check(graph: Graph, part: Part) -> None:
    run = next(iter(sessions(graph.content).values()))
    for what, inputs in graph.trials(max(BATCHES)):
        if not what.startswith("typical"):
            continue  # on the largest, sums of floats in torch say nothing
        source = torch.from_numpy(inputs[graph.source])
        with torch.no_grad():
            ours = part.run(source, torch.from_numpy(inputs[KIND]).expand(len(source))).numpy()
        theirs = run(*inputs.values())
        if part.indices:
            theirs[:, -part.indices :] = np.clip(theirs[:, -part.indices :], 0, LARGEST_INDEX)
        what = f"{graph.name} on {what}, by torch and by ONNX Runtime"
        ours = ours.astype(theirs.dtype) + 0  # of 0, one has a sign that the other has not
        check_same(what, ours, theirs + 0, part.tolerance, part.slack)
