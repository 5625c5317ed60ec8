"""The detector: fitted and calibrated on normal data, then scores of anything, piece by piece."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from aecodec.codec.model import Model
from aecodec.errors import UsageError
from aecodec.tasks.latent_space import LatentSpace
from aecodec.tasks.normal import Normal
from aecodec.tasks.pieces import Piece, Pieces, checked, step_pieces
from aecodec.tasks.results import Scores
from aecodec.tasks.scoring import KINDS, Scorer
from aecodec.tasks.smoothing import METHODS, smooth
from aecodec.tasks.thresholds import Threshold, pot_threshold, quantile_threshold

_TOP = 3
Per = Literal["step", "sample", "tile"]


class AnomalyDetector:
    """Finds what a model's normal data do not look like. All from the model's ONNX graphs; memory stays at a piece and its scores.

    Args:
        model: of arrays of this kind, with its encoder.
        score: "reconstruction": error, each channel whitened by its normal spread; "latent": Mahalanobis distance of the
            latents, all channels of a place together; "rate": bits a value under the normal spreads, a likelihood.
        axes: as for `compress`; None takes the model's where they fit.
        per: "step" (the same as "sample": one score for each index of the stream axis: a time step of a series, an image of a
            set) or "tile" (one for each place of the tile grid, all channels together).
        keep: what reconstruction keeps of the normal latents: a share of their variance, a number of principal axes, or None:
            all of them if the model has fewer latents than values, else 0.9.
        window: steps over which scores are smoothed; 1 leaves them as they are.
        smoothing: "mean" around each step, or "least": the least of the means of all windows that hold the step, so that it is
            anomalous only if all of them are (as in SKAB's convolutional autoencoder).
    """

    def __init__(
        self,
        model: Model,
        score: str = "reconstruction",
        axes: str | None = None,
        *,
        per: Per = "step",
        keep: float | int | None = None,
        window: int = 1,
        smoothing: str = "mean",
    ) -> None:
        checks = {
            f"score={score!r} is unknown; use {', '.join(KINDS)}": score in KINDS,
            f"per={per!r} is unknown; use 'step' (or 'sample') or 'tile'": per in ("step", "sample", "tile"),
            f"window={window} must be 1 or more": window >= 1,
            f"smoothing={smoothing!r} is unknown; use {', '.join(METHODS)}": smoothing in METHODS,
            "window= smooths scores of steps; use per='step'": window == 1 or per != "tile",
        }
        for rule, holds in checks.items():
            if not holds:
                raise UsageError(rule)
        self.model, self.kind, self.axes = model, score, axes
        self.per = "tile" if per == "tile" else "step"
        self.keep, self.window, self.smoothing = keep, window, smoothing
        self.threshold: Threshold | None = None
        self._scorer: Scorer | None = None

    def fit(self, normal: Any, *, calibrate: bool = True) -> "AnomalyDetector":
        """Learn the spreads of `normal` data (an array, a path of an .aecz file or a Reader) and, by a quantile, a threshold."""
        pieces = self._pieces(normal)
        space = LatentSpace(self.model, pieces.spec.channels)
        self._scorer = Scorer(self.model, self.kind, Normal(space, self.keep).fit(pieces))
        if calibrate:
            self.calibrate(normal)
        return self

    def calibrate(
        self,
        normal: Any,
        method: str = "quantile",
        *,
        quantile: float = 0.999,
        factor: float = 1.0,
        risk: float = 1e-4,
        tail: float = 0.98,
    ) -> Threshold:
        """Set the threshold by scores of normal data, best of others than `fit` saw: "quantile" (times `factor`) or "pot"."""
        if method not in ("quantile", "pot"):
            raise UsageError(f"method={method!r} is unknown; use 'quantile', or 'pot' for an extreme-value tail")
        scores = self.score(normal).scores
        found = quantile_threshold(scores, quantile, factor) if method == "quantile" else pot_threshold(scores, risk, tail)
        self.threshold = found
        return found

    def score(self, data: Any) -> Scores:
        """Scores of `data`, in the order of its steps."""
        parts = list(self.score_pieces(data))
        energy, worst, shares = (np.concatenate(column) for column in zip(*parts, strict=True))
        if self.per == "step":
            energy = smooth(energy, self.window, self.smoothing)
        about = {"model": self.model.id, "window": self.window, "kept_latents": self._fitted.normal.kept}
        return Scores(energy, worst, shares, self.kind, self.per, self.threshold, about)

    def score_pieces(self, data: Any) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(scores, worst channels, their shares) of one piece after the other, not smoothed."""
        pieces = self._pieces(data)
        self._fitted  # noqa: B018  # say what is missing before anything is read
        for piece in pieces:
            yield self._summary(piece, pieces)

    def attributions(self, data: Any) -> Iterator[np.ndarray]:
        """Each channel's energy, float64 (steps, channels), of one piece after the other."""
        for piece in self._pieces(data):
            yield self._fitted(piece).mean(axis=(2, 3))

    def _summary(self, piece: Piece, pieces: Pieces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        energy = self._fitted(piece)
        if self.per == "step":
            each = pieces.spec.steps_per_sample
            energy = energy.mean(axis=(2, 3)).reshape(-1, each, energy.shape[1]).mean(axis=1)
        else:
            length = self.model.manifest.tile[0]
            edges = np.arange(0, len(energy), length)
            counts = np.diff([*edges.tolist(), len(energy)]).reshape(-1, 1, 1, 1)
            energy = np.moveaxis(np.add.reduceat(energy, edges, axis=0) / counts, 1, -1)
        worst, shares = top_channels(energy)
        return self._fitted.finish(energy.mean(axis=-1)), worst, shares

    @property
    def _fitted(self) -> Scorer:
        if self._scorer is None:
            raise UsageError("the detector knows no normal data yet; call fit(normal) first")
        return self._scorer

    def _pieces(self, data: Any) -> Pieces:
        if self.per == "step":
            return step_pieces(data, self.model, self.axes)
        return checked(Pieces(data, self.model, self.axes))


def top_channels(energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies (..., channels) -> the few that are largest, worst first, int32, and their shares of the sum, float32."""
    k = min(_TOP, energy.shape[-1])
    order = np.argsort(-energy, axis=-1, kind="stable")[..., :k]
    total = np.maximum(energy.sum(axis=-1, keepdims=True), 1e-300)
    return order.astype(np.int32), (np.take_along_axis(energy, order, axis=-1) / total).astype(np.float32)
