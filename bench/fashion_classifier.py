"""A small classifier of Fashion-MNIST whose features are the space that generated images are compared in."""

import numpy as np
import torch
from torch import nn

_EPOCHS, _BATCH, _RATE = 3, 128, 2e-3
_FEATURES = 64


class Classifier:
    """Trained on uint8 images (n, 28, 28) and labels when it is made; the same weights each time on one thread."""

    about = f"two convolutions, {_FEATURES} features, {_EPOCHS} epochs of AdamW"

    def __init__(self, images: np.ndarray, labels: np.ndarray, epochs: int = _EPOCHS) -> None:
        torch.manual_seed(0)
        torch.set_num_threads(1)
        self._body = nn.Sequential(
            *(nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 2, 2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(32 * 49, _FEATURES), nn.ReLU()),
        )
        self._head = nn.Linear(_FEATURES, 10)
        self._fit(images, torch.from_numpy(labels.astype(np.int64)), epochs)

    def _fit(self, images: np.ndarray, labels: torch.Tensor, epochs: int) -> None:
        optimizer = torch.optim.AdamW([*self._body.parameters(), *self._head.parameters()], _RATE)
        for _ in range(epochs):
            for part in torch.randperm(len(images)).split(_BATCH):
                loss = nn.functional.cross_entropy(self._head(self._body(_units(images[part.numpy()]))), labels[part])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    def features(self, images: np.ndarray) -> np.ndarray:
        """float64 (n, features)."""
        with torch.no_grad():
            parts = [self._body(_units(images[at : at + 1000])) for at in range(0, len(images), 1000)]
        return torch.cat(parts).numpy().astype(np.float64)

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Share of the images that are told right."""
        with torch.no_grad():
            found = self._head(torch.from_numpy(self.features(images)).float()).argmax(1)
        return float((found.numpy() == labels).mean())

    def distance(self, expected: np.ndarray, images: np.ndarray) -> float:
        """Frechet distance of features `expected` and those of images, as if both were normally distributed."""
        found = self.features(images)
        a, b = np.cov(expected, rowvar=False), np.cov(found, rowvar=False)
        values, vectors = np.linalg.eigh(a)
        root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
        both = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0.0)).sum()  # the trace of (a b) ** 0.5, also if singular
        return float(np.square(expected.mean(0) - found.mean(0)).sum() + np.trace(a + b) - 2.0 * both)


def _units(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(images, np.float32)[:, None] / 255.0)
