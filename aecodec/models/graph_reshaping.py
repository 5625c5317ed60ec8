"""The operators that move elements, enlarge or reduce, of those that a model's graph may use.

What changes shapes must have constant operands, so that the sizes of all tensors follow from those of the inputs. Source of
the rules: the ONNX operator specification, opsets 13 and later.
"""

import math

from aecodec.models.graph_operators import FLOATS, Call, Made, Operator, operator

_FARTHEST = 1 << 62


def _moved(shape: tuple[int, ...]) -> Made:
    return Made(shape, math.prod(shape))


def reshape(call: Call) -> Made:
    """To a constant shape; 0 keeps a size, one -1 is what is left."""
    x, wanted = call.shape(0), call.integers(1)
    call.number("allowzero", 0, 0, 0)
    if wanted is None or any(n < -1 for n in wanted) or wanted.count(-1) > 1 or any(n == 0 for n in wanted[len(x) :]):
        raise call.fail(f"{x} cannot be reshaped to {str(wanted)[:60]}")
    sizes = [x[i] if n == 0 else n for i, n in enumerate(wanted)]
    if -1 in sizes:
        rest = math.prod(n for n in sizes if n != -1)
        sizes[sizes.index(-1)] = math.prod(x) // rest if rest else 0
    if math.prod(sizes) != math.prod(x):
        raise call.fail(f"{x} cannot be reshaped to {str(wanted)[:60]}")
    return _moved(tuple(sizes))


def flatten(call: Call) -> Made:
    """To a matrix."""
    x = call.shape(0)
    axis = call.number("axis", 1, -len(x), len(x))
    axis += len(x) if axis < 0 else 0
    return _moved((math.prod(x[:axis]), math.prod(x[axis:])))


def transpose(call: Call) -> Made:
    """Dimensions in another order."""
    x = call.shape(0)
    perm = call.numbers("perm", list(range(len(x)))[::-1], 0)
    if sorted(perm) != list(range(len(x))):
        raise call.fail(f"perm {perm[:8]} is no order of {len(x)} dimensions")
    return _moved(tuple(x[i] for i in perm))


def concat(call: Call) -> Made:
    """One after another along an axis."""
    shapes = [call.shape(i) for i in range(len(call.shapes))]
    axis = call.axis(call.number("axis", _FARTHEST, -8, 8), len(shapes[0]))
    if len({(len(s), s[:axis], s[axis + 1 :]) for s in shapes}) > 1:
        raise call.fail(f"shapes {str(shapes)[:80]} differ elsewhere than along axis {axis}")
    return _moved((*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :]))


def slices(call: Call) -> Made:
    """A part along some axes, with constant ends."""
    x, starts, ends = list(call.shape(0)), call.integers(1), call.integers(2)
    if starts is None or ends is None:
        raise call.fail("starts and ends must be given")
    axes = call.axes(call.integers(3) or list(range(len(starts))), len(x))
    steps = call.integers(4) or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or any(not -_FARTHEST < s < _FARTHEST or s == 0 for s in steps):
        raise call.fail("starts, ends, axes and steps do not fit together")
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        x[axis] = len(range(*slice(start, end, step).indices(x[axis])))
    return _moved(tuple(x))


def pad(call: Call) -> Made:
    """Wider by constant numbers of elements."""
    x = list(call.shape(0))
    mode = call.word("mode", "constant", "reflect", "edge")
    axes = call.axes(call.integers(3) or list(range(len(x))), len(x))
    pads = call.integers(1)
    if pads is None or len(pads) != 2 * len(axes) or any(not 0 <= n <= _FARTHEST for n in pads):
        raise call.fail(f"pads {str(pads)[:60]} must be two numbers of at least 0 for each of {len(axes)} axes")
    if len(call.shapes) > 2 and call.shapes[2] not in (None, (), (1,)):
        raise call.fail("what is padded with must be one number")
    for i, axis in enumerate(axes):
        if mode == "reflect" and max(pads[i], pads[len(axes) + i]) >= x[axis]:
            raise call.fail(f"pads {pads[:8]} reflect more than there is of {tuple(x)}")
        x[axis] += pads[i] + pads[len(axes) + i]
    return _moved(tuple(x))


def squeeze(call: Call) -> Made:
    """Without some dimensions of size 1."""
    x, axes = call.shape(0), call.integers(1)
    dropped = call.axes(axes, len(x)) if axes is not None else []
    if not dropped or any(x[axis] != 1 for axis in dropped):
        raise call.fail(f"axes {str(axes)[:40]} of {x} are not given, or not of size 1")
    return _moved(tuple(n for i, n in enumerate(x) if i not in dropped))


