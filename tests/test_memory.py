"""Streaming holds a few chunks, whatever the length: peak memory of writing and reading up to 256 MB."""

import os
import subprocess
import sys

import pytest

GROWTH_ALLOWED_MB = 24

STREAMED = """
import resource, sys
import numpy as np
import aecodec
path, megabytes, fidelity = sys.argv[1], int(sys.argv[2]), sys.argv[3]
base = np.random.default_rng(0).normal(size=(16, 256, 256)).astype("f4")
options = {"max_error": 1e-4}
if fidelity == "model":
    options = {"max_error": 0.01, "model": aecodec.fit(base, axes="tyx", max_error=0.01, tile=(1, 1, 8, 8), reference=False)}
count = megabytes // 4
with aecodec.open(path, "w", axes="tyx", level=1, threads=2, **options) as f:
    for i in range(count):
        f.write(base + np.float32(i % 3))
with aecodec.open(path, threads=2) as f:
    assert f.shape == (16 * count, 256, 256)
    total = 0
    for start, slab in f.slabs():
        total += len(slab)
    assert total == 16 * count
    assert abs(float(f[16 * count - 1, 5, 7] - base[15, 5, 7] - (count - 1) % 3)) <= 0.021
    size = f.container.size
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, size >> 20)
"""


def peak_and_size(folder, megabytes, fidelity):
    """Peak resident MB of a process that streams `megabytes` to a file and back, and the MB of the file."""
    command = [sys.executable, "-c", STREAMED, str(folder / f"{megabytes}.aecz"), str(megabytes), fidelity]
    # Without these, glibc keeps freed memory for later, by amounts that differ from run to run.
    keep_nothing = {"MALLOC_MMAP_THRESHOLD_": "1048576", "MALLOC_TRIM_THRESHOLD_": "1048576"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **keep_nothing})
    assert done.returncode == 0, done.stderr
    peak, size = map(int, done.stdout.split())
    return peak, size


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read in Linux's unit")
@pytest.mark.parametrize(("fidelity", "megabytes"), [("bounded", 32), ("model", 64)])
def test_streaming_four_times_as_much_takes_no_more_memory(tmp_path, fidelity, megabytes):
    short, short_size = peak_and_size(tmp_path, megabytes, fidelity)
    long, long_size = peak_and_size(tmp_path, 4 * megabytes, fidelity)
    # Neither the input nor even what is written could be held without being noticed.
    assert long_size - short_size > 1.5 * GROWTH_ALLOWED_MB
    assert long - short < GROWTH_ALLOWED_MB, f"peak of {short} MB became {long} MB"
