"""Mutated graphs in a process of their own: what passes the checks must not bring it down."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("mutated_graphs.py")


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited as Linux does")
@pytest.mark.parametrize("seed", [1, 2])
def test_mutated_graphs_are_refused_or_run_and_the_process_survives(seed):
    command = [sys.executable, str(SCRIPT), "2500", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    stages = json.loads(done.stdout)
    assert sum(stages.values()) == 2500
    assert stages["missized"] == 0
    assert stages["refused"] > 1000
    assert stages["ran"] > 100
