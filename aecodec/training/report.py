"""The final report of a run: rates and distortions of the trained model, the closed form and the peers on held-out data."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.api.functions import compress
from aecodec.canonical import fill_missing
from aecodec.codec.model import Model
from aecodec.evaluation.curves import Curve, coded, ladder, peer_curves, spans_of
from aecodec.fidelity import Fidelity
from aecodec.training.data import TrainingData
from aecodec.training.monitor import duration_text

JSON, TEXT, PICTURE = "report.json", "report.txt", "rate_distortion.png"
_MOST_VALUES = 1 << 22  # of held-out data that all are measured on
_LEVEL = 9


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
    settings = ladder(fidelity, data.dtype, data.low, data.high)
    spans = spans_of(data.dtype, data.low, data.high)
    curves = [coded("trained", model, pieces, settings, spans, _LEVEL, len(model.stored))]
    if closed is not None:
        curves.append(coded("closed form", closed, pieces, settings, spans, _LEVEL, len(closed.stored)))
    return Report([*curves, *peer_curves(pieces, settings, spans)], values, pieces[0].itemsize, run)


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
    return next(setting.fidelity for setting in ladder(fidelity, data.dtype, data.low, data.high) if setting.asked)


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
