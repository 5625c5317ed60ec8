"""A mixture of normal distributions fitted to latents by expectation maximisation, as large as held-out latents want it.

A density fitted after training makes better samples than the prior that training used: Ghosh et al., "From variational to
deterministic autoencoders" (2020).
"""

import math

import numpy as np

from aecodec.errors import UsageError
from aecodec.models.mixture import Mixture

_COMPONENTS = (1, 4, 16, 32)
_ROUNDS = 40
_HELD = 0.1
_LEAST = 1e-4  # of the latents' mean variance, added to each
_ROWS_PER_LATENT = 4  # that a component needs on average
_MOST_ROWS = 20000


def fit_mixture(latents: np.ndarray, seed: int = 0) -> Mixture:
    """Of latents (rows, L), float; UsageError if there are fewer than two rows."""
    if latents.ndim != 2 or len(latents) < 2:
        raise UsageError(f"a mixture is fitted to two or more rows of latents, got shape {latents.shape}")
    rng = np.random.default_rng(seed)
    y = latents[rng.permutation(len(latents))[:_MOST_ROWS]].astype(np.float64)
    held = max(1, round(_HELD * len(y)))
    most = max(1, (len(y) - held) // (_ROWS_PER_LATENT * y.shape[1]))
    found = [_fitted(y[held:] if len(y) > 2 else y, k, rng) for k in _COMPONENTS if k == 1 or k <= most]
    return max(found, key=lambda mixture: float(_log_densities(y[:held], mixture).mean()))


def _fitted(y: np.ndarray, count: int, rng: np.random.Generator) -> Mixture:
    least = _LEAST * max(float(y.var(0).mean()), 1e-30)
    shares = np.eye(count)[_nearest(y, _centres(y, count, rng))]
    mixture = _maximised(y, shares, least)
    for _ in range(_ROUNDS if count > 1 else 0):
        logs = _joint(y, mixture)
        shares = np.exp(logs - logs.max(1, keepdims=True))
        mixture = _maximised(y, shares / shares.sum(1, keepdims=True), least)
    return mixture


def _centres(y: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows far from each other (k-means++, Arthur and Vassilvitskii 2007)."""
    chosen = [y[int(rng.integers(len(y)))]]
    far = np.square(y - chosen[0]).sum(1)
    for _ in range(count - 1):
        total = float(far.sum())
        at = int(rng.choice(len(y), p=far / total)) if total > 0 else int(rng.integers(len(y)))
        chosen.append(y[at])
        far = np.minimum(far, np.square(y - y[at]).sum(1))
    return np.array(chosen)


def _nearest(y: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return np.asarray(np.argmin(np.square(centres).sum(1) - 2.0 * y @ centres.T, axis=1))


def _maximised(y: np.ndarray, shares: np.ndarray, least: float) -> Mixture:
    """The mixture of rows that belong to components by `shares` (rows, K)."""
    counts = shares.sum(0) + 1e-9
    means = (shares.T @ y) / counts[:, None]
    factors = []
    for k, mean in enumerate(means):
        centred = y - mean
        covariance = (centred * shares[:, k : k + 1]).T @ centred / counts[k]
        factors.append(np.linalg.cholesky(covariance + least * np.eye(y.shape[1])))
    return Mixture(counts / counts.sum(), means, np.array(factors))


def _joint(y: np.ndarray, mixture: Mixture) -> np.ndarray:
    """Logarithms of weight times density, (rows, K)."""
    parts = []
    for weight, mean, factor in zip(mixture.weights, mixture.means, mixture.factors, strict=True):
        white = np.linalg.solve(factor, (y - mean).T)
        scale = np.log(np.diag(factor)).sum() + 0.5 * y.shape[1] * math.log(2.0 * math.pi)
        parts.append(math.log(weight) - scale - 0.5 * np.square(white).sum(0))
    return np.array(parts).T


def _log_densities(y: np.ndarray, mixture: Mixture) -> np.ndarray:
    logs = _joint(y, mixture)
    most = logs.max(1)
    return np.asarray(most + np.log(np.exp(logs - most[:, None]).sum(1)))
