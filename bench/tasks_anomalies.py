"""SKAB by its authors' protocol: fit on each run's first 400 points, predict the rest, pool all 34 runs.

Settings are chosen by runs with changes put into them, made of the anomaly-free recording and of the runs' first 400 points: no label
is looked at. F1 is of points; false alarms are a share of normal points, missed alarms of anomalous ones.
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
_RUN, _STRIDE = 1100, 400  # points of a run that is made of the anomaly-free recording, and from one to the next
_HEAD = 150  # points to fit on of a run that is made of the first TRAIN of a real one
_DRAWS = 3  # of changes to each
_QUANTILE, _FACTOR, _WINDOW = 0.999, 4 / 3, 60  # those of SKAB's own convolutional autoencoder
_SET, _SECTION = "SKAB, 34 runs", "(a) anomalies"
_PUBLISHED = {  # F1, false and missed alarms in percent, from the notebooks of github.com/waico/SKAB
    "Conv-AE": (0.78, 13.55, 28.02),
    "MSET": (0.78, 39.73, 14.13),
    "PCA T2+Q": (0.76, 26.62, 24.92),
    "isolation forest": (0.29, None, None),
}
Run = tuple[np.ndarray, np.ndarray, int]  # values, labels, points to fit on
Flags = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """Of the detector."""

    kind: str
    keep: float | int | None
    window: int
    drift: bool = False

    def __str__(self) -> str:
        kept = "" if self.keep is None else f", keep={self.keep}"
        drift = ", drift" if self.drift else ""
        return f"score={self.kind}{kept}{drift}, window={self.window}, threshold {_QUANTILE} quantile x {_FACTOR:.3g}"


_KEPT = (0, 1, 2, 0.9)
_KINDS = [("latent", None, False), ("rate", 0.9, False), *itertools.product(("reconstruction",), _KEPT, (False, True))]
SETTINGS = [Setting(kind, keep, window, drift) for (kind, keep, drift), window in itertools.product(_KINDS, (20, _WINDOW))]


def run(data: Path, pictures: Path) -> list[Row]:
    """Choose, then measure once, beside scikit-learn's own and what was published."""
    folder = data / "series"
    runs = list(real_runs(folder))
    long, short = list(made_of_free(np.load(folder / "skab_anomaly_free.npy"))), list(made_of_heads(runs))
    chosen = choose(long, short)
    rows, same = [], f"window={chosen.window}, same threshold"
    for name, setting, make in (
        ("aecodec, chosen without labels", str(chosen), lambda x, n: _scored(chosen, x, n).flags),
        (
            "isolation forest",
            f"scikit-learn defaults, window={chosen.window}, {_QUANTILE} quantile: scores are bounded, no factor",
            lambda x, n: _forest(x, n, chosen.window),
        ),
        (
            "PCA reconstruction",
            f"scikit-learn, 85 % of variance, {same}",
            lambda x, n: _pca(x, n, chosen.window),
        ),
    ):
        rows += _rows(name, *measured(runs, make), setting)
    for name, values in _PUBLISHED.items():
        rows += _rows(name, *values, "as published", "github.com/waico/SKAB")
    _draw(runs, chosen, pictures / "tasks-anomalies.png")
    return rows


def choose(long: list[Run], short: list[Run]) -> Setting:
    """The setting of the highest F1 on runs that were made, the mean of both kinds."""
    found: dict[Setting, float] = {}
    for setting in SETTINGS:
        each = [measured(made, lambda x, n, s=setting: _scored(s, x, n).flags) for made in (long, short)]
        found[setting] = sum(f1 for f1, _, _ in each) / 2
        shown = "; ".join(f"F1 {f1:.3f}, false {false:.1f} %, missed {missed:.1f} %" for f1, false, missed in each)
        print(f"  made runs, long and short: {shown}: {setting}", flush=True)
    return max(found, key=lambda setting: found[setting])


def made_of_free(free: np.ndarray) -> Iterator[Run]:
    """Stretches of normal data as long as real runs, changed after their first 400 points."""
    for draw in range(_DRAWS):
        rng = np.random.default_rng(draw)
        yield from (_changed(free[at : at + _RUN], TRAIN, rng) for at in range(0, len(free) - _RUN + 1, _STRIDE))


