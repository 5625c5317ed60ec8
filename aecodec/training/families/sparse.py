"""Few active latents: an L1 penalty, or the divergence of their mean activity from a target (Ng 2011, sparse autoencoder)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from aecodec.errors import UsageError
from aecodec.training.families.vanilla import Vanilla

_ACTIVE = 0.5  # of a step: what is smaller is quantized to 0


@dataclass
class Sparse(Vanilla):
    """`penalty_kind` "l1": `weight` times the mean magnitude of latents. "kl": `weight` times KL(target || activity), summed over
    latents and divided by their number, where a latent's activity is the mean over the batch of y^2 / (1 + y^2), a smooth count
    of how often it is not quantized to 0.
    """

    penalty_kind: Literal["l1", "kl"] = "l1"
    weight: float = 0.05
    target: float = 0.1

    name = "sparse"

    def __post_init__(self) -> None:
        if self.penalty_kind not in ("l1", "kl"):
            raise UsageError(f"penalty_kind={self.penalty_kind!r} is unknown; use 'l1' or 'kl'")
        if not (self.weight >= 0 and 0 < self.target < 1):
            raise UsageError(f"weight={self.weight} must be 0 or more, and target={self.target} a share between 0 and 1")

    def penalty(self, outputs: Tensor) -> Tensor:
        """The penalty chosen."""
        if self.penalty_kind == "l1":
            return self.weight * outputs.abs().mean()
        squares = outputs.square()
        activity = (squares / (1.0 + squares)).movedim(1, 0).flatten(1).mean(1).clamp(1e-6, 1.0 - 1e-6)
        p = torch.full_like(activity, self.target)
        divergence = p * torch.log2(p / activity) + (1.0 - p) * torch.log2((1.0 - p) / (1.0 - activity))
        return self.weight * divergence.mean()

    def metrics(self, outputs: Tensor) -> dict[str, Tensor]:
        """ "sparsity": the share of latents that are quantized to 0."""
        return {"sparsity": (outputs.detach().abs() < _ACTIVE).float().mean()}
