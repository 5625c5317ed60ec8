"""Nearest neighbours by latents over an archive that is never decoded whole: one piece in memory at a time."""

from typing import Any, Literal

import numpy as np

from aecodec.codec.model import Model
from aecodec.errors import UsageError
from aecodec.tasks.features import Pool, feature_pieces

Metric = Literal["cosine", "euclidean"]


def nearest(
    queries: Any,
    archive: Any,
    model: Model,
    k: int = 5,
    *,
    metric: Metric = "cosine",
    axes: str | None = None,
    pool: Pool = "sample",
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` samples of `archive` whose latents are nearest to those of each of `queries`, exactly, nearest first.

    queries, archive: arrays, paths of .aecz files or Readers. Returns (indices int64, distances float32), both (queries, k):
    places along the archive's rows of features; 1 - cosine, or Euclidean distance.
    """
    if metric not in ("cosine", "euclidean"):
        raise UsageError(f"metric={metric!r} is unknown; use cosine or euclidean")
    if k < 1:
        raise UsageError(f"k={k} must be 1 or more")
    wanted = np.concatenate([_ready(part, metric) for part in feature_pieces(queries, model, axes, pool)])
    found: np.ndarray = np.zeros((len(wanted), 0), np.int64)
    distances: np.ndarray = np.zeros((len(wanted), 0), np.float32)
    seen = 0
    for part in feature_pieces(archive, model, axes, pool):
        if part.shape[1] != wanted.shape[1]:
            raise UsageError(f"samples of the archive have {part.shape[1]} features, the queries {wanted.shape[1]}")
        here = _distances(wanted, _ready(part, metric), metric)
        places = np.broadcast_to(np.arange(seen, seen + len(part)), here.shape)
        seen += len(part)
        found, distances = (np.concatenate(pair, axis=1) for pair in ((found, places), (distances, here)))
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        found, distances = (np.take_along_axis(each, order, axis=1) for each in (found, distances))
    if seen < k:
        raise UsageError(f"k={k} neighbours are wanted of an archive of {seen} sample(s)")
    return found, distances


def _ready(part: np.ndarray, metric: Metric) -> np.ndarray:
    part = part.astype(np.float64)
    return part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-300) if metric == "cosine" else part


def _distances(queries: np.ndarray, part: np.ndarray, metric: Metric) -> np.ndarray:
    dots = queries @ part.T
    if metric == "cosine":
        return np.asarray(1.0 - dots, np.float32)
    squares = np.square(queries).sum(axis=1)[:, None] + np.square(part).sum(axis=1) - 2.0 * dots
    return np.sqrt(np.maximum(squares, 0.0)).astype(np.float32)
