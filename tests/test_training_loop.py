"""The training loop on a linear autoencoder: it learns, validates, freezes, stops, comes back from divergence, obeys Ctrl-C."""

import math
import signal
import threading

import numpy as np
import pytest
import torch
from linear_objective import LinearObjective

import aecodec
from aecodec.errors import UsageError
from aecodec.training.config import Settings, parse_duration
from aecodec.training.divergence import DivergenceWatch
from aecodec.training.loop import run
from aecodec.training.monitor import Monitors
from aecodec.training.outcome import TrainingError
from aecodec.training.schedule import Schedule


def settings(**changes):
    return Settings(**{"steps": 300, "learning_rate": 1e-2, "average": 0.9, "validations": 10, **changes})


def test_a_run_learns_and_ends_with_integer_weights_and_a_usable_bundle():
    objective = LinearObjective()
    seen = []
    outcome = run(objective, settings(), monitor=seen.append)
    assert outcome.reason == "steps"
    assert outcome.step == 300
    assert outcome.best["score"] < 0.6 * outcome.history[0]["score"]
    frozen = [shot.step for shot in seen if shot.phase == "frozen"]
    assert frozen[0] == 241
    assert {shot.phase for shot in seen if shot.step <= 240} == {"float"}
    assert [row["frozen"] for row in outcome.history] == sorted(row["frozen"] for row in outcome.history)
    assert objective.validate()["score"] == outcome.best["score"]
    model = aecodec.Model(objective.export())
    x = objective.held_out.numpy()
    data = aecodec.compress(x, model, axes="tc", psnr=30)
    assert np.sqrt(np.square(aecodec.decompress(data) - x).mean()) <= np.ptp(x) * 10**-1.5


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    def basis(seed):
        objective = LinearObjective()
        run(objective, settings(steps=40, seed=seed))
        return objective.module.basis.detach()

    assert torch.equal(basis(1), basis(1))
    assert not torch.equal(basis(1), basis(2))


def test_a_time_budget_ends_a_run_in_its_last_part():
    objective = LinearObjective()
    outcome = run(objective, settings(steps=None, time_budget=1.0))
    assert outcome.reason == "time"
    assert objective.module.frozen
    assert outcome.history[-1]["frozen"] == 1.0
    assert outcome.history[0]["frozen"] == 0.0
    assert outcome.step > 20


def test_time_that_is_used_already_counts():
    outcome = run(LinearObjective(), settings(steps=None, time_budget=100.0), used=100.0)
    assert outcome.reason == "time"
    assert outcome.step == 0


def test_without_better_scores_the_last_part_begins_early():
    outcome = run(LinearObjective(), settings(steps=100000, learning_rate=1e-9, validations=10000, patience=3))
    assert outcome.reason == "early"
    assert outcome.step < 200
    assert "no better score since step" in outcome.notes[0]
    assert outcome.history[-1]["frozen"] == 1.0


def test_a_loss_that_is_not_finite_goes_back_to_the_last_good_state_with_half_the_rate():
    objective = LinearObjective(poison=lambda drawn: math.nan if drawn == 50 else 1.0)
    seen = []
    outcome = run(objective, settings(), monitor=seen.append)
    assert outcome.reason == "steps"
    assert outcome.notes == ["diverged at step 49 (loss nan); back to step 30, peak learning rate 0.005"]
    assert [shot.note for shot in seen if shot.note] == outcome.notes
    assert outcome.best["score"] < 0.6 * outcome.history[0]["score"]
    assert all(torch.isfinite(p).all() for p in objective.module.parameters())


def test_a_run_that_keeps_diverging_stops_and_keeps_the_best():
    objective = LinearObjective(poison=lambda drawn: 1.0 if drawn <= 100 else 1e4)
    outcome = run(objective, settings())
    assert outcome.reason == "diverged"
    assert "diverged again at step" in outcome.notes[-1]
    assert "the best state is kept" in outcome.notes[-1]
    assert outcome.step < 300
    assert outcome.best["score"] < outcome.history[0]["score"]
    assert aecodec.Model(objective.export()).manifest.exact


