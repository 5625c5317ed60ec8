"""The predictor: fitting finds what made the data, its graph is exact, and every executor computes the same integers."""

import dataclasses
import itertools

import numpy as np
import onnx
import onnxruntime
import pytest
from mode7_files import layout_of, random_weights, remade
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

import aecodec
from aecodec.errors import ModelError
from aecodec.models.exact import Range, prove_predictor
from aecodec.models.predictor import PredictorWeights, predictor_graph
from aecodec.models.predictor_fit import PredictorFitter, _non_negative
from aecodec.models.sample import RunSample
from aecodec.packing.scale import scale_index
from aecodec.phases import INPUT_LIMIT, base_grid, schedule, targets
from aecodec.prediction import run_phases

RANGES = {"planes": Range(float(INPUT_LIMIT))}


def changed(graph, name, change):
    """A graph with one of its constants replaced by what `change` makes of it."""
    model = onnx.load_model_from_string(graph)
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor).copy()), name))
            return model.SerializeToString()
    raise KeyError(name)


def constants(graph):
    return {t.name: numpy_helper.to_array(t) for t in onnx.load_model_from_string(graph).graph.initializer}


# --- the sample


def run_sample(steps, capacity, shape=(1, 2, 2), window=(slice(0, 2), slice(0, 2)), sizes=None):
    """A sample of steps whose values are their numbers; those of each run."""
    sample = RunSample(shape, window, capacity, seed=0)
    values = np.broadcast_to(np.arange(steps, dtype="f4").reshape(-1, 1, 1, 1), (steps, *shape))
    for part in np.split(values, np.cumsum(sizes or [])):
        sample.add(part)
    return sample.finish(), sample


def numbers(runs):
    assert all((run == run[:, :1, :1, :1]).all() for run in runs)
    return [run[:, 0, 0, 0].astype(int).tolist() for run in runs]


def test_few_steps_are_one_run():
    runs, sample = run_sample(5, 4 * 2 * 10)
    assert sample.length == 10
    assert numbers(runs) == [[0, 1, 2, 3, 4]]


def test_the_latest_steps_are_the_last_run():
    for steps in (10, 11, 29, 47):
        runs, sample = run_sample(steps, 4 * 2 * 3)
        assert sample.length == 3
        assert numbers(runs)[-1] == list(range(steps - 3, steps))
        assert all(np.diff(run).tolist() == [1, 1] and run[0] % 3 == 0 for run in numbers(runs)[:-1])


def test_the_latest_steps_are_kept_where_they_end_a_run_too():
    assert all(numbers(run_sample(steps, 4 * 2 * 3)[0])[-1] == [steps - 3, steps - 2, steps - 1] for steps in range(3, 60, 3))


def test_runs_before_the_latest_share_no_step_with_it():
    for steps in range(1, 60):
        runs, sample = run_sample(steps, 4 * 2 * 3)
        steps_of = [set(run) for run in [*numbers(sample.before_latest()), numbers(runs)[-1]]]
        assert len(set.union(*steps_of)) == sum(map(len, steps_of))
        assert steps < 9 or sample.before_latest()


def test_runs_do_not_depend_on_how_the_steps_arrive():
    whole, _ = run_sample(50, 4 * 2 * 7)
    for sizes in ([1] * 49, [20, 3, 3], [7, 7]):
        assert numbers(run_sample(50, 4 * 2 * 7, sizes=sizes)[0]) == numbers(whole)


def test_runs_are_at_most_33_steps_and_kept_within_the_capacity():
    runs, sample = run_sample(400, 4 * 100)
    assert sample.length == 33
    assert len(sample.runs) == 100 // 33
    assert all(run.shape == (33, 1, 2, 2) for run in runs)
    runs, sample = run_sample(4, 1)
    assert sample.length == 1
    assert len(sample.runs) == 1


def test_only_the_window_is_kept():
    sample = RunSample((2, 6, 8), (slice(1, 3), slice(4, 7)), 1 << 10, 0)
    values = np.random.default_rng(0).normal(size=(5, 2, 6, 8)).astype("f4")
    sample.add(values)
    (run,) = sample.finish()
    assert np.array_equal(run, values[:, :, 1:3, 4:7])
    values[:] = 0
    assert run.any()


