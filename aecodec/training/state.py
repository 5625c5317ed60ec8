"""What a run remembers: numbers that go into a checkpoint's record, and weights to go back to."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import nn

from aecodec.errors import FormatError
from aecodec.training.average import Average, State, copied
from aecodec.training.checkpoint import load_optimizer, optimizer_tensors, under_prefix, with_prefix


@dataclass
class RunState:
    """Numbers of one run, all of them JSON.

    `slow`: what divergence has left of the learning rate. `stale`: validations since the best one. `reason`: why the run
    ended, "" while it goes on. `steps_cut`, `seconds_cut`: the length of a schedule that was cut short.
    """

    step: int = 0
    seconds: float = 0.0
    frozen: bool = False
    slow: float = 1.0
    returns: int = 0
    best_score: float | None = None
    best_step: int = 0
    best: dict[str, float] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)
    stale: int = 0
    next_validation: float = 0.0
    good_step: int = 0
    steps_cut: float | None = None
    seconds_cut: float | None = None
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    far: int = 0
    updates: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As the checkpoint keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "RunState":
        """The inverse of `to_json`."""
        known = {each.name for each in fields(cls)}
        if missing := known - record.keys():
            raise FormatError(f"the checkpoint's record lacks {', '.join(sorted(missing))[:80]}; start over with resume=False")
        return cls(**{name: record[name] for name in known})


@dataclass(frozen=True)
class Kept:
    """Weights, their average and the optimizer's state, copied at one step."""

    module: State
    average: State
    optimizer: State

    @classmethod
    def of(cls, module: nn.Module, average: Average, optimizer: torch.optim.Optimizer) -> "Kept":
        """A copy of what there is now."""
        return cls(copied(module.state_dict()), copied(average.parameters), copied(optimizer_tensors(optimizer)))

    def restore(self, module: nn.Module, average: Average, optimizer: torch.optim.Optimizer) -> None:
        """Put the copy back."""
        module.load_state_dict(self.module)
        average.parameters = {name: self.average[name].clone().to(p.device, p.dtype) for name, p in module.named_parameters()}
        load_optimizer(optimizer, self.optimizer)

    def tensors(self, prefix: str) -> State:
        """For a checkpoint."""
        parts = {"module": self.module, "average": self.average, "optimizer": self.optimizer}
        return {key: value for name, part in parts.items() for key, value in with_prefix(f"{prefix}.{name}", part).items()}

    @classmethod
    def from_tensors(cls, prefix: str, tensors: State) -> "Kept":
        """The inverse of `tensors`."""
        module, average, optimizer = (under_prefix(f"{prefix}.{name}", tensors) for name in ("module", "average", "optimizer"))
        return cls(module, average, optimizer)
