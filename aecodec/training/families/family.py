"""What makes one kind of autoencoder another: what the encoder sees, what becomes of its output, and what is added to the loss.

x ── corrupt ──> encoder ──> outputs ── bottleneck ──> y ── quantizer ... decoder ──> x_hat
│                               └──── penalty ────> loss <── rate, and distortion of x_hat from x ──┘
"""

from typing import Any, Protocol

import numpy as np
from torch import Tensor


class Family(Protocol):
    """One kind of autoencoder. Encoder outputs and latents are (n, count, ...) in units of the quantizer's step."""

    name: str

    def outputs(self, latents: int) -> int:
        """How many numbers the encoder gives for so many latents."""
        ...

    def corrupt(self, tiles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What the encoder sees of tiles (n, steps, channels, rows, columns), float32 in units of their spread."""
        ...

    def bottleneck(self, outputs: Tensor, training: bool) -> Tensor:
        """Latents (n, latents, ...) of the encoder's outputs (n, outputs, ...)."""
        ...

    def penalty(self, outputs: Tensor) -> Tensor:
        """What the loss grows by: bits per latent."""
        ...

    def metrics(self, outputs: Tensor) -> dict[str, Tensor]:
        """Figures to be shown and reported."""
        ...

    def settings(self) -> dict[str, Any]:
        """As manifests and reports keep it."""
        ...
