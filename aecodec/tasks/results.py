"""Scores of a whole array with what follows from them: flags, events, changepoints, CSV and JSON."""

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from aecodec.container.durable import replace_durably
from aecodec.errors import OutputExistsError, UsageError
from aecodec.tasks.changepoints import changepoints
from aecodec.tasks.thresholds import Threshold


@dataclass(frozen=True)
class Event:
    """Anomalous steps from `start` to `stop`; `channels`: those to blame, worst first, each with its share of the score."""

    start: int
    stop: int
    peak: float
    peak_at: int
    channels: list[tuple[int, float]]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**self.__dict__, "channels": [{"channel": c, "share": round(s, 4)} for c, s in self.channels]}


@dataclass(frozen=True)
class Scores:
    """Scores, float64, of steps (steps,) or of tiles (steps, rows, columns of the tile grid).

    `worst` int32 and `shares` float32 (*scores' shape, k): the k channels that contribute most, and how much of 1.
    `threshold`: None if nothing was calibrated.
    """

    scores: np.ndarray
    worst: np.ndarray
    shares: np.ndarray
    kind: str
    per: str
    threshold: Threshold | None = None
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def flags(self) -> np.ndarray:
        """True where a score is above the threshold."""
        if self.threshold is None:
            raise UsageError("the scores have no threshold: calibrate the detector on normal data first")
        return np.asarray(self.scores > self.threshold.value)

    def changepoints(self, penalty: float = 10.0) -> list[int]:
        """Steps at which the level of the scores changes (see `aecodec.tasks.changepoints`)."""
        self._need_steps("changepoints")
        positive, window = bool(self.scores.min(initial=0.0) >= 0), int(self.about.get("window", 1))
        return changepoints(self.scores, penalty, logarithm=positive, window=window)

    def events(self, gap: int = 0) -> list[Event]:
        """Runs of anomalous steps; those not more than `gap` steps apart are one."""
        self._need_steps("events")
        found: list[list[int]] = []
        for start, stop in _runs(self.flags):
            if found and start - found[-1][1] <= gap:
                found[-1][1] = stop
            else:
                found.append([start, stop])
        return [self._event(start, stop) for start, stop in found]

    def _event(self, start: int, stop: int) -> Event:
        part = slice(start, stop)
        at = start + int(np.argmax(self.scores[part]))
        weights = self.shares[part] * np.maximum(self.scores[part, None], 0.0)
        channels, place = np.unique(self.worst[part], return_inverse=True)
        sums = np.bincount(place.reshape(-1), weights.reshape(-1)) / max(float(self.scores[part].sum()), 1e-300)
        order = np.argsort(-sums, kind="stable")[: self.worst.shape[-1]]
        return Event(start, stop, float(self.scores[at]), at, [(int(channels[i]), float(sums[i])) for i in order])

    def _need_steps(self, what: str) -> None:
        if self.per != "step":
            raise UsageError(f"{what} are found in scores of steps; score with per='step'")

    def to_json(self, penalty: float = 10.0) -> dict[str, Any]:
        """A summary as a JSON object: threshold, counts, events, changepoints; scores are for `write_csv`."""
        record: dict[str, Any] = {"score": self.kind, "per": self.per, "shape": list(self.scores.shape), **self.about}
        if self.threshold is not None:
            record |= {"threshold": self.threshold.to_json(), "anomalous": int(self.flags.sum())}
        if self.per == "step":
            record["changepoints"] = self.changepoints(penalty)
            if self.threshold is not None:
                record["events"] = [event.to_json() for event in self.events()]
        else:
            flat = np.argsort(-self.scores, axis=None, kind="stable")[:20]
            places = np.array(np.unravel_index(flat, self.scores.shape)).T
            record["highest"] = [{"tile": p.tolist(), "score": float(self.scores[tuple(p)])} for p in places]
        return record

    def rows(self) -> Iterator[list[Any]]:
        """A heading, then one row for each score: place, score, anomalous or not, worst channels and their shares."""
        k = self.worst.shape[-1]
        place = ["step"] if self.per == "step" else ["step", "row", "column"]
        named = [name for i in range(1, k + 1) for name in (f"channel{i}", f"share{i}")]
        yield [*place, "score", "anomaly", *named]
        flags = self.flags if self.threshold is not None else None
        for index in np.ndindex(self.scores.shape):
            pairs = zip(self.worst[index].tolist(), self.shares[index].tolist(), strict=True)
            top = [value for channel, share in pairs for value in (channel, f"{share:.4f}")]
            yield [*index, f"{self.scores[index]:.6g}", "" if flags is None else int(flags[index]), *top]

    def write_csv(self, sink: TextIO) -> None:
        """All scores as CSV."""
        csv.writer(sink, lineterminator="\n").writerows(self.rows())

    def save(self, path: str | os.PathLike[str], overwrite: bool = False, penalty: float = 10.0) -> None:
        """Write .csv (all scores) or .json (the summary), by the name; OutputExistsError if it is there."""
        name, target = os.fspath(path), Path(path)
        if not name.endswith((".csv", ".json")):
            raise UsageError(f"{name}: scores are written as .csv (all of them) or .json (threshold, events, changepoints)")
        if target.exists() and not overwrite:
            raise OutputExistsError(f"{name} exists; choose another name, or overwrite it with overwrite=True")
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            with partial.open("w", encoding="utf-8") as file:
                if name.endswith(".csv"):
                    self.write_csv(file)
                else:
                    json.dump(self.to_json(penalty), file, indent=2)
                    file.write("\n")
            replace_durably(partial, target)
        finally:
            partial.unlink(missing_ok=True)


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