# --- fitting


def brute_force(gram, right):
    """The best of all sets of weights that are not 0."""
    best, least = np.zeros(len(right)), 0.0
    for count in range(1, len(right) + 1):
        for chosen in itertools.combinations(range(len(right)), count):
            part = np.linalg.solve(gram[np.ix_(chosen, chosen)], right[list(chosen)])
            if (part >= 0).all():
                cost = 0.5 * part @ gram[np.ix_(chosen, chosen)] @ part - right[list(chosen)] @ part
                if cost < least:
                    least, best = cost, np.zeros(len(right))
                    best[list(chosen)] = part
    return best


@pytest.mark.parametrize("seed", range(30))
def test_non_negative_least_squares_finds_what_trying_all_sets_finds(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 8))
    features = random.random((40, n)) * 10.0 ** random.integers(-2, 3, n)
    target = features @ np.where(random.random(n) < 0.5, 0.0, random.normal(size=n)) + random.normal(size=40) * 0.3
    gram, right = features.T @ features + 1e-6 * np.eye(n), features.T @ target
    assert np.allclose(_non_negative(gram, right), brute_force(gram, right), rtol=1e-6, atol=1e-9)


def test_non_negative_least_squares_of_nothing_to_gain_is_zero():
    assert _non_negative(np.eye(3), np.array([-1.0, -2.0, 0.0])).tolist() == [0.0, 0.0, 0.0]
    assert _non_negative(np.eye(2), np.array([2.0, -2.0])).tolist() == [2.0, 0.0]


@pytest.fixture(scope="module")
def bundle():
    field = np.random.default_rng(0).normal(size=(4, 1, 8, 8))
    return aecodec.fit(field, axes="tcyx", max_error=0.5, reference=False, tile=(1, 1, 8, 8)).bundle


SIZE = 12  # mean magnitude of the residuals below
BITS = np.log2(2 * np.e * SIZE)  # that each of them takes, being Laplacian


@pytest.fixture(scope="module")
def process(bundle):
    """A known predictor, and two fields that it made of residuals of a known size."""
    layout = layout_of(2, 0, 1, ("before", "after"))
    random = np.random.default_rng(5)
    p = layout.inputs
    mean = np.zeros((layout.kinds, p, 3, 3))
    mean[:, :-1, 1, 1] = random.uniform(-0.3, 0.3, (layout.kinds, p - 1))
    flat = np.zeros((layout.kinds, p))
    weights = PredictorWeights(mean, flat, flat, np.full(layout.kinds, 1.0))
    model = aecodec.Model(remade(bundle, layout, 1, graph=predictor_graph(layout, weights)), "cpu")

    def code(phase, mean, index, _):
        return np.rint(random.laplace(0, SIZE, mean.shape)).astype(np.int32)

    fields = np.zeros((2, 1, 9, 1, 64, 64), np.int32)
    for values in fields:
        grid = base_grid(values.shape)
        values[grid] = random.integers(-100, 101, values[grid].shape)
        run_phases(values, layout, 1, model.predict, code)
    return layout, mean, fields.astype(float)


@pytest.fixture(scope="module")
def fitter(process):
    layout, _, fields = process
    fitter = PredictorFitter(layout, 20000)
    fitter.fit(fields[0], 1, None)
    return fitter


def test_least_squares_finds_the_weights_of_other_frames_that_made_the_data(process, fitter):
    layout, mean, fields = process
    finest = {phase.kind for phase in schedule(fields[0].shape, layout) if phase.stride == 1}
    assert finest == {0, 1, 12, 13}
    # Of frames between: the planes of the sources, and none of their neighbours. Planes of one frame depend on each other.
    found, known = fitter.weights.mean[12:14, 2:], mean[12:14, 2:]
    assert np.abs(known).max() > 0.2
    assert np.abs(found - known).max() < 0.08
    assert np.abs(found - known).mean() < 0.02
    assert not fitter.weights.mean[:12, 2:].any()


