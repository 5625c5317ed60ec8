"""Tuning: trials are scored by the size of held-out data, kept in SQLite, resumed, pruned, and the best is trained to the end."""

import signal
import sqlite3

import numpy as np
import pytest
from linear_objective import linear
from test_training_train import series

from aecodec.errors import UsageError
from aecodec.training import tune
from aecodec.training.tune import DATABASE, RANGES, checked_ranges

RATES = {"learning_rate": (1e-5, 2e-2)}


def tuned(folder, count=600, **changes):
    given = {"axes": "tc", "networks": [linear], "ranges": RATES, "steps": 40, "psnr": 25, "progress": False, "trials": 4}
    return tune(series(count=count), folder, **{**given, **changes})


def test_trials_are_ranked_by_the_size_of_held_out_data_and_the_best_is_trained_to_the_end(tmp_path):
    found = tuned(tmp_path, count=6000, trials=5, final_budget=0.5, report=tmp_path / "report")
    complete = [t.bits for t in found.trials if t.state == "complete"]
    assert len(found.trials) == 5
    assert complete == sorted(complete)
    assert complete[0] < complete[-1]
    assert found.best == found.trials[0].settings
    assert found.trials[0].model_bytes > 100
    assert found.model.manifest.provenance["networks"] == ["linear"]
    assert (tmp_path / "report" / "report.txt").exists()
    assert sqlite3.connect(tmp_path / DATABASE).execute("select count(*) from trials").fetchone() == (5,)


def test_a_search_goes_on_where_it_was_and_does_not_repeat_itself(tmp_path):
    first = tuned(tmp_path, trials=2)
    second = tuned(tmp_path, trials=4)
    assert {t.number for t in second.trials} == set(range(4))
    rates = [t.settings["learning_rate"] for t in second.trials]
    assert len(set(rates)) == 4
    before = {t.number: t.settings for t in first.trials}
    assert {t.number: t.settings for t in second.trials if t.number < 2} == before
    assert len(tuned(tmp_path, trials=4).trials) == 4


def test_an_interrupted_search_keeps_what_is_finished(tmp_path):
    seen = []

    def stop(shot):
        seen.append(shot.step)
        if len(seen) == 60:
            signal.raise_signal(signal.SIGINT)

    found = tuned(tmp_path, progress=stop, final_budget=10)
    assert [t.state for t in found.trials] == ["complete", "failed"]
    assert found.model is None
    rest = tuned(tmp_path, trials=2)
    assert sorted(t.state for t in rest.trials) == ["complete", "complete", "failed"]


def test_other_settings_are_refused_by_name(tmp_path):
    tuned(tmp_path, trials=1)
    with pytest.raises(UsageError, match=r"is a search with other settings: run\.steps was 40, is 50; give the same ones"):
        tuned(tmp_path, steps=50)


def test_hopeless_trials_are_pruned(tmp_path):
    found = tuned(tmp_path, trials=7, steps=30, ranges={"learning_rate": (1e-6, 3e-2)}, seed=1)
    states = [t.state for t in found.trials]
    assert "pruned" in states
    assert states == sorted(states)
    assert all(t.bits is None for t in found.trials if t.state == "pruned")


def test_what_changes_the_score_is_not_pruned_and_whole_numbers_stay_whole(tmp_path):
    found = tuned(tmp_path, trials=6, ranges={"distortion_weight": (0.5, 4.0), "width": (4, 9)})
    assert {t.state for t in found.trials} == {"complete"}
    assert all(isinstance(t.settings["width"], int) and 4 <= t.settings["width"] <= 9 for t in found.trials)


def test_ranges_by_default_are_those_that_the_networks_have():
    assert set(checked_ranges(None, ["predictor"])) == {"width", "depth", "learning_rate"}
    assert checked_ranges(None, ["autoencoder"]) == RANGES


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"colour": (1, 2)}, "cannot search for 'colour'; use width, depth"),
        ({"width": (8, 4)}, "range 8 to 4 of width must be of whole numbers above 0 that rise"),
        ({"width": (1.5, 4)}, "of whole numbers"),
        ({"learning_rate": (0.0, 1.0)}, "of numbers above 0"),
        ({}, "nothing to search for"),
    ],
)
def test_ranges_out_of_bounds_are_refused(ranges, message):
    with pytest.raises(UsageError, match=message):
        checked_ranges(ranges, ["predictor"])


def test_missing_values_are_refused_before_anything_is_written(tmp_path):
    x = series(count=300)
    x[5, 1] = np.nan
    with pytest.raises(UsageError, match="not finite"):
        tune(x, tmp_path / "search", axes="tc", networks=[linear])
    assert not (tmp_path / "search").exists()