def made_of_heads(runs: list[Run]) -> Iterator[Run]:
    """The first 400 points of real runs, which are those to fit on, changed after a part of them."""
    for draw in range(_DRAWS):
        rng = np.random.default_rng(draw)
        yield from (_changed(x[:TRAIN], _HEAD, rng) for x, _, _ in runs)


def _changed(x: np.ndarray, train: int, rng: np.random.Generator) -> Run:
    """The middle half of what follows the part to fit on is changed: level, ramp, noise of some channels."""
    x, y, rest = x.copy(), np.zeros(len(x), bool), len(x) - train
    part = slice(train + rest // 4, train + 3 * rest // 4)
    y[part] = True
    spread, length = x[:train].std(axis=0), part.stop - part.start
    for channel in rng.choice(x.shape[1], rng.integers(1, x.shape[1] + 1), replace=False):
        size = rng.choice([-1, 1]) * rng.uniform(2, 6) * spread[channel]
        kind = rng.integers(3)
        if kind < 2:
            x[part, channel] += size if kind == 0 else size * np.minimum(1, np.arange(length) / 60)
        else:
            middle = x[part, channel].mean()
            x[part, channel] = middle + (x[part, channel] - middle) * rng.uniform(1.5, 4)
    return x, y, train


def real_runs(folder: Path) -> Iterator[Run]:
    """The faulty runs with their labels."""
    x, labels, lengths = (np.load(folder / f"skab_faulty_{part}.npy") for part in ("x", "labels", "len"))
    edges = np.concatenate([[0], np.cumsum(lengths)])
    for start, stop in itertools.pairwise(edges.tolist()):
        yield x[start:stop], labels[start:stop, 0] > 0, TRAIN


def measured(runs: list[Run], make: Flags) -> tuple[float, float, float]:
    """F1, and false and missed alarms in percent, of flags that `make` gives, on all points after those to fit on."""
    hits = false = missed = quiet = 0
    for x, y, train in runs:
        flags, truth = make(x, train)[train:], y[train:]
        hits, false = hits + int((flags & truth).sum()), false + int((flags & ~truth).sum())
        missed, quiet = missed + int((~flags & truth).sum()), quiet + int((~flags & ~truth).sum())
    return 2 * hits / max(1, 2 * hits + false + missed), 100 * false / max(1, false + quiet), 100 * missed / max(1, hits + missed)


def _scored(setting: Setting, x: np.ndarray, train: int) -> Any:
    model = _model(x[:train].tobytes(), x.shape[1])
    detector = AnomalyDetector(model, setting.kind, "tc", keep=setting.keep, window=setting.window, drift=setting.drift)
    detector.fit(x[:train], calibrate=False)
    detector.calibrate(x[:train], quantile=_QUANTILE, factor=_FACTOR)
    return detector.score(x)


@lru_cache(maxsize=128)
def _model(train: bytes, channels: int) -> aecodec.Model:
    """The closed form of a run's first points; kept, for several settings use it."""
    x = np.frombuffer(train, np.float32).reshape(-1, channels)
    return aecodec.fit(x, axes="tc", tile=(1, channels, 1, 1), reference=False, provider="cpu")


def _flags(scores: np.ndarray, train: int, window: int, factor: float = _FACTOR) -> np.ndarray:
    smoothed = smooth(scores, window)
    return np.asarray(smoothed > quantile_threshold(smooth(scores[:train], window), _QUANTILE, factor).value)


def _forest(x: np.ndarray, train: int, window: int) -> np.ndarray:
    forest = IsolationForest(random_state=0).fit(x[:train])
    return _flags(-forest.score_samples(x), train, window, 1.0)


def _pca(x: np.ndarray, train: int, window: int) -> np.ndarray:
    z = StandardScaler().fit(x[:train]).transform(x)
    pca = PCA(0.85).fit(z[:train])
    return _flags(np.linalg.norm(z - pca.inverse_transform(pca.transform(z)), axis=1), train, window)


def _rows(
    name: str, f1: float, false: float | None, missed: float | None, setting: str, source: str = "measured here"
) -> list[Row]:
    values = {"F1": f1, "false alarms, %": false, "missed alarms, %": missed}
    return [Row(_SECTION, _SET, name, k, v, None, setting, source) for k, v in values.items() if v is not None]


def _draw(runs: list[Run], setting: Setting, path: Path) -> None:
    from aecodec.tasks.plot import plot

    x, y, train = runs[0]
    plot(_scored(setting, x, train), path, f"SKAB, first run: {setting}", y)
