"""Scores drawn: their course with threshold, events and changepoints, or a map of tiles."""

import os
from typing import Any

import numpy as np

from aecodec.errors import require_extra
from aecodec.tasks.results import Scores

_POINTS = 4000  # across a picture; of more, each column shows its least and largest


def plot(found: Scores, path: str | os.PathLike[str], title: str = "", labels: np.ndarray | None = None) -> None:
    """Write a picture (.png, .svg, .pdf). `labels` (steps,): what is known to be anomalous, as a band below."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise require_extra("matplotlib", "tasks", "a plot of scores") from None
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 3.5), layout="constrained")
    if found.per == "step":
        _draw_steps(axes, found, labels)
    else:
        _draw_tiles(figure, axes, found)
    axes.set_title(title or f"{found.kind} score")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_steps(axes: Any, found: Scores, labels: np.ndarray | None) -> None:
    x, y = _thinned(found.scores)
    axes.plot(x, y, linewidth=0.8, color="#21618c")
    if found.threshold is not None:
        axes.axhline(found.threshold.value, color="#c0392b", linewidth=1, linestyle="--", label="threshold")
        for event in found.events():
            axes.axvspan(event.start, event.stop, color="#e74c3c", alpha=0.2, linewidth=0)
        axes.legend(loc="upper left", fontsize=8)
    for at in found.changepoints():
        axes.axvline(at, color="#7f8c8d", linewidth=0.8, linestyle=":")
    if labels is not None:
        axes.fill_between(np.arange(len(labels)), 0, 0.04, where=labels > 0, transform=axes.get_xaxis_transform(), color="black")
    axes.set(xlabel="step", ylabel="score", xlim=(0, len(found.scores)))


def _draw_tiles(figure: Any, axes: Any, found: Scores) -> None:
    image = axes.imshow(found.scores.max(axis=0), interpolation="nearest")
    figure.colorbar(image, ax=axes, label="largest score of each tile")
    axes.set(xlabel="tile column", ylabel="tile row")


def _thinned(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if scores.size <= _POINTS:
        return np.arange(scores.size), scores
    edges = np.linspace(0, scores.size, _POINTS // 2, endpoint=False).astype(int)
    ends = np.stack([np.minimum.reduceat(scores, edges), np.maximum.reduceat(scores, edges)], axis=1)
    return edges.repeat(2), ends.reshape(-1)
