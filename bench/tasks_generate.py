"""Generated Fashion-MNIST, measured by the Frechet distance (Heusel et al. 2017) to the test images, and a grid to look at.

Its features are those of a small classifier that is trained here on the real training images. The ends of the scale: the
distance of real training images themselves, and that of uniform noise; beside them a normal distribution of pixels, which knows
means and covariances and nothing else, and reconstructions of the test images, which show what the decoder loses.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from fashion_classifier import Classifier
from PIL import Image
from tasks_rows import Row

import aecodec
from aecodec.tasks.generate import generate, reconstruct
from aecodec.tasks.pictures import grid

_SAMPLES, _DRAWS, _SHOWN = 10000, 3, 100
_SPREAD = 0.7  # of the samples that are more usual
_SET, _SECTION = "Fashion-MNIST, 10,000 images to 10,000 of the test split", "(d) generation"


def run(data: Path, pictures: Path, models: Mapping[str, str]) -> list[Row]:
    """Rows of distances, each the mean and standard deviation over draws where there are several, and the grid."""
    train, test, labels, expected = (
        np.load(data / "images" / f"fashion_{part}.npy") for part in ("train_x", "test_x", "train_y", "test_y")
    )
    classifier = Classifier(train, labels)
    features = classifier.features(test)
    model = aecodec.load_model(models["generator"], "cpu", threads=1)
    setting = f"classifier: {classifier.about}, {classifier.accuracy(test, expected):.1%} of the test images right"

    def row(method: str, *sets: np.ndarray, about: str = "") -> Row:
        found = [classifier.distance(features, np.clip(images, 0, 255)) for images in sets]
        spread = float(np.std(found)) if len(found) > 1 else None
        return Row(_SECTION, _SET, method, "Frechet distance", float(np.mean(found)), spread, f"{about}{setting}")

    def drawn(spread: float) -> list[np.ndarray]:
        return [generate(model, _SAMPLES, seed, spread=spread)[:, 0, 0] for seed in range(_DRAWS)]

    rng = np.random.default_rng(0)
    thirds = np.split(rng.permutation(len(train))[: _DRAWS * _SAMPLES], _DRAWS)
    samples, about = drawn(1.0), f"model {model.id[:12]}; "
    Image.fromarray(grid(samples[0][:_SHOWN, None, None], model)).save(pictures / "tasks-samples.png", optimize=True)
    return [
        row("training images", *(train[part] for part in thirds)),
        row("aecodec, reconstructions of test images", reconstruct(model, list(test))[:, 0, 0], about=about),
        row("aecodec, samples", *samples, about=about),
        row(f"aecodec, samples of spread {_SPREAD}", *drawn(_SPREAD), about=about),
        row("normal distribution of pixels", *(_normal(train, rng) for _ in range(_DRAWS))),
        row("uniform noise", *(rng.uniform(0, 255, (_SAMPLES, 28, 28)) for _ in range(_DRAWS))),
    ]


def _normal(train: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images whose pixels have the training images' means and covariances."""
    pixels = train[:_SAMPLES].reshape(_SAMPLES, -1).astype(np.float64)
    factor = np.linalg.cholesky(np.cov(pixels, rowvar=False) + 1e-3 * np.eye(pixels.shape[1]))
    return np.asarray(rng.standard_normal(pixels.shape) @ factor.T + pixels.mean(axis=0)).reshape(train[:_SAMPLES].shape)
