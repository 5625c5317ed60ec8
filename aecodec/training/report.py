"""The final report of a run: rates and distortions of the trained model, the closed form and the peers on held-out data."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.api.functions import compress, decompress
from aecodec.canonical import fill_missing
from aecodec.codec.model import Model
from aecodec.fidelity import Fidelity
from aecodec.training.data import TrainingData
from aecodec.training.monitor import duration_text
from aecodec.training.peers import QUALITIES, bounded_peers, picture_peers, within_bounds, zstd_size

JSON, TEXT, PICTURE = "report.json", "report.txt", "rate_distortion.png"
_MOST_VALUES = 1 << 22  # of held-out data that all are measured on
_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the bound asked for
_PSNRS = (-10.0, -5.0, 0.0, 5.0, 10.0)
_DEFAULT_PSNR, _LEVEL = 40.0, 9


@dataclass(frozen=True)
class Point:
    """One codec at one setting: bits per value of the held-out data, largest absolute error, PSNR in dB over the channels'
    value ranges (None: no error)."""

    setting: str
    bits: float
    worst: float
    psnr: float | None
    asked: bool = False


@dataclass(frozen=True)
class Curve:
    """One codec. `model_bytes`: what a receiver needs beside the files, once."""

    name: str
    points: list[Point]
    model_bytes: int = 0


@dataclass(frozen=True)
class Report:
    """All that is known of a run. `values` and `itemsize`: of the held-out data that was coded."""

    curves: list[Curve]
    values: int
    itemsize: int
    run: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def measure(model: Model, closed: Model | None, data: TrainingData, fidelity: Fidelity, run: dict[str, Any]) -> Report:
    """Code held-out data by `model`, the closed form and the installed peers, at the fidelity asked for and around it."""
    pieces = held_out(data)
    values = sum(piece.size for piece in pieces)
    settings = _ladder(fidelity, data)
    spans = spans_of(data)
    curves = [_coded("trained", model, pieces, settings, spans)]
    if closed is not None:
        curves.append(_coded("closed form", closed, pieces, settings, spans))
    if fidelity.allowed_errors(data.channels) is not None:
        for name, coder in bounded_peers().items():
            curve = Curve(name, [])
            for label, wanted, asked in settings:
                errors = np.broadcast_to(np.asarray(wanted["max_error"], np.float64), (data.channels,))
                results = [within_bounds(coder, piece, errors) for piece in pieces]
                curve.points.append(replace(_point(label, pieces, results, spans), asked=asked))
            curves.append(curve)
    for name, coder in picture_peers(pieces[0]).items():
        points = [_point(f"quality {q}", pieces, [coder(piece, q) for piece in pieces], spans) for q in QUALITIES]
        curves.append(Curve(name, points))
    curves.append(Curve("zstd, lossless", [Point("level 19", 8.0 * sum(map(zstd_size, pieces)) / values, 0.0, None)]))
    return Report(curves, values, pieces[0].itemsize, run)


def held_out(data: TrainingData) -> list[np.ndarray]:
    """Validation pieces, of at most a few million values together: each cut to its first steps, or rows, if there are more."""
    room, chosen = _MOST_VALUES, []
    for piece in data.validation.pieces:
        if room <= 0:
            break
        axis = 0 if len(piece) > 1 else 2
        keep = max(1, min(piece.shape[axis], room * piece.shape[axis] // piece.size))
        part = np.ascontiguousarray(piece[:keep] if axis == 0 else piece[:, :, :keep])
        chosen.append(fill_missing(part) if data.validation.fill else part)
        room -= part.size
    return chosen


def bits_per_value(model: Model, pieces: list[np.ndarray], **fidelity: Any) -> float:
    """Of canonical pieces coded by the model, which is not in the files."""
    sizes = [len(compress(piece, model, "tcyx", level=_LEVEL, embed_model=False, **fidelity)) for piece in pieces]
    return 8.0 * sum(sizes) / sum(piece.size for piece in pieces)


def asked_fidelity(fidelity: Fidelity, data: TrainingData) -> dict[str, Any]:
    """The keywords of `compress` for what was asked for, or for what stands for it where nothing was."""
    return next(wanted for _, wanted, asked in _ladder(fidelity, data) if asked)


def _ladder(fidelity: Fidelity, data: TrainingData) -> list[tuple[str, dict[str, Any], bool]]:
    """(label, fidelity keywords, whether it is what was asked for)."""
    errors = fidelity.allowed_errors(data.channels)
    if errors is not None:
        one = len(set(errors.tolist())) == 1
        wanted = [(f, (errors * f).tolist()) for f in _FACTORS]
        return [(f"{e[0]:.3g}" if one else f"{f:g} x asked", {"max_error": e[0] if one else e}, f == 1.0) for f, e in wanted]
    if fidelity.kind == "lossless" and data.dtype.kind in "iu":
        return [("lossless", {}, True)]
    ranges = [(float(low), float(high)) for low, high in zip(data.low, data.high, strict=True)]
    if data.dtype == np.uint8:
        ranges = [(0.0, 255.0)] * data.channels
    number = fidelity.value if isinstance(fidelity.value, float) else _DEFAULT_PSNR
    if fidelity.kind == "quality":
        qualities = sorted({10.0, 30.0, 50.0, 75.0, 90.0, number})
        return [(f"quality {q:g}", {"quality": q, "value_range": ranges}, q == number) for q in qualities]
    number = number if fidelity.kind == "psnr" else _DEFAULT_PSNR
    return [(f"{number + d:g} dB", {"psnr": number + d, "value_range": ranges}, d == 0.0) for d in _PSNRS if number + d > 0]


def _coded(
    name: str, model: Model, pieces: list[np.ndarray], settings: list[tuple[str, dict[str, Any], bool]], spans: np.ndarray
) -> Curve:
    points = []
    for label, fidelity, asked in settings:
        results = []
        for piece in pieces:
            packed = compress(piece, model, "tcyx", level=_LEVEL, embed_model=False, **fidelity)
            results.append((len(packed), decompress(packed, model=model)))
        points.append(replace(_point(label, pieces, results, spans), asked=asked))
    return Curve(name, points, len(model.stored))


def _point(setting: str, pieces: list[np.ndarray], results: Sequence[tuple[int, np.ndarray]], spans: np.ndarray) -> Point:
    values = sum(piece.size for piece in pieces)
    worst = squares = 0.0
    for piece, (_, decoded) in zip(pieces, results, strict=True):
        error = piece.astype(np.float64) - decoded
        worst = max(worst, float(np.abs(error).max()))
        squares += float(np.square(error / spans[:, None, None]).sum())
    psnr = None if worst == 0.0 else -10.0 * math.log10(squares / values)
    return Point(setting, 8.0 * sum(size for size, _ in results) / values, worst, psnr)


def spans_of(data: TrainingData) -> np.ndarray:
    """What PSNR is relative to: the value range of each channel, or 255."""
    return np.full(data.channels, 255.0) if data.dtype == np.uint8 else np.maximum(data.high - data.low, 1e-300)


def as_text(report: Report) -> str:
    """For people: the run, then a line for each codec and setting."""
    run = report.run
    lines = []
    if run:
        lines.append(
            f"{run['family']} {'+'.join(run['networks'])}: {run['steps']} steps in {duration_text(run['seconds'])}, {run['ended']}"
        )
        lines += [f"note: {note}" for note in run.get("notes", [])]
        lines += [f"held out: {', '.join(f'{name} {value:.5g}' for name, value in run.get('best', {}).items())}", ""]
    lines.append(f"{report.values} held-out values of {8 * report.itemsize} bits")
    lines.append(f"{'codec':14} {'setting':12} {'bits/value':>10} {'with model':>10} {'ratio':>7} {'worst error':>11} {'PSNR':>7}")
    for curve in report.curves:
        for point in curve.points:
            whole = point.bits + 8.0 * curve.model_bytes / report.values
            psnr = "exact" if point.psnr is None else f"{point.psnr:.2f}"
            lines.append(
                f"{curve.name:14} {point.setting + (' *' if point.asked else ''):12} {point.bits:10.4f} {whole:10.4f} "
                f"{8 * report.itemsize / point.bits:7.2f} {point.worst:11.4g} {psnr:>7}"
            )
    lines += [f"{c.name}: the model has {c.model_bytes} bytes" for c in report.curves if c.model_bytes]
    lines.append("*: what was asked for. with model: its bytes spread over the held-out values alone")
    return "\n".join(lines) + "\n"


def write(report: Report, folder: str | Path) -> list[Path]:
    """Write report.json, report.txt and, if matplotlib is installed, rate_distortion.png; the files written."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / JSON).write_text(json.dumps(report.to_json(), indent=1) + "\n")
    (target / TEXT).write_text(as_text(report))
    written = [target / JSON, target / TEXT]
    try:
        import matplotlib  # noqa: F401  # whether it is there
    except ImportError:
        return written
    _draw(report, target / PICTURE)
    return [*written, target / PICTURE]


def _draw(report: Report, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    for curve in report.curves:
        points = [(p.bits, p.psnr) for p in curve.points if p.psnr is not None]
        if points:
            axes.plot(*zip(*sorted(points), strict=True), marker="o", label=curve.name, linewidth=2 if curve.model_bytes else 1)
    for curve in report.curves:
        exact = [p.bits for p in curve.points if p.psnr is None]
        if exact:
            axes.axvline(exact[0], linestyle=":", color="gray", label=f"{curve.name} {exact[0]:.2f}")
    axes.set(xlabel="bits per value", ylabel="PSNR, dB", title="held-out data, models not counted")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
