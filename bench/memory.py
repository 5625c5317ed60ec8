"""Peak memory of streaming 2 GB through open(..., "w") and back: python bench/memory.py [--gigabytes 2].

Slabs are made on the fly and dropped; each direction runs in a process of its own, whose peak resident size is printed.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import aecodec

SLAB = (64, 2, 128, 256)


def slab(number: int) -> np.ndarray:
    """16.8 MB of smooth float32, another one for each number."""
    rng = np.random.default_rng(number)
    coarse = rng.standard_normal((SLAB[0], SLAB[1], 16, 32), np.float32).cumsum(axis=0)
    fine = rng.standard_normal(SLAB, np.float32)
    fine *= np.float32(0.05)
    fine.reshape(*SLAB[:2], 16, 8, 32, 8)[...] += coarse[:, :, :, None, :, None]
    return fine


def write(path: str, count: int) -> None:
    """Stream `count` slabs into a file."""
    with aecodec.open(path, "w", axes="tcyx", max_error=0.1) as f:
        for number in range(count):
            f.write(slab(number))


def read(path: str, count: int) -> None:
    """Stream the file back and check the bound of every eighth slab."""
    with aecodec.open(path) as f:
        steps = 0
        for start, part in f.slabs():
            if start % (8 * SLAB[0]) == 0:
                original = slab(start // SLAB[0])[: len(part)]
                assert np.abs(part[: len(original)] - original).max() <= 0.1
            steps += len(part)
        assert steps == count * SLAB[0]


def main() -> None:
    """Run both directions, each in its own process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--direction", choices=["write", "read"])
    parser.add_argument("--path")
    options = parser.parse_args()
    size = int(np.prod(SLAB)) * 4
    count = round(options.gigabytes * 1e9 / size)
    if options.direction:
        {"write": write, "read": read}[options.direction](options.path, count)
        print(f"{options.direction}: peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "stream.aecz")
        for direction in ("write", "read"):
            arguments = ["--gigabytes", str(options.gigabytes), "--direction", direction, "--path", path]
            subprocess.run([sys.executable, __file__, *arguments], check=True)
        print(f"{count * size / 1e9:.2f} GB through a file of {Path(path).stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