def test_data_that_cannot_be_scored_at_all_are_refused():
    objective = LinearObjective()
    objective.held_out = objective.held_out * math.nan
    with pytest.raises(TrainingError, match="the untrained network's score on held-out data is not finite"):
        run(objective, settings())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_leaves_a_usable_model(number):
    objective = LinearObjective()
    before = signal.getsignal(number)
    outcome = run(objective, settings(), monitor=lambda shot: signal.raise_signal(number) if shot.step == 57 else None)
    assert outcome.reason == "interrupted"
    assert outcome.step in (57, 58)
    assert signal.getsignal(number) == before
    assert objective.module.frozen
    assert aecodec.Model(objective.export()).manifest.exact


def test_a_second_signal_is_not_swallowed():
    def twice(shot):
        if shot.step == 5:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(LinearObjective(), settings(), monitor=twice)


def test_a_run_outside_the_main_thread_works():
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(run(LinearObjective(), settings(steps=20))))
    thread.start()
    thread.join()
    assert outcomes[0].reason == "steps"


def test_one_far_loss_is_noise_and_five_in_a_row_are_divergence():
    watch = DivergenceWatch()
    assert not any(watch.diverged(1.0 + 0.01 * (i % 5)) for i in range(60))
    assert not watch.diverged(50.0)
    assert not watch.diverged(1.0)
    assert [watch.diverged(50.0) for _ in range(5)] == [False, False, False, False, True]
    assert DivergenceWatch().diverged(math.inf)


def test_losses_below_zero_are_watched_too():
    watch = DivergenceWatch()
    assert not any(watch.diverged(-10.0 - 0.1 * (i % 7)) for i in range(60))
    assert not watch.diverged(-9.0)
    assert [watch.diverged(5.0) for _ in range(5)][-1]


def test_progress_is_the_larger_of_steps_and_time():
    schedule = Schedule.of(Settings(steps=100, time_budget=10.0, warmup=0.1, frozen=0.2))
    assert schedule.progress(50, 1.0) == 0.5
    assert schedule.progress(50, 9.0) == 0.9
    assert schedule.progress(500, 0.0) == 1.0
    assert schedule.factor(0.05) == 0.5
    assert schedule.factor(0.1) == 1.0
    assert schedule.factor(0.55) == pytest.approx(0.505)
    assert schedule.factor(1.0) == pytest.approx(0.01)
    assert schedule.left(25, 1.0) == 3.0
    short = schedule.cut_short(20, 2.0)
    assert short.must_freeze(short.progress(20, 2.0))
    assert short.progress(25, 2.0) == 1.0


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("45", 45), (12.5, 12.5), ("0.5h", 1800)]
)
def test_durations_as_people_write_them(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["soon", "", "10 parsecs", "-5", "0", "nan", "inf", "m", "1h banana"])
def test_other_durations_are_refused(text):
    with pytest.raises(UsageError, match="time budget"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps=0 must be 1 or more"),
        ({"steps": None}, "needs steps or a time_budget"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be more than 0"),
        ({"frozen": 1.0}, "together less than 1"),
        ({"average": 1.0}, "average=1.0"),
        ({"seed": -1}, "seed=-1"),
        ({"device": "tpu"}, "device='tpu' is unknown"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        settings(**changes)


def test_lines_for_a_pipe_name_rate_distortion_score_and_time_left(capsys):
    with Monitors(progress=True) as monitors:
        run(LinearObjective(), settings(), monitor=monitors)
    error = capsys.readouterr().err
    assert error.startswith("training, step 1: rate ")
    assert "distortion" in error
    assert "held out" in error
    assert " left" in error


def test_a_tensorboard_log_holds_training_and_validation(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Monitors(progress=False, log_dir=tmp_path) as monitors:
        run(LinearObjective(), settings(steps=30), monitor=monitors)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert {"train/loss", "train/rate", "validation/score"} <= set(events.Tags()["scalars"])
    assert events.Scalars("validation/score")[-1].step == 30
