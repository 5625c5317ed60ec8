"""A pool of coded crops, a few of them coded anew as batches are drawn: bounded memory, whatever the samples' size."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from aecodec.errors import ModelError
from aecodec.training.predictor_data import Group, PhaseSample

_GROUPS = 4  # phases of a batch


class Pool:
    """Phases of coded crops to draw batches from. `make` codes a crop; one is replaced every `every` batches."""

    def __init__(self, make: Callable[[np.random.Generator], list[PhaseSample]], crops: int, every: int) -> None:
        self._make, self._crops, self._every = make, crops, every
        self._held: list[list[PhaseSample]] = []
        self._drawn = 0

    def batch(self, rng: np.random.Generator) -> list[Group]:
        """A few phases, drawn by the bits that they take."""
        while len(self._held) < self._crops:
            self._held.append(self._make(rng))
        if self._drawn and self._drawn % self._every == 0:
            self._held[(self._drawn // self._every) % self._crops] = self._make(rng)
        self._drawn += 1
        samples = [sample for crop in self._held for sample in crop]
        if not samples:
            raise ModelError("nothing to train on: no value of the samples would be coded")
        weights = np.array([sample.bits for sample in samples])
        chosen = rng.choice(len(samples), _GROUPS, p=weights / weights.sum())
        return [samples[int(i)].group(rng) for i in chosen]

    def memory(self) -> dict[str, Tensor]:
        """All of it, for a checkpoint."""
        found = {"drawn": torch.tensor(self._drawn), "crops": torch.tensor(len(self._held))}
        for i, crop in enumerate(self._held):
            for j, sample in enumerate(crop):
                for name, value in vars(sample).items():
                    exact = torch.float64 if isinstance(value, float) else None
                    found[f"{i}.{j}.{name}"] = torch.as_tensor(value, dtype=exact)
        return found

    def recall(self, memory: dict[str, Tensor]) -> None:
        """The inverse of `memory`."""
        self._drawn = int(memory["drawn"])
        crops: list[dict[int, dict[str, Tensor]]] = [{} for _ in range(int(memory["crops"]))]
        for name, tensor in memory.items():
            if "." in name:
                crop, number, field = name.split(".")
                crops[int(crop)].setdefault(int(number), {})[field] = tensor
        self._held = [[_recalled(crop[number]) for number in sorted(crop)] for crop in crops]


def _recalled(parts: dict[str, Tensor]) -> PhaseSample:
    arrays = {name: part.numpy() for name, part in parts.items() if part.ndim}
    return PhaseSample(kind=int(parts["kind"]), bits=float(parts["bits"]), **arrays)
