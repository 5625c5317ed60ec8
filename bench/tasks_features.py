"""Fashion-MNIST: logistic regression on latents against as many principal components of pixels, with all and with 100 labels.

Models are fitted on the training images without labels. Whether inputs of the regression are scaled, and how, was tried on the
training images alone, the last 5,000 held out: one common scale is best for both, and is what both get.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from tasks_rows import Row

from aecodec.tasks import features
from aecodec.tasks.convolutional import fit_convolutional

LATENTS = (32, 64)
_PER_CLASS, _DRAWS = 10, 20
_SET, _SECTION = "Fashion-MNIST, 30,000 + 10,000", "(b) features: accuracy, %"
Encode = Callable[[np.ndarray], np.ndarray]


def run(data: Path, pictures: Path, models: Mapping[str, str]) -> list[Row]:
    """Rows of both kinds of features at each number of latents."""
    x, y, test, expected = (np.load(data / "images" / f"fashion_{part}.npy") for part in ("train_x", "train_y", "test_x", "test_y"))
    rows: list[Row] = []
    for count in LATENTS:
        components = PCA(count, random_state=0).fit(x.reshape(len(x), -1))
        model = fit_convolutional(x, "tyx", latents=count)
        methods: dict[str, tuple[Encode, str]] = {
            f"principal components, {count}": (
                lambda a, c=components: c.transform(a.reshape(len(a), -1)),
                "PCA of pixels",
            ),
            f"convolutional model, {count} latents": (lambda a, m=model: features(a, m, "tyx"), "fit_convolutional, defaults"),
        }
        for name, (encode, setting) in methods.items():
            rows += _measure(name, setting, encode(x), y, encode(test), expected)
    _draw(rows, pictures / "tasks-features.png")
    return rows


def _measure(name: str, setting: str, train: np.ndarray, y: np.ndarray, test: np.ndarray, expected: np.ndarray) -> list[Row]:
    scale = train.std()
    train, test = train / scale, test / scale
    whole = LogisticRegression(max_iter=2000).fit(train, y).score(test, expected)
    few = []
    for draw in range(_DRAWS):
        rng = np.random.default_rng(draw)
        chosen = np.concatenate([rng.choice(np.flatnonzero(y == label), _PER_CLASS, replace=False) for label in range(10)])
        few.append(LogisticRegression(max_iter=2000).fit(train[chosen], y[chosen]).score(test, expected))
    setting = f"{setting}; logistic regression, C=1, one common scale; 100 labels: {_DRAWS} draws of {_PER_CLASS} a class"
    return [
        Row(_SECTION, _SET, name, "all labels", 100 * whole, None, setting),
        Row(_SECTION, _SET, name, "100 labels", 100 * float(np.mean(few)), 100 * float(np.std(few)), setting),
    ]


def _draw(rows: list[Row], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
    names = list(dict.fromkeys(row.method for row in rows))
    for shift, kind in ((-0.2, "all labels"), (0.2, "100 labels")):
        found = {row.method: row for row in rows if row.figure == kind}
        places = [i + shift for i in range(len(names))]
        axes.barh(places, [found[n].value for n in names], 0.4, xerr=[found[n].spread or 0.0 for n in names], label=kind)
    axes.set(yticks=range(len(names)), yticklabels=names, xlim=(50, 100), xlabel="accuracy on the test images, %")
    axes.legend()
    figure.savefig(path, dpi=110)
