"""The weights of a linear predictor, read back from its graph, for who computes it by other means than ONNX."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from aecodec.models.graph import parse_graph
from aecodec.models.predictor import MEAN_BITS, WholeWeights, whole_graph
from aecodec.phases import PhaseLayout


@dataclass(frozen=True)
class LinearPredictor:
    """Whole-number weights by kind, float32: of the mean (kinds, P, 3, 3), in units of 2**-MEAN_BITS; of magnitudes at the value
    and summed over 3 x 3, `near` and `around` (kinds, P), and `floor` (kinds,), in units of 2**-`scale_bits`."""

    mean: np.ndarray
    near: np.ndarray
    around: np.ndarray
    floor: np.ndarray
    scale_bits: int
    mean_bits: int = MEAN_BITS

    @cached_property
    def oriented(self) -> tuple[tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]], ...]:
        """Of each kind (mean (P, 3, 3), near and around (P,), floor (1,)) for phases along memory's lines, and across them."""
        others = [(near, around, floor) for near, around, floor in zip(self.near, self.around, self.floor[:, None], strict=True)]
        turned = np.ascontiguousarray(self.mean.swapaxes(2, 3))
        return tuple(((along, *rest), (across, *rest)) for along, across, rest in zip(self.mean, turned, others, strict=True))


def linear_predictor(graph: bytes, layout: PhaseLayout) -> LinearPredictor | None:
    """The weights of a proven predictor `graph` if it is just what `predictor_graph` makes of them; None of any other.

    Nothing is taken for granted: a graph is written from the weights that were found, and has to be the same.
    """
    if layout.zeros:
        return None
    model = parse_graph(graph)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = _whole(tensors, layout)
    if weights is None or not _same(onnx.load_model_from_string(whole_graph(layout, weights)).graph, model.graph):
        return None
    around = weights.scale[:, :, 0, 0]
    near = weights.scale[:, :, 1, 1] - around
    same = weights.scale - near[:, :, None, None] * np.eye(3)[1][:, None] * np.eye(3)[1]
    if near.min(initial=0) < 0 or around.min(initial=0) < 0 or (same != around[:, :, None, None]).any():
        return None
    mean, near, around, floor = (a.astype(np.float32) for a in (weights.mean, near, around, weights.floor))
    return LinearPredictor(mean, near, around, floor, weights.scale_bits)


def _same(a: onnx.GraphProto, b: onnx.GraphProto) -> bool:
    """True if the graphs compute the same: their nodes may stand in another order, since each value has one node that gives it."""

    def written(parts: Iterable[Any]) -> list[bytes]:
        return [part.SerializeToString(deterministic=True) for part in parts]

    same_ends = written(a.input) == written(b.input) and written(a.output) == written(b.output)
    return same_ends and all(
        sorted(written(x)) == sorted(written(y)) for x, y in ((a.node, b.node), (a.initializer, b.initializer))
    )


def _whole(tensors: dict[str, np.ndarray], layout: PhaseLayout) -> WholeWeights | None:
    """What the graph's constants would be the weights of; None if they are not of the shapes and kinds that weights have."""
    shape = (layout.kinds, layout.inputs, 1, 3, 3)
    mean, scale, floor = (tensors.get(name) for name in ("mean_weights", "scale_weights", "scale_bias"))
    unit = tensors.get("scale_unit")
    if mean is None or scale is None or floor is None or unit is None:
        return None
    if mean.shape != shape or scale.shape != shape or floor.shape != shape[:1] or unit.shape != () or not unit > 0:
        return None
    mantissa, exponent = np.frexp(float(unit))
    if mantissa != 0.5:  # a power of two
        return None
    back = [np.asarray(w[:, :, 0, ::-1, ::-1], np.float64) for w in (mean, scale)]
    return WholeWeights(back[0], back[1], floor.astype(np.float64), 1 - int(exponent))
