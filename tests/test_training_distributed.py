"""Two real gloo processes under torchrun: they agree to the bit, draw different batches, and learn what one process learns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from linear_objective import LinearObjective

from aecodec.errors import UsageError
from aecodec.training.config import Settings
from aecodec.training.distributed import World, joined
from aecodec.training.loop import run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """For each process its three runs: straight, interrupted, resumed."""
    folder = tmp_path_factory.mktemp("runs")
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(Path(__file__).parent / "distributed_run.py")]
    done = subprocess.run([sys.executable, *words, str(folder)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[:6000]  # what a process said comes before what torchrun says of it
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def test_two_processes_agree_and_reach_what_one_reaches(runs):
    (first, _, _), (second, _, _) = runs
    assert first["basis"] == second["basis"]
    assert first["first"] != second["first"]
    assert first["outcome"]["step"] == second["outcome"]["step"] == 400
    alone = run(LinearObjective(batch_size=32), Settings(steps=400, learning_rate=1e-2, average=0.98, validations=10))
    assert first["outcome"]["best"]["score"] == pytest.approx(alone.best["score"], rel=0.03)
    assert first["outcome"]["best"]["score"] < 0.6 * alone.history[0]["score"]


def test_a_signal_to_one_process_stops_both_and_the_resumed_run_equals_the_straight_one(runs):
    for straight, half, rest in runs:
        assert half["outcome"]["reason"] == "interrupted"
        assert half["outcome"]["step"] < 205
        assert rest["outcome"]["reason"] == "steps"
        assert rest["basis"] == straight["basis"]


def test_one_process_is_a_world_of_its_own():
    with joined("cpu") as world:
        assert (world.rank, world.size, world.main) == (0, 1, True)
        assert world.sums([1.0, 2.0]) == [1.0, 2.0]
        assert world.share(5) == 5


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(UsageError, match="batch_size=0 must be 1 or more"):
        World().share(0)
    with pytest.raises(UsageError, match="batch_size=33 cannot be shared by 2 processes; give a multiple of 2"):
        World(size=2).share(33)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_cuda_is_said():
    with pytest.raises(UsageError, match="torch finds no CUDA device"), joined("cuda"):
        pass
