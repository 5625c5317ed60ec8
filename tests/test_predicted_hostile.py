"""Hostile mode 7: bodies, manifests, parts and graphs that cannot be give a typed error, never more memory than the array takes."""

import dataclasses
import tracemalloc
import warnings

import numpy as np
import onnx
import pytest
from conftest import smooth_field
from mode7_files import body_of, fitted, layout_of, random_network, random_weights, remade, spec_of, written
from onnx import TensorProto, helper, numpy_helper
from test_model_files import rebuilt

import aecodec
from aecodec.codec.predicted_mode import CONSTANT, EXCEPTIONS, PER_CHANNEL, decode_predicted
from aecodec.errors import AecodecError, FormatError, ModelError
from aecodec.fidelity import Fidelity
from aecodec.models.bundle import Bundle
from aecodec.models.predictor import predictor_graph
from aecodec.models.predictor_network import network_graph
from aecodec.packing.groups import encode_groups
from aecodec.packing.scale import INDICES
from aecodec.packing.varint import Cursor, put_section

LAYOUT = layout_of(2, 0, 2, ("before", "after", "channel-1"))


@pytest.fixture(scope="module")
def bundle():
    return fitted(smooth_field((6, 1, 8, 8)), "tcyx", max_error=0.5, reference=False, tile=(1, 1, 8, 8)).bundle


@pytest.fixture(scope="module")
def model(bundle):
    return aecodec.Model(remade(bundle, LAYOUT, 2), "cpu")


@pytest.fixture(scope="module")
def sited(bundle):
    """A model whose arrays are constant but for a quarter."""
    field = smooth_field((2, 6, 8), 3, "f8")
    sites = np.ones(field.shape, bool)
    sites[:, :3, :4] = False
    return aecodec.Model(remade(bundle, LAYOUT, 2, 0, None, field, sites=sites), "cpu")


@pytest.fixture(scope="module")
def telling(bundle):
    """A model that tells zeros."""
    layout = layout_of(2, 0, 2, ("before", "after", "channel-1", "zero"), zeros=True)
    return aecodec.Model(remade(bundle, layout, 2, graph=network_graph(layout, random_network(layout))), "cpu")


SHAPE = (3, 2, 6, 8)


def array_for(kind, model):
    array = smooth_field(SHAPE, 5)
    if kind == "integers":
        return np.rint(array).astype("i2")
    if kind == "zeros":
        array = np.where(array > 0.3, array, 0)
    if kind in ("classes", "zeros"):
        array[1, 0, 2:4, 3:5], array[2, 1, 0, 0] = np.nan, np.inf
    if kind == "exceptions":
        array = np.where(model.constant_sites(SHAPE), model.bundle.reference, array).astype("f4")
        array[1, 0, 5, 5] = 1e6
    return array


KINDS = ["floats", "classes", "integers", "exceptions", "zeros"]


@pytest.fixture(scope="module")
def bodies(model, sited, telling):
    """(body without its mode, dtype, model) of each kind."""
    found = {}
    for kind in KINDS:
        used = {"exceptions": sited, "zeros": telling}.get(kind, model)
        array = array_for(kind, used)
        found[kind] = body_of(array, used, [0.5, 0.5])[1:], array.dtype, used
    assert found["exceptions"][0][0] & (CONSTANT | EXCEPTIONS) == CONSTANT | EXCEPTIONS
    return found


