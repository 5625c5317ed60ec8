"""SKAB by its authors' protocol: fit on each run's first 400 points, predict the rest, pool all 34 runs.

Settings are chosen by runs that are made of the anomaly-free recording, with changes put into them: no label is looked at. F1 is
of points; false alarms are a share of normal points, missed alarms of anomalous ones.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler
from tasks_rows import Row

import aecodec
from aecodec.tasks import AnomalyDetector, quantile_threshold
from aecodec.tasks.smoothing import smooth

TRAIN = 400
_RUN, _STRIDE = 1100, 400  # points of a run that is made, and from one to the next
_QUANTILE, _FACTOR, _WINDOW = 0.999, 4 / 3, 60  # those of SKAB's own convolutional autoencoder
_SET, _SECTION = "SKAB, 34 runs", "(a) anomalies"
_PUBLISHED = {  # F1, false and missed alarms in percent, from the notebooks of github.com/waico/SKAB
    "Conv-AE": (0.78, 13.55, 28.02),
    "MSET": (0.78, 39.73, 14.13),
    "PCA T2+Q": (0.76, 26.62, 24.92),
    "isolation forest": (0.29, None, None),
}
Run = tuple[np.ndarray, np.ndarray]
Scores = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """Of the detector."""

    kind: str
    keep: float | int | None
    window: int

    def __str__(self) -> str:
        kept = "" if self.keep is None else f", keep={self.keep}"
        return f"score={self.kind}{kept}, window={self.window}, threshold {_QUANTILE} quantile x {_FACTOR:.3g}"


_KINDS = (("latent", None), ("rate", 0.9), ("reconstruction", 1), ("reconstruction", 2), ("reconstruction", 0.9))
SETTINGS = [Setting(kind, keep, window) for (kind, keep), window in itertools.product(_KINDS, (20, _WINDOW))]


def run(data: Path, pictures: Path) -> list[Row]:
    """Choose, then measure once, beside scikit-learn's own and what was published."""
    folder = data / "series"
    made = list(made_runs(np.load(folder / "skab_anomaly_free.npy")))
    chosen = choose(made)
    runs = list(real_runs(folder))
    rows, same = [], f"window={chosen.window}, same threshold"
    for name, setting, make in (
        ("aecodec, chosen without labels", str(chosen), lambda x: _ours(chosen, x)),
        (
            "isolation forest",
            f"scikit-learn defaults, window={chosen.window}, {_QUANTILE} quantile: scores are bounded, no factor",
            lambda x: _forest(x, chosen.window),
        ),
        (
            "PCA reconstruction",
            f"scikit-learn, 85 % of variance, {same}",
            lambda x: _pca(x, chosen.window),
        ),
    ):
        rows += _rows(name, *measured(runs, make), setting)
    for name, values in _PUBLISHED.items():
        rows += _rows(name, *values, "as published", "github.com/waico/SKAB")
    _draw(runs, chosen, pictures / "tasks-anomalies.png")
    return rows


def choose(made: list[Run]) -> Setting:
    """The setting of the highest F1 on runs that were made."""
    found = {setting: measured(made, lambda x, s=setting: _ours(s, x))[0] for setting in SETTINGS}
    for setting, f1 in sorted(found.items(), key=lambda pair: -pair[1]):
        print(f"  on made runs F1 {f1:.3f}: {setting}", flush=True)
    return max(found, key=lambda setting: found[setting])


