"""The training stage: aecodec.training.train with a recipe's settings, a predictor of all its data, and what torch says of both."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aecodec.codec.model import Model
from aecodec.models.bundle import Bundle
from export.data import Loaded
from export.recipe import Recipe


def trained(recipe: Recipe, loaded: Loaded, work: Path, say: Callable[[str], None]) -> Bundle:
    """The bundle, which `work` keeps too, beside checkpoint, log and report; a run that was stopped goes on."""
    work.mkdir(parents=True, exist_ok=True)
    bundle = _autoencoder(recipe, recipe.train, loaded, work, say) if recipe.train is not None else None
    if recipe.predictor is not None:
        from export.pooled import with_pooled  # torch, too

        bundle = with_pooled(bundle, recipe, recipe.predictor, loaded, work, say)
    assert bundle is not None  # as the recipe was checked
    kept = work / f"{recipe.name}.trained.aecm"
    bundle.save(kept, overwrite=True)
    say(f"training: kept as {kept}, for --from-model")
    return bundle


def _autoencoder(recipe: Recipe, table: Mapping[str, Any], loaded: Loaded, work: Path, say: Callable[[str], None]) -> Bundle:
    from aecodec.training import train  # torch, which the other stages do without

    settings = dict(table)
    objectives: list[Any] = []
    networks = [_watched(name, objectives) for name in settings.pop("networks")]
    begun = time.monotonic()
    model: Model = train(
        loaded.training,
        axes=recipe.axes,
        seed=recipe.seed,
        networks=networks,
        checkpoint=work / f"{recipe.name}.checkpoint",
        report=work / f"{recipe.name}.report",
        log_dir=work / f"{recipe.name}.log",
        **settings,
        **recipe.fidelity,
    )
    seconds = round(time.monotonic() - begun, 1)
    bundle = noted(model.bundle, {"seconds": seconds, **table, "fidelity": dict(recipe.fidelity)})
    say(f"training: {seconds} s")
    compare(objectives, bundle, say)
    return bundle


def noted(bundle: Bundle, training: Any) -> Bundle:
    """With `training` in its provenance, unless it says something of that itself."""
    provenance = {"training": training, **bundle.manifest.provenance}
    return replace(bundle, manifest=replace(bundle.manifest, provenance=provenance)).sealed()


def compare(objectives: Sequence[Any], bundle: Bundle, say: Callable[[str], None]) -> None:
    """Torch against ONNX Runtime for every autoencoder of tiles among what was trained; ExportError where they differ."""
    from aecodec.training.autoencoder import TileAutoencoder
    from export.torch_graphs import check_as_in_torch

    for objective in objectives:
        network = getattr(objective.module, "network", None)
        if isinstance(network, TileAutoencoder):
            say(f"the same by torch and by ONNX Runtime: {', '.join(check_as_in_torch(network, bundle))}")
        else:
            say(f"torch is not compared: {type(objective).__name__} has no autoencoder of tiles")


def _watched(name: str, objectives: list[Any]) -> Callable[[Any], Any]:
    """The builder of a network, which puts what it builds into `objectives`, too."""
    from aecodec.training.plan import builder_of

    _, build = builder_of(name)

    def watched(plan: Any) -> Any:
        objective = build(plan)
        objectives.append(objective)
        return objective

    watched.__name__ = name
    return watched
