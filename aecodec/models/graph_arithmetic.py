"""The operators that compute, of those that a model's graph may use: attributes, and shape and cost of what they make.

Only pure functions of tensors are here. Source of the rules: the ONNX operator specification, opsets 13 and later.
"""

import math
from dataclasses import replace

from aecodec.models.graph_operators import FLOATS, Call, Made, Operator, Rule, Shape, joined, operator


def same(call: Call) -> Made:
    """As the input, element by element."""
    shape = call.shape(0)
    return Made(shape, math.prod(shape))


def per_channel(call: Call) -> Made:
    """As the first input; the others are vectors along its axis 1."""
    shape = call.shape(0)
    if len(shape) < 2 or any(call.shape(i) != (shape[1],) for i in range(1, len(call.shapes))):
        raise call.fail(f"inputs of shapes {call.shapes} do not fit")
    return Made(shape, 4 * math.prod(shape))


def along_axis(call: Call) -> Made:
    """As the input, normalised along an axis."""
    shape = call.shape(0)
    call.axis(call.number("axis", -1, -len(shape), len(shape)), len(shape))
    return Made(shape, 4 * math.prod(shape))


def clip(call: Call) -> Made:
    """As the first input; limits are single numbers."""
    shape = call.shape(0)
    if any(other not in (None, (), (1,)) for other in call.shapes[1:]):
        raise call.fail("limits must be single numbers")
    return Made(shape, math.prod(shape))


def broadcast(call: Call) -> Made:
    """Of all inputs, as numpy does."""
    shape = joined(call, [call.shape(i) for i in range(len(call.shapes))])
    return Made(shape, math.prod(shape) * max(1, len(call.shapes) - 1))


def matmul(call: Call) -> Made:
    """Products of the last two dimensions."""
    a, b = call.shape(0), call.shape(1)
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise call.fail(f"shapes {a} and {b} do not fit")
    shape = (*joined(call, [a[:-2], b[:-2]]), a[-2], b[-1])
    return Made(shape, math.prod(shape) * a[-1])


def gemm(call: Call) -> Made:
    """A product of two matrices plus a third."""
    a, b = call.shape(0), call.shape(1)
    if len(a) != 2 or len(b) != 2:
        raise call.fail(f"shapes {a} and {b} are not those of matrices")
    rows, inner = a[::-1] if call.number("transA", 0, 0, 1) else a
    depth, columns = b[::-1] if call.number("transB", 0, 0, 1) else b
    bias = call.shapes[2] if len(call.shapes) > 2 else None
    if inner != depth or (bias is not None and joined(call, [bias, (rows, columns)]) != (rows, columns)):
        raise call.fail(f"shapes {call.shapes} do not fit")
    return Made((rows, columns), rows * columns * (inner + 1))


def conv(call: Call) -> Made:
    """A convolution over all dimensions after the second."""
    x, w = call.shape(0), call.shape(1)
    group = call.number("group", 1, 1)
    if len(x) < 3 or len(w) != len(x) or x[1] != w[1] * group or w[0] % group or 0 in w:
        raise call.fail(f"input of shape {x} does not fit weights of shape {w} in {group} group(s)")
    if len(call.shapes) > 2 and call.shapes[2] not in (None, (w[0],)):
        raise call.fail(f"bias of shape {call.shapes[2]} for {w[0]} channels")
    if call.node.attributes.get("kernel_shape", list(w[2:])) != list(w[2:]):
        raise call.fail("kernel_shape is not that of the weights")
    space = _windows(call, x[2:], list(w[2:]))
    inner = w[1] * math.prod(w[2:])
    shape = (x[0], w[0], *space)
    return Made(shape, math.prod(shape) * (inner + 1), inner * math.prod(space))


def byte_conv(call: Call) -> Made:
    """A convolution of bytes, its sums scaled back to bytes: x, its scale and zero, weights, theirs, the output's, bias."""
    x, w = call.shape(0), call.shape(3)
    outputs = w[0] if w else 0
    if any(call.shape(at) not in ((), (1,)) for at in (1, 2, 6, 7)) or any(call.shape(at) not in ((), (outputs,)) for at in (4, 5)):
        raise call.fail("scales and zero points must be single numbers, the weights' one for each output")
    bias = call.shapes[8:9]
    return conv(replace(call, shapes=(x, w, *bias)))


