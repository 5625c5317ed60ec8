"""Training a residual predictor: the network in torch is its graph, learns what lines cannot say, and codes as the codec does."""

import numpy as np
import pytest
import torch
from conftest import smooth_field, walk
from mode7_files import body_of, layout_of, predicted_file, random_weights

import aecodec
from aecodec.codec.finite import finite_values
from aecodec.codec.predicted_encoding import encode_predicted
from aecodec.errors import ModelError
from aecodec.models.predictor import predictor_graph, whole_weights
from aecodec.models.predictor_check import check_predictor
from aecodec.models.predictor_network import network_graph
from aecodec.packing.stream import unzigzag
from aecodec.phases import INPUT_LIMIT
from aecodec.runtime.ort import OrtRun
from aecodec.training.pool import Pool
from aecodec.training.predictor_data import Coder, Crop, CropSource, FineUnits
from aecodec.training.predictor_network import KindConv, NetworkShape, PredictorModule
from aecodec.training.predictor_objective import PredictorObjective, PredictorSettings, code_length, network_layout, padded

SMALL = NetworkShape(8, ((3, 3), (3, 3)))
LAYOUTS = [
    (layout_of(2, 0, 2, ("before", "after", "channel-1", "zero")), 16, SMALL),
    (layout_of(1, 2, 1, ("below",)), 9, NetworkShape(6, ((3, 3), (1, 1), (3, 3)))),
    (layout_of(1, 0, 1, ("zero",)), 1, NetworkShape(8, ((1, 7), (1, 5)))),
]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def shaken(layout, spacing, shape, size=0.3):
    """A module whose every weight counts."""
    module = PredictorModule(layout, whole_weights(random_weights(layout)), spacing, shape)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * size / max(1.0, parameter[0].numel() ** 0.5))
    return module


