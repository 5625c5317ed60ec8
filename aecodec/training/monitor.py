"""What a run tells of itself while it goes on: a bar on a terminal, a line now and then elsewhere, TensorBoard, a callback."""

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from aecodec.errors import require_extra

_LINE_EVERY = 30.0  # seconds of the run
_SHOWN = ("rate", "bits", "distortion")


@dataclass(frozen=True)
class Snapshot:
    """The state of a run. `phase`: "float", or "frozen" once weights are integers. `metrics` are of recent steps, running means;
    `validation` is of the last validation, `fresh` if that has just been made; `note`: what happened out of the ordinary.
    """

    phase: str
    step: int
    progress: float
    seconds: float
    left: float | None
    learning_rate: float
    loss: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    validation: Mapping[str, float] = field(default_factory=dict)
    best: float | None = None
    fresh: bool = False
    note: str = ""

    def text(self) -> str:
        """One line for people."""
        shown = [f"{name} {self.metrics[name]:.4g}" for name in _SHOWN if name in self.metrics] or [f"loss {self.loss:.4g}"]
        if self.best is not None:
            shown.append(f"held out {self.validation.get('score', self.best):.4g} (best {self.best:.4g})")
        left = "" if self.left is None else f", {duration_text(self.left)} left"
        frozen = ", integer weights" if self.phase == "frozen" else ""
        return f"step {self.step}: {', '.join(shown)}{frozen}{left}"


Monitor = Callable[[Snapshot], None]


def duration_text(seconds: float) -> str:
    """3:05 or 1:02:10."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Monitors:
    """All that is to be told, as one context: `progress` True for bars and lines on standard error, or a function to be called."""

    def __init__(self, progress: bool | Monitor, log_dir: str | Path | None = None, title: str = "training") -> None:
        self._progress, self._log_dir, self._title = progress, log_dir, title
        self._stack = ExitStack()
        self._monitors: list[Monitor] = []

    def __enter__(self) -> "Monitors":
        if callable(self._progress):
            self._monitors.append(self._progress)
        elif self._progress:
            self._monitors.append(self._bar() if sys.stderr.isatty() else _Lines(self._title))
        if self._log_dir is not None:
            self._monitors.append(self._tensorboard(self._log_dir))
        return self

    def __call__(self, snapshot: Snapshot) -> None:
        """Tell all of them."""
        for monitor in self._monitors:
            monitor(snapshot)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def _bar(self) -> Monitor:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (TextColumn(self._title), BarColumn(), TextColumn("{task.description}"))
        bar = self._stack.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
        task = bar.add_task("starting", total=1.0)

        def show(snapshot: Snapshot) -> None:
            if snapshot.note:
                bar.console.print(f"{self._title}: {snapshot.note}")
            bar.update(task, completed=snapshot.progress, description=snapshot.text())

        return show

    def _tensorboard(self, folder: str | Path) -> Monitor:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise require_extra("tensorboard", "train", "log_dir") from None
        writer: Any = SummaryWriter(str(folder))
        self._stack.callback(writer.close)

        def write(snapshot: Snapshot) -> None:
            values = {"train/loss": snapshot.loss, "train/learning_rate": snapshot.learning_rate}
            values |= {f"train/{name}": value for name, value in snapshot.metrics.items()}
            if snapshot.fresh:
                values |= {f"validation/{name}": value for name, value in snapshot.validation.items()}
            for name, value in values.items():
                writer.add_scalar(name, value, snapshot.step)

        return write


class _Lines:
    """A line of text every half minute."""

    def __init__(self, title: str) -> None:
        self._title, self._next = title, 0.0

    def __call__(self, snapshot: Snapshot) -> None:
        if snapshot.note:
            print(f"{self._title}: {snapshot.note}", file=sys.stderr, flush=True)  # noqa: T201  # what was asked for
        if snapshot.seconds >= self._next:
            self._next = snapshot.seconds + _LINE_EVERY
            print(f"{self._title}, {snapshot.text()}", file=sys.stderr, flush=True)  # noqa: T201  # what was asked for
