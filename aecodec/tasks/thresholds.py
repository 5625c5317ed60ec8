"""From scores of normal data to the score above which one is an anomaly: a quantile, or an extreme-value tail."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from aecodec.errors import UsageError

_LEAST_PEAKS = 10
_TAIL = 0.98  # quantile above which scores are peaks (Siffer et al. 2017)


@dataclass(frozen=True)
class Threshold:
    """Scores above `value` are anomalies. `method` and `about` say where it comes from."""

    value: float
    method: str
    about: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def quantile_threshold(scores: np.ndarray, quantile: float = 0.999, factor: float = 1.0) -> Threshold:
    """The `quantile` of normal scores (count,) times `factor`, which leaves room where they are few or drift."""
    scores = _checked(scores)
    if not 0 < quantile <= 1 or not factor > 0:
        raise UsageError(f"quantile={quantile} must be more than 0 and at most 1, factor={factor} more than 0")
    return Threshold(float(np.quantile(scores, quantile)) * factor, "quantile", {"quantile": quantile, "factor": factor})


def pot_threshold(scores: np.ndarray, risk: float = 1e-4, tail: float = _TAIL) -> Threshold:
    """The score that a normal one exceeds with probability `risk`, by peaks over threshold.

    Excesses over the `tail` quantile follow a generalised Pareto distribution (Pickands 1975; Balkema and de Haan 1974),
    fitted by maximum likelihood in one parameter (Grimshaw 1993), as in SPOT (Siffer et al., "Anomaly detection in streams with
    extreme value theory", KDD 2017). `scores` (count,): of normal data.
    """
    scores = _checked(scores)
    if not 0 < risk < 1 - tail or not 0 < tail < 1:
        raise UsageError(f"risk={risk} must be more than 0 and less than 1 - tail, which is {1 - tail:g}")
    initial = float(np.quantile(scores, tail))
    excesses = scores[scores > initial] - initial
    if excesses.size < _LEAST_PEAKS:
        needed = math.ceil(_LEAST_PEAKS / (1 - tail))
        raise UsageError(
            f"{scores.size} normal scores have {excesses.size} peaks over their {tail:g} quantile, {_LEAST_PEAKS} are needed: "
            f"give about {needed} of them, lower tail=, or use a quantile"
        )
    shape, scale = _fit_pareto(excesses)
    ratio = risk * scores.size / excesses.size
    beyond = scale / shape * (ratio**-shape - 1.0) if abs(shape) > 1e-9 else -scale * math.log(ratio)
    about = {"risk": risk, "tail": tail, "shape": shape, "scale": scale, "peaks": float(excesses.size)}
    return Threshold(initial + beyond, "pot", about)


def _checked(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, np.float64).reshape(-1)
    if not scores.size or not np.isfinite(scores).all():
        raise UsageError(f"a threshold is calibrated on finite scores of normal data, got {scores.size} scores, some not finite")
    return scores


def _fit_pareto(excesses: np.ndarray) -> tuple[float, float]:
    """Shape and scale: with theta = shape / scale, the shape is the mean of log(1 + theta * excess); theta is searched."""
    mean, largest = float(excesses.mean()), float(excesses.max())
    # From where the likelihood is bounded to tails far heavier than any that was seen, and the exponential one at 0.
    negative = -np.geomspace(1e-6, 1.0 - 1e-3, 200) / largest
    positive = np.geomspace(1e-6, 1e2, 400) / mean
    thetas = np.concatenate([negative, positive])
    shapes = np.log1p(thetas[:, None] * excesses).mean(axis=1)
    shapes = np.where(shapes == 0, 1e-12, shapes)
    likelihood = -excesses.size * (np.log(shapes / thetas) + shapes + 1.0)
    likelihood[shapes < -0.5] = -np.inf  # where maximum likelihood is not regular (Smith 1985)
    best = int(np.argmax(likelihood))
    if -excesses.size * (math.log(mean) + 1.0) >= likelihood[best]:
        return 0.0, mean
    return float(shapes[best]), float(shapes[best] / thetas[best])
