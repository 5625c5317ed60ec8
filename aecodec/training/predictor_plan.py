"""A residual predictor's objective from a plan: sizes, lattice, and a fitted predictor to begin with."""

from dataclasses import replace

import numpy as np

from aecodec.codec.model import Model
from aecodec.errors import UsageError
from aecodec.training.plan import Plan
from aecodec.training.predictor_network import NetworkShape
from aecodec.training.predictor_objective import FIELD_SHAPE, SERIES_SHAPE, PredictorObjective, PredictorSettings


def planned_predictor(plan: Plan) -> PredictorObjective:
    """Of the plan's `width` and `depth` (hidden layers); values that are not finite are left out, as the codec leaves them out.

    UsageError without an error bound, or where the closed form has no predictor.
    """
    if plan.errors is None:
        raise UsageError(
            "a predictor needs an error bound: give max_error or max_range_error, or lossless=True for integers; "
            'or train networks=("autoencoder",)'
        )
    if plan.batch_size is not None:
        raise UsageError(f"batch_size={plan.batch_size}: predictors choose their batches themselves; leave it out")
    pieces, held = plan.data.training.pieces, plan.data.validation.pieces
    usual = SERIES_SHAPE if all(piece.shape[2] == 1 for piece in pieces) else FIELD_SHAPE
    width = usual.width if plan.width is None else plan.width
    depth = len(usual.kernels) if plan.depth is None else plan.depth
    if not (1 <= width <= 256 and 1 <= depth <= 16):
        raise UsageError(f"width={width} must be 1 to 256, depth={depth} 1 to 16")
    kernels = (usual.kernels + usual.kernels[-1:] * depth)[:depth]
    errors = np.floor(plan.errors) if plan.data.dtype.kind in "iu" else plan.errors
    settings = PredictorSettings(NetworkShape(width, kernels))
    return PredictorObjective(_with_fitted(plan.start, plan.closed), pieces, held, errors, settings, plan.seed)


def _with_fitted(model: Model, closed: Model) -> Model:
    """The model with the closed form's predictor, if it has none of its own."""
    if model.manifest.predictor is not None or closed.bundle.predictor is None:
        return model
    manifest = replace(model.manifest, predictor=closed.manifest.predictor)
    return Model(replace(model.bundle, manifest=manifest, predictor=closed.bundle.predictor).sealed())
