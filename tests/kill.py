"""Kills processes that write, at random points, and checks what they leave: `python tests/kill.py [--rounds 300] [--seed 0]`.

A child goes round one of two loops as fast as it can, and reports each step that it has flushed and each file that it has
closed: *new* writes the same file again and again, *append* opens it again and again to append. It is killed with SIGKILL
after a random time. Then

- the file by its name is whole: of *new*, all of one run, the last one closed or the one after; of *append*, at least all
  steps that were reported;
- what the killed run of *new* left beside it holds at least all steps that were reported;
- all that is found is right, value by value;
- mode "a" goes on after it, and the file is then complete.
"""

import argparse
import os
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import aecodec
from aecodec.container.durable import partial_of
from aecodec.container.tail import find_tail

REPORT = struct.Struct("<QQ?")  # run, steps, closed
OPTIONS = {"axes": "tc", "model": False, "level": 1, "threads": 1}
LONGEST = 0.12  # seconds until the kill, or until the child is watched for the kill in the middle of a write
LARGE = 200_000  # values a step whose writing takes long enough to be hit


def values(run: int, start: int, stop: int, width: int) -> np.ndarray:
    """Steps of a run: its number, then noise that tells every place from every other."""
    step, column = np.arange(start, stop, dtype=np.uint64)[:, None], np.arange(width, dtype=np.uint64)
    noise = (step * np.uint64(0x9E3779B97F4A7C15) ^ column * np.uint64(0xC2B2AE3D27D4EB4F)) + np.uint64(run)
    noise ^= noise >> np.uint64(29)
    noise[:, 0] = run
    return noise


def write_for_ever(path: Path, kind: str, run: int, width: int, report: int, rng: np.random.Generator) -> None:
    """The child."""
    while True:
        run += kind == "new"
        with aecodec.open(path, "w" if kind == "new" else "a", **OPTIONS) as f:
            at = f.shape[0] if f.shape else 0
            for length in rng.integers(1, 9, rng.integers(1, 12)).tolist():
                f.write(values(run, at, at + length, width))
                if rng.random() < 0.2:
                    f.flush()
                else:  # the same without the wait for the disk, so that more kills fall between writes
                    f._encoder.flush()
                at += length
                os.write(report, REPORT.pack(run, at, False))
        os.write(report, REPORT.pack(run, at, True))


def killed(path: Path, kind: str, run: int, width: int, rng: np.random.Generator) -> list[tuple[int, int, bool]]:
    """What a child reported before it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reader)
            write_for_ever(path, kind, run, width, writer, np.random.default_rng(rng.integers(2**32)))
        finally:
            os._exit(3)
    os.close(writer)
    time.sleep(rng.uniform(0, LONGEST))
    if width == LARGE or rng.random() < 0.5:
        _wait_for_growth(path)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status), f"the child ended by itself, status {status}"
    with open(reader, "rb") as pipe:
        data = pipe.read()
    return [REPORT.unpack_from(data, at) for at in range(0, len(data) // REPORT.size * REPORT.size, REPORT.size)]


def _wait_for_growth(path: Path) -> None:
    """Return when the child is in the middle of writing, most likely."""
    sizes: set[tuple[int, ...]] = set()
    end = time.monotonic() + 1
    while time.monotonic() < end and len(sizes) < 2:
        sizes.add(tuple(_size(file) for file in (path, partial_of(path))))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def found(path: Path, width: int) -> tuple[int, int, bool]:
    """(run, steps, complete) of a file, all of whose values are right."""
    with aecodec.open(path) as f:
        array, complete = f[:], f.complete
    run = int(array[0, 0]) if len(array) else -1
    assert np.array_equal(array, values(max(run, 0), 0, len(array), width)), f"wrong values in {path.name}"
    return run, len(array), complete


def extended(path: Path, width: int, least: int) -> None:
    """Go on with `path`, or what was left of it."""
    with aecodec.open(path, "a", **OPTIONS) as f:
        at, run = f.shape[0] if f.shape else 0, 0
        assert at >= least, f"{at} steps to go on after, {least} were reported"
        if at:
            run = found(path if path.exists() else partial_of(path), width)[0]
        f.write(values(run, at, at + 5, width))
    assert found(path, width) == (run, at + 5, True), "what was appended is not there"
    assert not partial_of(path).exists(), "the unfinished file is still there"


def new_round(path: Path, run: int, width: int, rng: np.random.Generator) -> tuple[int, str]:
    """One kill of *new*; the number of the last run, and what was found."""
    old = found(path, width) if path.exists() else None
    reports = killed(path, "new", run, width, rng)
    closed = {r: steps for r, steps, done in reports if done}
    last, steps = (reports[-1][0], reports[-1][1]) if reports else (run, 0)
    partial = partial_of(path)
    if path.exists():
        now = found(path, width)
        assert now[2], "the file is not complete"
        if now != old:
            assert now[0] >= max(closed, default=0), f"run {now[0]}, but {max(closed)} was closed"
            assert closed.get(now[0], now[1]) == now[1], "steps are missing from a file that was closed"
            assert now[0] <= last + 1, "a run of the future"
    else:
        assert not closed, "a file that was closed is not there"
    target_run = found(path, width)[0] if path.exists() else run
    if not partial.exists():
        assert last <= target_run, "an unfinished file is gone"
        return max(last, target_run), "between files"
    path.unlink(missing_ok=True)
    torn = _torn(partial)
    extended(path, width, steps if last > target_run else 0)
    return found(path, width)[0], torn


def append_round(path: Path, run: int, width: int, rng: np.random.Generator) -> tuple[int, str]:
    """One kill of *append*."""
    before = found(path, width)[1] if path.exists() else 0
    reports = killed(path, "append", run, width, rng)
    steps = reports[-1][1] if reports else before
    file = path if path.exists() else partial_of(path)
    torn = _torn(file) if file.exists() else "between files"
    if path.exists():
        assert found(path, width)[1] >= max(steps, before), f"{found(path, width)[1]} steps, {max(steps, before)} were reported"
    extended(path, width, max(steps, before))
    return run, torn


def _torn(path: Path) -> str:
    """Where the kill fell, by what it left."""
    if not path.stat().st_size:
        return "before the first byte"
    with open(path, "rb") as source:
        try:
            tail = find_tail(source)
        except aecodec.AecodecError:
            return "inside the header"
    if tail.complete:
        return "after an end"
    return "between records" if tail.base + tail.length == path.stat().st_size else "inside a record"


def main() -> None:
    """Rounds of both kinds, on small and on large chunks, in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    places: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        run = {}
        for i in range(arguments.rounds):
            kind, width = ("new", "append")[i % 2], (3, 3, LARGE)[i // 2 % 3]
            path = Path(folder, f"{kind}-{width}.aecz")
            if path.exists() and path.stat().st_size > 40 << 20:
                path.unlink()
            step = new_round if kind == "new" else append_round
            run[path], place = step(path, run.get(path, 0), width, rng)
            places[f"{kind}: {place}"] = places.get(f"{kind}: {place}", 0) + 1
    for place, count in sorted(places.items()):
        sys.stdout.write(f"{count:6} {place}\n")
    sys.stdout.write(f"{arguments.rounds} kills, nothing finished was lost\n")


if __name__ == "__main__":
    sys.exit(main())
