"""A predictor for arrays of many kinds: crops and their bounds, the linear start, training, and the recipe that leads to a file."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import smooth_field, walk
from mode7_files import drifting

import aecodec
from aecodec.errors import ModelError, UsageError
from aecodec.phases import PHASES_PER_PLANE
from aecodec.training import pooled_predictor
from aecodec.training.pooled_predictor import FIELDS, SERIES, PooledObjective, PooledSet, PooledSource
from aecodec.training.predictor_network import NetworkShape

sys.path.append(str(Path(__file__).parent.parent))

from export.pipeline import Settings, run
from export.recipe import load_recipe

SHAPE = NetworkShape(8, ((3, 3),))


@pytest.fixture(autouse=True, scope="module")
def _quick():
    """One thread, and a linear start fitted on little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooled_predictor, "_FIT_ROWS", 1500)
        patch.setattr(pooled_predictor, "_FIT_CROPS", 2)
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def objective(_quick):
    return PooledObjective(some_sets(), "tyx", (3e-3, 3e-2), SHAPE)


def some_sets():
    """Reals of two channels and of tiny units, and bytes of one."""
    wind = (drifting((20, 2, 40, 52), 1) * 1e-6).astype("f4")
    picture = np.clip(np.rint(drifting((4, 1, 48, 64), 2) * 3 + 128), 0, 255).astype("u1")
    return [PooledSet("wind", [wind[:16]], [wind[16:]]), PooledSet("picture", [picture[:3]], [picture[3:]])]


def test_crops_come_from_every_set_with_bounds_between_the_shares_of_its_range():
    sets = some_sets()
    source, random = PooledSource(sets, 8, (1e-3, 1e-2)), np.random.default_rng(0)
    crops = [source.draw(random) for _ in range(60)]
    reals = [crop.errors / sets[0].spans for crop in crops if crop.values.dtype.kind == "f"]
    whole = [crop.errors for crop in crops if crop.values.dtype.kind == "u"]
    assert 15 < len(reals) < 45
    assert 1e-3 <= np.min(reals) < 2e-3
    assert 5e-3 < np.max(reals) <= 1e-2
    assert {float(each[0]) for each in whole} <= {0.0, 1.0, 2.0}
    assert np.mean([each[0] == 0.0 for each in whole]) > 0.5


def test_phases_coarser_than_the_windows_take_over_the_weights_of_the_next(objective):
    weights = objective.coder.module.mean_weights
    assert objective.layout == FIELDS
    for first in range(0, FIELDS.kinds, PHASES_PER_PLANE):
        assert torch.equal(weights[first + 10], weights[first + 8])  # strides of 32 and 16
        assert weights[first : first + 2].abs().sum() > 0


def test_it_codes_each_kind_as_promised_and_learns(objective):
    sets = objective.sets
    before, random = objective.validate(), np.random.default_rng(0)
    assert before["score"] == pytest.approx(np.sqrt((before["wind"] + 1e-3) * (before["picture"] + 1e-3)), rel=1e-6)
    optimizer = torch.optim.Adam(objective.module.parameters(), 4e-3)
    for _ in range(30):
        loss, _ = objective.module(objective.batch(random))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    objective.freeze()
    assert objective.validate()["score"] < 1.01 * before["score"]
    model = aecodec.Model(objective.export(), "cpu")
    assert model.manifest.any_channels
    for each, bound, most in ((sets[0], float(0.02 * sets[0].spans[0]), 0.95), (sets[1], 0, 1.06)):
        x, axes = each.held[0], "tcyx"
        fidelity = {"max_error": bound} if bound else {"lossless": True}
        data = aecodec.compress(x, model, axes, embed_model=False, **fidelity)
        assert len(data) < most * len(aecodec.compress(x, False, axes, **fidelity))
        assert np.abs(aecodec.decompress(data, model=model).astype(float) - x).max() <= bound


