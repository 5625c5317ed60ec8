"""Hyperparameters by trial: Optuna proposes, short runs answer with the size of held-out data, hopeless ones are cut off.

Optuna's tree-structured Parzen estimator (Bergstra et al. 2011) proposes, its median rule prunes; all trials are kept in a
SQLite file, from which an interrupted search goes on.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Unpack

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from aecodec.api.options import FidelityOptions
from aecodec.codec.model import Model
from aecodec.errors import UsageError
from aecodec.training.config import Settings, differences, parse_duration
from aecodec.training.distributed import World, joined
from aecodec.training.families import Family
from aecodec.training.monitor import Monitor, Monitors, Snapshot
from aecodec.training.plan import Builder, Plan
from aecodec.training.prepare import device_of, prepare
from aecodec.training.report import asked_fidelity, bits_per_value, held_out, measure, write
from aecodec.training.train import Ended, Keeping, Telling, record_of, train_networks

DATABASE, STUDY = "tune.db", "aecodec"
RANGES: dict[str, tuple[float, float]] = {
    "width": (8, 96),
    "depth": (1, 4),
    "latents": (16, 256),
    "learning_rate": (3e-4, 1e-2),
    "distortion_weight": (2.0, 20.0),
}
_WHOLE = ("width", "depth", "latents")
_OF_PREDICTORS = ("width", "depth", "learning_rate")
_PARTS = 20  # of a run, after each of which it may be pruned
_STARTERS, _WARMUP = 4, 5  # trials that are not pruned, and parts of a run before one is


@dataclass(frozen=True)
class TrialResult:
    """One trial. `state`: "complete", "pruned" or "failed"; `bits` per held-out value, model apart; None unless complete."""

    number: int
    state: str
    bits: float | None
    model_bytes: int | None
    seconds: float
    settings: dict[str, float]


@dataclass(frozen=True)
class Tuned:
    """Trials from best to worst, the settings of the best, and the model trained with them if that was asked for."""

    trials: list[TrialResult]
    best: dict[str, float]
    model: Model | None = None


def tune(
    data: Any,
    folder: str | Path,
    *,
    axes: str | None = None,
    family: str | Family = "vanilla",
    networks: Sequence[str | Builder] | None = None,
    tile: Sequence[int] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    trials: int = 20,
    time_budget: float | str | None = None,
    steps: int | None = None,
    final_budget: float | str | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    validation: float = 0.1,
    missing: Literal["refuse", "fill"] = "refuse",
    report: str | Path | None = None,
    progress: bool | Monitor = True,
    device: str = "auto",
    **fidelity: Unpack[FidelityOptions],
) -> Tuned:
    """Search for the settings that make held-out data smallest at the fidelity asked for; the arguments are those of `train`.

    Args:
        folder: where tune.db is kept; a search that is there goes on if its settings are the same.
        ranges: (low, high) of what is searched: any of width, depth, latents, learning_rate, distortion_weight; by default
            those that the networks have, see `RANGES`.
        trials: how many there are to be in the end, earlier ones included.
        time_budget, steps: of each trial; 2 minutes if neither is given.
        final_budget: train the best settings for so long afterwards.

    Ctrl-C ends the search; what is finished stays. Raises UsageError, as `train` does.
    """
    if time_budget is None and steps is None:
        time_budget = 120.0
    seconds = None if time_budget is None else parse_duration(time_budget)
    settings = Settings(steps=steps, time_budget=seconds, seed=seed, device=device)
    plan, builders = prepare(data, axes, family, networks, tile, seed, validation, missing, fidelity, batch_size=batch_size)
    chosen = checked_ranges(ranges, [name for name, _ in builders])
    with joined(device_of(device, builders)) as world:
        if world.size > 1:
            raise UsageError(f"a search runs in one process, not {world.size}; start it without torchrun")
        search = _Search(plan, builders, settings, chosen, Path(folder), progress, world)
        while search.finished < trials and search.one():
            pass
        results = search.results()
        best = results[0].settings if results and results[0].bits is not None else {}
        if final_budget is None or not best or search.interrupted:
            return Tuned(results, best)
        length = replace(settings, steps=None, time_budget=parse_duration(final_budget))
        model, done, final = search.final(best, length)
    if report is not None:
        write(measure(model, plan.closed, plan.data, plan.fidelity, record_of(done, final)), report)
    return Tuned(results, best, model)


def checked_ranges(ranges: Mapping[str, tuple[float, float]] | None, networks: list[str]) -> dict[str, tuple[float, float]]:
    """The ranges given, or the defaults for these networks; UsageError for unknown names and bounds that do not rise."""
    if ranges is None:
        return {name: RANGES[name] for name in (_OF_PREDICTORS if networks == ["predictor"] else RANGES)}
    for name, (low, high) in ranges.items():
        if name not in RANGES:
            raise UsageError(f"cannot search for {name!r}; use {', '.join(RANGES)}")
        if not 0 < low <= high or (name in _WHOLE and (low != int(low) or high != int(high))):
            whole = "whole " if name in _WHOLE else ""
            raise UsageError(f"range {low:g} to {high:g} of {name} must be of {whole}numbers above 0 that rise")
    if not ranges:
        raise UsageError("nothing to search for: ranges is empty")
    return dict(ranges)


class _Search:
    """One study and what its trials have in common."""

    def __init__(
        self,
        plan: Plan,
        builders: list[tuple[str, Builder]],
        settings: Settings,
        ranges: dict[str, tuple[float, float]],
        folder: Path,
        progress: bool | Monitor,
        world: World,
    ) -> None:
        self.plan, self.builders, self.settings, self.ranges, self.world = plan, builders, settings, ranges, world
        self.folder, self.progress, self.interrupted = folder, progress, False
        self.pieces = held_out(plan.data)
        self.study = self._opened()

    @property
    def finished(self) -> int:
        return len(self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))

    def _opened(self) -> optuna.Study:
        """The study of the folder, new or to go on with."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.RDBStorage(f"sqlite:///{(self.folder / DATABASE).resolve()}")
        study = optuna.create_study(storage=storage, study_name=STUDY, load_if_exists=True)
        names = [name for name, _ in self.builders]
        ranges = {name: list(bounds) for name, bounds in self.ranges.items()}
        record = {"run": self.settings.to_json(), "plan": self.plan.settings(), "networks": names, "ranges": ranges}
        before = study.user_attrs.get("settings")
        if before is not None and before != record:
            lines = "; ".join(differences(before, record)[:6])
            raise UsageError(
                f"{self.folder / DATABASE} is a search with other settings: {lines}; give the same ones, or another folder"
            )
        study.set_user_attr("settings", record)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)  # of a process that is gone
        # Seeded by how far the search is: one that goes on does not propose the same again.
        study.sampler = optuna.samplers.TPESampler(seed=self.settings.seed + len(study.get_trials(deepcopy=False)))
        scores_compare = "distortion_weight" not in self.ranges  # it changes what the score means
        pruner = optuna.pruners.MedianPruner(_STARTERS, _WARMUP) if scores_compare else optuna.pruners.NopPruner()
        study.pruner = pruner
        return study

    def one(self) -> bool:
        """Run one more trial; False if the search is to end."""
        trial = self.study.ask()
        values = {name: self._proposed(trial, name) for name in self.ranges}
        start = time.monotonic()
        try:
            with Monitors(self.progress, None, f"trial {trial.number}") as monitors:
                plan, done = self._run(values, self.settings, self._watched(trial, monitors), Keeping())
        except optuna.TrialPruned:
            trial.set_user_attr("seconds", time.monotonic() - start)
            self.study.tell(trial, state=TrialState.PRUNED)
            return True
        except BaseException:
            self.study.tell(trial, state=TrialState.FAIL)
            raise
        if any(outcome.reason == "interrupted" for _, outcome in done):
            self.study.tell(trial, state=TrialState.FAIL)
            self.interrupted = True
            return False
        bits = bits_per_value(plan.start, self.pieces, **asked_fidelity(plan.fidelity, plan.data))
        trial.set_user_attr("seconds", time.monotonic() - start)
        trial.set_user_attr("model_bytes", len(plan.start.stored))
        self.study.tell(trial, bits)
        return True

    def final(self, values: dict[str, float], settings: Settings) -> tuple[Model, Ended, Plan]:
        """The best settings at full length."""
        plan, done = self._run(values, settings, self.progress, Keeping(self.folder / "final"))
        return plan.start, done, plan

    def _run(self, values: dict[str, float], settings: Settings, progress: bool | Monitor, keeping: Keeping) -> tuple[Plan, Ended]:
        shape: dict[str, Any] = {name: value for name, value in values.items() if name != "learning_rate"}
        rate = values.get("learning_rate")
        plan = replace(self.plan, **shape)
        return train_networks(plan, self.builders, settings, rate, self.world, keeping, Telling(progress))

    def _proposed(self, trial: Trial, name: str) -> float:
        low, high = self.ranges[name]
        if name in _WHOLE:
            return trial.suggest_int(name, int(low), int(high), log=name != "depth")
        return trial.suggest_float(name, low, high, log=True)

    def _watched(self, trial: Trial, told: Monitor) -> Monitor:
        """Report a validation of each part of the run, where there is one network, and stop what is hopeless."""
        seen = [0]

        def watch(snapshot: Snapshot) -> None:
            told(snapshot)
            part = math.floor(_PARTS * snapshot.progress + 1e-9)
            if snapshot.fresh and len(self.builders) == 1 and part > seen[-1]:
                seen.append(part)
                trial.report(snapshot.validation["score"], part)
                if trial.should_prune():
                    raise optuna.TrialPruned

        return watch

    def results(self) -> list[TrialResult]:
        """All that ended, the best first."""
        found = [_result(t) for t in self.study.get_trials(deepcopy=False) if t.state.is_finished()]
        return sorted(found, key=lambda r: (r.bits is None, r.bits or 0.0, r.number))


def _result(trial: FrozenTrial) -> TrialResult:
    states = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}
    state = states.get(trial.state, "failed")
    bits = trial.value if state == "complete" else None
    about = trial.user_attrs
    return TrialResult(trial.number, state, bits, about.get("model_bytes"), about.get("seconds", 0.0), dict(trial.params))
