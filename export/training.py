"""The training stage: aecodec.training.train with a recipe's settings, a predictor of all its data, and what torch says of both."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import aecodec
from aecodec.codec.model import Model
from aecodec.models.bundle import Bundle
from export.data import Loaded
from export.recipe import Recipe


def trained(recipe: Recipe, loaded: Loaded, work: Path, say: Callable[[str], None]) -> Bundle:
    """The bundle, which `work` keeps too, beside checkpoint, log and report; a run that was stopped goes on."""
    work.mkdir(parents=True, exist_ok=True)
    bundle = None
    objectives: list[Any] = []
    if recipe.train is not None:
        bundle = _autoencoder(recipe, recipe.train, loaded, work, objectives)
        say(f"training: {bundle.manifest.provenance['training']['seconds']} s")
    elif recipe.fit is not None:
        bundle = _closed_form(recipe, recipe.fit, loaded, say)
    if recipe.predictor is not None:
        from export.pooled import with_pooled  # torch, too

        bundle = with_pooled(bundle, recipe, recipe.predictor, loaded, work, say)
    assert bundle is not None  # as the recipe was checked
    kept = work / f"{recipe.name}.trained.aecm"
    bundle.save(kept, overwrite=True)
    say(f"training: kept as {kept}, for --from-model")
    compare(objectives, bundle, say)  # what comes of hours of training is kept whatever this finds
    return bundle


def _closed_form(recipe: Recipe, table: Mapping[str, Any], loaded: Loaded, say: Callable[[str], None]) -> Bundle:
    """Without the predictor that comes with it, which is of one channel's units."""
    arrays = [each for each in loaded.training if isinstance(each, np.ndarray)]
    begun = time.monotonic()
    bundle = aecodec.fit(_alike(arrays), recipe.axes, seed=recipe.seed, reference=False, **table).bundle
    say(f"closed form of {len(arrays)} arrays: {time.monotonic() - begun:.1f} s")
    return replace(bundle, manifest=replace(bundle.manifest, predictor=None), predictor=None).sealed()


def _alike(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Cut into pieces as large as the smallest, which `fit` asks for."""
    sizes = np.min([array.shape for array in arrays], axis=0)

    def pieces(array: np.ndarray) -> Iterator[np.ndarray]:
        for corner in np.ndindex(*(n // size for n, size in zip(array.shape, sizes, strict=True))):
            yield array[tuple(slice(i * size, (i + 1) * size) for i, size in zip(corner, sizes, strict=True))]

    return [piece for array in arrays for piece in pieces(array)]


def _autoencoder(recipe: Recipe, table: Mapping[str, Any], loaded: Loaded, work: Path, objectives: list[Any]) -> Bundle:
    """What is trained for it goes to `objectives`."""
    from aecodec.training import train  # torch, which the other stages do without

    settings = dict(table)
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
    return noted(model.bundle, {"seconds": seconds, **table, "fidelity": dict(recipe.fidelity)})


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