@pytest.mark.parametrize(("layout", "spacing", "shape"), LAYOUTS)
@pytest.mark.parametrize("size", [0.3, 30.0])
def test_a_frozen_module_computes_what_its_graph_computes(layout, spacing, shape, size):
    module = shaken(layout, spacing, shape, size)
    module.freeze()
    graph = network_graph(layout, module.network())
    check_predictor(graph, layout)
    run, random = OrtRun(graph, "cpu", 1), np.random.default_rng(0)
    x = random.normal(size=(6, layout.inputs, 11, 14)) * 2.0 ** random.uniform(0, 13, (6, 1, 1, 1))
    x = np.rint(x).clip(-INPUT_LIMIT, INPUT_LIMIT).astype("f4")
    x[:, -1] = np.abs(x[:, -1])
    for kind in (0, layout.kinds // 2, layout.kinds - 1):
        said = module.say(module.look(torch.from_numpy(x), kind), kind)
        assert said.tobytes() == run(x, np.array([kind])).tobytes()


def test_freezing_changes_little():
    layout, spacing, shape = LAYOUTS[0]
    module = shaken(layout, spacing, shape)
    x = torch.from_numpy(np.rint(np.random.default_rng(0).normal(size=(4, layout.inputs, 20, 20)) * 40).astype("f4"))
    seen = module.look(x, 5)
    said = module.correct(seen, 5)
    mean, place = said.mean.detach(), said.place.detach()
    module.freeze()
    said = module.correct(seen, 5)
    again, place_again = said.mean.detach(), said.place.detach()
    unit = module.grow[seen.magnitude.long()][:, 0] * 32
    assert float(((mean - again).abs() / unit).mean()) < 0.03
    assert float((place - place_again).abs().mean()) < 0.6


def test_weights_that_grow_after_freezing_shrink_to_what_24_bits_hold():
    conv = KindConv(3, 2, (3, 3), 2, 3, 255)
    conv.freeze()
    with torch.no_grad():
        conv.weight[0] *= 100
    layer = conv.layer()
    sums = np.abs(layer.weight).sum(axis=(1, 2, 3)) * 255 + np.abs(layer.bias).max(axis=0)
    assert sums.max() < 1 << 24
    assert sums[0] > 0.9 * (1 << 24)


def test_code_lengths_are_those_of_a_law_and_have_slopes_everywhere():
    for scale in (0.05, 0.7, 20.0):
        r = torch.arange(-2000, 2001, dtype=torch.float64)
        bits = code_length(r, torch.full_like(r, scale))
        mass = torch.exp2(-bits[bits < 19])
        assert abs(float(mass.sum()) - 1.0) < 1e-3
    far = torch.tensor([1000.0], requires_grad=True)
    code_length(far, torch.tensor([0.1])).sum().backward()
    assert float(far.grad) > 0


def kinked(shape, seed):
    """Fields that are smooth where positive and exactly zero elsewhere, of which lines know nothing."""
    return np.maximum(smooth_field(shape, seed), 0).astype("f4")


@pytest.fixture(scope="module")
def trained():
    """A model of kinked fields, its objective after a short training, and the scores of each stage."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    arrays = [kinked((12, 1, 40, 44), seed) for seed in range(4)]
    model = aecodec.fit(arrays[:3], axes="tcyx", max_error=0.05, provider="cpu", reference=False)
    settings = PredictorSettings(NetworkShape(12, ((3, 3), (3, 3))), crops=4, every=20)
    objective = PredictorObjective(model, arrays[:3], arrays[3:], np.array([0.05]), settings)
    scores, rng = [objective.validate()["score"]], np.random.default_rng(0)
    optimizer = torch.optim.Adam(objective.module.parameters(), 6e-3)
    losses = []
    for step in range(160):
        if step == 140:
            scores.append(objective.validate()["score"])
            objective.freeze()
            scores.append(objective.validate()["score"])
            optimizer.param_groups[0]["lr"] = 1e-3
        loss, metrics = objective.module(objective.batch(rng))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(metrics["bits"]))
    scores.append(objective.validate()["score"])
    return model, objective, scores, losses


def test_a_network_learns_what_a_linear_predictor_cannot_say(trained):
    _, _, (linear, real, frozen, end), losses = trained
    assert np.mean(losses[-20:]) < 0.97 * np.mean(losses[:20])
    assert real < 0.96 * linear
    assert frozen < 1.01 * real
    assert end < 1.01 * real


def test_the_exported_bundle_makes_files_smaller_and_keeps_the_bound(trained):
    model, objective, _, _ = trained
    network = aecodec.Model(objective.export(), "cpu")
    assert network.manifest.family == "linear + predictor network"
    assert network.manifest.predictor.zeros  # about half of these fields
    array = kinked((12, 1, 40, 44), 9)
    data = predicted_file(array, "tcyx", network, 0.05)
    assert np.abs(aecodec.decompress(data) - array).max() <= 0.05
    fitted, better = (len(body_of(array, used, [0.05])) for used in (model, network))
    assert better < 0.97 * fitted


@pytest.mark.parametrize("size", [0.0, 0.3])
def test_crops_are_coded_as_the_codec_codes_them(size):
    field = np.rint(smooth_field((5, 2, 20, 24)) * 20).astype("i2")
    model = aecodec.fit(field, axes="tcyx", max_error=4, provider="cpu", reference=True)
    objective = PredictorObjective(model, [field], [field], np.array([4.0, 4.0]), PredictorSettings(SMALL))
    module = objective.coder.module
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * size / 5)
    objective.freeze()
    pairs = objective.coder.code(Crop(field, (0, 0)), 1.0, learn=False).residuals
    found = encode_predicted(finite_values(field), np.array([4.0, 4.0]), aecodec.Model(objective.export(), "cpu"), (0, 0))
    for index, parts in enumerate(found.groups):
        expected = unzigzag(np.concatenate(parts)) if parts else np.zeros(0)
        assert np.array_equal(np.concatenate([r[i == index] for r, i in pairs]), expected)


def test_missing_values_and_constant_sites_are_not_learnt_from():
    field = smooth_field((9, 1, 24, 24)).astype("f4")
    field[:, :, 4:10, 4:12] = 3.0
    model = aecodec.fit(field, axes="tcyx", max_error=0.05, provider="cpu", reference=True)
    assert model.bundle.constant is not None
    crop = field.copy()
    crop[2, 0, 15, 15] = np.nan
    objective = PredictorObjective(model, [crop], [field], np.array([0.05]), PredictorSettings(SMALL))
    coded = objective.coder.code(Crop(crop, (0, 0)), 1.0, learn=True)
    pairs, samples = coded.residuals, coded.samples
    kept = sum(int(sample.kept.sum()) for sample in samples)
    coarse = objective.lattice.cut(Crop(crop, (0, 0)), 1.0).reals[:, :, :, ::16, ::16].size
    assert kept == sum(len(residual) for residual, _ in pairs) == crop.size - 9 * 6 * 8 - 1 - coarse
    assert all(np.isfinite(sample.target).all() for sample in samples)


def test_crops_lie_where_they_say_and_stay_small():
    shape = (40, 2, 300, 500)
    array = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    source, rng = CropSource([array, array[:0]], 8), np.random.default_rng(0)
    lengths = set()
    for _ in range(60):
        crop = source.draw(rng)
        row, column = crop.origin
        steps, _, rows, columns = crop.values.shape
        t = int(crop.values[0, 0, 0, 0]) // (2 * 300 * 500)
        assert np.array_equal(crop.values, array[t : t + steps, :, row : row + rows, column : column + columns])
        assert crop.values.size <= 1.1 * (1 << 17)
        lengths.add(steps)
    assert max(lengths) == 17
    assert len(lengths) > 4
    assert {source.draw(rng, usual=True).values.shape[0] for _ in range(20)} == {17}
    series = CropSource([np.zeros((1 << 20, 3, 1, 1))], 1)
    assert series.draw(rng).values.shape == ((1 << 17) // 3, 3, 1, 1)


def test_a_pool_holds_a_few_crops_and_renews_them_one_by_one():
    field = smooth_field((5, 1, 16, 16))
    model = aecodec.fit(field, axes="tcyx", max_error=0.1, provider="cpu")
    coder = PredictorObjective(model, [field], [field], np.array([0.1]), PredictorSettings(SMALL)).coder
    made = []

    def make(rng):
        made.append(coder.code(Crop(field, (0, 0)), 1.0, learn=True).samples)
        return made[-1]

    pool, rng = Pool(make, 3, 5), np.random.default_rng(0)
    counts = []
    for _ in range(16):
        for kind, features, *_, kept in pool.batch(rng):
            assert features.shape[0] == kept.shape[0]
            assert 0 <= int(kind) < coder.module.layout.kinds
        counts.append(len(made))
    assert counts == [3] * 5 + [4] * 5 + [5] * 5 + [6]


@pytest.mark.parametrize("offsets", [False, True])
def test_a_linear_predictor_says_the_same_where_more_is_seen(offsets):
    layout = layout_of(2, 0, 1, ("before", "after"), offsets)
    wider = network_layout(layout)
    assert wider.sources == ("before", "after", "zero")
    weights = random_weights(layout)
    narrow, wide = (OrtRun(predictor_graph(*of), "cpu", 1) for of in ((layout, weights), (wider, padded(weights, layout, wider))))
    x = np.rint(np.random.default_rng(0).normal(size=(3, wider.inputs, 9, 9)) * 50).astype("f4")
    shown = [0, 1, *((2, 3, 4, 5) if offsets else (2, 4)), wider.inputs - 1]
    assert np.array_equal(narrow(x[:, shown], np.array([7])), wide(x, np.array([7])))


def test_what_cannot_be_trained_on_is_refused_in_words():
    field = smooth_field((5, 1, 16, 16))
    model = aecodec.fit(field, axes="tcyx", max_error=0.1, provider="cpu")
    errors = np.array([0.1])
    for train, held, message in (
        ([], [field], "nothing to train on: the samples hold no values"),
        ([field[:0]], [field], "nothing to train on: the samples hold no values"),
        ([field], [field[:0]], "nothing to validate on: the held-out samples hold no values"),
    ):
        with pytest.raises(ModelError, match=message):
            PredictorObjective(model, train, held, errors)
    with pytest.raises(ModelError, match="no value of the samples would be coded"):
        Pool(lambda rng: [], 2, 2).batch(np.random.default_rng(0))


def test_series_are_units_of_their_own_and_bounds_vary(trained):
    series = np.stack([walk(4000, seed) for seed in range(2)], axis=1).reshape(4000, 2, 1, 1)
    model = aecodec.fit(series[:, :, 0, 0], axes="tc", max_error=0.05, provider="cpu")
    objective = PredictorObjective(model, [series], [series[:500]], np.array([0.05, 0.05]), PredictorSettings(bounds=(0.5, 2.0)))
    assert [tuple(layer.weight.shape[2:]) for layer in objective.coder.module.hidden] == [(1, 7)] * 3
    lattice = FineUnits(model, np.array([0.05, 0.05]))
    fine = [lattice.cut(Crop(series, (0, 0)), factor).reals for factor in (1.0, 2.0)]
    assert np.allclose(fine[0], 2 * fine[1])
    assert isinstance(objective.coder, Coder)
    loss, _ = objective.module(objective.batch(np.random.default_rng(0)))
    assert np.isfinite(float(loss.detach()))
