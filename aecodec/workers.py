"""Threads that share the work within one chunk, where there are more of them than chunks."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import TracebackType
from typing import TypeVar

_AT_ONCE = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


def started_pool(threads: int) -> ThreadPoolExecutor:
    """A pool whose first threads run already: to start one takes several milliseconds where others are at work."""
    pool, first = ThreadPoolExecutor(threads), min(threads, _AT_ONCE)
    together = Barrier(first)
    for _ in range(first):
        pool.submit(together.wait)
    return pool


class Workers:
    """So many threads, the caller's among them; the others end with the context. Not to be used by two threads at once."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._pool: ThreadPoolExecutor | None = None

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """What `function` gives for each of `items`, in their order; which thread does which is open."""
        others = min(self.threads, len(items)) - 1
        if others < 1:
            return [function(item) for item in items]
        results: list[Result | None] = [None] * len(items)
        left = deque(range(len(items)))

        def work() -> None:
            while True:
                try:
                    i = left.popleft()
                except IndexError:
                    return
                results[i] = function(items[i])

        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads - 1)
        futures = [self._pool.submit(work) for _ in range(others)]
        try:
            work()
        finally:
            left.clear()
            for future in futures:
                future.exception()  # none is left at work on what the caller will change
        for future in futures:
            future.result()
        return results  # type: ignore[return-value]  # all are filled by now

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


ALONE = Workers()
