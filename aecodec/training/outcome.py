"""How a run of the loop ends, and the seeds that it begins with."""

from dataclasses import dataclass

import numpy as np
import torch

from aecodec.errors import AecodecError


class TrainingError(AecodecError):
    """A run that leaves nothing usable: change the learning rate or the data."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `reason`: "steps", "time", "early", "diverged" or "interrupted"; `best`: the validation of the weights that
    the module now has; `history`: every validation, with its step and seconds; `notes`: what happened out of the ordinary.
    """

    reason: str
    step: int
    seconds: float
    best: dict[str, float]
    history: list[dict[str, float]]
    notes: list[str]


def seed_all(seed: int, rank: int = 0) -> np.random.Generator:
    """Seed torch, and give the generator that batches are drawn with; each process of a run has its own."""
    torch.manual_seed(int(np.random.SeedSequence([seed, rank]).generate_state(1, np.uint64)[0] >> 1))
    return np.random.default_rng([seed, rank])
