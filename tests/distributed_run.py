"""One process of distributed runs, for test_training_distributed: a straight one, then one in two halves. Takes a folder."""

import json
import signal
import sys
from pathlib import Path

import torch
from linear_objective import LinearObjective

from aecodec.training.checkpoint import Checkpoint
from aecodec.training.config import Settings
from aecodec.training.distributed import joined
from aecodec.training.loop import run


def record_of(world, settings, checkpoint, stop=0):
    objective, draws = LinearObjective(batch_size=world.share(32)), []
    draw = objective.batch

    def batch(rng):
        draws.append(draw(rng))
        return draws[-1]

    objective.batch = batch
    monitor = lambda shot: signal.raise_signal(signal.SIGTERM) if shot.step == stop else None  # noqa: E731
    outcome = run(objective, settings, world=world, checkpoint=checkpoint, monitor=monitor)
    basis = objective.module.basis.detach().flatten().tolist()
    return {"outcome": vars(outcome), "basis": basis, "first": draws[0].flatten().tolist()}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    settings = Settings(steps=400, learning_rate=1e-2, average=0.98, validations=10)
    checkpoint = Checkpoint(folder, settings.to_json())
    with joined("cpu") as world:
        runs = [
            record_of(world, settings, None),
            record_of(world, settings, checkpoint, 200),
            record_of(world, settings, checkpoint),
        ]
        (folder / f"{world.rank}.json").write_text(json.dumps(runs))
