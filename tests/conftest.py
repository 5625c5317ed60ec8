"""What many tests share: smooth random fields, and small models fitted on them once."""

import numpy as np
import pytest

import aecodec


def smooth_field(shape: tuple[int, ...], seed: int = 0, dtype: str = "f4") -> np.ndarray:
    """Noise summed along the last two axes and the first: values of a few tens, smooth in space and in time."""
    noise = np.random.default_rng(seed).normal(size=shape)
    for axis in {0, len(shape) - 2, len(shape) - 1} & set(range(len(shape))):
        noise = np.cumsum(noise, axis=axis) / np.sqrt(shape[axis])
    return (noise * 10.0 / max(1e-9, float(noise.std()))).astype(dtype)


def walk(count: int, seed: int = 0, dtype: str = "f8") -> np.ndarray:
    """A random walk, the simplest series with something to predict."""
    return np.cumsum(np.random.default_rng(seed).normal(size=count)).astype(dtype)


@pytest.fixture(scope="session")
def field() -> np.ndarray:
    """Two channels of 32 x 40 over 24 steps, float32, axes tcyx."""
    return smooth_field((24, 2, 32, 40))


@pytest.fixture(scope="session")
def model(field: np.ndarray) -> aecodec.Model:
    """A model of `field` for errors of 0.05."""
    return aecodec.fit(field, axes="tcyx", max_error=0.05, provider="cpu")
