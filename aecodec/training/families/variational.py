"""A distribution for each latent: the beta-VAE (Kingma and Welling 2014; Higgins et al. 2017)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from aecodec.errors import UsageError
from aecodec.training.families.vanilla import Vanilla

_LOG_VARIANCES = (-12.0, 8.0)


@dataclass
class Variational(Vanilla):
    """The encoder gives a mean and a log-variance of each latent; training draws from that normal distribution, use takes the mean.

    The penalty is `beta` times the divergence from a normal prior of standard deviation `prior` steps.
    """

    beta: float = 1.0
    prior: float = 8.0

    name = "variational"

    def __post_init__(self) -> None:
        if not (self.beta >= 0 and self.prior > 0):
            raise UsageError(f"beta={self.beta} must be 0 or more, and prior={self.prior} more than 0")

    def outputs(self, latents: int) -> int:
        """Means, then log-variances."""
        return 2 * latents

    def bottleneck(self, outputs: Tensor, training: bool) -> Tensor:
        """A draw by reparametrisation, or the means."""
        mean, log_variance = self.parts(outputs)
        return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean) if training else mean

    def penalty(self, outputs: Tensor) -> Tensor:
        """Bits per latent."""
        return self.beta * self._divergence(outputs)

    def metrics(self, outputs: Tensor) -> dict[str, Tensor]:
        """ "kl": divergence from the prior in bits per latent."""
        return {"kl": self._divergence(outputs.detach())}

    def parts(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances."""
        mean, log_variance = outputs.chunk(2, dim=1)
        return mean, log_variance.clamp(*_LOG_VARIANCES)

    def _divergence(self, outputs: Tensor) -> Tensor:
        mean, log_variance = self.parts(outputs)
        wide = self.prior**2
        nats = 0.5 * ((mean.square() + log_variance.exp()) / wide - 1.0 - log_variance + math.log(wide))
        return nats.mean() / math.log(2.0)
