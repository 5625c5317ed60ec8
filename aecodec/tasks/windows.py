"""A detector for series: windows in which the level or the spread of a channel, or of a latent, is not as in normal windows.

Scores of single steps do not see a small change that lasts: each step is within the noise. The mean over a window is not, and
neither is the logarithm of the standard deviation within it; both are measured in standard deviations of normal windows.
"""

from typing import Any

import numpy as np

from aecodec.codec.model import Model
from aecodec.errors import UsageError
from aecodec.tasks.anomaly import top_channels
from aecodec.tasks.latent_space import LatentSpace
from aecodec.tasks.normal import Normal
from aecodec.tasks.pieces import step_pieces
from aecodec.tasks.results import Scores
from aecodec.tasks.smoothing import least_of_windows
from aecodec.tasks.thresholds import Threshold, pot_threshold, quantile_threshold

_FLAT = 1e-3  # of a normal standard deviation: the one within a window counts as no less
_LEAST = 1e-2  # standard deviation of a spread's logarithm, at least


class WindowDetector:
    """Scores windows of steps by levels and spreads of channels and of latents.

    Of channels: their errors of reconstruction; of latents: coordinates along their principal axes; each the mean over rows and
    columns. A window's score is the root mean square of all distances, in normal standard deviations; a step's is the least of the
    windows that hold it, so that it is anomalous only if all of them are. Memory holds these values of all steps.

    Args:
        model: of arrays of this kind, with its encoder.
        axes: as for `compress`; None takes the model's where they fit.
        keep: as for `AnomalyDetector`; 0 looks at the values themselves, less their mean.
        window: steps.
    """

    def __init__(self, model: Model, axes: str | None = None, *, keep: float | int | None = 0, window: int = 60) -> None:
        if window < 2:
            raise UsageError(f"window={window} must be 2 or more: it has a level and a spread")
        self.model, self.axes, self.keep, self.window = model, axes, keep, window
        self.threshold: Threshold | None = None
        self._normal: Normal | None = None

    def fit(self, normal: Any, *, calibrate: bool = True) -> "WindowDetector":
        """Learn what windows of `normal` (an array, an .aecz file's path or a Reader) look like and, by a quantile, a threshold.

        UsageError if there are fewer steps than two windows have.
        """
        pieces = step_pieces(normal, self.model, self.axes)
        self._normal = Normal(LatentSpace(self.model, pieces.spec.channels), self.keep).fit(pieces)
        seen = self._seen(normal)
        if len(seen) < 2 * self.window:
            raise UsageError(
                f"normal data of {len(seen)} step(s) for windows of {self.window}: at least {2 * self.window} steps are needed; "
                "give more, or window= fewer"
            )
        self._floor = np.square(_FLAT * seen.std(axis=0)) + 1e-300
        levels, spreads = self._statistics(seen)
        self._level_deviation = np.sqrt(np.maximum(np.square(levels).mean(axis=0), self._floor))
        self._spread_mean, self._spread_deviation = spreads.mean(axis=0), np.maximum(spreads.std(axis=0), _LEAST)
        if calibrate:
            self.calibrate(normal)
        return self

    def calibrate(
        self,
        normal: Any,
        method: str = "quantile",
        *,
        quantile: float = 0.999,
        factor: float = 4 / 3,
        risk: float = 1e-4,
        tail: float = 0.98,
    ) -> Threshold:
        """Set the threshold by windows of normal data: "quantile" times `factor` or "pot"; defaults as of SKAB's autoencoder."""
        if method not in ("quantile", "pot"):
            raise UsageError(f"method={method!r} is unknown; use 'quantile', or 'pot' for an extreme-value tail")
        scores = self.window_scores(normal)
        found = quantile_threshold(scores, quantile, factor) if method == "quantile" else pot_threshold(scores, risk, tail)
        self.threshold = found
        return found

    def score(self, data: Any) -> Scores:
        """Scores of the steps of `data`, in their order."""
        energy = self._energy(data)
        scores = least_of_windows(np.sqrt(energy.mean(axis=1)), self.window)
        middle = np.clip(np.arange(len(scores)) - self.window // 2, 0, len(energy) - 1)
        worst, shares = top_channels(energy[:, : self._fitted.spread.size])
        about = {"model": self.model.id, "window": self.window, "kept_latents": self._fitted.kept}
        return Scores(scores, worst[middle], shares[middle], "windows", "step", self.threshold, about)

    def window_scores(self, data: Any) -> np.ndarray:
        """Scores of the windows of `data`, by their first steps: float64 (steps - window + 1,)."""
        return np.asarray(np.sqrt(self._energy(data).mean(axis=1)))

    def _energy(self, data: Any) -> np.ndarray:
        """Squared distances, the mean of level's and spread's, float64 (windows, channels and latents)."""
        seen = self._seen(data)
        if len(seen) < self.window:
            raise UsageError(f"{len(seen)} step(s) hold no window of {self.window}; give more, or window= fewer")
        levels, spreads = self._statistics(seen)
        level = np.square(levels / self._level_deviation)
        return np.asarray((level + np.square((spreads - self._spread_mean) / self._spread_deviation)) / 2)

    def _statistics(self, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and logarithms of standard deviations of each window."""
        windows = np.lib.stride_tricks.sliding_window_view(seen, self.window, axis=0)
        return windows.mean(axis=2), 0.5 * np.log(np.maximum(windows.var(axis=2), self._floor))

    def _seen(self, data: Any) -> np.ndarray:
        """Errors of channels and coordinates of latents of each step, float64 (steps, channels + width)."""
        pieces = step_pieces(data, self.model, self.axes)
        normal, tile, each = self._fitted, self.model.manifest.tile, pieces.spec.steps_per_sample
        parts = []
        for piece in pieces:
            y = normal.space.encode(piece.x, piece.origin)
            errors = (piece.x - normal.reconstruct(y, piece)).mean(axis=(2, 3))
            steps, rows, columns = normal.space.grid(piece.shape)
            places = normal.project(y).reshape(steps, rows * columns, -1).mean(axis=1)
            both = np.concatenate([errors, places.repeat(tile[0], axis=0)[: len(errors)]], axis=1)
            parts.append(both.reshape(-1, each, both.shape[1]).mean(axis=1))
        return np.concatenate(parts)

    @property
    def _fitted(self) -> Normal:
        if self._normal is None:
            raise UsageError("the detector knows no normal data yet; call fit(normal) first")
        return self._normal
