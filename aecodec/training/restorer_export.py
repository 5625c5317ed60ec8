"""From a trained restoring network to its ONNX graph: weights in half precision, arithmetic in single."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from aecodec.models.linear import IR_VERSION, OPSET
from aecodec.training.restorer_network import GAIN, Block, Restorer

PLANES, RESTORED = "planes", "restored"


class _Graph:
    """Collects nodes and constants."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, value: Tensor) -> str:
        half = self.constant(f"{name}_half", value.detach().numpy().astype(np.float16))
        return self.node("Cast", [half], name, to=TensorProto.FLOAT)

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def conv(self, source: str, name: str, layer: nn.Conv2d | nn.ConvTranspose2d) -> str:
        operator = "ConvTranspose" if isinstance(layer, nn.ConvTranspose2d) else "Conv"
        assert layer.bias is not None
        weight, bias = self.weight(f"{name}_weight", layer.weight), self.weight(f"{name}_bias", layer.bias)
        pads = [int(n) for n in layer.padding] * 2
        return self.node(operator, [source, weight, bias], name, pads=pads, strides=[int(n) for n in layer.stride])

    def blocks(self, source: str, name: str, layers: nn.Sequential) -> str:
        for number, block in enumerate(layers):
            assert isinstance(block, Block)
            prefix = f"{name}_{number}"
            made = self.node("Relu", [self.conv(source, f"{prefix}_first", block.first)], f"{prefix}_relu")
            source = self.node("Add", [source, self.conv(made, f"{prefix}_second", block.second)], f"{prefix}_out")
        return source


def restorer_graph(network: Restorer) -> bytes:
    """restorer.onnx: planes (n, frames * channels + 4, rows, columns) -> restored (n, channels, rows, columns), float32."""
    build, shape = _Graph(), network.shape
    first = shape.frames // 2 * shape.channels
    bounds = [
        build.constant(f"middle_{key}", np.array([value], np.int64))
        for key, value in (("start", first), ("stop", first + shape.channels), ("axis", 1))
    ]
    middle = build.node("Slice", [PLANES, *bounds], "middle")
    centred = build.node("Sub", [PLANES, build.constant("centre", network.middle.numpy())], "centred")
    seen = build.node("Mul", [centred, build.constant("gain", np.array(GAIN, np.float32))], "seen")
    a = build.blocks(build.conv(seen, "head", network.head), "down_a", network.down_a)
    b = build.blocks(build.conv(a, "to_b", network.to_b), "down_b", network.down_b)
    c = build.blocks(build.conv(b, "to_c", network.to_c), "bottom", network.bottom)
    b = build.node("Add", [build.conv(c, "from_c", network.from_c), b], "joined_b")
    b = build.blocks(b, "up_b", network.up_b)
    a = build.node("Add", [build.conv(b, "from_b", network.from_b), a], "joined_a")
    a = build.blocks(a, "up_a", network.up_a)
    planes = int(network.head.weight.shape[1])
    ungain = build.constant("ungain", np.array(1.0 / GAIN, np.float32))
    change = build.node("Mul", [build.conv(a, "tail", network.tail), ungain], "change")
    build.node("Add", [middle, change], RESTORED)
    source, target = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", count, "rows", "columns"])
        for name, count in ((PLANES, planes), (RESTORED, shape.channels))
    )
    graph = helper.make_graph(build.nodes, "restorer", [source], [target], build.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))
