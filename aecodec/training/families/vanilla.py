"""The plain autoencoder: clean input, latents as they come, rate and distortion alone as its loss."""

from typing import Any

import numpy as np
from torch import Tensor


class Vanilla:
    """Changes nothing; the base of the others."""

    name = "vanilla"

    def outputs(self, latents: int) -> int:
        """One number a latent."""
        return latents

    def corrupt(self, tiles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The tiles themselves."""
        return tiles

    def bottleneck(self, outputs: Tensor, training: bool) -> Tensor:
        """The outputs themselves."""
        return outputs

    def penalty(self, outputs: Tensor) -> Tensor:
        """Nothing."""
        return outputs.new_zeros(())

    def metrics(self, outputs: Tensor) -> dict[str, Tensor]:
        """None of its own."""
        return {}

    def settings(self) -> dict[str, Any]:
        """Its name and its dataclass fields, if it has any."""
        return {"name": self.name, **{key: value for key, value in vars(self).items() if isinstance(value, (int, float, str))}}
