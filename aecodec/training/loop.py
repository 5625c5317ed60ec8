"""The training loop, the same for all that is trained: AdamW, validation, integer weights at the end, and nothing lost on the way.

float weights ── best average ──> freeze ──> integer weights ── best average ──> export (by the caller)
"""

import math
import time
from dataclasses import replace

import numpy as np
from torch import nn

from aecodec.training.average import State
from aecodec.training.checkpoint import Checkpoint, random_state, set_random_state, under_prefix, with_prefix
from aecodec.training.config import Settings
from aecodec.training.distributed import World
from aecodec.training.divergence import DivergenceWatch
from aecodec.training.interrupts import StopWish, stop_wish
from aecodec.training.learner import Learner
from aecodec.training.monitor import Monitor, Snapshot
from aecodec.training.objective import SCORE, Objective, Remembering
from aecodec.training.outcome import Outcome, TrainingError, seed_all
from aecodec.training.schedule import Schedule
from aecodec.training.state import Kept, RunState

_SLOWER = 0.5
_MOST_RETURNS = 3
_BETTER = 1e-4  # what a score must fall by, as a share, to count against patience
_FADE = 0.98  # of the running means that are shown
_SMALL_MEMORY = 1 << 24  # bytes that every checkpoint may carry
_SHARE = 0.1  # of the time that validation may take


def run(
    objective: Objective,
    settings: Settings,
    *,
    world: World | None = None,
    checkpoint: Checkpoint | None = None,
    resume: bool = True,
    monitor: Monitor | None = None,
    used: float = 0.0,
) -> Outcome:
    """Train until steps or time are used up, and leave the best weights in the frozen module, ready for `export`.

    `used`: seconds of the time budget that are gone already. Raises TrainingError if not even the start can be validated.
    """
    trainer = _Trainer(objective, settings, world or World(), checkpoint, monitor, used)
    if resume:
        trainer.resume()
    with stop_wish() as wish:
        return trainer.train(wish)