def decoded(body, dtype, model, shape=SHAPE):
    """The array, or None after a typed error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            array = decode_predicted(Cursor(body), shape, dtype, model, (0, 0))
        except AecodecError:
            return None
    assert (array.shape, array.dtype) == (shape, dtype)
    return array


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_cut_anywhere_is_a_typed_error(bodies, kind):
    body, dtype, model = bodies[kind]
    assert decoded(body, dtype, model) is not None
    for length in range(len(body)):
        assert decoded(body[:length], dtype, model) is None
    assert decoded(body + b"\0", dtype, model) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_body_gives_an_array_or_a_typed_error_in_little_memory(bodies, kind):
    body, dtype, model = bodies[kind]
    random = np.random.default_rng(0)
    tracemalloc.start()
    try:
        for at in [*range(80), *range(80, len(body), 5)]:
            damaged = bytearray(body)
            damaged[at] ^= 1 << int(random.integers(8))
            decoded(bytes(damaged), dtype, model)
        for _ in range(60):
            damaged = bytearray(body)
            for at in random.integers(0, len(body), random.integers(2, 9)):
                damaged[at] = random.integers(0, 256)
            decoded(bytes(damaged), dtype, model)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_random_bodies_give_an_array_or_a_typed_error(model, sited):
    random = np.random.default_rng(1)
    for trial in range(400):
        flags = int(random.choice([0, 2, 4, 16, 32, 54])) if trial % 4 else int(random.integers(256))
        steps = random.choice([1.0, 0.5, 3.0, 1e300, 1e-300, np.nan, -1.0], 2 if flags & 16 else 1)
        body = bytes([flags]) + steps.astype("<f8").tobytes() + bytes([random.integers(0, 34)])
        sections = bytearray()
        for _ in range(4):
            put_section(sections, random.integers(0, random.choice([3, 20, 256]), random.integers(0, 12)).astype("u1").tobytes())
        decoded(body + bytes(sections), np.dtype(str(random.choice(["f4", "i2", "u8"]))), sited if trial % 2 else model)


def small(flags=0, steps=(1.0,), axes=0, base=b"\2\0\0", rest=b"\5\1\x30\x00\0" + b"\0" * 47, tail=b""):
    """A body for one step of one channel of one row and column, whose only value is on the base grid."""
    rest = bytes([len(rest) - 1]) + rest[1:]
    return bytes([flags]) + np.array(steps, "<f8").tobytes() + bytes([axes]) + base + rest + tail


ONE = (1, 1, 1, 1)
CASES = [
    (small(), "f4", None),
    (small(flags=1), "f4", "chunk uses unknown flags 0x1"),
    (small(flags=8), "f4", "chunk uses unknown flags 0x8"),
    (small(flags=64), "f4", "chunk uses unknown flags 0x40"),
    (small(flags=128), "f4", "chunk uses unknown flags 0x80"),
    (small(steps=[0.0]), "f4", "lattice step that is not positive"),
    (small(steps=[-0.0]), "i2", "lattice step that is not positive"),
    (small(steps=[np.nan]), "f4", "lattice step that is not positive"),
    (small(steps=[np.inf]), "f4", "lattice step that is not positive"),
    (small(steps=[1.5]), "i2", "not equal whole numbers up to 1048576"),
    (small(steps=[2.0**20 + 1]), "i2", "not equal whole numbers up to 1048576"),
    (small(steps=[2.0**20]), "i2", None),
    (small(axes=32), "f4", "chunk names unknown axes 0x20 of its base grid"),
    (small(axes=31), "f4", None),
    (small(base=b"\3\0\0\0"), "f4", "1 unexpected bytes after the end"),
    (small(base=b"\2\4\0"), "f4", "value 4 at offset 1 is above its limit 3"),
    (small(rest=b"\0\1\x2f\0\0" + b"\0" * 46), "f4", "do not cover 48 scale indices"),
    (small(rest=b"\0\1\x30\2\0" + b"\0" * 47), "f4", "value 2 at offset 3 is above its limit 1"),
    (small(rest=b"\0\1\x30\1\0" + b"\1" + b"\0" * 46), "f4", "1 symbols left over"),
    (small(rest=b"\0\1\x30\0\0" + b"\0" * 48), "f4", "1 unexpected bytes after the end"),
    (small(flags=2, tail=b"\1\0"), "f4", None),
    (small(flags=2, tail=b"\1\0"), "i2", "non-finite values in an array of int16"),
    (small(flags=2, tail=b"\3\1\0\6"), "f4", "value class 6 is unknown"),
    (small(flags=2, tail=b"\3\1\0\4"), "f4", "value class 4 is unknown"),
    (small(flags=32), "f4", "chunk leaves out constant sites, but its model names none"),
    (small(flags=4, tail=b"\2\0\0"), "f4", None),
    (small(tail=b"\0"), "f4", "1 unexpected bytes after the end"),
]


@pytest.mark.parametrize(("body", "dtype", "message"), CASES)
def test_each_check_of_a_body_has_its_message(bundle, body, dtype, message):
    model = aecodec.Model(remade(bundle, layout_of(), 1), "cpu")
    if message is None:
        assert decode_predicted(Cursor(body), ONE, np.dtype(dtype), model, (0, 0)).shape == ONE
        return
    with pytest.raises(FormatError) as caught:
        decode_predicted(Cursor(body), ONE, np.dtype(dtype), model, (0, 0))
    assert message in str(caught.value)


def test_integers_need_one_step_for_all_channels(bundle):
    model = aecodec.Model(remade(bundle, layout_of(), 2), "cpu")
    body = small(flags=16, steps=[3.0, 5.0], base=b"\2\0\0")
    with pytest.raises(FormatError, match="not equal whole numbers"):
        decode_predicted(Cursor(body), (1, 2, 1, 1), np.dtype("i2"), model, (0, 0))


def test_symbols_that_a_phase_lacks_are_a_typed_error(bundle):
    model = aecodec.Model(remade(bundle, layout_of(), 1), "cpu")
    with pytest.raises(FormatError, match="has 0 symbols, 1 are needed"):
        decode_predicted(Cursor(small()), (1, 1, 1, 2), np.dtype("f4"), model, (0, 0))


def test_a_symbol_that_tells_no_zero_is_a_typed_error(telling, bodies):
    body, dtype, _ = bodies["zeros"]
    source = Cursor(body)
    head = bytes(source.take(1 + 8 * 2 + 1 if body[0] & PER_CHANNEL else 10))
    sections = [bytes(source.take(source.varint())) for _ in range(3)]
    sections[2] = encode_groups([[np.ones(6, np.int32)] for _ in range(INDICES)], False)
    out = bytearray(head)
    for section in sections:
        put_section(out, section)
    out += source.take(source.remaining)
    with pytest.raises(FormatError, match="tells zeros by a symbol of magnitude 1, where only 0 and -1 say something"):
        decode_predicted(Cursor(bytes(out)), SHAPE, dtype, telling, (0, 0))


def test_bytes_after_the_symbols_that_tell_zeros_are_refused(telling, bodies):
    body, dtype, _ = bodies["zeros"]
    source = Cursor(body)
    out = bytearray(source.take(1 + 8 * 2 + 1 if body[0] & PER_CHANNEL else 10))
    for end in (b"", b"", b"\0"):
        put_section(out, bytes(source.take(source.varint())) + end)
    out += source.take(source.remaining)
    with pytest.raises(FormatError, match="unexpected bytes after the end"):
        decode_predicted(Cursor(bytes(out)), SHAPE, dtype, telling, (0, 0))


def test_a_chunk_beyond_the_reference_field_is_a_model_error(bodies, sited):
    body, dtype, _ = bodies["exceptions"]
    for shape, origin in (((3, 2, 6, 9), (0, 0)), ((3, 2, 7, 8), (0, 0)), (SHAPE, (1, 0)), (SHAPE, (0, 2**40))):
        with pytest.raises(ModelError, match="lie outside the reference field"):
            decode_predicted(Cursor(body), shape, dtype, sited, origin)


def test_a_file_of_a_hostile_body_is_a_typed_error(model, bodies):
    body, dtype, _ = bodies["floats"]
    spec = spec_of(np.zeros(SHAPE, dtype), "tcyx")
    assert aecodec.decompress(written(model, spec, Fidelity(), [(0, 3, b"\7" + body)])).shape == SHAPE
    for damaged in (body[:-1], body[1:], b"", body + b"\0"):
        with pytest.raises(AecodecError):
            aecodec.decompress(written(model, spec, Fidelity(), [(0, 3, b"\7" + damaged)]))
    for count in (2, 4, 2**40):
        with pytest.raises(AecodecError):
            aecodec.decompress(written(model, spec, Fidelity(), [(0, count, b"\7" + body)]))


# --- models

GOOD = {"reach": 2, "channel_reach": 0, "classes": 2, "sources": ["before", "after", "channel-1"], "offsets": True}
INVALID = "invalid model manifest: predictor must have a reach of 1 to 32, a power of two, and known sources"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reach": 0}, INVALID),
        ({"reach": 3}, INVALID),
        ({"reach": 64}, INVALID),
        ({"reach": -2}, INVALID),
        ({"channel_reach": 3}, INVALID),
        ({"channel_reach": 64}, INVALID),
        ({"channel_reach": -4}, INVALID),
        ({"classes": 0}, INVALID),
        ({"classes": 65}, INVALID),
        ({"classes": 10**30}, INVALID),
        ({"sources": ["nearby"]}, INVALID),
        ({"sources": ["before", "before"]}, INVALID),
        ({"sources": "before"}, INVALID),
        ({"sources": ["channel-4"]}, INVALID),
        ({"sources": 3}, "malformed model manifest: TypeError"),
        ({"reach": "two"}, "malformed model manifest: TypeError 'two' is no whole number"),
        ({"reach": None}, "malformed model manifest: TypeError"),
        ({"classes": [2]}, "malformed model manifest: TypeError"),
        ({"zeros": True}, INVALID),
        ({"zeros": 1}, "malformed model manifest: TypeError '1' is neither true nor false"),
        ({"offsets": 1}, "malformed model manifest: TypeError '1' is neither true nor false"),
        ({"depth": 2}, "malformed model manifest: ValueError predictor has unknown keys depth; upgrade aecodec to use the model"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(model, change, message):
    assert aecodec.load_model(rebuilt(model, {"predictor": GOOD})).manifest.predictor == LAYOUT
    with pytest.raises(AecodecError) as caught:
        Bundle.from_bytes(rebuilt(model, {"predictor": {**GOOD, **change}}))
    assert str(caught.value).startswith(message)


def test_channels_that_would_be_decoded_one_after_the_other_are_limited(model):
    many = {"offset": [0.0] * 1025, "scale": [1.0] * 1025, "reference": None, "predictor": GOOD}
    with pytest.raises(ModelError, match="a predictor that takes channels one by one serves at most 1024"):
        Bundle.from_bytes(rebuilt(model, many))


@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        ([2, 0, 2, []], "malformed model manifest: TypeError"),
        ({}, "malformed model manifest: KeyError"),
        ({name: GOOD[name] for name in GOOD if name != "offsets"}, "malformed model manifest: KeyError 'offsets'"),
        ("before", "malformed model manifest: TypeError"),
        (None, "invalid model manifest: predictor and its layout must come together"),
    ],
)
def test_a_predictor_record_that_cannot_be_is_refused(model, predictor, message):
    with pytest.raises(ModelError) as caught:
        Bundle.from_bytes(rebuilt(model, {"predictor": predictor}))
    assert str(caught.value).startswith(message)


def test_a_layout_without_a_graph_and_sites_without_a_field_are_refused(sited, model):
    parts = dict(model.manifest.parts)
    del parts["predictor"]
    with pytest.raises(ModelError, match="predictor and its layout must come together"):
        Bundle.from_bytes(rebuilt(model, {"parts": parts}))
    with pytest.raises(ModelError, match="constant sites need a reference field"):
        Bundle.from_bytes(rebuilt(sited, {"reference": None}))


@pytest.mark.parametrize(("part", "found"), [("predictor", "predictor"), ("stored_constant", "constant")])
def test_parts_that_are_missing_are_named(sited, part, found):
    lacking = dataclasses.replace(sited.bundle, **{part: None})
    with pytest.raises(ModelError) as caught:
        Bundle.from_bytes(lacking.to_bytes())
    assert str(caught.value) == f"model lacks parts that its manifest names: ['{found}']"


def test_constant_sites_of_the_wrong_length_are_a_model_error(sited):
    stored = sited.bundle.stored_constant
    for other in (b"", stored[:-1], stored + b"\0", stored * 1000):
        broken = aecodec.load_model(dataclasses.replace(sited.bundle, stored_constant=other).sealed().to_bytes())
        with pytest.raises(ModelError, match=r"\d+ bits of constant sites, the reference field has 96"):
            broken.constant_sites(SHAPE)
        with pytest.raises(ModelError, match="bits of constant sites"):
            body_of(smooth_field(SHAPE), broken, [0.5, 0.5])


PROVIDERS = ["cpu", "reference"]


def use(bundle, provider, shape=(3, 2, 5, 6)):
    """Load, code and decode: what a model from a hostile file may be put through."""
    model = aecodec.load_model(bundle.to_bytes(), provider)
    return body_of(smooth_field(shape), model, [0.5] * shape[1])


def value(name, shape, element=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, element, shape)


def replaced(graph, inputs=None, output=None, constants=None, nodes=()):
    """A predictor graph with other declarations, constants or nodes at its end."""
    model = onnx.load_model_from_string(graph)
    if inputs is not None:
        del model.graph.input[:]
        model.graph.input.extend(inputs)
    for tensor in model.graph.initializer:
        if tensor.name in (constants or {}):
            tensor.CopyFrom(numpy_helper.from_array(constants[tensor.name](numpy_helper.to_array(tensor)), tensor.name))
    model.graph.node.extend(nodes)
    if output is not None:
        model.graph.output[0].name = output
    return model.SerializeToString()


def test_a_sound_predictor_serves(bundle):
    for provider in PROVIDERS:
        assert use(remade(bundle, LAYOUT, 2), provider) is not None


HOSTILE = {
    "no planes": lambda g: replaced(g, [value("kind", [1], TensorProto.INT64)]),
    "magnitudes of their own": lambda g: replaced(
        g, [value("planes", None), value("magnitudes", None), value("kind", [1], TensorProto.INT64)]
    ),
    "another input": lambda g: replaced(g, [*onnx.load_model_from_string(g).graph.input, value("more", [1])]),
    "planes of doubles": lambda g: replaced(g, [value("planes", None, TensorProto.DOUBLE), value("kind", [1], TensorProto.INT64)]),
    "a float kind": lambda g: replaced(g, [value("planes", None), value("kind", [1])]),
    "planes of eight lines": lambda g: replaced(g, [value("planes", ["n", 8, 8, 8]), value("kind", [1], TensorProto.INT64)]),
    "an output of the means": lambda g: replaced(g, output="mean"),
    "an output of the inputs": lambda g: replaced(g, output="sizes"),
    "an output of weights": lambda g: replaced(g, output="mean_weights_k"),
    "a transposed output": lambda g: replaced(
        g, output="t", nodes=[helper.make_node("Transpose", ["prediction"], ["t"], perm=[0, 1, 3, 2])]
    ),
    "means that are no whole numbers": lambda g: replaced(
        g, output="t", nodes=[helper.make_node("Mul", ["prediction", "mean_unit"], ["t"])]
    ),
    "weights of one kind": lambda g: replaced(g, constants={"mean_weights": lambda w: w[:1]}),
    "biases of few kinds": lambda g: replaced(g, constants={"scale_bias": lambda w: w[:-1]}),
    "weights of no kind": lambda g: replaced(g, constants={"mean_weights": lambda w: w[:0], "scale_weights": lambda w: w[:0]}),
    "weights of fewer planes": lambda g: replaced(g, constants={"mean_weights": lambda w: w[:, :-1]}),
    "a graph of another layout": lambda g: predictor_graph(layout_of(), random_weights(layout_of())),
    "a graph of fewer kinds": lambda g: predictor_graph(
        layout_of(1, 0, 1, LAYOUT.sources), random_weights(layout_of(1, 0, 1, LAYOUT.sources))
    ),
    "a shape of nothing": lambda g: replaced(g, constants={"weights_shape": lambda w: np.array([1, 8, 3, 4])}),
    "infinite weights": lambda g: replaced(g, constants={"scale_bias": lambda w: np.full_like(w, np.inf)}),
    "a loop": lambda g: replaced(g, output="t", nodes=[helper.make_node("Loop", ["prediction"], ["t"])]),
    "an operator of another domain": lambda g: replaced(
        g, output="t", nodes=[helper.make_node("Abs", ["prediction"], ["t"], domain="com.example")]
    ),
    "no graph": lambda g: b"",
    "bytes that are no graph": lambda g: b"\xff\xfe not a graph",
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_graphs_are_a_model_error(bundle, name, provider):
    graph = HOSTILE[name](predictor_graph(LAYOUT, random_weights(LAYOUT)))
    with pytest.raises(ModelError):
        use(remade(bundle, LAYOUT, 2, graph=graph), provider)


@pytest.mark.parametrize("most", [16384, 2**20])
def test_magnitudes_beyond_the_largest_are_clipped(bundle, most):
    # All weights at 0 and a bias that is large: the graph says `most` or what it may say at most.
    loud = dataclasses.replace(random_weights(LAYOUT, 0, 0.0), floor=np.full(LAYOUT.kinds, 4.0))
    graph, body = predictor_graph(LAYOUT, loud), None
    for limit in (16383, most):
        wild = replaced(graph, constants={"scale_bias": lambda b: b * 0 + 2.0**23, "most": lambda m, limit=limit: m * 0 + limit})
        used = aecodec.Model(remade(bundle, LAYOUT, 2, graph=wild), "cpu")
        body = body or body_of(smooth_field(SHAPE), used, [0.5, 0.5])
        found = decode_predicted(Cursor(body[1:]), SHAPE, np.dtype("f4"), used, (0, 0))
        assert np.abs(found - smooth_field(SHAPE)).max() <= 0.5


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_graph_is_a_typed_error(bundle, cut):
    graph = predictor_graph(LAYOUT, random_weights(LAYOUT))
    with pytest.raises(AecodecError):
        use(remade(bundle, LAYOUT, 2, graph=graph[: int(len(graph) * cut)]), "cpu")


def test_a_graph_of_too_few_kinds_is_refused_before_it_is_run(bundle):
    graph = predictor_graph(layout_of(), random_weights(layout_of()))
    with pytest.raises(ModelError, match="'kind' picks one of 24 rows, the constant has shape"):
        aecodec.Model(remade(bundle, layout_of(1, 0, 2), 2, graph=graph), "cpu")
