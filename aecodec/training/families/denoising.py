"""The denoising autoencoder (Vincent et al. 2008): the encoder sees spoiled tiles, the decoder is held against clean ones."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aecodec.errors import UsageError
from aecodec.training.families.corruptions import Corruption, corruption_of
from aecodec.training.families.vanilla import Vanilla


@dataclass
class Denoising(Vanilla):
    """Each tile is spoiled by one of `corruptions` (names, such as "gaussian:0.1-0.3", or functions), chosen at random; a share
    `clean` of tiles is left alone, so that clean input is still coded well.
    """

    corruptions: tuple[str | Corruption, ...] = ("gaussian",)
    clean: float = 0.25
    chosen: list[Corruption] = field(init=False, repr=False)

    name = "denoising"

    def __post_init__(self) -> None:
        if not self.corruptions or not 0 <= self.clean < 1:
            raise UsageError(f"denoising needs a corruption, and clean={self.clean} must be 0 or more and under 1")
        self.chosen = [corruption_of(c) if isinstance(c, str) else c for c in self.corruptions]

    def corrupt(self, tiles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Spoiled tiles."""
        which = np.where(rng.random(len(tiles)) < self.clean, -1, rng.integers(len(self.chosen), size=len(tiles)))
        out = tiles.copy()
        for number, corruption in enumerate(self.chosen):
            if (which == number).any():
                out[which == number] = corruption(tiles[which == number], rng)
        return out

    def settings(self) -> dict[str, Any]:
        """Name and corruptions as text."""
        return {
            "name": self.name,
            "corruptions": [c if isinstance(c, str) else repr(c) for c in self.corruptions],
            "clean": self.clean,
        }