class _Trainer:
    def __init__(
        self,
        objective: Objective,
        settings: Settings,
        world: World,
        checkpoint: Checkpoint | None,
        monitor: Monitor | None,
        used: float,
    ) -> None:
        self.objective, self.settings, self.world = objective, settings, world
        self.checkpoint, self.monitor = checkpoint, monitor
        self.schedule = Schedule.of(settings)
        self.state = RunState(seconds=used)
        self.watch = DivergenceWatch()
        self.rng = seed_all(settings.seed, world.rank)
        self.best: State = {}
        self.learner = Learner(objective, settings, world)
        self.good = self.learner.kept()
        self.started = time.monotonic() - used

    @property
    def module(self) -> nn.Module:
        return self.learner.module

    @property
    def progress(self) -> float:
        return self.schedule.progress(self.state.step, self.state.seconds)

    def train(self, wish: StopWish) -> Outcome:
        state = self.state
        if not state.reason and not state.history:
            self._validate()
            if state.best_score is None:
                raise TrainingError("the untrained network's score on held-out data is not finite; check the data and its scale")
        while not state.reason:
            if self.progress >= 1.0:
                state.reason = self._end()
            elif not state.frozen and self.schedule.must_freeze(self.progress):
                self._validate_newest()
                self._freeze()
            else:
                self._step(wish)
        return self._finish()

    def _end(self) -> str:
        """What the end that is reached is called."""
        if self.state.steps_cut is not None or self.state.seconds_cut is not None:
            return "early"
        by_steps = self.schedule.steps is not None and self.state.step >= self.schedule.steps
        return "steps" if by_steps else "time"

    def _step(self, wish: StopWish) -> None:
        """One step of all processes, and what follows from it."""
        state = self.state
        rate = self.settings.learning_rate * self.schedule.factor(self.progress) * state.slow
        loss, metrics, norm = self.learner.gradients(self.rng)
        elapsed = time.monotonic() - self.started if self.world.main else 0.0
        total, wished, seconds = self.world.sums([loss, float(wish.wished), elapsed])
        mean = total / self.world.size
        if self.watch.diverged(mean if np.isfinite(norm) else float("nan")):
            self._go_back(mean)
            return
        self.learner.apply(rate)
        state.step, state.seconds = state.step + 1, seconds
        for name, value in metrics.items():
            state.metrics[name] = _FADE * state.metrics.get(name, value) + (1.0 - _FADE) * value
        fresh = self.progress >= state.next_validation or self.progress >= 1.0
        if fresh:
            self._validate()
        self._tell(mean, rate, fresh)
        if wished and not state.reason:
            state.reason = "interrupted"

    def _validate(self) -> None:
        """Score the averaged weights on held-out data; keep them if they are the best, and the whole state if it is sound."""
        state, start = self.state, time.monotonic()
        figures: dict[str, float] = {}
        if self.world.main:
            with self.learner.averaged():
                figures = {name: float(value) for name, value in self.objective.validate().items()}
        score = self.world.from_main(figures.get(SCORE, float("nan")))
        took = self.world.from_main(time.monotonic() - start)
        share = took / (_SHARE * self.schedule.seconds) if self.schedule.seconds else 0.0
        often = self.settings.often
        on_time = (math.floor(self.progress * often + 1e-6) + 1) / often - 1e-9
        state.next_validation = max(on_time, self.progress + min(0.2, share))
        figures[SCORE] = score
        state.validation = figures
        state.history.append({"step": state.step, "seconds": state.seconds, "frozen": float(state.frozen), **figures})
        if not np.isfinite(score):
            self._go_back(score)
            return
        better = state.best_score is None or score < state.best_score - _BETTER * abs(state.best_score)
        state.stale = 0 if better else state.stale + 1
        if state.best_score is None or score < state.best_score:
            state.best_score, state.best_step, state.best = score, state.step, figures
            self.best = self.learner.averaged_state()
        self.good, state.good_step = self.learner.kept(), state.step
        if state.stale >= self.settings.patience:
            self._stop_early()
        self._save()

    def _stop_early(self) -> None:
        """Begin the last part now, or end it."""
        state = self.state
        if state.frozen:
            state.reason = "early"
            return
        self.schedule = self.schedule.cut_short(state.step, state.seconds)
        state.steps_cut, state.seconds_cut, state.stale = self.schedule.steps, self.schedule.seconds, 0
        self._note(f"no better score since step {state.best_step}; the last part begins at step {state.step}")

    def _go_back(self, found: float) -> None:
        """Return to the last good state with a lower learning rate, three times at most; then end the run."""
        state = self.state
        state.returns += 1
        self.learner.restore(self.good)
        self.watch.row = 0
        if state.returns > _MOST_RETURNS:
            state.reason = "diverged"
            self._note(f"diverged again at step {state.step} (loss {found:.4g}); training stops, the best state is kept")
            return
        state.slow *= _SLOWER
        lower = f"peak learning rate {self.settings.learning_rate * state.slow:.2g}"
        self._note(f"diverged at step {state.step} (loss {found:.4g}); back to step {state.good_step}, {lower}")

    def _freeze(self) -> None:
        """From the best weights so far to integer ones."""
        state = self.state
        self.module.load_state_dict(self.best)
        self.objective.freeze()
        state.frozen, state.best_score, state.stale = True, None, 0
        self.learner.adopt()
        self.watch.restart()
        self.good, state.good_step = self.learner.kept(), state.step
        self._validate()
        if state.best_score is None:
            raise TrainingError(f"with integer weights the score is {state.validation[SCORE]}; use a lower learning rate")

    def _finish(self) -> Outcome:
        """The best integer weights. What comes after an interruption is not part of the run that may go on later."""
        state, reason = self.state, self.state.reason
        if reason == "interrupted":
            self._save(whole=True)
            self.checkpoint = None
        if reason != "diverged":
            self._validate_newest()
        self._save()
        self.checkpoint = None
        if not state.frozen:
            self._freeze()
        self.module.load_state_dict(self.best)
        self.module.eval()
        return Outcome(reason, state.step, state.seconds, state.best, state.history, state.notes)

    def _validate_newest(self) -> None:
        if self.state.history[-1]["step"] < self.state.step:
            self._validate()

    def _note(self, text: str) -> None:
        self.state.notes.append(text)
        self._tell(float("nan"), 0.0, False, text)

    def _tell(self, loss: float, rate: float, fresh: bool, note: str = "") -> None:
        if self.monitor is None or not self.world.main:
            return
        state = self.state
        left = self.schedule.left(state.step, state.seconds)
        phase = "frozen" if state.frozen else "float"
        about = Snapshot(
            phase, state.step, self.progress, state.seconds, left, rate, loss, dict(state.metrics), dict(state.validation)
        )
        self.monitor(replace(about, best=state.best_score, fresh=fresh, note=note))

    def _save(self, whole: bool = False) -> None:
        """Write the checkpoint; `whole`: with what the objective remembers, however much that is."""
        if self.checkpoint is None:
            return
        state = self.state
        random = self.world.gathered(random_state(self.rng, self.world.device))
        if not self.world.main:
            return
        state.losses, state.far, state.updates = list(self.watch.losses), self.watch.row, self.learner.average.updates
        tensors = with_prefix("best", self.best) | self.learner.kept().tensors("now") | self.good.tensors("good")
        tensors |= {f"random.{rank}": part for rank, part in enumerate(random)}
        if isinstance(self.objective, Remembering) and self.world.size == 1:
            memory = self.objective.memory()
            if whole or sum(part.nbytes for part in memory.values()) <= _SMALL_MEMORY:
                tensors |= with_prefix("memory", memory)
        going_on = replace(state, reason="" if state.reason == "interrupted" else state.reason)
        self.checkpoint.save(tensors, {"state": going_on.to_json()})

    def resume(self) -> None:
        """Go on where the checkpoint, if there is one, says that the run was."""
        found = self.checkpoint.read() if self.checkpoint is not None else None
        if found is None:
            return
        tensors, record = found
        self.state = state = RunState.from_json(record["state"])
        if state.frozen:
            self.objective.freeze()
            self.learner.adopt()
        if state.steps_cut is not None or state.seconds_cut is not None:
            self.schedule = replace(self.schedule, steps=state.steps_cut, seconds=state.seconds_cut)
        self.best = under_prefix("best", tensors)
        self.good = Kept.from_tensors("good", tensors)
        self.learner.restore(Kept.from_tensors("now", tensors))
        self.learner.average.updates = state.updates
        self.watch = DivergenceWatch(state.losses, state.far)
        memory = under_prefix("memory", tensors)
        if memory and isinstance(self.objective, Remembering):
            self.objective.recall(memory)
        set_random_state(self.rng, self.world.device, tensors[f"random.{self.world.rank}"])
        self.started = time.monotonic() - state.seconds