def made_runs(free: np.ndarray) -> Iterator[Run]:
    """Stretches of normal data whose middle half, after the part to train on, is changed: level, ramp, noise of some channels."""
    rng = np.random.default_rng(0)
    for start in range(0, len(free) - _RUN + 1, _STRIDE):
        x, y = free[start : start + _RUN].copy(), np.zeros(_RUN, bool)
        part = slice(TRAIN + (_RUN - TRAIN) // 4, TRAIN + 3 * (_RUN - TRAIN) // 4)
        y[part] = True
        spread, length = x[:TRAIN].std(axis=0), part.stop - part.start
        for channel in rng.choice(x.shape[1], rng.integers(1, x.shape[1] + 1), replace=False):
            size = rng.choice([-1, 1]) * rng.uniform(2, 6) * spread[channel]
            kind = rng.integers(3)
            if kind < 2:
                x[part, channel] += size if kind == 0 else size * np.minimum(1, np.arange(length) / 60)
            else:
                middle = x[part, channel].mean()
                x[part, channel] = middle + (x[part, channel] - middle) * rng.uniform(1.5, 4)
        yield x, y


def real_runs(folder: Path) -> Iterator[Run]:
    """The faulty runs with their labels."""
    x, labels, lengths = (np.load(folder / f"skab_faulty_{part}.npy") for part in ("x", "labels", "len"))
    edges = np.concatenate([[0], np.cumsum(lengths)])
    for start, stop in itertools.pairwise(edges.tolist()):
        yield x[start:stop], labels[start:stop, 0] > 0


def measured(runs: list[Run], make: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float, float]:
    """F1, and false and missed alarms in percent, of flags that `make` gives, on all points after the first 400."""
    hits = false = missed = quiet = 0
    for x, y in runs:
        flags, truth = make(x)[TRAIN:], y[TRAIN:]
        hits, false = hits + int((flags & truth).sum()), false + int((flags & ~truth).sum())
        missed, quiet = missed + int((~flags & truth).sum()), quiet + int((~flags & ~truth).sum())
    return 2 * hits / max(1, 2 * hits + false + missed), 100 * false / max(1, false + quiet), 100 * missed / max(1, hits + missed)


def _ours(setting: Setting, x: np.ndarray) -> np.ndarray:
    return _scored(setting, x).flags


def _scored(setting: Setting, x: np.ndarray) -> Any:
    detector = AnomalyDetector(
        _model(x[:TRAIN].tobytes(), x.shape[1]), setting.kind, "tc", keep=setting.keep, window=setting.window
    )
    detector.fit(x[:TRAIN], calibrate=False)
    detector.calibrate(x[:TRAIN], quantile=_QUANTILE, factor=_FACTOR)
    return detector.score(x)


@lru_cache(maxsize=64)
def _model(train: bytes, channels: int) -> aecodec.Model:
    """The closed form of a run's first points; kept, for several settings use it."""
    x = np.frombuffer(train, np.float32).reshape(-1, channels)
    return aecodec.fit(x, axes="tc", tile=(1, channels, 1, 1), reference=False, provider="cpu")


def _flags(scores: np.ndarray, window: int, factor: float = _FACTOR) -> np.ndarray:
    smoothed = smooth(scores, window)
    return np.asarray(smoothed > quantile_threshold(smooth(scores[:TRAIN], window), _QUANTILE, factor).value)


def _forest(x: np.ndarray, window: int) -> np.ndarray:
    forest = IsolationForest(random_state=0).fit(x[:TRAIN])
    return _flags(-forest.score_samples(x), window, 1.0)


def _pca(x: np.ndarray, window: int) -> np.ndarray:
    z = StandardScaler().fit(x[:TRAIN]).transform(x)
    pca = PCA(0.85).fit(z[:TRAIN])
    return _flags(np.linalg.norm(z - pca.inverse_transform(pca.transform(z)), axis=1), window)


def _rows(
    name: str, f1: float, false: float | None, missed: float | None, setting: str, source: str = "measured here"
) -> list[Row]:
    values = {"F1": f1, "false alarms, %": false, "missed alarms, %": missed}
    return [Row(_SECTION, _SET, name, k, v, None, setting, source) for k, v in values.items() if v is not None]


def _draw(runs: list[Run], setting: Setting, path: Path) -> None:
    from aecodec.tasks.plot import plot

    x, y = runs[0]
    plot(_scored(setting, x), path, f"SKAB, first run: {setting}", y)
