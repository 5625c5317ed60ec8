"""`aecodec anomalies`."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.api.trust import Trust
from aecodec.cli.outputs import refuse_existing
from aecodec.cli.progress import progress, say
from aecodec.cli.tables import print_json, print_table
from aecodec.cli.task_data import Source, open_reader, task_data, task_model
from aecodec.codec.model import Model
from aecodec.errors import UsageError
from aecodec.tasks.anomaly import AnomalyDetector
from aecodec.tasks.results import Scores
from aecodec.tasks.stored_rates import stored_scores
from aecodec.tasks.thresholds import Threshold, pot_threshold, quantile_threshold
from aecodec.tasks.windows import WindowDetector

_SHOWN = 20
STORED, WINDOWS = "stored", "windows"
_WINDOW = 60


@dataclass(frozen=True)
class Request:
    """What is asked for, as the options have it."""

    score: str
    per: str
    keep: float | None
    window: int | None
    smoothing: str
    threshold: str
    normal: str | None
    normal_steps: int | None
    penalty: float

    @property
    def smoothed(self) -> int:
        """Steps that scores of steps are smoothed over."""
        return 1 if self.window is None else self.window


def find(
    name: str,
    model: str | None,
    request: Request,
    source: Source,
    settings: tuple[str, Trust],
    outputs: tuple[str | None, str | None, bool, bool, bool],
) -> None:
    """Score, write and show. `settings`: provider, trust; `outputs`: file, picture, overwrite, as JSON, quiet."""
    output, picture, force, as_json, quiet = outputs
    for path in (output, picture):
        if path is not None:
            refuse_existing(path, force)
    parse_threshold(request.threshold)
    with progress("scoring", None, quiet):
        found = _stored(name, request, settings) if request.score == STORED else _scored(name, model, request, source, settings)
    if output is not None:
        found.save(output, overwrite=force, penalty=request.penalty)
    if picture is not None:
        from aecodec.tasks.plot import plot

        plot(found, picture, Path(name).name)
    if as_json:
        print_json(found.to_json(request.penalty))
    elif not quiet:
        _show(name, found, request.penalty)


def _scored(name: str, model: str | None, request: Request, source: Source, settings: tuple[str, Trust]) -> Scores:
    loaded = task_model(model, *settings)
    with ExitStack() as stack:
        data, axes = stack.enter_context(task_data(name, source, loaded, *settings))
        detector = _detector(loaded, request, axes)
        normal = data
        if request.normal is not None:
            normal, _ = stack.enter_context(task_data(request.normal, source, loaded, *settings))
        if request.normal_steps is not None:
            normal = _first_steps(normal, request.normal_steps)
        detector.fit(normal, calibrate=False)
        method, numbers = parse_threshold(request.threshold)
        if method == "value":
            detector.threshold = Threshold(numbers["value"], "given")
        else:
            detector.calibrate(normal, method, **numbers)
        return detector.score(data)


def _detector(model: Model, request: Request, axes: str | None) -> AnomalyDetector | WindowDetector:
    if request.score == WINDOWS:
        if request.per == "tile":
            raise UsageError(f"--score {WINDOWS} is of steps; leave out --per tile")
        keep = 0 if request.keep is None else request.keep
        return WindowDetector(model, axes, keep=keep, window=_WINDOW if request.window is None else request.window)
    per: Any = request.per  # which it checks
    kept: dict[str, Any] = {"keep": request.keep, "window": request.smoothed, "smoothing": request.smoothing}
    return AnomalyDetector(model, request.score, axes, per=per, **kept)


def _stored(name: str, request: Request, settings: tuple[str, Trust]) -> Scores:
    if not name.endswith(".aecz") or request.per == "tile":
        raise UsageError(
            f"--score {STORED} reads the bits that an .aecz file spends on its steps; {name} --per {request.per} has none"
        )
    with open_reader(name, None, *settings) as reader:
        found = stored_scores(reader, window=request.smoothed)
    normal = found.scores
    if request.normal is not None:
        with open_reader(request.normal, None, *settings) as reader:
            normal = stored_scores(reader, window=request.smoothed).scores
    if request.normal_steps is not None:
        normal = normal[: _checked_steps(request.normal_steps, len(normal))]
    return replace(found, threshold=_calibrated(normal, request.threshold))


def _calibrated(normal: np.ndarray, text: str) -> Threshold:
    method, numbers = parse_threshold(text)
    if method == "value":
        return Threshold(numbers["value"], "given")
    return quantile_threshold(normal, **numbers) if method == "quantile" else pot_threshold(normal, **numbers)


def parse_threshold(text: str) -> tuple[str, dict[str, float]]:
    """ "quantile:0.999", "quantile:0.999x1.5", "pot:1e-4" or a number, as (method, its numbers)."""
    method, _, rest = text.partition(":")
    try:
        if method == "quantile" and rest:
            quantile, _, factor = rest.partition("x")
            return method, {"quantile": float(quantile), "factor": float(factor or 1)}
        if method == "pot" and rest:
            return method, {"risk": float(rest)}
        return "value", {"value": float(text)}
    except ValueError:
        raise UsageError(
            f"--threshold {text!r} is not quantile:Q, quantile:QxFACTOR, pot:RISK or a number, e.g. quantile:0.999x1.33"
        ) from None


def _first_steps(data: Any, count: int) -> np.ndarray:
    """The first steps of an array or a Reader, of which no more is read."""
    shape = data.shape
    return np.asarray(data[: _checked_steps(count, shape[0] if shape else 0)])


def _checked_steps(count: int, length: int) -> int:
    if not 2 <= count <= length:
        raise UsageError(f"--normal-steps {count} of {length} step(s): give 2 or more, as many as there are at most")
    return count


def _show(name: str, found: Scores, penalty: float) -> None:
    threshold = found.threshold
    assert threshold is not None
    total = found.scores.size
    what = "step" if found.per == "step" else "tile"
    say(
        f"{name} : {int(found.flags.sum())} of {total} {what}(s) above {threshold.value:.4g} ({threshold.method}); {found.kind} "
        f"score, median {float(np.median(found.scores)):.4g}, largest {float(found.scores.max()):.4g}"
    )
    if found.per != "step":
        return
    events = sorted(found.events(), key=lambda event: -event.peak)
    rows = [
        [f"{e.start} to {e.stop - 1}", f"{e.peak:.4g}", f"{e.peak_at}", ", ".join(f"{c} ({share:.0%})" for c, share in e.channels)]
        for e in events[:_SHOWN]
    ]
    if rows:
        print_table(["steps", "peak", "at", "channels (share)"], rows)
    if len(events) > _SHOWN:
        say(f"{name} : {len(events) - _SHOWN} more event(s); -o FILE.json has all")
    changes = found.changepoints(penalty)
    say(f"{name} : {len(changes)} changepoint(s)" + (f": {', '.join(map(str, changes[:_SHOWN]))}" if changes else ""))
