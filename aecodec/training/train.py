"""`aecodec.training.train`: arrays of any kind in, a trained model out."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Unpack

from aecodec.api.options import FidelityOptions
from aecodec.codec.model import Model
from aecodec.training.checkpoint import Checkpoint
from aecodec.training.config import DEFAULT_BUDGET, Settings, parse_duration
from aecodec.training.distributed import World, joined
from aecodec.training.families import Family
from aecodec.training.loop import run
from aecodec.training.monitor import Monitor, Monitors
from aecodec.training.outcome import Outcome, seed_all
from aecodec.training.plan import RATES, Builder, Plan
from aecodec.training.prepare import device_of, prepare
from aecodec.training.report import measure, write


def train(
    data: Any,
    *,
    axes: str | None = None,
    family: str | Family = "vanilla",
    networks: Sequence[str | Builder] | None = None,
    tile: Sequence[int] | None = None,
    width: int | None = None,
    depth: int | None = None,
    latents: int | None = None,
    time_budget: float | str | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    distortion_weight: float | None = None,
    seed: int = 0,
    validation: float = 0.1,
    missing: Literal["refuse", "fill"] = "refuse",
    checkpoint: str | Path | None = None,
    resume: bool = True,
    report: str | Path | None = None,
    log_dir: str | Path | None = None,
    progress: bool | Monitor = True,
    device: str = "auto",
    **fidelity: Unpack[FidelityOptions],
) -> Model:
    """A model of `data` with trained networks; the closed form of `aecodec.fit` is where they begin.

    Args:
        data: arrays or files of one kind, as `open_data` takes them: an array, memory map, .npy, .aecz, zarr, a folder of
            images or arrays, any iterable of these; larger than memory if need be.
        axes: one letter per dimension of each array, as for `compress`.
        family: "vanilla", "sparse", "denoising", "variational", or one made with other settings; of autoencoders.
        networks: "predictor", "autoencoder", "restorer" or several, which then share the budget; or functions from a `Plan`
            to an objective. By default the predictor where an error bound is asked for, or integers are to be lossless, and the
            autoencoder otherwise.
        tile: (steps, channels, rows, columns) that an autoencoder sees at once.
        width, depth, latents: of the networks; None leaves them to the network.
        time_budget: "10m", "2h" or seconds, of training; 10 minutes if neither it nor `steps` is given.
        steps: of training; with both, what is used up first ends it.
        batch_size: of all processes together.
        learning_rate: the peak; None: what has served each network.
        distortion_weight: bits that an autoencoder gives for a squared error of one step.
        seed: of all that is random; on one CPU thread it fixes the model.
        validation: the share of the data that is held out.
        missing: "refuse" or "fill" what is not finite.
        checkpoint: a folder to resume from, if it holds a checkpoint of a run with the same settings, and to keep one in.
        resume: False starts over.
        report: a folder for report.json, report.txt and rate_distortion.png.
        log_dir: a folder for TensorBoard's log.
        progress: a bar or lines on standard error, or a function that is told each step's `Snapshot`.
        device: "auto", "cpu" or "cuda".
        fidelity: what the model is trained for; as for `compress`. A value range that is not given is the data's.

    Ctrl-C ends training after the step and still gives a usable model. Under torchrun every process calls this and gets the
    same model.

    Raises:
        UsageError: data or settings that cannot be trained with.
        TrainingError: nothing usable came of it.
    """
    start = time.monotonic()
    if time_budget is None and steps is None:
        time_budget = DEFAULT_BUDGET
    settings = Settings(
        steps=steps,
        time_budget=None if time_budget is None else parse_duration(time_budget),
        seed=seed,
        device=device,
    )
    shape = {"width": width, "depth": depth, "latents": latents, "distortion_weight": distortion_weight}
    plan, builders = prepare(data, axes, family, networks, tile, seed, validation, missing, fidelity, **shape)
    with joined(device_of(device, builders)) as world:
        plan = replace(plan, batch_size=None if batch_size is None else world.share(batch_size))
        told = Telling(progress if world.main else False, log_dir if world.main else None)
        keeping = Keeping(None if checkpoint is None else Path(checkpoint), resume)
        plan, done = train_networks(plan, builders, settings, learning_rate, world, keeping, told, start)
        if report is not None and world.main:
            write(measure(plan.start, plan.closed, plan.data, plan.fidelity, record_of(done, plan)), report)
        return plan.start


@dataclass(frozen=True)
class Keeping:
    """Where checkpoints are kept, if anywhere, and whether to go on from there."""

    folder: Path | None = None
    resume: bool = True


@dataclass(frozen=True)
class Telling:
    """Who is told of the progress."""

    progress: bool | Monitor = False
    log_dir: str | Path | None = None


Ended = list[tuple[str, Outcome]]


def train_networks(
    plan: Plan,
    builders: list[tuple[str, Builder]],
    settings: Settings,
    learning_rate: float | None,
    world: World,
    keeping: Keeping,
    telling: Telling,
    start: float | None = None,
) -> tuple[Plan, Ended]:
    """Train each network in turn, each with its share of steps and time, on top of the model before it.

    `start`: when, by `time.monotonic`, the time began that the first one is charged for. The plan comes back with the last model.
    """
    many = len(builders)
    part = replace(
        settings,
        steps=None if settings.steps is None else -(-settings.steps // many),
        time_budget=None if settings.time_budget is None else settings.time_budget / many,
    )
    done: Ended = []
    for name, build in builders:
        rate = RATES.get(name, settings.learning_rate) if learning_rate is None else learning_rate
        used = time.monotonic() - start if start is not None and not done else 0.0
        log = None if telling.log_dir is None else Path(telling.log_dir) / name
        with Monitors(telling.progress, log, f"training {name}") as monitors:
            plan, outcome = _train_one(name, build, plan, replace(part, learning_rate=rate), world, keeping, monitors, used)
        done.append((name, outcome))
        if outcome.reason == "interrupted":
            break
    return plan, done


def _train_one(
    name: str,
    build: Builder,
    plan: Plan,
    settings: Settings,
    world: World,
    keeping: Keeping,
    monitor: Monitor,
    used: float,
) -> tuple[Plan, Outcome]:
    """Train one network on top of the plan's model; the plan with the model that has it."""
    kept = None
    if keeping.folder is not None:
        kept = Checkpoint(keeping.folder / name, {**settings.to_json(), "plan": plan.settings(), "processes": world.size})
        if keeping.resume:
            kept.read()  # refuse before a network is built
    seed_all(settings.seed)
    objective = build(plan)
    outcome = run(objective, settings, world=world, checkpoint=kept, resume=keeping.resume, monitor=monitor, used=used)
    bundle = objective.export()
    about = {"networks": [*plan.start.manifest.provenance.get("networks", []), name], "family": plan.family.settings()}
    trained = {
        "data": plan.data.fingerprint,
        "steps": outcome.step,
        "seed": settings.seed,
        "score": outcome.best["score"],
        "ended": outcome.reason,
    }
    provenance = {**plan.start.manifest.provenance, **bundle.manifest.provenance, **about, name: trained}
    sealed = replace(bundle, manifest=replace(bundle.manifest, provenance=provenance)).sealed()
    return replace(plan, start=Model(sealed)), outcome


def record_of(done: Ended, plan: Plan) -> dict[str, Any]:
    """The run, as reports keep it."""
    return {
        "networks": [name for name, _ in done],
        "family": plan.family.name,
        "steps": sum(outcome.step for _, outcome in done),
        "seconds": sum(outcome.seconds for _, outcome in done),
        "ended": ", ".join(_ENDS[outcome.reason] for _, outcome in done),
        "notes": [note for _, outcome in done for note in outcome.notes],
        "best": {f"{name} {key}" if len(done) > 1 else key: v for name, outcome in done for key, v in outcome.best.items()},
        "history": {name: outcome.history for name, outcome in done},
        "data": plan.data.about,
        "model": plan.start.id,
        "settings": plan.settings(),
    }


_ENDS = {
    "steps": "all steps done",
    "time": "time used up",
    "early": "stopped early",
    "diverged": "stopped by divergence",
    "interrupted": "interrupted",
}
