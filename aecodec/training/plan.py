"""What a run is to make, and from what: data, fidelity, the closed form to begin with, and who builds networks on it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from aecodec.canonical import fill_missing
from aecodec.codec.model import Model
from aecodec.errors import UsageError
from aecodec.fidelity import Fidelity
from aecodec.models.fit import fit_linear
from aecodec.training.data import TrainingData
from aecodec.training.families import Family
from aecodec.training.objective import Objective

_PICTURE, _PICTURES = 128, 64  # of crops, where pictures differ in size
_SLAB_VALUES = 1 << 21


@dataclass(frozen=True)
class Plan:
    """Handed to whoever builds an objective.

    `errors`: largest absolute error of each channel, float64, or None if no bound is asked for; 0.5 for lossless integers.
    `closed`: the closed form. `start`: the model so far, that at first. `tile`: (steps, channels, rows, columns). What is None
    is the objective's to choose. `batch_size`: of this process.
    """

    data: TrainingData
    fidelity: Fidelity
    errors: np.ndarray | None
    closed: Model
    start: Model
    family: Family
    seed: int = 0
    tile: tuple[int, int, int, int] | None = None
    width: int | None = None
    depth: int | None = None
    latents: int | None = None
    batch_size: int | None = None
    distortion_weight: float | None = None

    def settings(self) -> dict[str, Any]:
        """What a checkpoint must have been made with."""
        errors = None if self.errors is None else self.errors.tolist()
        return {
            "data": self.data.fingerprint,
            "fidelity": self.fidelity.to_json(),
            "errors": errors,
            "start": self.start.id,
            "family": self.family.settings(),
            "seed": self.seed,
            "tile": None if self.tile is None else list(self.tile),
            "width": self.width,
            "depth": self.depth,
            "latents": self.latents,
            "batch_size": self.batch_size,
            "distortion_weight": self.distortion_weight,
        }


Builder = Callable[[Plan], Objective]


def allowed_errors(fidelity: Fidelity, data: TrainingData) -> tuple[Fidelity, np.ndarray | None]:
    """The fidelity with the data's range, if it needs one, and the largest error of each channel, None without a bound."""
    if fidelity.needs_range:
        picture = data.dtype == np.uint8 and fidelity.kind in ("psnr", "quality")
        low, high = (np.zeros(data.channels), np.full(data.channels, 255.0)) if picture else (data.low, data.high)
        fidelity = fidelity.with_ranges(low, high)
    if fidelity.kind == "max_point_error":
        raise UsageError("networks are not trained for max_point_error; train for max_error or max_range_error instead")
    errors = fidelity.allowed_errors(data.channels)
    if errors is None and fidelity.kind == "lossless" and data.dtype.kind in "iu":
        return fidelity, np.full(data.channels, 0.5)
    if errors is not None and not errors.all():
        if data.dtype.kind not in "iu":
            raise UsageError(
                "an error bound of 0 leaves networks nothing to predict; give a larger one, or lossless=True for integers"
            )
        errors = np.maximum(errors, 0.5)
    return fidelity, errors


def closed_form(data: TrainingData, errors: np.ndarray | None, tile: tuple[int, int, int, int] | None, seed: int) -> Model:
    """The linear model of the training pieces, which `aecodec.fit` would give."""
    fields = data.grid is not None and "t" in data.axes

    def slabs() -> Any:
        if data.grid is None:
            size = min(_PICTURE, *(n for piece in data.training.pieces for n in piece.shape[2:]))
            yield from data.training.crops(np.random.default_rng([seed, 4]), _PICTURES, (1, size, size))
            return
        for piece in data.training.pieces:
            step = max(1, _SLAB_VALUES * len(piece) // piece.size)
            for start in range(0, len(piece), step):
                slab = np.ascontiguousarray(piece[start : start + step])
                yield fill_missing(slab)

    parts = slabs()
    if data.grid is not None and len({piece.shape[1:] for piece in data.training.pieces}) > 1:  # a picture cut along its rows
        parts = (data.training.pieces[int(np.argmax([piece.size for piece in data.training.pieces]))],)
    return Model(fit_linear(parts, errors, data.axes, reference=None if fields else False, tile=tile, seed=seed).bundle)


def builder_of(network: str | Builder) -> tuple[str, Builder]:
    """Name and builder of a network: "predictor", "autoencoder", "restorer", or a function of one's own."""
    if callable(network):
        return getattr(network, "__name__", "network"), network
    if network not in BUILDERS:
        raise UsageError(f"networks={network!r} is unknown; use {', '.join(BUILDERS)}")
    return network, BUILDERS[network]


def _autoencoder(plan: Plan) -> Objective:
    from aecodec.training.family_objective import FamilyObjective

    return FamilyObjective(plan)


def _predictor(plan: Plan) -> Objective:
    from aecodec.training.predictor_plan import planned_predictor

    return planned_predictor(plan)


def _restorer(plan: Plan) -> Objective:
    from aecodec.training.restorer_objective import RestorerObjective

    return RestorerObjective(plan)


BUILDERS: dict[str, Builder] = {  # in the order of their training
    "autoencoder": _autoencoder,
    "predictor": _predictor,
    "restorer": _restorer,
}
RATES = {"autoencoder": 1.5e-3, "predictor": 4e-3, "restorer": 2e-3}  # peak learning rates; 1e-3 for others
