"""Bytes read and samples a second of training loaders: raw .npy (memory-mapped), zstd-compressed shards, and .aecz files.

All hold the same float32 fields, in shards (chunks) of the same steps; each epoch takes every sample once, through torch's
DataLoader, shards in random order and samples mixed within each. zstd and aecodec's lossless mode keep every bit; with a bound,
aecodec keeps the values within 1e-3 of the range. Bytes are those of the files that an epoch reads. Files are warm, so that
decoding and not the disk is timed; the `network` column is what 1 Gbit/s would allow, where data lie elsewhere. On a machine that
has other work, compare the column of processor time.

    python bench/loader.py [--megabytes 128] [--csv bench/loader.csv]
"""

import argparse
import csv
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstandard
from torch.utils.data import DataLoader, Dataset

import aecodec
from aecodec.integrations.torch import ArrayDataset, ChunkSampler, ChunkStream

GRID, SHARD, BATCH = (128, 128), 64, 32
GIGABIT = 125e6
COLUMNS = ["format", "workers", "bytes_read", "share_of_raw", "samples_per_second", "samples_per_cpu_second"]
COLUMNS += ["network_samples_per_second", "worst_error"]


class Shards(Dataset[Any]):
    """Files of `SHARD` samples each, the last one held; `load` gives one."""

    def __init__(self, files: list[Path], load: Callable[[Path], np.ndarray]) -> None:
        self.files, self._load = files, load
        self._held: tuple[int, np.ndarray] = (-1, np.empty(0))

    def __len__(self) -> int:
        return len(self.files) * SHARD

    def __getitem__(self, index: int) -> torch.Tensor:
        number, row = divmod(index, SHARD)
        if self._held[0] != number:
            self._held = (number, self._load(self.files[number]))
        return torch.from_numpy(self._held[1][row].copy())

    def chunks(self) -> list[tuple[int, int]]:
        """As ArrayDataset's."""
        return [(n * SHARD, (n + 1) * SHARD) for n in range(len(self.files))]


def fields(count: int) -> np.ndarray:
    """Smooth fields that drift, with a little noise: (count, rows, columns) float32."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[: GRID[0], : GRID[1]] / 20
    phases = random.normal(scale=0.05, size=(count, 6)).cumsum(axis=0)
    parts = [np.sin((k + 1) * rows[None] / 3 + phases[:, k, None, None]) * np.cos(columns[None] / (k + 1)) for k in range(6)]
    return (sum(parts) + random.normal(scale=0.002, size=(count, *GRID))).astype(np.float32)


def npy(x: np.ndarray, folder: Path) -> tuple[Any, int]:
    """One memory-mapped file."""
    np.save(folder / "x.npy", x)
    mapped = np.load(folder / "x.npy", mmap_mode="r", allow_pickle=False)
    files = [folder / str(n) for n in range(len(x) // SHARD)]
    return Shards(files, lambda path: mapped[int(path.name) * SHARD :][:SHARD]), (folder / "x.npy").stat().st_size


def zstd(x: np.ndarray, folder: Path) -> tuple[Any, int]:
    """A file a shard, level 3."""
    files = []
    for n in range(len(x) // SHARD):
        files.append(folder / f"{n}.zst")
        files[-1].write_bytes(zstandard.compress(x[n * SHARD : (n + 1) * SHARD].tobytes(), 3))

    def load(path: Path) -> np.ndarray:
        return np.frombuffer(zstandard.decompress(path.read_bytes()), np.float32).reshape(-1, *GRID)

    return Shards(files, load), sum(path.stat().st_size for path in files)


def aecz(x: np.ndarray, folder: Path, **options: Any) -> Path:
    """One file, a chunk a shard."""
    with aecodec.open(folder / "x.aecz", "w", axes="tyx", model=False, threads=1, **options) as file:
        for start in range(0, len(x), SHARD):
            file.write(x[start : start + SHARD])
            file.flush()
    return folder / "x.aecz"


def epoch(loader: DataLoader[Any]) -> tuple[int, float, float]:
    """(samples, seconds, seconds of this process's threads on processors) of the second of two epochs."""
    for _ in range(2):
        start, begin, count = time.perf_counter(), time.process_time(), 0
        for batch in loader:
            count += len(batch)
    return count, time.perf_counter() - start, time.process_time() - begin


def row(name: str, workers: int, loader: DataLoader[Any], sent: int, x: np.ndarray, worst: float) -> dict[str, object]:
    """One line of the table."""
    count, seconds, spent = epoch(loader)
    assert count == len(x), f"{name}: {count} samples of {len(x)}"
    wire = count / max(seconds, sent / GIGABIT)
    own = "" if workers else str(round(count / spent))  # workers are processes of their own
    numbers = (name, workers, sent, f"{sent / x.nbytes:.4f}", round(count / seconds), own, round(wire), f"{worst:.3g}")
    found = dict(zip(COLUMNS, numbers, strict=True))
    print(", ".join(f"{key} {value}" for key, value in found.items()))
    return found


def main() -> None:
    """Measure, print, and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=128)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    count = max(1, given.megabytes * 10**6 // (4 * GRID[0] * GRID[1] * SHARD)) * SHARD
    x = fields(count)
    bound = 1e-3 * float(np.ptp(x))
    table = []
    for workers in given.workers:
        options: dict[str, Any] = {"batch_size": BATCH, "num_workers": workers, "persistent_workers": bool(workers)}
        for name, make in (("raw .npy", npy), ("zstd shards, level 3", zstd)):
            with tempfile.TemporaryDirectory() as folder:
                shards, sent = make(x, Path(folder))
                loader = DataLoader(shards, sampler=ChunkSampler(shards, together=1), **options)
                table.append(row(name, workers, loader, sent, x, 0.0))
        modes = [("lossless, level 1", {"level": 1}), ("1e-3, level 1", {"level": 1, "max_error": bound})]
        for name, mode in [*modes, ("1e-3, level 5", {"level": 5, "max_error": bound})]:
            with tempfile.TemporaryDirectory() as folder:
                path = aecz(x, Path(folder), **mode)
                worst = float(np.abs(aecodec.open(path).read() - x).max())
                sent, data = path.stat().st_size, ArrayDataset(path)
                loader = DataLoader(data, sampler=ChunkSampler(data, together=1), **options)
                table.append(row(f"aecz {name}, map-style", workers, loader, sent, x, worst))
                stream = ChunkStream(path, shuffle=True, together=1)
                table.append(row(f"aecz {name}, stream", workers, DataLoader(stream, **options), sent, x, worst))
    if given.csv:
        with given.csv.open("w", newline="") as file:
            file.write(
                f"# {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}"
                f", load average {os.getloadavg()[0]:.1f}, "
            )
            file.write(f"zstandard {zstandard.__version__}, aecodec {aecodec.__version__}; {count} samples of {GRID} float32, ")
            file.write(f"shards of {SHARD}, batches of {BATCH}\n")
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(table)


if __name__ == "__main__":
    main()
