"""The long proof: `python -m tests.damage --cases 100000 --workers 2`. Exit status 1 if anything but arrays and typed errors came.

A case is named FAMILY:SAMPLE:NUMBER and is run again by `python -m tests.damage --only FAMILY:SAMPLE:NUMBER`.
"""

import argparse
import faulthandler
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

from .cases import FAMILIES, numbers
from .judge import SOUND, Verdict

_ADDRESS_SPACE = 8 << 30  # above which an allocation fails, so that none passes unseen by Python's own count
_SHOWN = 40
_PORTION = 50


class Portion(NamedTuple):
    """Some cases of one sample."""

    family: str
    sample: str
    numbers: list[int]


def main() -> int:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="in all, spread over families and samples")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--offset", type=int, default=0, help="other cases than those of offset 0")
    parser.add_argument("--family", action="append", choices=sorted(FAMILIES), help="only these")
    parser.add_argument("--only", help="one case, FAMILY:SAMPLE:NUMBER")
    arguments = parser.parse_args()
    if arguments.only:
        family, sample, number = arguments.only.split(":")
        verdict = FAMILIES[family].run(_sample(family, sample), int(number))
        _say(f"{verdict.outcome} {verdict.detail}")
        return 0 if verdict.outcome in SOUND else 1
    chosen = arguments.family or list(FAMILIES)
    portions = [p for name in chosen for p in _portions(name, arguments.cases // len(chosen), arguments.offset)]
    with tempfile.TemporaryDirectory() as folder:
        return _run_all(portions, arguments.workers, Path(folder))


def _sample(family: str, name: str) -> Any:
    return next(sample for sample in FAMILIES[family].samples() if sample.name == name)


def _portions(name: str, most: int, offset: int) -> Iterator[Portion]:
    """About `most` cases of a family; what samples with few cases leave goes to the others."""
    family = FAMILIES[name]
    samples = sorted(family.samples(), key=lambda sample: family.size(sample) or sys.maxsize)
    for place, sample in enumerate(samples):
        wanted = list(numbers(family, sample, max(1, most // (len(samples) - place)), offset))
        most -= len(wanted)
        yield from (Portion(name, sample.name, wanted[at : at + _PORTION]) for at in range(0, len(wanted), _PORTION))


def _run_all(portions: list[Portion], workers: int, folder: Path) -> int:
    totals: dict[str, Counter[str]] = {}
    failures: list[tuple[str, Verdict]] = []
    began = time.monotonic()
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _prepare, (folder,))
    try:
        for name, counts, failed in pool.map(_run_portion, portions):
            _say_families(totals, name)
            totals.setdefault(name, Counter()).update(counts)
            for case, verdict in failed[: max(0, _SHOWN - len(failures))]:
                _say(f"{case}: {verdict.outcome}: {verdict.detail}")
            failures += failed
    except BrokenProcessPool:
        for path in sorted(folder.iterdir()):
            _say(f"{path.name}: {path.read_text(errors='replace').strip()}")
        _say("a process ended in one of these cases, or was ended because it came back no more")
        return 1
    finally:
        pool.shutdown(cancel_futures=True)
    _say_families(totals, "")
    total = sum(counts.total() for counts in totals.values())
    _say(f"{total} damaged inputs in {time.monotonic() - began:.0f} s: {len(failures)} neither the right array nor a typed error")
    return 1 if failures else 0


def _say_families(totals: dict[str, Counter[str]], now: str) -> None:
    """What came of the family before `now`, when `now` begins."""
    if totals and now not in totals:
        name, counts = list(totals.items())[-1]
        _say(f"{name:16} {counts.total():8}  " + ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items())))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _prepare(folder: Path) -> None:
    """A worker: gives way to others, has bounded memory, and what it or its libraries write goes to a file that is watched."""
    global _case, _screen
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    _case = os.open(folder / f"{os.getpid()} was at", os.O_CREAT | os.O_RDWR)
    _screen = os.open(folder / f"{os.getpid()} wrote", os.O_CREAT | os.O_RDWR | os.O_APPEND)
    os.dup2(_screen, 1)
    os.dup2(_screen, 2)
    faulthandler.enable(_screen)


_case = _screen = -1


def _run_portion(portion: Portion) -> tuple[str, Counter[str], list[tuple[str, Verdict]]]:
    sample = _sample(portion.family, portion.sample)
    counts: Counter[str] = Counter()
    failures = []
    for number in portion.numbers:
        case = f"{portion.family}:{portion.sample}:{number}"
        os.pwrite(_case, case.encode().ljust(200), 0)
        written = os.fstat(_screen).st_size
        verdict = FAMILIES[portion.family].run(sample, number)
        if verdict.outcome in SOUND and (spilled := os.fstat(_screen).st_size - written):
            verdict = Verdict("spill", os.pread(_screen, min(spilled, 200), written).decode(errors="replace"))
        counts[verdict.outcome] += 1
        if verdict.outcome not in SOUND:
            failures.append((case, verdict))
    return portion.family, counts, failures


if __name__ == "__main__":
    sys.exit(main())
