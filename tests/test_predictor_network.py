"""Networks as residual predictors: exact, the same bits by every executor, and no less than the linear predictor beneath."""

import dataclasses

import numpy as np
import onnxruntime
import pytest
from conftest import smooth_field, walk
from mode7_files import layout_of, predicted_file, random_network, remade, spec_of
from onnx.reference import ReferenceEvaluator
from test_predicted_reference import check, read_again

import aecodec
from aecodec.codec.predicted_mode import CLASSES, CONSTANT
from aecodec.errors import ModelError
from aecodec.models.bundle import Bundle
from aecodec.models.predictor import predictor_graph, whole_weights
from aecodec.models.predictor_check import check_predictor
from aecodec.models.predictor_network import (
    FEATURE_BITS,
    OCTAVE,
    STEP_BITS,
    make_tables,
    network_graph,
    with_predictor,
    zero_plane,
)
from aecodec.phases import INPUT_LIMIT, LARGEST_MAGNITUDE
from aecodec.runtime.ort import OrtRun

LAYOUTS = {
    "field": (layout_of(4, 0, 2, ("before", "after", "zero")), 16, ((3, 3), (3, 3))),
    "field of integers": (layout_of(2, 2, 1, ("above", "below")), 9, ((5, 5), (3, 3), (1, 1))),
    "series": (layout_of(1, 0, 3, ("channel-1", "zero")), 1, ((1, 7), (1, 5))),
    "without offsets": (layout_of(1, 0, 1, ("zero",), False), 16, ((3, 3),)),
    "zeros": (layout_of(2, 0, 1, ("before", "zero"), zeros=True), 16, ((3, 3), (3, 3))),
}


@pytest.fixture(scope="module", params=LAYOUTS)
def made(request):
    layout, spacing, kernels = LAYOUTS[request.param]
    network = random_network(layout, spacing, kernels=kernels)
    return layout, network, network_graph(layout, network)


def planes(layout, seed=0, shape=(5, 12, 17)):
    """Inputs of every size up to the largest."""
    random = np.random.default_rng(seed)
    n, lines, values = shape
    found = random.normal(size=(n, layout.inputs, lines, values)) * 2.0 ** random.uniform(0, 12, (n, 1, 1, 1))
    found[:, -1] = np.abs(found[:, -1])
    found[0, :-1, ::2] = random.choice([-INPUT_LIMIT, INPUT_LIMIT], found[0, :-1, ::2].shape)
    return np.rint(found).clip(-INPUT_LIMIT, INPUT_LIMIT).astype("f4")


def test_every_executor_computes_the_same_bits(made):
    layout, _, graph = made
    check_predictor(graph, layout)
    evaluator = ReferenceEvaluator(graph)
    levels = onnxruntime.GraphOptimizationLevel
    for kind in (0, layout.kinds - 1):
        x, number = planes(layout, kind), np.array([kind])
        (expected,) = evaluator.run(None, {"planes": x, "kind": number})
        assert np.array_equal(expected, np.rint(expected))
        assert expected[:, 1].min() >= 0
        assert expected[:, 1].max() <= LARGEST_MAGNITUDE
        assert expected.shape[1] == 2 + layout.zeros
        if layout.zeros:
            assert set(np.unique(expected[:, 2])) <= set(range(32))
        for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_BASIC, levels.ORT_ENABLE_EXTENDED, levels.ORT_ENABLE_ALL):
            for threads in (1, 2):
                options = onnxruntime.SessionOptions()
                options.graph_optimization_level, options.intra_op_num_threads = level, threads
                session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
                (found,) = session.run(None, {"planes": x, "kind": number})
                assert found.tobytes() == expected.tobytes()


def test_kinds_have_biases_of_their_own(made):
    layout, _, graph = made
    run, x = OrtRun(graph, "cpu", 1), planes(layout)
    assert len({run(x, np.array([kind])).tobytes() for kind in range(4)}) == 4


def test_the_graph_has_the_same_bytes_each_time(made):
    layout, network, graph = made
    assert network_graph(layout, network) == graph


