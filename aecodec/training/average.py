"""A moving average of a module's weights, which generalises better than the latest ones (Polyak and Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

_EARLY = 50.0
State = dict[str, torch.Tensor]


def copied(state: State) -> State:
    """Tensors of their own."""
    return {name: tensor.detach().clone() for name, tensor in state.items()}


class Average:
    """Parameters are averaged; buffers, which may be powers of two or whole numbers, are taken as they are."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.restart(module)

    def restart(self, module: nn.Module) -> None:
        """Begin anew from the module's weights of now."""
        self.updates = 0
        self.parameters = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the weights of now; early on, an average spans the latest fiftieth of all steps."""
        self.updates += 1
        decay = min(self.decay, self.updates / (_EARLY + self.updates))
        for name, parameter in module.named_parameters():
            self.parameters[name].lerp_(parameter, 1.0 - decay)

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """The module with the averaged weights, for as long as the context lasts."""
        before = {name: p.detach().clone() for name, p in module.named_parameters()}
        _put(module, self.parameters)
        try:
            yield
        finally:
            _put(module, before)


@torch.no_grad()
def _put(module: nn.Module, values: State) -> None:
    for name, parameter in module.named_parameters():
        parameter.copy_(values[name])
