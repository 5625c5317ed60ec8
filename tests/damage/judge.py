"""One damaged input put to the library: what came of it, within what time and memory, and with what left on the screen."""

import faulthandler
import signal
import time
import traceback
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from aecodec.errors import AecodecError

SECONDS = 10  # of the processor for one input; usual ones take milliseconds
PATIENCE = 6  # times as long may pass on the clock, as on a busy machine
HARD_SECONDS = 120  # after which a call that never comes back to Python ends the process, its stack printed
# What decoding may take: of fixed size (tables, blocks of a phase), for each value declared, and for each byte of the input.
FIXED_BYTES, BYTES_A_VALUE, BYTES_A_BYTE = 4 << 20, 96, 16

ARRAY, REFUSED = "array", "refused"
SOUND = (ARRAY, REFUSED)


@dataclass(frozen=True)
class Verdict:
    """`outcome`: ARRAY, REFUSED, or what went wrong: "wrong", "untyped", "hang", "warning", "memory"."""

    outcome: str
    detail: str = ""


class Hang(BaseException):
    """Raised by the alarm: no library code may catch it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Hang after `seconds` of this process, or far more of the clock; a call that blocks in C ends the process a while later."""
    busy, began = time.process_time(), time.monotonic()

    def ring(number: int, frame: FrameType | None) -> None:
        if time.process_time() - busy >= seconds or time.monotonic() - began >= PATIENCE * seconds:
            raise Hang
        signal.setitimer(signal.ITIMER_REAL, seconds / 10)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(HARD_SECONDS, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


def judge(action: Callable[[], Any], check: Callable[[Any], str | None], size: int, values: int) -> Verdict:
    """Run `action` on an input of `size` bytes that may declare up to `values` values.

    `check` says what is wrong with its result, or None.
    """
    allowed = FIXED_BYTES + BYTES_A_VALUE * values + BYTES_A_BYTE * size
    verdict, spilled = Verdict(REFUSED), []
    tracemalloc.start()
    try:
        with warnings.catch_warnings(record=True) as spilled, time_limit(SECONDS):
            warnings.simplefilter("always")
            wrong = check(action())
            verdict = Verdict("wrong", wrong) if wrong else Verdict(ARRAY)
    except AecodecError as error:
        verdict = Verdict(REFUSED, f"{type(error).__name__}: {error}")
    except Hang:
        return Verdict("hang", f"more than {SECONDS} s")
    except BaseException as error:  # that is the question
        where = traceback.extract_tb(error.__traceback__)[-1]
        verdict = Verdict("untyped", f"{type(error).__name__}: {str(error)[:200]} at {where.filename}:{where.lineno}")
        if isinstance(error, KeyboardInterrupt):
            raise
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    if verdict.outcome in SOUND and spilled:
        first = spilled[0]
        return Verdict("warning", f"{first.category.__name__}: {first.message} at {first.filename}:{first.lineno}")
    if verdict.outcome in SOUND and peak > allowed:
        return Verdict("memory", f"peak of {peak >> 10} KiB for {size} bytes and {values} values; {verdict.detail}")
    return verdict