def test_fitted_weights_predict_as_those_that_made_the_data(process, fitter):
    layout, _, fields = process
    assert abs(fitter.bits(fields[1], 1, None) - BITS) < 0.1
    assert PredictorFitter(layout, 20000).bits(fields[1], 1, None) > BITS + 0.2
    everything = np.concatenate([fitter.weights.near, fitter.weights.around, fitter.weights.floor[:, None]], axis=1)
    assert everything.min() >= 0


def test_the_scale_follows_magnitudes_near_by():
    # Frames alternate between quiet and loud halves; the loud half's residuals are known from the strides before.
    random = np.random.default_rng(0)
    reals = np.where(np.arange(64) < 32, 2.0, 200.0) * random.normal(size=(1, 6, 1, 64, 64))
    fitter, layout = PredictorFitter(layout_of(), 20000), layout_of()
    fitter.fit(reals, 1, None)
    flat = PredictorFitter(layout, 20000)
    flat.weights = dataclasses.replace(fitter.weights, near=fitter.weights.near * 0, around=fitter.weights.around * 0)
    assert fitter.bits(reals, 1, None) < flat.bits(reals, 1, None) - 0.2


def test_masked_values_teach_nothing(process):
    layout, _, fields = process
    spoiled, mask = fields[0].copy(), np.zeros(fields[0].shape, bool)
    mask[..., 17, 23] = True
    spoiled[mask] = 1e6
    masked, unmasked, other = (PredictorFitter(layout, 20000) for _ in range(3))
    masked.fit(spoiled, 1, mask)
    unmasked.fit(spoiled, 1, None)
    other.fit(np.where(mask, -7e5, spoiled), 1, mask)
    assert np.array_equal(masked.weights.mean, other.weights.mean)
    assert abs(masked.bits(fields[1], 1, mask) - BITS) < 0.1
    assert unmasked.bits(fields[1], 1, mask) > masked.bits(fields[1], 1, mask) + 0.05


def test_a_fitted_bundle_keeps_layout_and_graph_together():
    array = np.random.default_rng(0).normal(size=(9, 3, 16, 16)).cumsum(axis=-1)
    model = aecodec.fit(array, axes="tcyx", max_error=0.1)
    assert model.manifest.predictor.is_sound()
    assert set(model.manifest.parts) >= {"decoder", "encoder", "predictor"}
    loaded = aecodec.load_model(model.stored)
    assert loaded.manifest.predictor == model.manifest.predictor
    assert loaded.bundle.predictor == model.bundle.predictor


# --- the graph

LAYOUTS = [
    layout_of(),
    layout_of(8, 0, 3, ("before", "after", "channel-1")),
    layout_of(2, 4, 1, ("before", "below", "above"), False),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [1e-6, 0.01, 1.0, 30.0, 1e6])
def test_weights_of_any_size_make_a_graph_that_is_exact(layout, size):
    graph = predictor_graph(layout, random_weights(layout, 1, size))
    found = prove_predictor(graph, RANGES, "kind")
    assert found.grain == 0
    assert found.bound < 2.0**24
    rows = constants(graph)
    assert {len(rows[name]) for name in ("mean_weights", "scale_weights", "scale_bias")} == {layout.kinds}


def one_row_at_its_largest(rows):
    rows[5] = 32767
    return rows


def test_weights_that_are_too_large_are_refused():
    graph = predictor_graph(LAYOUTS[1], random_weights(LAYOUTS[1], 1, 1e6))
    for name in ("mean_weights", "scale_weights"):
        one = changed(
            graph, name, lambda rows: np.where(np.arange(len(rows)).reshape(-1, *[1] * (rows.ndim - 1)) == 5, 32767, rows)
        )
        with pytest.raises(ModelError, match=r"ConvTranspose node '(mean_sum|scale_sum)': values up to .* need more than 24 bits"):
            prove_predictor(one, RANGES, "kind")


def inputs_of(layout, kind, seed):
    """Random whole numbers, many of them the largest there may be."""
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(1, 9, 3))
    spread = 10.0 ** random.integers(0, 5)

    def whole(count, low):
        values = np.clip(np.rint(random.normal(size=(shape[0], count, *shape[1:])) * spread), low, INPUT_LIMIT)
        signs = np.where(random.random(values.shape) < 0.5, np.sign(low + 0.5), 1.0)
        return np.where(random.random(values.shape) < (seed % 3) / 2, INPUT_LIMIT * signs, values).astype("f4")

    planes = np.concatenate([whole(layout.inputs - 1, -INPUT_LIMIT), whole(1, 0)], axis=1)
    return {"planes": planes, "kind": np.array([kind])}


