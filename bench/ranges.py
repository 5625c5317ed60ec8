"""How much of a large file in a store a small random read touches: bytes and requests of ranged reads, counted by an HTTP server.

The file is a real one whose chunks decode: some chunks of a smooth field are coded by the library and repeated until the file
is as long as asked. What "a random 1 %" is decides: a run of 1 % of the steps at a random place, ten runs of 0.1 % each, or single
steps anywhere. The last touches many chunks; shorter chunks (`--steps`) make it cheaper.

    python bench/ranges.py [--size 1e9] [--steps 4 1] [--csv bench/ranges.csv]
"""

import argparse
import csv
import platform
import tempfile
from pathlib import Path

import numpy as np

import aecodec
from aecodec.container.reader import ContainerReader
from aecodec.container.writer import ContainerWriter
from tests.servers import Served, http_server

GRID = (721, 360)  # half of a global field of a quarter of a degree, as float32
DRAWS = 10
COLUMNS = [
    "file_bytes",
    "steps",
    "steps_per_chunk",
    "chunks",
    "read",
    "bytes_mean",
    "bytes_worst",
    "share_mean",
    "share_worst",
    "requests",
]


def template(steps: int) -> tuple[dict[str, object], list[bytes]]:
    """Header, and bodies of four chunks of `steps` steps of a smooth, noisy field."""
    random = np.random.default_rng(0)
    noise = random.normal(size=(4 * steps, *GRID)).astype(np.float32)
    field = noise.cumsum(-1).cumsum(-2) / 50 + noise / 5
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.aecz"
        with aecodec.open(path, "w", axes="tyx", level=1, max_error=0.02) as file:
            for start in range(0, 4 * steps, steps):
                file.write(field[start : start + steps])
                file.flush()
        reader = ContainerReader(path)
        return reader.preamble.header, [bytes(reader.chunk(n).body) for n in range(4)]


def write(path: Path, size: int, steps: int) -> None:
    """A file of at least `size` bytes."""
    header, bodies = template(steps)
    with path.open("wb", buffering=1 << 22) as file:
        writer = ContainerWriter(file)
        writer.begin(header, None, None)
        number = 0
        while writer.offset < size:
            writer.chunk(number * steps, steps, bodies[number % 4])
            number += 1
        writer.finish()


def selections(length: int, random: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """One draw of each kind of random 1 %, as steps of each index."""
    one, tenth = max(1, length // 100), max(1, length // 1000)
    starts = random.integers(0, length - tenth, 10)
    return {
        "one run of 1 %": [np.arange(one) + random.integers(0, length - one)],
        "10 runs of 0.1 %": [np.arange(tenth) + start for start in starts],
        "single steps, 1 % in all": [np.sort(random.choice(length, one, replace=False))],
    }


def measured(served: Served, url: str, runs: list[np.ndarray]) -> tuple[int, int]:
    """(bytes, requests) to open the file and read the steps; everything that is read is decoded."""
    served.sent.clear()
    with aecodec.open(url, threads=1) as file:
        for steps in runs:
            whole = slice(int(steps[0]), int(steps[-1]) + 1) if steps[-1] - steps[0] + 1 == len(steps) else steps.tolist()
            assert file[whole, ::64, ::64].shape[0] == len(steps)
    return sum(served.sent), len(served.sent)


def rows(size: int, steps: int) -> list[dict[str, object]]:
    """What was measured with chunks of `steps` steps."""
    found: dict[str, list[tuple[int, int]]] = {}
    with tempfile.TemporaryDirectory() as folder, http_server(Path(folder)) as served:
        path = Path(folder) / "large.aecz"
        write(path, size, steps)
        random = np.random.default_rng(1)
        with aecodec.open(path) as file:
            length, chunks = len(file), file.array_file.chunks
        for _ in range(DRAWS):
            for name, runs in selections(length, random).items():
                found.setdefault(name, []).append(measured(served, f"{served.url}/large.aecz", runs))
        whole = path.stat().st_size
    table = []
    for name, draws in found.items():
        sent = [sent for sent, _ in draws]
        numbers = (whole, length, steps, chunks, name, round(np.mean(sent)), max(sent))
        shares = (f"{np.mean(sent) / whole:.4f}", f"{max(sent) / whole:.4f}", f"{np.mean([n for _, n in draws]):.1f}")
        table.append(dict(zip(COLUMNS, (*numbers, *shares), strict=True)))
    return table


def main() -> None:
    """Measure, print, and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=float, default=1e9, help="bytes of the compressed file")
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 1], help="steps of a chunk; 4 is what level 1 chooses here")
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    table = [row for steps in given.steps for row in rows(int(given.size), steps)]
    for row in table:
        print(", ".join(f"{key} {value}" for key, value in row.items()))
    if given.csv:
        with given.csv.open("w", newline="") as file:
            file.write(f"# aecodec {aecodec.__version__}, numpy {np.__version__}, Python {platform.python_version()}, ")
            file.write("bytes of HTTP bodies, counted by the server; opening included\n")
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(table)


if __name__ == "__main__":
    main()
