"""The report as one self-contained page: template, style and script beside this file, filled with what was measured."""

import json
import os
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template

from aecodec.container.durable import replace_durably
from aecodec.errors import OutputExistsError
from aecodec.evaluation.charts import number
from aecodec.evaluation.measure import Evaluation
from aecodec.evaluation.page.sections import SECTIONS, size

_FOLDER = Path(__file__).parent


def as_page(found: Evaluation) -> str:
    """HTML that needs nothing from the network. Text from files is escaped; the figures are in it as JSON, too."""
    tabs, sections = [], []
    for name, build in SECTIONS.items():
        key = name.lower().replace(" ", "-")
        tabs.append(f'<button role="tab" id="tab-{key}" aria-controls="{key}">{name}</button>')
        body = f"<h2>{name}</h2>{build(found)}"
        sections.append(f'<section role="tabpanel" id="{key}" aria-labelledby="tab-{key}">{body}</section>')
    kind, verdict = _verdict(found)
    whole = "" if found.used == found.shape else f"; measured on the first part of it, {_times(found.used)}"
    return Template((_FOLDER / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(f"{found.name}: how well it compresses"),
        subtitle=escape(f"{_times(found.shape)} {found.dtype}, axes {found.axes}{whole}"),
        verdict=escape(verdict),
        verdict_kind=kind,
        tiles="".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in _tiles(found)),
        tabs="".join(tabs),
        sections="".join(sections),
        footer=escape(_footer(found)),
        figures=json.dumps(found.to_json()).replace("<", "\\u003c"),
        style=(_FOLDER / "style.css").read_text(encoding="utf-8"),
        script=(_FOLDER / "script.js").read_text(encoding="utf-8"),
    )


def write_page(found: Evaluation, path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Write the page; OutputExistsError if it exists and `overwrite` is not set."""
    target = Path(path)
    if target.exists() and not overwrite:
        raise OutputExistsError(f"{target} exists; choose another name, or overwrite it with -f")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_text(as_page(found), encoding="utf-8")
        replace_durably(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _verdict(found: Evaluation) -> tuple[str, str]:
    demand = demand_text(found)
    if found.bounds is not None or found.fidelity.kind == "lossless":
        if found.broken:
            return "broken", f"{found.broken} values are outside {demand}"
        return "kept", f"Every value is within {demand}" if found.bounds is not None else "Every bit is kept (lossless)"
    return "open", f"Asked for: {demand}; no bound on single values"


def demand_text(found: Evaluation) -> str:
    """What was asked for, for people."""
    kind, bounds = found.fidelity.kind, found.bounds
    if bounds is not None:
        one = len(set(bounds)) == 1
        shown = number(bounds[0]) if one else f"{number(min(bounds))} to {number(max(bounds))} by channel"
        return f"the bound of {shown}" + (" (from the value range)" if kind == "max_range_error" else "")
    value = found.fidelity.value
    plain = value[0] if isinstance(value, tuple) else value
    return {"psnr": f"{plain:g} dB", "quality": f"quality {plain:g}", "lossless": "lossless"}.get(kind, f"{kind} {plain:g}")


def _tiles(found: Evaluation) -> list[tuple[str, str]]:
    ours = found.raw_bytes / max(1, found.file_bytes)
    tiles = [
        ("times smaller, without the model" if found.model_bytes else "times smaller", f"{ours:.2f}"),
        ("bits per value", f"{8 * found.file_bytes / found.array.size:.3f}"),
        ("largest error", number(found.worst)),
    ]
    if found.model_bytes:
        whole = found.raw_bytes / (found.file_bytes + found.model_bytes)
        tiles.insert(1, (f"with the model's {size(found.model_bytes)} in the file", f"{whole:.2f}"))
    megabytes, asked = found.raw_bytes / 1e6, next((p for p in found.curves[0].points if p.asked), None)
    if asked is not None:  # with the model at hand; the first run may have fitted it
        tiles += [("MB/s in", f"{megabytes / asked.encoding:.3g}"), ("MB/s out", f"{megabytes / asked.decoding:.3g}")]
    return tiles


def _footer(found: Evaluation) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in found.machine.items())
    model = f"model {found.model_id} ({found.model_family})" if found.model_id else "no model"
    return f"{model}; level {found.level}, {found.threads} thread(s). {machine}. {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "scalar"