def still(layer):
    return dataclasses.replace(layer, weight=0 * layer.weight, bias=0 * layer.bias)


def test_a_network_that_corrects_nothing_leaves_the_linear_predictor(made):
    layout, network, _ = made
    silent = dataclasses.replace(network, mean=still(network.mean), scale=still(network.scale))
    x, number = planes(layout), np.array([1])
    found = OrtRun(network_graph(layout, silent), "cpu", 1)(x, number)
    # The same integers in the graph of the linear predictor alone, which says nothing of zeros.
    layout = dataclasses.replace(layout, zeros=False)
    from mode7_files import random_weights

    assert np.array_equal(silent.linear.mean, whole_weights(random_weights(layout)).mean)
    linear = OrtRun(predictor_graph(layout, random_weights(layout)), "cpu", 1)(x, number)
    assert np.abs(found[:, 0] - linear[:, 0]).max() <= 1  # rounded twice
    octaves = np.log2(np.maximum(found[:, 1], 1)) - np.log2(np.maximum(linear[:, 1], 1))
    assert np.abs(octaves[linear[:, 1] > 100]).max(initial=0) <= 0.51 / OCTAVE + 0.01


@pytest.mark.parametrize("part", ["hidden", "mean", "scale", "odds"])
def test_weights_too_large_for_24_bits_are_refused(part):
    layout, spacing, kernels = LAYOUTS["zeros"]
    network = random_network(layout, spacing, kernels=kernels)

    def loud(layer):
        return dataclasses.replace(layer, weight=layer.weight * 5000 + 1)

    changed = tuple(map(loud, network.hidden)) if part == "hidden" else loud(getattr(network, part))
    with pytest.raises(ModelError, match="need more than 24 bits"):
        check_predictor(network_graph(layout, dataclasses.replace(network, **{part: changed})), layout)


@pytest.mark.parametrize("spacing", [1, 9, 16, 255])
def test_tables_are_powers_of_two_and_inverses_of_each_other(spacing):
    tables = make_tables(spacing)
    assert np.array_equal(tables.shrink * tables.grow, np.full(LARGEST_MAGNITUDE + 1, 2.0 ** (FEATURE_BITS - STEP_BITS)))
    assert set(np.frexp(tables.shrink)[0].tolist()) == {0.5}
    assert (np.diff(tables.place) >= 0).all()
    # What is shrunk by its own magnitude is about one.
    m = np.arange(200, LARGEST_MAGNITUDE)
    assert np.abs(np.log2(m / 64 * spacing * tables.shrink[m] * 2.0**-FEATURE_BITS)).max() < 0.6
    again = tables.magnitude[tables.place.astype(int)]
    assert np.abs(again[1:] / np.arange(1, LARGEST_MAGNITUDE + 1) - 1)[40:].max() < 0.04
    assert again[0] == again[1] == 1


def test_only_the_distance_to_zero_is_seen_by_its_own_size():
    assert zero_plane(layout_of(2, 0, 1, ("before", "zero", "after"))) == 5
    assert zero_plane(layout_of(2, 0, 1, ("before", "zero"), False)) is None
    assert zero_plane(layout_of(2, 0, 1, ("before", "after"))) is None


@pytest.fixture(scope="module")
def bundle():
    return aecodec.fit(smooth_field((6, 1, 8, 8)), axes="tcyx", max_error=0.5, reference=False, tile=(1, 1, 8, 8)).bundle


def with_network(bundle, layout, channels, offset=0.0, spacing=16, kernels=((3, 3), (3, 3))):
    graph = network_graph(layout, random_network(layout, spacing, kernels=kernels))
    return aecodec.Model(remade(bundle, layout, channels, offset, graph), "cpu")


def test_files_are_read_the_same_by_a_second_reader(bundle):
    layout = layout_of(4, 0, 2, ("before", "after", "zero", "channel-1"))
    model = with_network(bundle, layout, 2, 3.25)
    check(smooth_field((7, 2, 9, 12)), "tcyx", model, 0.2)
    check(smooth_field((3, 2, 9, 12)) * 3000, "tcyx", model, 0.5)
    layout = layout_of(1, 0, 2, ("channel-1", "zero"))
    series = np.stack([walk(150, seed) * 20 for seed in range(2)], axis=1)
    model = with_network(bundle, layout, 2, spacing=1, kernels=((1, 7), (1, 5)))
    check(np.rint(series).astype("i2"), "tc", model, 0)


