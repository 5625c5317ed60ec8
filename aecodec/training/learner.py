"""One step of learning: a batch, its gradients, AdamW, and the average of the weights; and copies of all that to go back to."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from aecodec.training.average import Average, State, copied
from aecodec.training.config import Settings
from aecodec.training.distributed import World
from aecodec.training.objective import Objective, Paced
from aecodec.training.state import Kept


class Learner:
    """The objective's module with its optimizer and average, on this process's device."""

    def __init__(self, objective: Objective, settings: Settings, world: World) -> None:
        self.objective, self.settings, self.world = objective, settings, world
        self.adopt()

    def adopt(self) -> None:
        """Take the module as it is now: at the start, and when freezing has changed it."""
        module = self.objective.module.to(self.world.device)
        pace = self.objective.pace if isinstance(self.objective, Paced) else lambda name: 1.0
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                groups.setdefault((pace(name), parameter.ndim >= 2), []).append(parameter)
        self.paces = [rate for rate, _ in groups]
        decays = [self.settings.weight_decay if decays else 0.0 for _, decays in groups]
        made = [{"params": found, "weight_decay": decay} for found, decay in zip(groups.values(), decays, strict=True)]
        self.optimizer = torch.optim.AdamW(made, lr=self.settings.learning_rate)
        self.average = Average(module, self.settings.average)
        self.wrapped = self.world.wrapped(module)

    @property
    def module(self) -> nn.Module:
        """All that is trained."""
        return self.objective.module

    def gradients(self, rng: np.random.Generator) -> tuple[float, dict[str, float], float]:
        """Loss and metrics of this process's next batch, and the norm that its gradients had before they were clipped."""
        batch = _moved(self.objective.batch(rng), self.world.device)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=self.world.device.type == "cuda"):
            loss, metrics = self.wrapped(batch)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.clip)
        return float(loss.detach()), {name: float(value.detach()) for name, value in metrics.items()}, float(norm)

    def apply(self, rate: float) -> None:
        """Move the weights along their gradients."""
        for group, pace in zip(self.optimizer.param_groups, self.paces, strict=True):
            group["lr"] = rate * pace
        self.optimizer.step()
        self.average.update(self.module)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The module with its averaged weights, evaluating; torch's generator is left as it was."""
        devices = [self.world.device] if self.world.device.type == "cuda" else []
        with torch.random.fork_rng(devices), torch.no_grad(), self.average.applied(self.module):
            self.module.eval()
            try:
                yield
            finally:
                self.module.train()

    def averaged_state(self) -> State:
        """The module's state with the averaged weights."""
        with self.average.applied(self.module):
            return copied(self.module.state_dict())

    def kept(self) -> Kept:
        """A copy of what there is now."""
        return Kept.of(self.module, self.average, self.optimizer)

    def restore(self, kept: Kept) -> None:
        """Put a copy back."""
        kept.restore(self.module, self.average, self.optimizer)


def _moved(batch: Any, device: torch.device) -> Any:
    """The same structure of tensors on another device, or in memory of torch's own.

    What comes from numpy or a file may begin anywhere, and the order in which MKL adds up depends on that.
    """
    if isinstance(batch, torch.Tensor):
        return batch.clone() if device.type == "cpu" else batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {name: _moved(part, device) for name, part in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_moved(part, device) for part in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(_moved(part, device) for part in batch)
    return batch
