"""From a recipe to a file that ships: data, training, checks, measures, provenance, the bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aecodec
from aecodec.models.bundle import Bundle
from export import data
from export.checks import check_bundle, check_files, check_size
from export.errors import ExportError
from export.measuring import measure
from export.provenance import described
from export.recipe import Recipe
from export.restoring import restored
from export.training import noted, trained

SHIPPED = Path(aecodec.__file__).parent / "models"


@dataclass(frozen=True)
class Settings:
    """`work`: where training keeps checkpoint and result; `from_model`: what came of it before; `output`: None to check only."""

    folder: Path
    work: Path
    output: Path | None = SHIPPED
    from_model: Path | None = None
    overwrite: bool = False


def run(recipe: Recipe, settings: Settings, say: Callable[[str], None] = print) -> Bundle:
    """All stages in turn; ExportError, and nothing written, if one of them fails. Returns the bundle as it ships."""
    target = settings.output / f"{recipe.name}.aecm" if settings.output is not None else None
    if target is not None and target.exists() and not settings.overwrite:
        raise ExportError(f"{target.name} is there already; pass --force to replace it")
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)  # now, not after hours of training
    loaded = data.load(recipe, settings.folder)
    say(f"data: {len(loaded.training)} arrays to train on, {len(loaded.held_out)} held out")
    bundle = _trained(recipe, loaded, settings, say)
    shown = check_bundle(bundle)
    for name, found in shown["exact"].items():
        say(f"exact: {name}, {found}")
    say(f"the same bits by {shown['executors']}")
    for part in loaded.sets:
        check_files(bundle, part.held_out, part.axes, recipe.measure)
    say(f"files of {len(recipe.measure)} fidelities decode to the same bits by every executor")
    metrics = _measured(bundle, recipe, loaded)
    for each in metrics:
        say(f"held out: {', '.join(f'{key} {value}' for key, value in each.items())}")
    about = {"name": recipe.name, "sha256": recipe.digest, "seed": recipe.seed}
    finished = described(bundle, recipe.suits, {"recipe": about, "data": loaded.facts, "checks": shown, "metrics": metrics})
    check_size(finished)  # what was added counts, too
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        finished.save(target, overwrite=settings.overwrite)
        say(f"{target.name}: {target.stat().st_size} bytes, {finished.id}")
    return finished


def _measured(bundle: Bundle, recipe: Recipe, loaded: data.Loaded) -> list[dict[str, Any]]:
    """Of all that was held out, or, where sets differ in kind, of each."""
    model = aecodec.Model(bundle, "cpu")
    if recipe.predictor is None:
        return measure(model, loaded.held_out, recipe.axes, recipe.measure) + restored(model, loaded.held_out, recipe.axes)
    found = []
    for part in loaded.sets:
        found += [{"data": part.path, **each} for each in measure(model, part.held_out, part.axes, recipe.measure)]
    return found


def _trained(recipe: Recipe, loaded: data.Loaded, settings: Settings, say: Callable[[str], None]) -> Bundle:
    """The bundle that comes of training, or that came of it before; its provenance says how it was trained."""
    if settings.from_model is None:
        return trained(recipe, loaded, settings.work, say)
    say(f"training: skipped for {settings.from_model.name}")
    return noted(aecodec.load_model(settings.from_model, "cpu").bundle, "made before this export")