def conv_transpose(call: Call) -> Made:
    """The transpose of a convolution, for upsampling."""
    x, w = call.shape(0), call.shape(1)
    group, rank = call.number("group", 1, 1), len(call.shape(0)) - 2
    if rank < 1 or len(w) != len(x) or x[1] != w[0] or w[0] % group or 0 in w:
        raise call.fail(f"input of shape {x} does not fit weights of shape {w} in {group} group(s)")
    if len(call.shapes) > 2 and call.shapes[2] not in (None, (w[1] * group,)):
        raise call.fail(f"bias of shape {call.shapes[2]} for {w[1] * group} channels")
    if call.node.attributes.get("kernel_shape", list(w[2:])) != list(w[2:]):
        raise call.fail("kernel_shape is not that of the weights")
    call.word("auto_pad", "NOTSET")
    strides = call.numbers("strides", [1] * rank, 1)
    dilations, pads = call.numbers("dilations", [1] * rank, 1), call.numbers("pads", [0] * (2 * rank), 0)
    extra = call.numbers("output_padding", [0] * rank, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise call.fail("output_padding must be smaller than strides")
    space = tuple(
        strides[i] * (x[2 + i] - 1) + extra[i] + (w[2 + i] - 1) * dilations[i] + 1 - pads[i] - pads[rank + i] for i in range(rank)
    )
    inner = w[1] * math.prod(w[2:])
    shape = (x[0], w[1] * group, *space)
    return Made(shape, math.prod(x) * inner + math.prod(shape), inner * math.prod(x[2:]))


def pool(call: Call) -> Made:
    """The mean or maximum of windows."""
    x = call.shape(0)
    found = call.node.attributes.get("kernel_shape")
    if len(x) < 3 or not isinstance(found, list) or len(found) != len(x) - 2:
        raise call.fail(f"kernel_shape {str(found)[:40]} for an input of shape {x}")
    kernel = call.numbers("kernel_shape", [1] * (len(x) - 2), 1)
    pads = call.numbers("pads", [0] * (2 * len(kernel)), 0)
    if any(pad >= size for pad, size in zip(pads, [*kernel, *kernel], strict=True)):
        raise call.fail("pads must be smaller than the kernel")
    call.number("ceil_mode", 0, 0, 0)
    call.number("storage_order", 0, 0, 0)
    call.number("count_include_pad", 0, 0, 1)
    shape = (*x[:2], *_windows(call, x[2:], kernel))
    return Made(shape, math.prod(shape) * math.prod(kernel))


def global_pool(call: Call) -> Made:
    """The mean or maximum of each channel."""
    x = call.shape(0)
    if len(x) < 3:
        raise call.fail(f"input of shape {x} has no space")
    return Made((*x[:2], *(1 for _ in x[2:])), math.prod(x))


def _windows(call: Call, space: Shape, kernel: list[int]) -> Shape:
    """Sizes after sliding `kernel` over `space` with the node's strides, dilations and pads."""
    rank = len(space)
    call.word("auto_pad", "NOTSET")
    strides, dilations = call.numbers("strides", [1] * rank, 1), call.numbers("dilations", [1] * rank, 1)
    pads = call.numbers("pads", [0] * (2 * rank), 0)
    padded = [space[i] + pads[i] + pads[rank + i] - ((kernel[i] - 1) * dilations[i] + 1) for i in range(rank)]
    if any(n < 0 for n in padded):
        raise call.fail(f"a kernel of {kernel} does not fit into {space}")
    return tuple(n // s + 1 for n, s in zip(padded, strides, strict=True))


def _floats(rule: Rule, attributes: str = "", inputs: tuple[int, int] = (1, 1)) -> Operator:
    return operator(rule, attributes, inputs, dtypes=FLOATS)


_WINDOW = "auto_pad dilations kernel_shape pads strides"

_SMOOTH = ("Cos", "Erf", "Exp", "HardSwish", "Log", "Reciprocal", "Sigmoid", "Sin", "Softplus", "Sqrt", "Tanh")
_PIECEWISE = ("Ceil", "Floor", "Relu", "Round")

ARITHMETIC: dict[str, Operator] = {
    **{name: operator(same) for name in ("Abs", "Identity", "Neg", "Sign")},
    **{name: _floats(same) for name in (*_SMOOTH, *_PIECEWISE)},
    "Elu": _floats(same, "alpha"),
    "Gelu": _floats(same, "approximate"),
    "HardSigmoid": _floats(same, "alpha beta"),
    "LeakyRelu": _floats(same, "alpha"),
    "Selu": _floats(same, "alpha gamma"),
    "Softmax": _floats(along_axis, "axis"),
    "Cast": operator(same, "to saturate"),
    "Clip": operator(clip, "", (1, 3)),
    **{name: operator(broadcast, "", (2, 2)) for name in ("Add", "Mul", "Sub")},
    **{name: operator(broadcast, "", (1, 8)) for name in ("Max", "Min")},
    # Whole numbers divided by zero stop a process, so division is for floats.
    **{name: _floats(broadcast, "", (2, 2)) for name in ("Div", "Pow")},
    "MatMul": _floats(matmul, "", (2, 2)),
    "Gemm": _floats(gemm, "alpha beta transA transB", (2, 3)),
    "Conv": _floats(conv, f"{_WINDOW} group", (2, 3)),
    "QLinearConv": operator(byte_conv, f"{_WINDOW} group", (8, 9), tuple(range(1, 9)), frozenset(("uint8",))),
    "ConvTranspose": _floats(conv_transpose, f"{_WINDOW} group output_padding", (2, 3)),
    "AveragePool": _floats(pool, f"{_WINDOW} ceil_mode count_include_pad"),
    "MaxPool": _floats(pool, f"{_WINDOW} ceil_mode storage_order"),
    "GlobalAveragePool": _floats(global_pool),
    "GlobalMaxPool": _floats(global_pool),
    "BatchNormalization": _floats(per_channel, "epsilon momentum", (5, 5)),
    "InstanceNormalization": _floats(per_channel, "epsilon", (3, 3)),
}