def unsqueeze(call: Call) -> Made:
    """With further dimensions of size 1."""
    x, axes = call.shape(0), call.integers(1) or []
    added = call.axes(axes, len(x) + len(axes))
    rest = iter(x)
    return _moved(tuple(1 if i in added else next(rest) for i in range(len(x) + len(axes))))


def gather(call: Call) -> Made:
    """Entries along an axis, by their numbers."""
    x, entries = call.shape(0), call.shape(1)
    axis = call.axis(call.number("axis", 0, -8, 8), len(x))
    return _moved((*x[:axis], *entries, *x[axis + 1 :]))


def depth_to_space(call: Call) -> Made:
    """Channels into blocks of space."""
    x, block = call.shape(0), call.number("blocksize", 0, 1)
    call.word("mode", "DCR", "CRD")
    if len(x) != 4 or x[1] % (block * block):
        raise call.fail(f"{x} does not divide into blocks of {block}")
    return _moved((x[0], x[1] // (block * block), x[2] * block, x[3] * block))


def space_to_depth(call: Call) -> Made:
    """Blocks of space into channels."""
    x, block = call.shape(0), call.number("blocksize", 0, 1)
    if len(x) != 4 or x[2] % block or x[3] % block:
        raise call.fail(f"{x} does not divide into blocks of {block}")
    return _moved((x[0], x[1] * block * block, x[2] // block, x[3] // block))


def resize(call: Call) -> Made:
    """Space enlarged by constant whole factors."""
    x, scales = call.shape(0), call.operand(2)
    call.word("mode", "nearest", "linear")
    call.word("coordinate_transformation_mode", "half_pixel", "asymmetric", "pytorch_half_pixel")
    call.word("nearest_mode", "round_prefer_floor", "floor")
    if call.operand(1) is not None and call.shape(1) != (0,):
        raise call.fail("a region of interest is not allowed")
    if scales is None or len(call.shapes) > 3 or len(x) != 4 or len(scales) != len(x) or scales.dtype != "float32":
        raise call.fail("four constant scales are needed, and no sizes")
    factors = [int(s) if 1 <= s <= 64 and s == int(s) else 0 for s in scales.tolist()]
    if 0 in factors or factors[:2] != [1, 1]:
        raise call.fail(f"scales {scales.tolist()} must be whole numbers from 1 to 64, and 1 for batch and channels")
    shape = tuple(n * f for n, f in zip(x, factors, strict=True))
    return Made(shape, 4 * math.prod(shape))


def reduce(call: Call) -> Made:
    """The mean, sum, maximum or minimum over some axes, which are constant."""
    x = call.shape(0)
    listed = call.node.attributes.get("axes")
    count = len(listed) if isinstance(listed, list) else 1
    found = call.integers(1) if listed is None else call.numbers("axes", [0] * count, -8, 8)
    call.number("noop_with_empty_axes", 0, 0, 0)
    if not found:
        raise call.fail("the axes must be given")
    axes, keep = call.axes(found, len(x)), call.number("keepdims", 1, 0, 1)
    shape = tuple(1 if i in axes else n for i, n in enumerate(x) if keep or i not in axes)
    return Made(shape, math.prod(x) + math.prod(shape))


RESHAPING: dict[str, Operator] = {
    "Concat": operator(concat, "axis", (1, 64)),
    "DepthToSpace": operator(depth_to_space, "blocksize mode"),
    "Flatten": operator(flatten, "axis"),
    "Gather": operator(gather, "axis", (2, 2), (1,)),
    "Pad": operator(pad, "mode", (2, 4), (1, 3)),
    "Reshape": operator(reshape, "allowzero", (2, 2), (1,)),
    "Slice": operator(slices, "", (3, 5), (1, 2, 3, 4)),
    "SpaceToDepth": operator(space_to_depth, "blocksize"),
    "Squeeze": operator(squeeze, "", (2, 2), (1,)),
    "Transpose": operator(transpose, "perm"),
    "Unsqueeze": operator(unsqueeze, "", (2, 2), (1,)),
    **{
        name: operator(reduce, "axes keepdims noop_with_empty_axes", (1, 2), (1,), FLOATS)
        for name in ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum")
    },
    "Resize": operator(resize, "mode coordinate_transformation_mode nearest_mode cubic_coeff_a", (3, 3), (1, 2), FLOATS),
}
