"""Threads and processes read a file while one process appends to it: `python tests/soak.py --seconds 60`.

Each step of the array can be told from its number, so every value read is checked. Prints what was done; exit status 1 if a
value was wrong, a step that had been there was gone, or anything was raised.
"""

import argparse
import multiprocessing
import sys
import tempfile
import threading
import time
import traceback
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import numpy as np

import aecodec

Results = Queue  # of (what was done, how often, what went wrong)
WIDTH = 257
THREADS = 3


def rows(numbers: np.ndarray) -> np.ndarray:
    """What the steps of these numbers hold, int32 (steps, WIDTH)."""
    mixed = (numbers[:, None] * 2654435761 + np.arange(WIDTH) * 40503) % 100_003
    return mixed.astype(np.int32)


def append(path: Path, start: Barrier, stop: Event, done: Results) -> None:
    """Open, append a few steps, close, again and again."""
    rng, at, sessions = np.random.default_rng(0), len(aecodec.open(path)), 0
    try:
        start.wait()
        while not stop.is_set():
            with aecodec.open(path, "a", level=1, threads=1) as f:
                for _ in range(int(rng.integers(1, 4))):
                    count = int(rng.integers(1, 40))
                    f.write(rows(np.arange(at, at + count)))
                    at += count
            sessions += 1
            time.sleep(0.001)
        done.put(("appended", sessions, ""))
    except BaseException:  # noqa: BLE001  # whatever it is goes to the parent
        done.put(("appended", sessions, traceback.format_exc()))


def look(path: Path, start: Barrier, stop: Event, done: Results, seed: int) -> None:
    """Threads that share a reader look at random steps, one of them looks for new ones."""
    failures: list[str] = []
    reads = [0] * THREADS
    reader = aecodec.open(path, threads=1)

    def run(number: int) -> None:
        rng = np.random.default_rng([seed, number])
        seen = 0
        try:
            while not stop.is_set() and not failures:
                if number == 0:
                    reader.refresh()
                length = len(reader)
                assert length >= seen, f"{seen} steps had been there, now {length} are"
                seen = length
                first = int(rng.integers(0, length))
                count = int(rng.integers(1, 30))
                wanted = np.arange(first, min(length, first + count))
                assert np.array_equal(reader[first : first + count][: wanted.size], rows(wanted)), f"steps from {first} are wrong"
                reads[number] += 1
                if rng.random() < 0.02:
                    with aecodec.open(path, threads=1) as other:
                        assert len(other) >= seen
                        assert np.array_equal(other[-1], rows(np.arange(len(other) - 1, len(other)))[0]), "the last step is wrong"
        except BaseException:  # noqa: BLE001  # as above
            failures.append(traceback.format_exc())

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    start.wait()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.put(("read", sum(reads), "\n".join(failures)))


def soak(seconds: float, processes: int, folder: Path) -> tuple[dict[str, int], list[str]]:
    """How often was appended and read, and what went wrong."""
    path = folder / "soak.aecz"
    with aecodec.open(path, "w", axes="tx", threads=1) as f:
        f.write(rows(np.arange(50)))
    context = multiprocessing.get_context("spawn")
    start, stop, done = context.Barrier(processes + 2, timeout=120), context.Event(), context.Queue()
    workers = [context.Process(target=append, args=(path, start, stop, done))]
    workers += [context.Process(target=look, args=(path, start, stop, done, seed)) for seed in range(processes)]
    for worker in workers:
        worker.start()
    start.wait()  # a busy machine may take its time to start them
    time.sleep(seconds)
    stop.set()
    counts, failures = {"appended": 0, "read": 0}, []
    for _ in workers:
        what, count, failure = done.get(timeout=120)
        counts[what] += count
        failures += [failure] if failure else []
    for worker in workers:
        worker.join()
    whole = aecodec.open(path)[:]
    if not np.array_equal(whole, rows(np.arange(len(whole)))):
        failures.append("the file is wrong in the end")
    return {**counts, "steps": len(whole)}, failures


def main() -> None:
    """Run for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--processes", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, failures = soak(options.seconds, options.processes, Path(folder))
    print(counts, *failures, sep="\n")  # noqa: T201  # what it is run for
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
