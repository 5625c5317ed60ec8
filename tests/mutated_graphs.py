"""A process of its own that puts mutated model graphs through all that a file may have done to them; it must end with a count.

python tests/mutated_graphs.py COUNT SEED
"""

import json
import resource
import sys
import warnings

import numpy as np
import onnx
from graphs import floats, graph_of, ints, node
from onnx import numpy_helper
from test_graph_operators import CASES, graph_with

from aecodec.errors import AecodecError
from aecodec.limits import Limits
from aecodec.models.graph_check import OPERATORS, SizedGraph
from aecodec.models.linear import LinearWeights, decoder_graph, encoder_graph
from aecodec.runtime import SizedExecutor, load_executor

LIMITS = Limits(graph_elements=1 << 22, graph_constants=1 << 22)
ROOM = 3 << 30  # bytes of address space beyond what the imports take
NUMBERS = (-(2**63), -(2**31), -9, -1, 0, 1, 2, 3, 7, 64, 255, 2**16, 2**31, 2**40, 2**63 - 1)


def seeds():
    """Graphs to begin with: every case of every operator, and a fitted model's."""
    weights = LinearWeights((2, 2, 4, 4), 12, *(np.rint(4096 * np.eye(n)).astype(np.int32) for n in (4, 4, 4)), np.arange(64))
    made = [graph_with(op, case) for op, cases in CASES.items() for case in cases]
    network = [
        node("Conv", "x w", "a", pads=[1, 1, 1, 1]),
        node("LeakyRelu", "a", "b"),
        node("DepthToSpace", "b", "c", blocksize=2),
    ]
    network += [node("DepthToSpace", "b", "c", blocksize=2), node("Slice", "c s e i", "d")]
    network += [node("Resize", "d - f", "g"), node("Reshape", "g r", "y")]
    operands = {"s": ints(1), "e": ints(99), "i": ints(3), "f": np.float32([1, 1, 2, 2]), "r": ints(0, 4, -1)}
    constants = {"w": floats(16, 4, 3, 3), **operands}
    return [*made, encoder_graph(weights), decoder_graph(weights), graph_of(network, constants, ("n", 4, 6, 10))]


def mutated(graph, random):
    """A graph with one to three things changed; most are still protobuf."""
    if random.random() < 0.2:
        damaged = bytearray(graph)
        for _ in range(random.integers(1, 4)):
            damaged[random.integers(len(damaged))] = random.integers(256)
        return bytes(damaged)
    model = onnx.load_model_from_string(graph)
    for _ in range(random.integers(1, 4)):
        changes = [operator, wiring, attribute, constant, shape]
        changes[random.integers(len(changes))](model, random)
    return model.SerializeToString()


def pick(items, random):
    return items[random.integers(len(items))] if len(items) else None


def operator(model, random):
    chosen = pick(model.graph.node, random)
    chosen.op_type = pick([*OPERATORS, "Loop", "Expand", "Shape", "NonZero"], random)


def wiring(model, random):
    chosen = pick(model.graph.node, random)
    names = [*(t.name for t in model.graph.initializer), *(n.output[0] for n in model.graph.node), "x", ""]
    if random.random() < 0.3:
        chosen.input.append(pick(names, random))
    elif len(chosen.input):
        chosen.input[random.integers(len(chosen.input))] = pick(names, random)


NAMES = ["axis", "perm", "pads", "strides", "group", "keepdims", "blocksize", "to", "dilations", "kernel_shape", "axes"]


def attribute(model, random):
    chosen = pick(model.graph.node, random)
    found = pick(chosen.attribute, random)
    if found is None or random.random() < 0.3:
        values = [int(pick(NUMBERS, random)) for _ in range(random.integers(1, 6))]
        made = onnx.helper.make_attribute(pick(NAMES, random), values if random.random() < 0.5 else values[0])
        chosen.attribute.append(made)
    elif found.ints:
        found.ints[random.integers(len(found.ints))] = int(pick(NUMBERS, random))
    else:
        found.i = int(pick(NUMBERS, random))
        found.f = float(pick([0.0, -1.0, np.inf, np.nan, 1e30], random))


def constant(model, random):
    chosen = pick(model.graph.initializer, random)
    if chosen is None:
        return
    try:
        array = numpy_helper.to_array(chosen).copy()
    except ValueError:  # changed before
        return
    kind = random.integers(4)
    if kind == 0 and array.size:
        value = pick(NUMBERS if array.dtype.kind == "i" else [np.nan, np.inf, -1e30, 0.0, 2.5], random)
        array.reshape(-1)[random.integers(array.size)] = np.array(value).astype(array.dtype)
    elif kind == 1:
        array = array.astype(pick(["i4", "i8", "f4", "f8", "f2", "i1", "u1"], random))
    elif kind == 2:
        array = array.reshape(-1)[: random.integers(array.size + 1)]
    else:
        array = array[..., None] if random.random() < 0.5 else np.concatenate([array.reshape(-1)] * 2)
    chosen.CopyFrom(numpy_helper.from_array(array, chosen.name))
    if random.random() < 0.1:
        chosen.dims.append(int(pick(NUMBERS, random)))


def shape(model, random):
    chosen = pick([*model.graph.input, *model.graph.output], random)
    dims = chosen.type.tensor_type.shape.dim
    if len(dims) and random.random() < 0.8:
        dims[random.integers(len(dims))].dim_value = int(pick(NUMBERS, random))
    else:
        chosen.type.tensor_type.elem_type = int(random.integers(0, 20))


def run(graph):
    """Check, size, load and run one graph; the stage that it reached."""
    stage = "refused"
    try:
        sized = SizedGraph(graph, LIMITS)
        value = next(iter(sized.inputs.values()))
        shape = tuple(n or 2 for n in value.shape or ())
        sized.sizes(shape)
        x = np.ones(shape, value.dtype)
        stage = "passed"
        executor = SizedExecutor(load_executor(graph, "cpu"), sized)
        executor.run(x)
        executor.run(np.full_like(x, 9))
    except AecodecError as error:
        return "missized" if "is due" in str(error) else stage
    return "ran"


def main(count, seed):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115  # read at once
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    warnings.simplefilter("ignore", RuntimeWarning)
    random = np.random.default_rng(seed)
    graphs = seeds()
    stages = {"refused": 0, "passed": 0, "ran": 0, "missized": 0}
    for number in range(count):
        graph = mutated(graphs[number % len(graphs)], random)
        print(number, graph.hex(), flush=True, file=sys.stderr)
        stages[run(graph)] += 1
    print(json.dumps(stages))


if __name__ == "__main__":
    import onnxruntime  # noqa: F401  # before the limit, which leaves room for what comes after

    main(int(sys.argv[1]), int(sys.argv[2]))
