"""Runs of consecutive steps, kept while statistics are gathered: what the predictor is fitted on."""

import numpy as np

LONGEST_RUN = 33  # steps: a few pyramids of frames
_RUNS = 2


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
        self._capacity = max(1, capacity // (self.length * size))
        self._pending: list[np.ndarray] = []
        self._held = self._seen = 0
        self._latest = np.zeros((0, *part_shape), np.float32)
        self._random = np.random.default_rng(seed)

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
        self._seen += 1
        if len(self.runs) < self._capacity:
            self.runs.append(run)
        elif (place := int(self._random.integers(self._seen))) < self._capacity:
            self.runs[place] = run
