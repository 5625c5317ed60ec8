"""From what a caller says to a plan and the networks that it needs: data opened, the closed form fitted."""

from collections.abc import Sequence
from typing import Any, Literal

from aecodec.api.options import FidelityOptions
from aecodec.errors import UsageError
from aecodec.fidelity import fidelity_from_options
from aecodec.training.data import open_data
from aecodec.training.families import Family, family_of
from aecodec.training.plan import BUILDERS, Builder, Plan, allowed_errors, builder_of, closed_form
from aecodec.training.samples import Window


def prepare(
    data: Any,
    axes: str | None,
    family: str | Family,
    networks: Sequence[str | Builder] | None,
    tile: Sequence[int] | None,
    seed: int,
    validation: float,
    missing: Literal["refuse", "fill"],
    fidelity: FidelityOptions,
    **shape: Any,
) -> tuple[Plan, list[tuple[str, Builder]]]:
    """Open the data, fit the closed form and choose the networks; `shape`: other fields of the plan."""
    asked, kind = fidelity_from_options(**fidelity), family_of(family)
    four = None if tile is None else _tile(tile)
    builders = [builder_of(network) for network in networks or ()]
    order = list(BUILDERS)
    builders.sort(key=lambda named: order.index(named[0]) if named[0] in order else len(order))
    window: Window = (1, 1, 1) if four is None else (four[0], four[2], four[3])
    samples = open_data(data, axes, window=window, validation=validation, seed=seed, missing=missing)
    asked, errors = allowed_errors(asked, samples)
    builders = builders or [builder_of("predictor" if errors is not None else "autoencoder")]
    closed = closed_form(samples, errors, four, seed)
    return Plan(samples, asked, errors, closed, closed, kind, seed, four, **shape), builders


def device_of(device: str, builders: list[tuple[str, Builder]]) -> str:
    """Where to train: predictors code samples on the way, by numpy, and stay on the CPU."""
    if any(name == "predictor" for name, _ in builders):
        if device == "cuda":
            raise UsageError("predictors are trained on the CPU; use device='cpu' or 'auto'")
        return "cpu"
    return device


def _tile(tile: Sequence[int]) -> tuple[int, int, int, int]:
    if len(tile) != 4 or any(int(n) < 1 for n in tile):
        raise UsageError(f"tile={tuple(tile)} must be four sizes of 1 or more: steps, channels, rows, columns")
    a, b, c, d = (int(n) for n in tile)
    return a, b, c, d
