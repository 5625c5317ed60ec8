"""What a training loop and the thing it trains know of each other."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor, nn

from aecodec.models.bundle import Bundle

__all__ = ["SCORE", "Objective", "Paced", "Remembering"]

SCORE = "score"  # the one number of `validate` that decides: it is to fall


class Objective(Protocol):
    """A network, the batches it learns from, and the way from its weights to a bundle.

    The loop moves `module` to its device and hands batches there; `validate` finds the device by the module's parameters. All
    that `freeze` computes beyond what its constructor did is in the module's state afterwards, as parameters or persistent
    buffers: a resumed run calls `freeze` and then loads that state over it. Randomness comes from the `rng` given and from
    torch's default generator, and from nowhere else, so that a seed fixes a run.
    """

    @property
    def module(self) -> nn.Module:
        """All trained state; module(batch) -> (loss, metrics: dict of scalar tensors), so that DDP can wrap it."""
        ...

    def batch(self, rng: np.random.Generator) -> Any:
        """CPU tensors of one training step, alone or in tuples, lists and dicts."""
        ...

    def validate(self) -> dict[str, float]:
        """Figures of held-out data; "score" is the one to fall: bits per value, or rate + lambda * distortion."""
        ...

    def freeze(self) -> None:
        """From here on integer weights and activations: called once, before the last part of a run or its export."""
        ...

    def export(self) -> Bundle:
        """The model, sealed and proven; called after `freeze`."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """An objective whose batches depend on more than the rng: on samples that it made before, for instance.

    What it remembers goes into the checkpoint of a run that is interrupted, so that it resumes exactly, and into all others
    if it is small. A run that was killed, or one of several processes, may resume with a new memory.
    """

    def memory(self) -> dict[str, Tensor]:
        """All of it, as CPU tensors."""
        ...

    def recall(self, memory: dict[str, Tensor]) -> None:
        """Take up what `memory` gave."""
        ...


@runtime_checkable
class Paced(Protocol):
    """An objective some of whose parameters learn more slowly than others: those that begin near to where they belong."""

    def pace(self, name: str) -> float:
        """What the learning rate is multiplied by for the module's parameter of this name."""
        ...
