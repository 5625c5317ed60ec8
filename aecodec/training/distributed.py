"""One process or several: which device is this one's, and what all of them agree on.

Several are started by `torchrun`, which says in the environment who is who; gloo carries what they exchange between CPUs, nccl
between GPUs. Gradients are averaged by torch's DistributedDataParallel.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from aecodec.errors import UsageError


@dataclass(frozen=True)
class World:
    """This process among all of a run. Rank 0 validates and writes."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def main(self) -> bool:
        """True for the one process that validates and writes."""
        return self.rank == 0

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module as it is to be called in training: gradients are averaged over all processes."""
        if self.size == 1 or not any(p.requires_grad for p in module.parameters()):
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        # A step may leave out weights, for instance those of phases that no batch of it has.
        return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True)

    def sums(self, values: list[float]) -> list[float]:
        """Each number added over all processes, the same bits for all."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return [float(v) for v in tensor.cpu()]

    def from_main(self, value: float) -> float:
        """The number that rank 0 has; the others wait for it."""
        if self.size == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, 0)
        return float(tensor.cpu()[0])

    def gathered(self, data: torch.Tensor) -> list[torch.Tensor]:
        """The uint8 tensor of every process, in order of rank; all of one length."""
        if self.size == 1:
            return [data]
        parts = [torch.empty_like(data, device=self.device) for _ in range(self.size)]
        dist.all_gather(parts, data.to(self.device))
        return [part.cpu() for part in parts]

    def share(self, batch_size: int) -> int:
        """How much of a batch each process draws."""
        if batch_size < 1:
            raise UsageError(f"batch_size={batch_size} must be 1 or more")
        if batch_size % self.size:
            raise UsageError(f"batch_size={batch_size} cannot be shared by {self.size} processes; give a multiple of {self.size}")
        return batch_size // self.size


@contextmanager
def joined(device: str = "auto") -> Iterator[World]:
    """The processes that torchrun started, or this one alone; `device`: "auto", "cpu" or "cuda"."""
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if cuda and not torch.cuda.is_available():
        raise UsageError("device='cuda' but torch finds no CUDA device; use 'cpu' or 'auto'")
    if dist.is_available() and dist.is_initialized():
        yield World(dist.get_rank(), dist.get_world_size(), _device(cuda))
        return
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        yield World(device=_device(cuda))
        return
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size(), _device(cuda))
        # DistributedDataParallel lies in cycles of references: its reducers must end before the group that they talk through,
        # and none may leave while another still talks to it.
        gc.collect()
        dist.barrier()
    finally:
        dist.destroy_process_group()


def _device(cuda: bool) -> torch.device:
    if not cuda:
        return torch.device("cpu")
    found = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(found)
    return found
