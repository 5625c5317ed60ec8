"""Runs of consecutive steps, kept while statistics are gathered: what the predictor is fitted on."""

from collections.abc import Callable

import numpy as np

LONGEST_RUN = 33  # steps: a few pyramids of frames
_RUNS = 2


class Reservoir:
    """Which items of a stream are kept, `capacity` of them, all alike (algorithm R; Vitter 1985)."""

    def __init__(self, capacity: int, seed: int) -> None:
        self._capacity, self._seen = capacity, 0
        self._random = np.random.default_rng(seed)

    def place(self) -> int | None:
        """Where the next item goes: a place after the last or one that is taken; None: nowhere."""
        self._seen += 1
        if self._seen <= self._capacity:
            return self._seen - 1
        place = int(self._random.integers(self._seen))
        return place if place < self._capacity else None

    def put(self, items: list[np.ndarray], make: Callable[[], np.ndarray]) -> None:
        """Give the next item its place among `items`, if it gets one."""
        place = self.place()
        if place == len(items):
            items.append(make())
        elif place is not None:
            items[place] = make()


class RunSample:
    """A reservoir of runs of at most `capacity` values together; each run float32 (steps, channels, rows, columns), NaN where
    a value is missing.
    """

    def __init__(self, shape: tuple[int, int, int], window: tuple[slice, slice], capacity: int, seed: int) -> None:
        rows, columns = window
        part_shape = (shape[0], rows.stop - rows.start, columns.stop - columns.start)
        size = shape[0] * (rows.stop - rows.start) * (columns.stop - columns.start)
        self.window = window
        self.length = max(1, min(LONGEST_RUN, capacity // (_RUNS * size)))
        self.runs: list[np.ndarray] = []
        self.capacity = max(1, capacity // (self.length * size))
        self._kept = Reservoir(self.capacity, seed)
        self._pending: list[np.ndarray] = []
        self._held = 0
        self._latest = np.zeros((0, *part_shape), np.float32)

    def add(self, values: np.ndarray) -> None:
        """Take the next steps, float32 of all rows and columns."""
        rows, columns = self.window
        part = values[:, :, rows, columns]
        while len(part):
            taken = part[: self.length - self._held]
            part = part[len(taken) :]
            self._pending.append(taken.copy())
            self._held += len(taken)
            if self._held == self.length:
                self._keep()

    def finish(self) -> list[np.ndarray]:
        """The runs, and the latest steps as the last one: what drifts is most like what follows."""
        latest = self._ending()
        return [run for run in self.runs if len(run) == len(latest) and run is not latest] + [latest]

    def before_latest(self) -> list[np.ndarray]:
        """The runs that share no step with the last one of `finish`."""
        return [run for run in self.runs if run is not self._latest and len(run) == len(self._ending())]

    def _ending(self) -> np.ndarray:
        return np.concatenate([self._latest, *self._pending])[-self.length :] if self._pending else self._latest

    def _keep(self) -> None:
        run = np.concatenate(self._pending)
        self._pending, self._held, self._latest = [], 0, run
        self._kept.put(self.runs, lambda: run)

    def restore(self, runs: list[np.ndarray], latest: np.ndarray | None, rest: np.ndarray | None) -> None:
        """The state after a stream of which `runs` are kept, `latest` was the last whole run, and `rest` the steps after it."""
        self.runs = runs
        self._latest = latest if latest is not None else self._latest
        self._pending, self._held = ([rest], len(rest)) if rest is not None and len(rest) else ([], 0)