def plain(layout, weights, fed):
    """What the graph means, in 64-bit integers: mean and expected magnitude by the rounded constants."""
    planes, (kind,) = fed["planes"].astype(int), fed["kind"]
    # Stored as for transposed convolutions: turned by half a turn.
    mean, scale = (weights[name][kind, :, 0, ::-1, ::-1] for name in ("mean_weights", "scale_weights"))

    def around(maps, taps):
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
        h, w = maps.shape[1:]
        return sum(int(taps[i, j]) * padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3))

    total = sum(around(planes[:, p], mean[p]) for p in range(planes.shape[1]))
    spread = sum(around(abs(planes[:, p]), scale[p]) for p in range(planes.shape[1])) + int(weights["scale_bias"][kind])
    return np.stack([np.rint(total / 512.0), np.clip(np.rint(spread * float(weights["scale_unit"])), 0, 16383)], axis=1)


LEVELS = [
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [0.3, 1e6])
def test_every_executor_computes_what_integers_do(layout, size):
    graph = predictor_graph(layout, random_weights(layout, 2, size))
    runs = []
    for level, threads in itertools.product(LEVELS, (1, 2, 4)):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level, options.intra_op_num_threads = level, threads
        runs.append(onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]))
    reference = ReferenceEvaluator(onnx.load_model_from_string(graph))
    weights = constants(graph)
    for seed in range(6):
        kind = [0, layout.kinds - 1, 5][seed % 3]
        fed = inputs_of(layout, kind, seed)
        expected = reference.run(None, fed)[0]
        assert np.array_equal(expected, plain(layout, weights, fed))
        for run in runs:
            assert run.run(None, fed)[0].tobytes() == expected.tobytes()


def test_the_scale_index_of_a_residual_is_the_formats():
    values = np.zeros((1, 1, 1, 2, 3), np.int32)
    expected, seen = [-5, 0, 1, 63, 64, 90, 91, 128, 16383, 16384, 2**23], []

    def predict(inputs, phase):
        found = np.zeros((len(inputs.planes), 2, *inputs.planes.shape[2:]), np.float32)
        found[:, 1] = expected[len(seen) // 2]
        return found

    def code(phase, mean, index, _):
        seen.append(int(index.max()))
        return np.zeros(mean.shape, np.int32)

    for _ in expected:
        run_phases(values, layout_of(), 1, predict, code)
    of = scale_index(np.array([0.5, 0.5, 1, 63, 64, 90, 91, 128, 16383, 16383, 16383]) / 64)
    assert seen[::2] == of.tolist() == [2, 2, 4, 15, 16, 16, 17, 18, 31, 31, 31]


def test_a_graph_of_zeros_predicts_the_midpoint(bundle):
    layout = layout_of(1, 0, 1, ("channel-1",))
    zero = dataclasses.replace(random_weights(layout, 0, 0.0), floor=np.full(layout.kinds, 2.0))
    model = aecodec.Model(remade(bundle, layout, 2, graph=predictor_graph(layout, zero)), "cpu")
    values = np.zeros((1, 1, 2, 3, 3), np.int32)
    values[base_grid(values.shape)] = np.array([10, 20, 30, 41, -7, 0, -3, 6]).reshape(1, 1, 2, 2, 2)
    seen = []

    def code(phase, mean, index, _):
        seen.append(set(index.reshape(-1).tolist()))
        return np.zeros(mean.shape, np.int32)

    run_phases(values, layout, 16, model.predict, code)
    assert values[0, 0].tolist() == [[[10, 15, 20], [20, 25, 30], [30, 35, 41]], [[-7, -4, 0], [-5, -1, 3], [-3, 1, 6]]]
    assert set.union(*seen) == {18}
    assert targets(values, next(schedule(values.shape, layout))).dtype == np.int32
