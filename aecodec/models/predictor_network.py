"""A small network as residual predictor: it corrects what the fitted linear one says, in units of the magnitude that it expects.

    planes ──> linear predictor ──> mean, magnitude m ─────────────────────────────────────────> + ──> mean
       │                                       │ 2**-j, j = round(log2((m/64 + 1/4) D))          │ d * 2**j
       └────────> scaled, rounded, clipped <───┴──> first 3x3, ramp ──> more of these ──> 1x1 ───┼──> 2**(log2 m + d') ──> magnitude
                                                                                                 └──> odds of a zero, if told

What the layers see is free of the values' scale, so phases and bounds share them; each kind has biases of its own. Logarithms
and powers are tables. All tensors are whole multiples of powers of two, and every sum stays under 24 bits.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aecodec.models.bundle import Bundle
from aecodec.models.predictor import (
    MEAN_BITS,
    WholeWeights,
    chosen,
    finished_graph,
    linear_nodes,
    scalar,
    shape_of,
)
from aecodec.models.predictor_check import check_predictor
from aecodec.phases import INPUT_LIMIT, LARGEST_MAGNITUDE, MAGNITUDE_UNIT, ODDS, ZERO, PhaseLayout

FEATURE_BITS, FEATURE_LIMIT = 4, 128  # what the first layer sees: multiples of 2**-4, of magnitude up to 8
HIDDEN_BITS, HIDDEN_LIMIT = 3, 255  # what other layers see
STEP_BITS, STEP_LIMIT = 5, 256  # the correction of the mean, in units of 2**j
OCTAVE = 16  # steps of the scale's correction to an octave
FINE_BITS = 6  # fraction of the linear mean that is kept
ODDS_BITS = 1  # fraction of the logarithm of the odds that a value is 0
_OCTAVES = 14  # from the least magnitude, 1, to the largest


@dataclass(frozen=True)
class Layer:
    """A convolution in whole numbers: `weight` (outputs, inputs, rows, columns) and `bias` (kinds, outputs), times 2**`bits`."""

    weight: np.ndarray
    bias: np.ndarray
    bits: int


@dataclass(frozen=True)
class PredictorNetwork:
    """All of a network: the linear predictor, hidden layers (all but the first are residual), the outputs, 1x1.

    `spacing`: fine units (16 of floats) to a lattice step that the linear predictor was fitted for.
    """

    linear: WholeWeights
    spacing: int
    hidden: tuple[Layer, ...]
    mean: Layer
    scale: Layer
    odds: Layer | None = None


@dataclass(frozen=True)
class Tables:
    """By magnitude, float32 (LARGEST_MAGNITUDE + 1,): `shrink` = 2**(FEATURE_BITS - j), `grow` = 2**(j - STEP_BITS),
    `place` = log2 in steps of 1/OCTAVE; and its inverse, `magnitude` (_OCTAVES * OCTAVE + 1,).
    """

    shrink: np.ndarray
    grow: np.ndarray
    place: np.ndarray
    magnitude: np.ndarray


def make_tables(spacing: int) -> Tables:
    """Tables of a network."""
    m = np.arange(LARGEST_MAGNITUDE + 1, dtype=np.float64)
    j = np.rint(np.log2((m / MAGNITUDE_UNIT + 0.25) * spacing))
    place = np.rint(OCTAVE * np.log2(np.maximum(m, 1.0)))
    magnitude = np.minimum(np.rint(2.0 ** (np.arange(_OCTAVES * OCTAVE + 1) / OCTAVE)), LARGEST_MAGNITUDE)
    found = (2.0 ** (FEATURE_BITS - j), 2.0 ** (j - STEP_BITS), place, magnitude)
    return Tables(*(table.astype(np.float32) for table in found))


def zero_plane(layout: PhaseLayout) -> int | None:
    """The plane that tells how far the value 0 is, if there is one: the only one whose own size means something."""
    return 3 + 2 * layout.sources.index(ZERO) if layout.offsets and ZERO in layout.sources else None


def zero_units(spacing: int) -> tuple[float, float]:
    """What that plane is multiplied by to be seen near zero and far from it: powers of two."""
    step = 2.0 ** np.rint(np.log2(spacing))
    return 4.0 / step, 0.5 / step


def feature_count(layout: PhaseLayout) -> int:
    """What the first layer sees of each value."""
    return layout.inputs + 2 + 2 * (zero_plane(layout) is not None)


def network_graph(layout: PhaseLayout, network: PredictorNetwork) -> bytes:
    """predictor.onnx, for `check_predictor` to prove."""
    nodes, constants = linear_nodes(layout, network.linear)
    tables = make_tables(network.spacing)
    constants += [
        numpy_helper.from_array(tables.shrink, "shrink"),
        numpy_helper.from_array(tables.grow, "grow"),
        numpy_helper.from_array(tables.place, "place"),
        numpy_helper.from_array(tables.magnitude, "magnitude_table"),
    ]
    constants += [scalar(name, value) for name, value in _SCALARS.items() if network.odds or not name.startswith("odds")]
    made = _Nodes(nodes, constants)
    made.add("Cast", ["magnitude"], "entry", to=TensorProto.INT32)
    _features(made, layout, network.spacing)
    seen, unit_bits = "features", FEATURE_BITS
    for i, layer in enumerate(network.hidden):
        name = f"hidden{i}"
        made.conv(seen, layer, name, HIDDEN_BITS - unit_bits - layer.bits)
        made.add("Clip", [name, "least", "hidden_most"], f"{name}_ramp")
        if i:
            made.add("Add", [seen, f"{name}_ramp"], f"{name}_sum")
            made.add("Clip", [f"{name}_sum", "least", "hidden_most"], f"{name}_out")
        seen, unit_bits = f"{name}_out" if i else f"{name}_ramp", HIDDEN_BITS
    _outputs(made, seen, network)
    return finished_graph(layout, made.nodes, made.constants)


def with_predictor(bundle: Bundle, layout: PhaseLayout, graph: bytes, family: str, provenance: dict[str, Any]) -> Bundle:
    """`bundle` with another predictor, proven exact, and what is to be known of it; sealed. ModelError if it is not exact."""
    check_predictor(graph, layout)
    known = {**bundle.manifest.provenance, **provenance}
    manifest = replace(bundle.manifest, family=family, predictor=layout, provenance=known)
    return replace(bundle, manifest=manifest, predictor=graph).sealed()


_SCALARS = {
    "fine_down": 2.0 ** (FINE_BITS - MEAN_BITS),
    "fine_up": 2.0**-FINE_BITS,
    "mean_unit": 2.0**-MEAN_BITS,
    "input_least": -float(INPUT_LIMIT),
    "input_most": float(INPUT_LIMIT),
    "feature_least": -float(FEATURE_LIMIT),
    "feature_most": float(FEATURE_LIMIT),
    "hidden_most": float(HIDDEN_LIMIT),
    "step_least": -float(STEP_LIMIT),
    "step_most": float(STEP_LIMIT),
    "place_unit": 0.5,
    "place_middle": -float(8 * OCTAVE) / 2,
    "place_most": float(_OCTAVES * OCTAVE),
    "odds_even": float(ODDS // 2),
    "odds_most": float(ODDS - 1),
}


@dataclass
class _Nodes:
    """A graph being made."""

    nodes: list[onnx.NodeProto]
    constants: list[onnx.TensorProto]

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))

    def conv(self, source: str, layer: Layer, name: str, exponent: int) -> None:
        """`name`: the convolution of `source`, times 2**exponent, rounded."""
        outputs, _, rows, columns = layer.weight.shape
        weight, shape = np.ascontiguousarray(layer.weight), f"{name}_shape"
        self.constants += [
            numpy_helper.from_array(weight.astype(_narrowest(weight)), f"{name}_weight"),
            numpy_helper.from_array(layer.bias.astype(np.float32), f"{name}_bias"),
            shape_of(shape, [outputs]),
            scalar(f"{name}_unit", 2.0**exponent),
        ]
        self.nodes += chosen(f"{name}_bias", shape, cast=False)
        self.add("Cast", [f"{name}_weight"], f"{name}_weight_float", to=TensorProto.FLOAT)
        pads = [rows // 2, columns // 2] * 2
        self.add("Conv", [source, f"{name}_weight_float", f"{name}_bias_k"], f"{name}_exact", pads=pads)
        self.add("Mul", [f"{name}_exact", f"{name}_unit"], f"{name}_real")
        self.add("Round", [f"{name}_real"], name)


def _narrowest(whole: np.ndarray) -> np.dtype:
    """The smallest type that holds whole numbers: what zstd packs best."""
    most = int(np.abs(whole).max(initial=0))
    return np.dtype(np.int8 if most < 1 << 7 else np.int16 if most < 1 << 15 else np.int32)


def _features(made: _Nodes, layout: PhaseLayout, spacing: int) -> None:
    """`features`: planes and the linear mean in units of 2**(j - FEATURE_BITS), the scale itself, and how far zero is."""
    made.add("Gather", ["shrink", "entry"], "shrink_k", axis=0)
    made.add("Mul", ["mean_sum", "mean_unit"], "mean_exact")
    made.add("Round", ["mean_exact"], "mean_whole")
    made.add("Clip", ["mean_whole", "input_least", "input_most"], "mean_near")
    made.add("Concat", ["planes", "mean_near"], "lengths", axis=1)
    made.add("Mul", ["lengths", "shrink_k"], "lengths_scaled")
    made.add("Gather", ["place", "entry"], "place_k", axis=0)
    made.add("Mul", ["place_k", "place_unit"], "place_half")
    made.add("Add", ["place_half", "place_middle"], "place_scaled")
    parts = ["lengths_scaled", "place_scaled"]
    zero = zero_plane(layout)
    if zero is not None:
        one = np.zeros((2, layout.inputs, 1, 1), np.float32)
        one[:, zero, 0, 0] = zero_units(spacing)
        made.constants.append(numpy_helper.from_array(one, "zero_weight"))
        made.add("Conv", ["planes", "zero_weight"], "zero_scaled")
        parts.append("zero_scaled")
    made.add("Concat", parts, "features_real", axis=1)
    made.add("Round", ["features_real"], "features_whole")
    made.add("Clip", ["features_whole", "feature_least", "feature_most"], "features")


def _outputs(made: _Nodes, seen: str, network: PredictorNetwork) -> None:
    """`prediction`, from the last hidden layer."""
    made.conv(seen, network.mean, "step", STEP_BITS - HIDDEN_BITS - network.mean.bits)
    made.add("Clip", ["step", "step_least", "step_most"], "step_near")
    made.add("Gather", ["grow", "entry"], "grow_k", axis=0)
    made.add("Mul", ["step_near", "grow_k"], "correction")
    made.add("Mul", ["mean_sum", "fine_down"], "fine_exact")
    made.add("Round", ["fine_exact"], "fine_whole")
    made.add("Mul", ["fine_whole", "fine_up"], "fine")
    made.add("Add", ["fine", "correction"], "mean_corrected")
    made.add("Round", ["mean_corrected"], "mean")
    made.conv(seen, network.scale, "octaves", int(np.log2(OCTAVE)) - HIDDEN_BITS - network.scale.bits)
    made.add("Add", ["place_k", "octaves"], "place_corrected")
    made.add("Clip", ["place_corrected", "least", "place_most"], "place_near")
    made.add("Cast", ["place_near"], "place_entry", to=TensorProto.INT32)
    made.add("Gather", ["magnitude_table", "place_entry"], "expected", axis=0)
    if network.odds is None:
        made.add("Concat", ["mean", "expected"], "prediction", axis=1)
        return
    made.conv(seen, network.odds, "odds", ODDS_BITS - HIDDEN_BITS - network.odds.bits)
    made.add("Add", ["odds", "odds_even"], "odds_index")
    made.add("Clip", ["odds_index", "least", "odds_most"], "odds_near")
    made.add("Concat", ["mean", "expected", "odds_near"], "prediction", axis=1)
