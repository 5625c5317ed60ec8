"""The finest qualities of whole numbers: where networks err by more than their quantizer, a lattice steps in."""

import numpy as np
import pytest

import aecodec
from aecodec.codec.equivalent import Attempt, cheapest


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


@pytest.fixture(scope="module")
def noisy() -> np.ndarray:
    """A picture of slopes, stripes and noise, (96, 112, 3)."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[:96, :112]
    plain = 90 + 60 * np.sin(x / 9 + y / 23)[..., None] * [1, 0.8, 0.5] + (x // 16 % 2)[..., None] * 25
    return np.clip(np.rint(plain + random.normal(size=(96, 112, 1)) * 6 + random.normal(size=(96, 112, 3)) * 3), 0, 255).astype(
        np.uint8
    )


@pytest.mark.parametrize("level", [5, 9])
def test_finer_qualities_are_never_worse(noisy, level):
    found = []
    for quality in (80, 90, 95, 100):
        packed = aecodec.compress(noisy, "photo", "yxc", quality=quality, level=level)
        found.append((psnr(noisy, aecodec.decompress(packed)), len(packed)))
    assert found == sorted(found)
    assert found[-1][0] > 49


def test_the_price_of_bits_falls_with_the_step():
    array = np.zeros((1, 1, 10, 10), np.uint8)
    close, far = array.copy(), array + np.uint8(1)
    attempts = [Attempt(b"long" * 40, close), Attempt(b"short", far)]
    assert cheapest(array, 0.5, attempts) == b"long" * 40
    assert cheapest(array, 1.5, attempts) == b"short"