def test_series_have_a_layout_of_their_own():
    series = [np.stack([walk(600, seed), walk(600, seed + 9)], 1)[:, :, None, None] for seed in range(3)]
    objective = PooledObjective([PooledSet("walks", series[:2], series[2:])], "tc", (1e-3, 1e-2), NetworkShape(8, ((1, 5),)))
    assert objective.layout == SERIES
    objective.freeze()
    model = aecodec.Model(objective.export(), "cpu")
    x = np.stack([walk(400, seed) for seed in range(5)], 1)
    assert np.abs(aecodec.decompress(aecodec.compress(x, model, "tc", max_error=0.01)) - x).max() <= 0.01


def test_missing_values_do_not_count_for_the_range():
    values = smooth_field((3, 1, 40, 48), 1)
    values[0, 0, :5] = [[np.nan], [np.inf], [-np.inf], [np.nan], [np.nan]]
    spans = PooledSet("holes", [values], [values]).spans
    finite = values[np.isfinite(values)]
    assert spans[0] == pytest.approx(float(finite.max()) - float(finite.min()))


def test_what_cannot_be_pooled_is_refused():
    field, series = smooth_field((3, 1, 40, 48), 1), walk(600, 1)[:, None, None, None]
    both = [PooledSet("a", [field], [field]), PooledSet("b", [series], [series])]
    with pytest.raises(ModelError, match="a predictor is for fields or for series, and there are both or neither among the sets"):
        PooledObjective(both, "tyx", (1e-3, 1e-2), SHAPE)
    with pytest.raises(ModelError, match="nothing to validate on: the held-out samples of a hold no values"):
        PooledObjective([PooledSet("a", [field], [field[:0]])], "tyx", (1e-3, 1e-2), SHAPE)
    with pytest.raises(UsageError, match=r"shares=\(0.1, 0.01\) of the range must be two rising numbers between 0 and 1"):
        PooledObjective(both[:1], "tyx", (0.1, 0.01), SHAPE)


RECIPE = """
axes = "tyx"
seed = 2
[[data]]
path = "wind.npy"
axes = "tcyx"
source = "made up"
licence = "none"
train = [0, 16]
held_out = [16, 20]
[[data]]
path = "joined.npy"
axes = "tyx"
lengths = "lengths.npy"
labels = "labels.npy"
source = "made up"
licence = "none"
train = [1, 3]
held_out = [3, 4]
[predictor]
shares = [1e-3, 1e-2]
width = 6
depth = 1
steps = 6
[suits]
dtypes = ["float32"]
axes = ["tyx", "tcyx"]
fidelity = ["max_error", "max_range_error"]
[[measure]]
max_range_error = 1e-2
"""


def test_a_recipe_of_a_predictor_leads_to_a_model_that_ships(tmp_path):
    np.save(tmp_path / "wind.npy", drifting((20, 2, 40, 52), 1).astype("f4"))
    np.save(tmp_path / "joined.npy", drifting((12, 1, 40, 48), 2)[:, 0].astype(">f4"))
    np.save(tmp_path / "lengths.npy", np.array([5, 3, 4]))
    np.save(tmp_path / "labels.npy", np.array([1, 3, 2]))
    path = tmp_path / "drift.toml"
    path.write_text(RECIPE)
    said = []
    bundle = run(load_recipe(path), Settings(tmp_path, tmp_path / "work", tmp_path), said.append)
    model = aecodec.load_model(tmp_path / "drift.aecm")
    assert model.id == bundle.id
    assert model.manifest.any_channels
    assert model.manifest.suits.dtypes == ("float32",)
    about = model.manifest.provenance
    assert [each["data"] for each in about["metrics"]] == ["wind.npy", "joined.npy"]
    assert about["data"][1]["by"] == "labels"
    assert about["pooled predictor"]["steps"] == 6
    assert any("pooled predictor: 6 steps" in line for line in said)
    again = run(load_recipe(path), Settings(tmp_path, tmp_path / "work", None), said.append)
    assert again.graphs == bundle.graphs  # from the checkpoint of the run that is over