def rainy(shape, seed=0):
    """Exactly 0 in most places, far from it in others."""
    field = smooth_field(shape, seed)
    return np.where(field > 0.3, field + 5, 0).astype("f4")


def test_zeros_that_are_told_are_read_by_a_second_reader_and_stay_zeros(bundle):
    layout = layout_of(2, 0, 2, ("before", "after", "zero", "channel-1"), zeros=True)
    model = with_network(bundle, layout, 2, 3.25)
    array = rainy((5, 2, 9, 12))
    array[1:3, 0, 2:5, 3:7] = np.nan
    array[0, 1, 1, 1] = 0.18  # told to be 0: within the bound of it
    array[0, 1, 3, 3] = 0.2  # not: at its very edge
    restored = check(array, "tcyx", model, 0.2, flags=CLASSES)
    assert (restored[array == 0] == 0).mean() > 0.95  # all but the base grid's
    assert restored[0, 1, 1, 1] == 0
    assert restored[0, 1, 3, 3] != 0
    check(rainy((4, 2, 8, 9)) * 3000, "tcyx", model, 0.5)
    series = np.maximum(np.stack([walk(150, seed) * 20 for seed in range(2)], axis=1), 0)
    layout = layout_of(1, 0, 2, ("channel-1", "zero"), zeros=True)
    model = with_network(bundle, layout, 2, 1.0, spacing=1, kernels=((1, 7), (1, 5)))
    check(np.rint(series).astype("i2"), "tc", model, 0)
    check(np.rint(series).astype("u1"), "tc", model, 2)


def test_zeros_skip_constant_sites(bundle):
    layout = layout_of(2, 0, 1, ("before", "zero"), zeros=True)
    field = smooth_field((1, 9, 12), 3, "f8")
    sites = np.arange(9)[:, None] + np.arange(12) < 9
    network = network_graph(layout, random_network(layout))
    model = aecodec.Model(remade(bundle, layout, 1, 0, network, field, sites=sites[None]), "cpu")
    array = np.where(sites, model.bundle.reference[0], rainy((5, 1, 9, 12))).astype("f4")
    check(array, "tcyx", model, 0.2, flags=CONSTANT)


@pytest.mark.parametrize("threads", [1, 2])
def test_files_decode_alike_on_any_number_of_threads_and_by_the_reference(bundle, threads):
    layout = layout_of(2, 0, 1, ("before", "zero"))
    array = smooth_field((5, 1, 21, 30))
    data = predicted_file(array, "tcyx", with_network(bundle, layout, 1), 0.1)
    restored = aecodec.decompress(data, provider="cpu", threads=threads)
    assert np.abs(restored - array).max() <= 0.1
    assert restored.tobytes() == aecodec.decompress(data, provider="reference").tobytes()
    assert restored.tobytes() == read_again(data, with_network(bundle, layout, 1), spec_of(array, "tcyx"))[0].tobytes()


def test_a_bundle_with_another_predictor_is_sealed_and_says_so(bundle):
    layout = layout_of(2, 0, 1, ("before", "zero"))
    graph = network_graph(layout, random_network(layout))
    made = with_predictor(bundle, layout, graph, "linear + predictor network", {"steps": 7})
    again = Bundle.from_bytes(made.to_bytes())
    assert again.id == made.id != bundle.id
    assert again.predictor == graph
    assert again.manifest.predictor == layout
    assert again.manifest.family == "linear + predictor network"
    assert again.manifest.provenance == {**bundle.manifest.provenance, "steps": 7}
    with pytest.raises(ModelError, match=r"float32 of \(n, 5, lines, values\)"):
        with_predictor(bundle, layout_of(2, 0, 1, ("before",)), graph, "x", {})
