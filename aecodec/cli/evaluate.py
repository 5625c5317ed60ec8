"""`aecodec evaluate`."""

from pathlib import Path
from typing import Any

import numpy as np

from aecodec.api.reader import Reader
from aecodec.cli.inputs import Source, parse_dtype, parse_shape, read_source
from aecodec.cli.outputs import SUFFIX, refuse_existing
from aecodec.cli.progress import progress, say
from aecodec.cli.tables import print_json, print_table
from aecodec.errors import UsageError
from aecodec.evaluation.charts import number
from aecodec.evaluation.measure import Evaluation, evaluate
from aecodec.evaluation.page import write_page


def evaluate_file(
    name: str,
    model: Any,
    report: Path | None,
    raw: tuple[str | None, str | None],
    axes: str | None,
    settings: dict[str, Any],
    fidelity: dict[str, Any],
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure, print a table (or JSON), and write the page if one is named."""
    if report is not None:
        refuse_existing(str(report), force)
    if settings["most_values"] < 1:
        raise UsageError(f"--values {settings['most_values']} must be 1 or more")
    source = _archived(name) if name.endswith(SUFFIX) else read_source(name, parse_dtype(raw[0]), parse_shape(raw[1]), axes)
    if source.metadata["source"] == "bytes":
        raise UsageError(f"{name} is plain bytes, of which there is nothing to show; for numbers give --dtype and --shape")
    array = _first(source, settings["most_values"])
    with progress("evaluating", None, quiet):
        found = evaluate(array, model, source.axes, name=Path(name).name, **settings, **_given(fidelity))
    if report is not None:
        write_page(found, report, overwrite=force)
    if as_json:
        print_json(found.to_json())
    elif not quiet:
        _print(found)
    if report is not None:
        say(f"{report} : {report.stat().st_size / 1e6:.2f} MB, open it in any browser", quiet)


def _archived(name: str) -> Source:
    """An .aecz file as data: what it decodes to is the original here."""
    reader = Reader(name)
    slabs = (slab for _, slab in reader.slabs()) if reader.array_file.spec.axes.stream == 0 else iter([reader.read()])
    return Source(name, None, reader.axes, {"source": "aecz"}, slabs)


def _first(source: Source, most: int) -> np.ndarray:
    """The array or, of a stream, as many of its first slabs as will be looked at."""
    if source.array is not None:
        return source.array
    slabs: list[np.ndarray] = []
    for slab in source.slabs:
        slabs.append(slab)
        if sum(part.size for part in slabs) >= most:
            break
    if not slabs:
        raise UsageError(f"{source.name} holds nothing to evaluate")
    return np.concatenate(slabs)


def _given(fidelity: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fidelity.items() if value is not None}


def _print(found: Evaluation) -> None:
    rows = []
    for curve in found.curves:
        for p in curve.points:
            psnr = "exact" if p.psnr is None else f"{p.psnr:.2f}"
            ratio = 8 * found.array.itemsize / p.bits
            rows.append([curve.name, p.setting + (" *" if p.asked else ""), f"{p.bits:.4f}", f"{ratio:.2f}", number(p.worst), psnr])
    print_table(["codec", "setting", "bits/value", "ratio", "largest error", "PSNR"], rows)
