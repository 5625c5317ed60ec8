"""The compiled phases against numpy and the model's graph: the same values, symbols and files, for any layout and any data."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mode7_files import drifting, fitted

import aecodec
from aecodec.codec.fine_lattice import FineValues
from aecodec.codec.predicted_encoding import _code_phases
from aecodec.compiled import path
from aecodec.compiled.kernels import kernels
from aecodec.compiled.room import Room, _left, room
from aecodec.compiled.walk import serves, walk
from aecodec.models.linear_predictor import linear_predictor
from aecodec.models.predictor import PredictorWeights, predictor_graph
from aecodec.phase_inputs import Inputs
from aecodec.phases import ORDER_SOURCES, PYRAMID_SOURCES, TIME_SOURCES, Phase, PhaseLayout
from aecodec.prediction import frames_shape
from aecodec.runtime import load_executor

pytestmark = pytest.mark.skipif(kernels is None, reason="built without a C compiler")


class Predictor:
    """A linear predictor as a model has it: by its graph, and, where `compiled`, by its weights."""

    def __init__(self, graph: bytes, layout: PhaseLayout, compiled: bool) -> None:
        self.executor = load_executor(graph, "cpu", 1)
        self.linear = linear_predictor(graph, layout) if compiled else None
        self.manifest = self
        self.predictor = layout

    def predict(self, inputs: Inputs, phase: Phase) -> np.ndarray:
        return self.executor.run(inputs.planes, np.array([phase.kind]))


def weights_of(layout: PhaseLayout, seed: int) -> PredictorWeights:
    random = np.random.default_rng(seed)
    kinds, p = layout.kinds, layout.inputs
    mean = random.normal(size=(kinds, p, 3, 3)) * random.choice([0.0, 0.05, 0.5], size=(kinds, p, 1, 1))
    scale = random.random((2, kinds, p)) * random.choice([0.0, 0.02, 0.3], size=(2, kinds, p))
    return PredictorWeights(mean, scale[0], scale[1], random.random(kinds) * 3)


@st.composite
def layouts(draw) -> PhaseLayout:
    in_order = draw(st.booleans())
    order = ORDER_SOURCES if in_order else PYRAMID_SOURCES
    sources = draw(st.permutations([s for s in (*TIME_SOURCES, *order) if draw(st.booleans())]))
    reach = draw(st.sampled_from([1, 2, 4, 8]))
    channel_reach = 0 if in_order else draw(st.sampled_from([1, 2, 4]))
    return PhaseLayout(reach, channel_reach, draw(st.integers(1, 3)), tuple(sources), draw(st.booleans()))


@st.composite
def canonical_arrays(draw) -> np.ndarray:
    """Real numbers of fine units, canonical: small shapes of all kinds, series too, planes of more lines than are worked on at once
    and of long ones, of small and of huge values."""
    side = st.integers(1, 21)
    shape = (draw(st.integers(1, 11)), draw(st.integers(1, 4)), draw(side), draw(side))
    series, tall = (draw(st.integers(1, 300)), shape[1], 1, 1), (1, 2, draw(st.integers(60, 270)), draw(side))
    wide = (2, 1, draw(side), draw(st.integers(400, 1100)))
    shape = draw(st.sampled_from([shape, series, tall, wide]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = 2.0 ** draw(st.integers(0, 27))
    values = random.normal(size=shape) if draw(st.booleans()) else random.normal(size=shape).cumsum(-1).cumsum(-2)
    return np.clip(values / max(1.0, np.abs(values).max()) * size, -(2.0**28) + 2**20, 2.0**28 - 2**20)


def as_they_are(fine: np.ndarray) -> FineValues:
    channels = fine.shape[1]
    return FineValues(fine, np.zeros((channels, 1, 1)), np.ones(channels))


@given(
    layouts(),
    canonical_arrays(),
    st.integers(0, 2**16),
    st.sampled_from([1, 16, 1 << 20]),
    st.booleans(),
    st.sampled_from([0.0, 0.1]),
)
@settings(max_examples=60, deadline=None)
def test_values_and_symbols_are_the_graphs(layout, fine, seed, spacing, masked, dead_zone):
    graph = predictor_graph(layout, weights_of(layout, seed))
    free = np.random.default_rng(seed).random(frames_shape(fine.shape)) < 0.3 if masked else None
    found = []
    for compiled in (False, True):
        model = Predictor(graph, layout, compiled)
        coded = _code_phases(as_they_are(fine), free, spacing, model, dead_zone, None, Room())
        coarse, values, groups = coded.coarse, coded.found, coded.groups
        found.append((coarse, values, [np.concatenate(parts) if parts else np.zeros(0, np.int32) for parts in groups]))
    (coarse, values, groups), (own_coarse, own_values, own_groups) = found
    assert (coarse == own_coarse).all()
    assert (values == own_values).all()
    for group, own in zip(groups, own_groups, strict=True):
        assert np.array_equal(group, own)


@pytest.fixture(scope="module")
def winds() -> tuple[np.ndarray, aecodec.Model]:
    x = drifting((21, 2, 33, 40), 5).astype(np.float32)
    return x, fitted(x, "tcyx", max_error=0.05, reference=False)


@pytest.mark.parametrize("missing", [False, True])
def test_files_are_the_same_and_each_reads_the_others(winds, monkeypatch, missing):
    x, model = winds
    x = x.copy()
    if missing:
        x[:, :, 5:9, 7:30] = np.nan
    own = aecodec.compress(x, model, "tcyx", max_error=0.05, threads=1)
    restored = aecodec.decompress(own, threads=1)
    monkeypatch.setattr(path, "kernels", None)
    assert aecodec.compress(x, model, "tcyx", max_error=0.05, threads=1) == own
    assert np.array_equal(aecodec.decompress(own, threads=1), restored, equal_nan=True)
    assert np.nanmax(np.abs(restored - x)) <= 0.05


def test_symbols_of_more_than_16_bits(monkeypatch):
    x = drifting((9, 1, 33, 40), 5)
    x[:, :, ::3] += np.random.default_rng(3).normal(size=x[:, :, ::3].shape) * 100
    model = fitted(x, "tcyx", max_error=1e-4, reference=False)
    found = []
    sort = path.sort_by_index
    monkeypatch.setattr(path, "sort_by_index", lambda symbols, index: found.append(symbols.dtype) or sort(symbols, index))
    own = aecodec.compress(x, model, "tcyx", max_error=1e-4, threads=1)
    assert np.dtype(np.int32) in found
    assert np.abs(aecodec.decompress(own, threads=1) - x).max() <= 1e-4
    monkeypatch.setattr(path, "kernels", None)
    assert aecodec.compress(x, model, "tcyx", max_error=1e-4, threads=1) == own


def test_rooms_lie_within_rooms_and_are_kept():
    with room() as first:
        first.empty((3, 5), np.float64)
        with room() as second:
            assert second is first
            second.empty(7, np.uint8)
        first.empty(100, np.int16)
    with room() as again:
        assert again is first
        one = again.empty((3, 5), np.float64)
        with room():
            inner = again.empty(200, np.uint8)
        two = again.empty(100, np.int16)
        assert all(np.may_share_memory(array, again.memory) for array in (one, inner, two))
        assert np.may_share_memory(inner, two)
        assert not np.may_share_memory(one, two)
        assert not np.may_share_memory(again.empty(1 << 27, np.uint8), again.memory)
    assert again.memory.size < 1 << 27
    larger = again.memory.size + 1
    for expected in (False, True):  # what was too much does not keep what came after it from growing
        with room() as after:
            assert np.may_share_memory(after.empty(larger, np.uint8), after.memory) is expected


def test_a_room_is_left_to_the_threads_that_come_after():
    used = []

    def work():
        with room() as mine:
            mine.empty(1000, np.uint8)
            used.append(mine)

    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert used[0] is used[1] is used[2]
    many = [threading.Thread(target=work) for _ in range(20)]
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()
    assert len(_left) <= 4


def test_files_are_made_by_the_compiled_phases(winds, monkeypatch):
    x, model = winds
    called = []
    encode, decode = path.encode_phases, path.decode_phases
    monkeypatch.setattr("aecodec.codec.grouping.encode_phases", lambda *a: called.append("encode") or encode(*a))
    monkeypatch.setattr("aecodec.codec.grouping.decode_phases", lambda *a: called.append("decode") or decode(*a))
    aecodec.decompress(aecodec.compress(x, model, "tcyx", max_error=0.05, threads=1), threads=1)
    assert set(called) == {"encode", "decode"}


def test_other_graphs_have_no_linear_weights():
    layout = PhaseLayout(2, 0, 1, ("before",), False)
    weights = weights_of(layout, 1)
    graph = predictor_graph(layout, weights)
    assert linear_predictor(graph, layout) is not None
    import onnx

    model = onnx.load_model_from_string(graph)
    next(node for node in model.graph.node if node.op_type == "Round").op_type = "Floor"
    assert linear_predictor(model.SerializeToString(), layout) is None


def test_a_graph_with_weights_of_the_scale_that_are_no_boxes_is_left_to_its_executor():
    layout = PhaseLayout(1, 0, 1, (), False)
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(predictor_graph(layout, weights_of(layout, 1)))
    tensor = next(t for t in model.graph.initializer if t.name == "scale_weights")
    changed = numpy_helper.to_array(tensor).copy()
    changed[0, 0, 0, 0, 1] += 1
    tensor.CopyFrom(numpy_helper.from_array(changed, "scale_weights"))
    assert linear_predictor(model.SerializeToString(), layout) is None


def test_layouts_with_the_place_of_zero_are_left_to_the_graph():
    assert not serves((1, 2, 1, 4, 4), PhaseLayout(1, 0, 1, ("zero",), False))


@pytest.mark.parametrize("lines", range(1, 60))
def test_planes_of_any_number_of_lines(lines):
    layout = PhaseLayout(1, 0, 1, ("channel-1",), False)
    graph = predictor_graph(layout, weights_of(layout, 3))
    fine = np.random.default_rng(lines).normal(size=(1, 2, 4 * lines, 45)).cumsum(2) * 40
    coded = [
        _code_phases(as_they_are(fine), None, 16, Predictor(graph, layout, compiled), 0.1, None, Room())
        for compiled in (False, True)
    ]
    assert (coded[0].found == coded[1].found).all()


def arguments(phase: int = -1) -> list:
    """Of a sound call of `decode_phases`, those of one phase first."""
    layout = PhaseLayout(1, 0, 1, ("channel-1",), False)
    linear = linear_predictor(predictor_graph(layout, weights_of(layout, 1)), layout)
    assert linear is not None
    with room() as mine:
        (phases,) = walk(np.zeros((1, 1, 2, 4, 4), np.int32), layout, linear, 16, np.zeros(0, bool), mine)
    places = np.zeros(48, np.int64)
    return [*phases[phase], np.zeros(100, np.int32), places, np.full(48, 100), 4]


def decoded(given: list) -> bool:
    assert kernels is not None
    return kernels.decode_phases([tuple(given[:12])], *given[12:])


def test_a_sound_call_is_taken():
    assert decoded(arguments()) is True


@pytest.mark.parametrize("number", range(15))
def test_buffers_of_other_sizes_are_refused(number):
    given = arguments()
    given[number] = np.zeros(given[number].size + 1, given[number].dtype)
    if number == 12:  # more symbols than are used do no harm
        assert decoded(given) is True
        return
    with pytest.raises(ValueError, match=r"^compiled phases: "):
        decoded(given)


@pytest.mark.parametrize("number", range(18))
@pytest.mark.parametrize("value", [-100, 1 << 40])
def test_geometries_out_of_range_are_refused(number, value):
    given = arguments()
    given[6] = given[6].copy()
    given[6][number] = value
    with pytest.raises(ValueError, match=r"^compiled phases: "):
        decoded(given)


@pytest.mark.parametrize("number", [3, 4])
def test_a_phase_across_lines_has_one_grid(number):
    given = arguments(-2)
    assert decoded(given) is True
    given[number] = given[number].copy()
    with pytest.raises(ValueError, match="a phase across memory's lines has two grids"):
        decoded(given)


@pytest.mark.parametrize("number", [7, 8, 9])
@pytest.mark.parametrize("value", [1e6, -1e6, np.nan])
def test_weights_beyond_16_bits_are_refused(number, value):
    given = arguments()
    given[number] = given[number].copy()
    given[number].flat[1] = value
    with pytest.raises(ValueError, match="weights beyond 16 bits"):
        decoded(given)


@pytest.mark.parametrize("place", [-2, 2, 1 << 40])
def test_places_beyond_the_planes_are_refused(place):
    given = arguments()
    given[5] = given[5].copy()
    given[5][0, 1] = place
    with pytest.raises(ValueError, match="a place beyond the planes"):
        decoded(given)


def test_groups_beyond_the_symbols_are_refused():
    given = arguments()
    given[14] = np.full(48, 101)
    with pytest.raises(ValueError, match="groups beyond the symbols"):
        decoded(given)
