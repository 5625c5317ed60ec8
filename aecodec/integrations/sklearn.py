"""scikit-learn estimators: latents as features, and a detector of anomalies (extra `sklearn`).

make_pipeline(LatentTransformer(n_components=32), LogisticRegression()).fit(X, y)
LatentDetector(contamination=0.01).fit(X).predict(X_new)   # -1 for outliers, as scikit-learn has it
"""

import math
import numbers
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from aecodec.api.fitting import fit
from aecodec.codec.model import Model
from aecodec.errors import UsageError, require_extra
from aecodec.tasks.anomaly import AnomalyDetector
from aecodec.tasks.convolutional import fit_convolutional
from aecodec.tasks.features import features

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, OutlierMixin, TransformerMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    raise require_extra("scikit-learn", "sklearn", "an estimator in scikit-learn's style") from None

_FAMILIES = ("linear", "convolutional", "vanilla", "sparse", "denoising", "variational")


class _Modelled(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share: rows of X as samples of an array, and the model that is fitted on them or given."""

    family: str
    model: Model | None
    sample_shape: Sequence[int] | None
    axes: str | None
    time_budget: str | float
    random_state: Any

    def _samples(self, x: np.ndarray) -> np.ndarray:
        """Rows -> the array that models see."""
        shape = self.sample_shape
        if shape is None:
            return x
        if math.prod(shape) != x.shape[1]:
            raise UsageError(f"sample_shape={tuple(shape)} has {math.prod(shape)} values, X has {x.shape[1]} features")
        return x.reshape(len(x), *shape)

    def _letters(self) -> str:
        if self.axes is not None:
            return self.axes
        usual = {1: "c", 2: "yx", 3: "cyx"}
        shape = self.sample_shape
        if shape is not None and len(shape) not in usual:
            raise UsageError(f"sample_shape={tuple(shape)}: name the axes, e.g. axes='tcyx'")
        return "t" + usual[1 if shape is None else len(shape)]

    def _checked(self, x: Any, reset: bool) -> np.ndarray:
        checked = validate_data(self, x, reset=reset, dtype=[np.float64, np.float32], ensure_min_samples=2 if reset else 1)
        return np.asarray(checked)

    def _fitted_model(self, x: np.ndarray, latents: int | None) -> Model:
        if self.model is not None:
            return self.model
        if self.family not in _FAMILIES:
            raise UsageError(f"family={self.family!r} is unknown; use {', '.join(_FAMILIES)}")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        array, letters = self._samples(x), self._letters()
        if self.family == "convolutional":
            return fit_convolutional(array, letters, latents=latents or 64, seed=seed)
        if self.family == "linear":
            tile = (1, x.shape[1], 1, 1) if letters == "tc" else None
            return fit(array, letters, tile=tile, reference=False, seed=seed)
        from aecodec.training import train

        given: dict[str, Any] = {
            "networks": ["autoencoder"],
            "time_budget": self.time_budget,
            "seed": seed,
            "progress": False,
            "quality": 75,
        }
        return train(array.astype(np.float32), axes=letters, family=self.family, **given)


class LatentTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _Modelled):  # type: ignore[misc]
    """Latents of an autoencoder as features; `inverse_transform` decodes them.

    Args:
        n_components: leading principal axes of the latents that are kept; None keeps all latents.
        family: "linear" (`aecodec.fit`, closed form), "convolutional" (images, closed form), or one that is trained for
            `time_budget`: "vanilla", "sparse", "denoising", "variational" (aecodec[train]).
        model: one that is there already; nothing is fitted but the axes.
        sample_shape: of a row of X as an array, e.g. (28, 28); None: a vector.
        axes: letters of X as an array of samples; None: "tc", "tyx" or "tcyx" by sample_shape.
        time_budget: of training.
        random_state: as scikit-learn has it.

    Attributes: `model_`, `mean_` (latents,), `components_` (n_components, latents), `n_features_in_`.
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        family: str = "linear",
        model: Model | None = None,
        sample_shape: Sequence[int] | None = None,
        axes: str | None = None,
        time_budget: str | float = "60s",
        random_state: Any = 0,
    ) -> None:
        self.n_components, self.family, self.model = n_components, family, model
        self.sample_shape, self.axes, self.time_budget, self.random_state = sample_shape, axes, time_budget, random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803  # scikit-learn's names
        """Fit the model, unless one is given, and the principal axes of its latents."""
        x = self._checked(X, reset=True)
        wanted = self.n_components
        if wanted is not None and not (isinstance(wanted, numbers.Integral) and wanted >= 1):
            raise UsageError(f"n_components={wanted!r} must be a whole number of 1 or more, or None")
        self.model_ = self._fitted_model(x, None if wanted is None else int(wanted))
        latents = self._latents(x).astype(np.float64)
        self.mean_ = latents.mean(axis=0)
        most = latents.shape[1]
        if wanted is not None and wanted > most:
            raise UsageError(f"n_components={wanted} of a model with {most} latents a sample; use at most {most}")
        if wanted is None:
            self.components_ = np.eye(most)
        else:
            _, _, axes = np.linalg.svd(latents - self.mean_, full_matrices=wanted > min(latents.shape))
            signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
            self.components_ = (axes * np.where(signs == 0, 1.0, signs)[:, None])[:wanted]
        self._n_features_out = len(self.components_)
        return self

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """Rows of values -> rows of features, in the dtype of X."""
        check_is_fitted(self)
        x = self._checked(X, reset=False)
        return np.asarray((self._latents(x) - self.mean_) @ self.components_.T, x.dtype)

    def inverse_transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """Rows of features -> rows of values that they decode to, in the dtype of X."""
        check_is_fitted(self)
        found = np.asarray(X)
        if found.ndim != 2 or found.shape[1] != self._n_features_out:
            raise UsageError(f"features of shape {found.shape} given, (samples, {self._n_features_out}) expected")
        latents = found.astype(np.float64) @ self.components_ + self.mean_
        shape = (len(found), *(self.sample_shape or (self.n_features_in_,)))
        grid = self.model_.tiling(_canonical_shape(shape, self._letters())).grid
        values = self.model_.decode(_to_grid(latents, grid, self.model_.manifest.latents), shape=shape, axes=self._letters())
        return values.reshape(len(found), -1).astype(found.dtype if found.dtype.kind == "f" else np.float64)

    def _latents(self, x: np.ndarray) -> np.ndarray:
        return features(self._samples(x), self.model_, self._letters())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class LatentDetector(OutlierMixin, _Modelled):  # type: ignore[misc]
    """Outliers by `aecodec.tasks.AnomalyDetector`: scores are its own, with the sign turned, since scikit-learn's fall.

    Args:
        kind: of score: "latent", "reconstruction" or "rate".
        contamination: the share of training samples to lie beyond the threshold, more than 0 and at most 0.5.
        keep: what reconstruction keeps of the latents; see `AnomalyDetector`.
        family, model, sample_shape, axes, time_budget, random_state: as for `LatentTransformer`.

    Attributes: `model_`, `offset_`, `n_features_in_`.
    """

    def __init__(
        self,
        kind: str = "latent",
        *,
        contamination: float = 0.01,
        keep: float | int | None = None,
        family: str = "linear",
        model: Model | None = None,
        sample_shape: Sequence[int] | None = None,
        axes: str | None = None,
        time_budget: str | float = "60s",
        random_state: Any = 0,
    ) -> None:
        self.kind, self.contamination, self.keep = kind, contamination, keep
        self.family, self.model, self.sample_shape, self.axes = family, model, sample_shape, axes
        self.time_budget, self.random_state = time_budget, random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Fit the model, unless one is given, and what normal samples look like."""
        x = self._checked(X, reset=True)
        if not 0 < self.contamination <= 0.5:
            raise UsageError(f"contamination={self.contamination} must be more than 0 and at most 0.5")
        self.model_ = self._fitted_model(x, None)
        self._detector = AnomalyDetector(self.model_, self.kind, self._letters(), keep=self.keep)
        self._detector.fit(self._samples(x), calibrate=False)
        self.offset_ = float(np.quantile(self._scores(x), self.contamination))
        return self

    def score_samples(self, X: Any) -> np.ndarray:  # noqa: N803
        """Minus the anomaly score, float64 (samples,): the more normal, the larger."""
        check_is_fitted(self)
        return self._scores(self._checked(X, reset=False))

    def decision_function(self, X: Any) -> np.ndarray:  # noqa: N803
        """`score_samples` less `offset_`: negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """1 for normal samples, -1 for outliers."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return -self._detector.score(self._samples(x)).scores


def _canonical_shape(shape: tuple[int, ...], letters: str) -> tuple[int, int, int, int]:
    from aecodec.axes import parse_axes

    a, b, c, d = parse_axes(letters, len(shape)).canonical_shape(shape)
    return a, b, c, d


def _to_grid(latents: np.ndarray, grid: tuple[int, int, int, int], each: int) -> np.ndarray:
    """Rows of `features` -> latents on the tile grid, as `Model.decode` takes them."""
    steps, channels, rows, columns = grid
    return np.moveaxis(latents.reshape(steps, rows, columns, channels, each), 3, 1)
