"""Opening a file of a million chunks, by its index and by scanning; and the share of checksums in decoding."""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xxhash

import aecodec
from aecodec.container.writer import ContainerWriter

HEADER = {"axes": "tx", "dtype": "<i2", "fidelity": {"kind": "lossless"}, "model": None, "shape": [None, 4]}
CONSTANT = bytes.fromhex("010500")
_RUNS = 5


def write(path: Path, chunks: int) -> None:
    """A file of `chunks` chunks of one step each."""
    with path.open("wb", buffering=1 << 20) as file:
        writer = ContainerWriter(file)
        writer.begin(HEADER, None, None)
        for start in range(chunks):
            writer.chunk(start, 1, CONSTANT)
        writer.finish()


def seconds(run: Callable[[], object], runs: int = _RUNS) -> float:
    """Median wall time."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def opening(path: Path, chunks: int) -> None:
    """Open, and look at one step in the middle."""
    with aecodec.open(path, threads=1) as f:
        assert f.shape == (chunks, 4)
        assert f[chunks // 2, 0] == 5


def checksum_share(x: np.ndarray, level: int, options: dict[str, object]) -> tuple[float, float]:
    """MB/s of `x` decoded on one thread, and the time of XXH64 over the stored bytes as a fraction of the decoding time."""
    data = aecodec.compress(x, axes="tyx", level=level, threads=1, **options)
    decoding = seconds(lambda: aecodec.decompress(data, threads=1))
    return x.nbytes / decoding / 1e6, seconds(lambda: xxhash.xxh64_intdigest(data)) / decoding


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=1_000_000)
    chunks = parser.parse_args().chunks
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.aecz"
        write(path, chunks)
        print(f"{chunks} chunks, {path.stat().st_size / 1e6:.0f} MB")
        print(f"opened by the index, one step read: {seconds(lambda: opening(path, chunks)):.3f} s")
        os.truncate(path, path.stat().st_size - 1)
        print(f"without an end, by scanning:        {seconds(lambda: opening(path, chunks), 1):.3f} s")
    noise = np.random.default_rng(0).normal(size=(64, 256, 256))
    smooth = np.cumsum(np.cumsum(noise, axis=1), axis=2).astype(np.float32)
    random = np.random.default_rng(0).integers(0, 256, smooth.nbytes).astype("u1").view("<u4").reshape(smooth.shape)
    for name, x, level, options in (
        ("smooth float32", smooth, 1, {"max_error": 0.1}),
        ("smooth float32", smooth, 1, {}),
        ("smooth float32", smooth, 5, {"max_error": 0.1}),
        ("smooth float32", smooth, 5, {}),
        ("random bits, stored as they are", random, 1, {}),
    ):
        speed, share = checksum_share(x, level, options)
        print(f"{name}, level {level}, {options or 'lossless'}: {speed:.0f} MB/s out, checksums {100 * share:.2f} % of the time")


if __name__ == "__main__":
    main()
