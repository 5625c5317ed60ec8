"""Checkpoints: a run in two halves equals a run in one, bit for bit; other settings and damaged files are refused."""

import signal

import pytest
import torch
from linear_objective import LinearObjective

from aecodec.errors import FormatError, UsageError
from aecodec.training.checkpoint import FILE, Checkpoint
from aecodec.training.config import Settings
from aecodec.training.loop import run


def settings(**changes):
    return Settings(**{"steps": 100, "learning_rate": 1e-2, "average": 0.9, "validations": 10, **changes})


def checkpoint(folder, given):
    return Checkpoint(folder, given.to_json())


def weights(objective):
    return {name: tensor.clone() for name, tensor in objective.module.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def stop_at(*steps):
    return lambda shot: signal.raise_signal(signal.SIGINT) if shot.step in steps and not shot.note else None


def without_time(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


@pytest.mark.parametrize("stop", [1, 37, 50, 80, 93], ids="stopped at step {}".format)
def test_a_run_in_two_halves_equals_a_run_in_one_bit_for_bit(tmp_path, stop):
    straight = LinearObjective()
    whole = run(straight, settings())
    first = LinearObjective()
    half = run(first, settings(), checkpoint=checkpoint(tmp_path, settings()), monitor=stop_at(stop))
    assert half.reason == "interrupted"
    assert half.step < 100
    second = LinearObjective()
    rest = run(second, settings(), checkpoint=checkpoint(tmp_path, settings()))
    assert rest.reason == "steps"
    assert rest.step == 100
    assert equal(weights(straight), weights(second))
    assert without_time(rest.history) == without_time(whole.history)
    assert second.export().id == straight.export().id


def test_a_killed_run_goes_on_from_its_last_validation(tmp_path):
    class Killed(BaseException):
        pass

    def kill(shot):
        if shot.step == 55:
            raise Killed

    straight, cut, resumed = LinearObjective(), LinearObjective(), LinearObjective()
    run(straight, settings())
    with pytest.raises(Killed):
        run(cut, settings(), checkpoint=checkpoint(tmp_path, settings()), monitor=kill)
    seen = []
    run(resumed, settings(), checkpoint=checkpoint(tmp_path, settings()), monitor=seen.append)
    assert seen[0].step == 51
    assert equal(weights(straight), weights(resumed))


def test_a_resumed_run_returns_from_divergence_as_the_straight_one_does(tmp_path):
    def poison(offset):
        return lambda drawn: float("nan") if drawn + offset == 48 else 1.0

    straight, cut, resumed = (LinearObjective(poison=poison(n)) for n in (0, 0, 45))
    whole = run(straight, settings())
    run(cut, settings(), checkpoint=checkpoint(tmp_path, settings()), monitor=stop_at(44))
    rest = run(resumed, settings(), checkpoint=checkpoint(tmp_path, settings()))
    assert cut.drawn == 45
    assert rest.notes == whole.notes
    assert "back to step 40" in rest.notes[0]
    assert equal(weights(straight), weights(resumed))


class Pooled(LinearObjective):
    """Draws from a few batches that it keeps, and replaces them now and then."""

    def __init__(self):
        super().__init__()
        self.pool, self.next = [], 0

    def batch(self, rng):
        if self.next % 5 == 0:
            self.pool = [*self.pool[-3:], super().batch(rng)]
        self.next += 1
        return self.pool[int(rng.integers(len(self.pool)))]

    def memory(self):
        return {"next": torch.tensor(self.next), **{f"pool.{i}": part for i, part in enumerate(self.pool)}}

    def recall(self, memory):
        self.next = int(memory["next"])
        self.pool = [memory[f"pool.{i}"] for i in range(len(memory) - 1)]


def test_what_an_objective_remembers_is_in_the_checkpoint(tmp_path):
    straight, cut, resumed = Pooled(), Pooled(), Pooled()
    run(straight, settings())
    run(cut, settings(), checkpoint=checkpoint(tmp_path, settings()), monitor=stop_at(33))
    run(resumed, settings(), checkpoint=checkpoint(tmp_path, settings()))
    assert resumed.drawn > 0
    assert equal(weights(straight), weights(resumed))


def test_a_finished_run_trains_no_more(tmp_path):
    objective, again = LinearObjective(), LinearObjective()
    run(objective, settings(), checkpoint=checkpoint(tmp_path, settings()))
    outcome = run(again, settings(), checkpoint=checkpoint(tmp_path, settings()))
    assert again.drawn == 0
    assert outcome.reason == "steps"
    assert equal(weights(objective), weights(again))


def test_resuming_can_be_declined(tmp_path):
    run(LinearObjective(), settings(), checkpoint=checkpoint(tmp_path, settings()))
    again = LinearObjective()
    run(again, settings(), checkpoint=checkpoint(tmp_path, settings()), resume=False)
    assert again.drawn == 100


def test_a_schedule_that_was_cut_short_stays_so(tmp_path):
    early = settings(steps=100000, learning_rate=1e-9, validations=5000, patience=3)
    straight, cut, resumed = LinearObjective(), LinearObjective(), LinearObjective()
    whole = run(straight, early)
    frozen = next(row["step"] for row in whole.history if row["frozen"])
    run(cut, early, checkpoint=checkpoint(tmp_path, early), monitor=stop_at(frozen + 3))
    rest = run(resumed, early, checkpoint=checkpoint(tmp_path, early))
    assert rest.step == whole.step
    assert equal(weights(straight), weights(resumed))


def test_other_settings_are_refused_by_name(tmp_path):
    run(LinearObjective(), settings(), checkpoint=checkpoint(tmp_path, settings()), monitor=stop_at(10))
    other = settings(learning_rate=2e-2, seed=3)
    with pytest.raises(UsageError, match=r"learning_rate was 0\.01, is 0\.02; seed was 0, is 3; give the same ones") as caught:
        run(LinearObjective(), other, checkpoint=checkpoint(tmp_path, other))
    assert "resume=False" in str(caught.value)


def test_a_damaged_checkpoint_is_one_clear_error(tmp_path):
    made = checkpoint(tmp_path, settings())
    run(LinearObjective(), settings(), checkpoint=made, monitor=stop_at(10))
    whole = made.path.read_bytes()
    for damaged in (b"", whole[:7], whole[: len(whole) // 2], b"\xff" * 100, whole[:8] + b"x" + whole[9:]):
        made.path.write_bytes(damaged)
        with pytest.raises(FormatError, match="is not a sound checkpoint"):
            made.read()


def test_nothing_but_the_checkpoint_is_left_in_the_folder_and_it_holds_no_pickle(tmp_path):
    run(LinearObjective(), settings(), checkpoint=checkpoint(tmp_path / "new" / "folder", settings()))
    (file,) = (tmp_path / "new" / "folder").iterdir()
    assert file.name == FILE
    head = file.read_bytes()[8:200]
    assert head.startswith(b"{")
    assert b"__metadata__" in head
