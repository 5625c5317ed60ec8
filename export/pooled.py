"""A predictor of all of a recipe's data, alone or beside an autoencoder."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.axes import parse_axes
from aecodec.canonical import ArraySpec
from aecodec.models.bundle import Bundle
from aecodec.training.checkpoint import Checkpoint
from aecodec.training.config import Settings, parse_duration
from aecodec.training.loop import run
from aecodec.training.monitor import Monitors
from aecodec.training.outcome import seed_all
from aecodec.training.plan import RATES
from aecodec.training.pooled_predictor import PooledObjective, PooledSet, fit_pooled
from aecodec.training.predictor_network import NetworkShape
from aecodec.training.predictor_objective import FIELD_SHAPE, SERIES_SHAPE
from export.data import Loaded, LoadedSet
from export.recipe import Recipe

NAME = "pooled predictor"


def with_pooled(
    bundle: Bundle | None, recipe: Recipe, table: Mapping[str, Any], loaded: Loaded, work: Path, say: Callable[[str], None]
) -> Bundle:
    """`bundle` with the predictor that is fitted or trained, or a model that only predicts."""
    sets = [_set(each) for each in loaded.sets]
    low, high = table["shares"]
    if table.get("linear"):
        begun = time.process_time()
        predicting, bits = fit_pooled(sets, recipe.axes, (low, high), recipe.seed)
        worked = round(time.process_time() - begun, 1)
        say(f"{NAME}: linear, {worked} s; bits per value {', '.join(f'{name} {each:.3f}' for name, each in bits.items())}")
        about = {"shares": [low, high], "core_seconds": worked, "bits_per_value": {k: round(v, 4) for k, v in bits.items()}}
        return _joined(bundle, predicting, {NAME: about})
    settings = Settings(
        steps=table.get("steps"),
        time_budget=parse_duration(table["time_budget"]) if "time_budget" in table else None,
        learning_rate=table.get("learning_rate", RATES["predictor"]),
        seed=recipe.seed,
        device="cpu",
    )
    series = all(array.shape[2] == array.shape[3] == 1 for each in sets for array in each.train)
    usual = SERIES_SHAPE if series else FIELD_SHAPE
    shape = NetworkShape(table.get("width", usual.width), usual.kernels[:1] * table.get("depth", len(usual.kernels)))
    seed_all(recipe.seed)
    objective = PooledObjective(sets, recipe.axes, (low, high), shape, recipe.seed)
    about = {"shares": [low, high], "width": shape.width, "kernels": [list(kernel) for kernel in shape.kernels]}
    checkpoint = Checkpoint(work / f"{recipe.name}.predictor", {**settings.to_json(), **about, "data": loaded.facts})
    begun = time.process_time()
    with Monitors(True, work / f"{recipe.name}.log", f"training {NAME}") as monitors:
        outcome = run(objective, settings, checkpoint=checkpoint, monitor=monitors)
    worked = round(time.process_time() - begun, 1)
    predicting = objective.export()
    untrained = outcome.history[0]["score"]
    about |= {"steps": outcome.step, "core_seconds": worked, "ended": outcome.reason, "score": outcome.best["score"]}
    say(f"{NAME}: {outcome.step} steps in {worked} s; score {untrained:.4f} before, {outcome.best['score']:.4f} now")
    return _joined(bundle, predicting, {NAME: {**about, "untrained_score": untrained}})


def _joined(bundle: Bundle | None, predicting: Bundle, about: Mapping[str, Any]) -> Bundle:
    """The predictor in the bundle that there is, or as it is; and what is to be known of it."""
    provenance = {**predicting.manifest.provenance, **about}
    if bundle is None:
        return replace(predicting, manifest=replace(predicting.manifest, provenance=provenance)).sealed()
    manifest = replace(
        bundle.manifest, predictor=predicting.manifest.predictor, provenance={**bundle.manifest.provenance, **provenance}
    )
    return replace(bundle, manifest=manifest, predictor=predicting.predictor).sealed()


def _set(loaded: LoadedSet) -> PooledSet:
    arrays = [each for each in loaded.training if isinstance(each, np.ndarray)]
    train, held = ([_canonical(array, loaded.axes) for array in part] for part in (arrays, loaded.held_out))
    return PooledSet(loaded.path, train, held)


def _canonical(array: np.ndarray, axes: str) -> np.ndarray:
    return ArraySpec(array.dtype, parse_axes(axes, array.ndim), array.shape).to_canonical(array)
