"""The sections of the page: HTML from what was measured, charts by charts.py, pictures by maps.py."""

from collections.abc import Callable, Sequence
from html import escape

from aecodec.evaluation.charts import COLOURS, Line, bar_chart, line_chart, number
from aecodec.evaluation.curves import Curve, Point
from aecodec.evaluation.maps import Panel, panels
from aecodec.evaluation.measure import Evaluation

_MOST_ROWS = 200
_UNITS = ("B", "kB", "MB", "GB", "TB")


def overview(found: Evaluation) -> str:
    """Rate and distortion of all codecs, as curves and as a table at the fidelity asked for."""
    drawn = [curve for curve in found.curves if sum(p.psnr is not None for p in curve.points) > 1]
    curves = []
    for place, curve in enumerate(drawn):
        points = sorted((p for p in curve.points if p.psnr is not None), key=lambda p: p.bits)
        labels = [f"{curve.name}, {p.setting}: {p.bits:.3f} bits per value, {p.psnr:.2f} dB" for p in points]
        xs, ys = [p.bits for p in points], [p.psnr or 0.0 for p in points]
        curves.append(Line(curve.name, xs, ys, COLOURS[place % len(COLOURS)], labels, bold=place == 0))
    worst = []
    for place, curve in enumerate(drawn):
        points = sorted((p for p in curve.points if p.worst > 0), key=lambda p: p.bits)
        xs, ys = [p.bits for p in points], [p.worst for p in points]
        labels = [f"{curve.name}, {p.setting}: largest error {number(p.worst)}" for p in points]
        worst.append(Line(curve.name, xs, ys, COLOURS[place % len(COLOURS)], labels, bold=place == 0))
    charts = ""
    if curves:
        charts = (
            '<div class="charts">'
            + _chart(line_chart(curves, "bits per value", "PSNR, dB", "Rate and distortion"), "Higher and further left is better.")
            + _chart(
                line_chart(worst, "bits per value", "largest error", "Largest error by rate", log_y=True),
                "Lower and further left is better. Models are not counted in either chart.",
            )
            + "</div>"
        )
    values = found.array.size
    rows = [_codec_row(curve, p, found, values) for curve in found.curves for p in curve.points if _is_shown(curve, p)]
    heads = ["codec", "setting", "times smaller", "bits/value", "with model", "largest error", "PSNR, dB"]
    filled = ""
    if found.missing:
        filled = (
            f" {found.missing:,} values are not finite: here they are replaced by the finite value before them, for all codecs."
        )
    note = (
        "Peers are those installed here, each in the best of its layouts; sizes are of all bytes. "
        f"<em>With model</em> spreads the model's bytes over these {values:,} values alone.{filled}"
    )
    return charts + _table(heads, rows, ours=_ours(found)) + f'<p class="soft">{note}</p>'


def errors(found: Evaluation) -> str:
    """The histogram, and a row a channel."""
    h = found.histogram
    marks = [(-1.0, "-bound"), (1.0, "bound")] if h.unit == "bound" else []
    x_label = "error / bound" if h.unit == "bound" else f"error / root mean square error ({number(h.scale)})"
    lossless = found.worst == 0
    if lossless:
        chart = "<p>No value differs from the original.</p>"
    else:
        picture = bar_chart(h.edges, h.shares, marks, x_label, "share of values", "Histogram of errors")
        chart = f'<div class="charts">{_chart(picture, "Errors outside the chart are counted in its last bars.")}</div>'
    heads = ["channel", "range", "bound", "largest error", "of bound", "RMS error", "mean error", "PSNR, dB", "outside"]
    rows = [
        [
            str(n),
            f"{number(c.low)} to {number(c.high)}",
            "-" if c.bound is None else number(c.bound),
            number(c.worst),
            "-" if not c.bound else f"{100 * c.worst / c.bound:.1f} %",
            number(c.rms),
            number(c.mean),
            "exact" if c.psnr is None else f"{c.psnr:.2f}",
            "-" if c.bound is None else str(c.broken),
        ]
        for n, c in enumerate(found.channels)
    ]
    return chart + _table(heads, rows)


def maps(found: Evaluation) -> str:
    """Places in the array, one shown at a time, each with its slider."""
    shown = panels(found.array, found.restored, found.bounds)
    if shown and shown[0].chart:
        return '<div class="charts">' + "".join(f"<figure>{p.chart}</figure>" for p in shown) + "</div>"
    options = "".join(f'<option value="{n}">{escape(p.title)}</option>' for n, p in enumerate(shown))
    chooser = f'<div class="choose"><label for="place">Show</label><select id="place">{options}</select></div>'
    return chooser + "".join(_place(n, panel) for n, panel in enumerate(shown))


def _place(place: int, p: Panel) -> str:
    ends = f'<div class="bar values"></div><div class="ends"><span>{p.low}</span><span>{p.high}</span></div>' if p.low else ""
    title = escape(p.title)
    return (
        f'<div class="place"><div class="maps"><figure class="wipe">'
        f'<div class="stack"><img alt="original, {title}" src="{p.original}">'
        f'<img class="top" alt="reconstruction, {title}" src="{p.restored}"><div class="edge"></div></div>'
        f'<input type="range" id="wipe-{place}" min="0" max="100" value="50" step="0.5" aria-label="reconstruction or original">'
        f'<div class="ends"><span>original, left of the line</span><span>reconstruction, right</span></div>{ends}</figure>'
        f'<figure class="error"><img alt="error, {title}" src="{p.error}">'
        f'<div class="bar errors"></div><div class="ends"><span>-{p.reach}</span><span>{escape(p.error_scale)}</span>'
        f"<span>{p.reach}</span></div></figure></div></div>"
    )


def spectra(found: Evaluation) -> str:
    """Power of original, reconstruction and error, a chart a channel."""
    charts = []
    for n, s in enumerate(found.spectra):
        lines = [
            Line("original", s.wavenumber, s.original, COLOURS[6], bold=True),
            Line("reconstruction", s.wavenumber, s.restored, COLOURS[0], dashed=True),
            Line("error", s.wavenumber, s.error, COLOURS[1]),
        ]
        chart = line_chart(lines, "wavenumber, cycles per sample", "power", f"Spectrum of channel {n}", log_x=True, log_y=True)
        text = f"Channel {n}, along {s.along}: {100 * s.retained:.2f} % of the original's power above half of Nyquist is there."
        charts.append(_chart(chart, text))
    more = len(found.channels) - len(charts)
    left_out = f" {more} further channels are not drawn." if more else ""
    note = (
        "Where the reconstruction falls below the original, detail was smoothed away; where the error reaches the original, "
        f"detail is no longer to be trusted.{left_out}"
    )
    return f'<p>{note}</p><div class="charts">{"".join(charts)}</div>'


def chunks(found: Evaluation) -> str:
    """A row a chunk: chunks are what is read and lost on its own."""
    heads = ["chunk", "steps", "stored as", "size", "times smaller", "largest error"]
    rows = [
        [
            str(c.number),
            f"{c.start} to {c.stop - 1}",
            c.mode,
            size(c.bytes),
            f"{c.raw_bytes / max(1, c.bytes):.2f}",
            number(c.worst),
        ]
        for c in found.chunks[:_MOST_ROWS]
    ]
    more = len(found.chunks) - len(rows)
    fallback = sum(c.mode in ("bytes", "floats") for c in found.chunks)
    stored = (
        f"{fallback} of {len(found.chunks)} chunk(s) are stored losslessly, since nothing else was smaller." if fallback else ""
    )
    left_out = f" {more} further chunks are not listed." if more > 0 else ""
    return _table(heads, rows) + f'<p class="soft">{stored}{left_out}</p>'


def times(found: Evaluation) -> str:
    """How long coding and decoding took, at the fidelity asked for."""
    megabytes = found.raw_bytes / 1e6
    rows = []
    for curve in found.curves:
        for p in curve.points:
            if _is_shown(curve, p):
                rows += [[curve.name, p.setting, *_speed(megabytes, p.encoding), *_speed(megabytes, p.decoding)]]
    heads = ["codec", "setting", "coding, s", "MB/s", "decoding, s", "MB/s"]
    note = (
        f"One run each of {size(found.raw_bytes)} of raw values; aecodec with {found.threads} thread(s), peers on one. "
        "A glance, not a benchmark: that takes a quiet machine and many runs."
    )
    return _table(heads, rows, ours=_ours(found)) + f'<p class="soft">{note}</p>'


SECTIONS: dict[str, Callable[[Evaluation], str]] = {
    "Overview": overview,
    "Errors": errors,
    "Maps": maps,
    "Spectra": spectra,
    "Chunks": chunks,
    "Times": times,
}


def size(number_of_bytes: float) -> str:
    """A size for people: 4.21 MB."""
    for unit in _UNITS[:-1]:
        if number_of_bytes < 1000:
            return f"{number_of_bytes:.3g} {unit}"
        number_of_bytes /= 1000
    return f"{number_of_bytes:.3g} {_UNITS[-1]}"


def _is_shown(curve: Curve, p: Point) -> bool:
    """In tables: what was asked for; all of a codec that cannot be asked for it."""
    return p.asked or not any(other.asked for other in curve.points)


def _ours(found: Evaluation) -> int:
    return sum(_is_shown(found.curves[0], p) for p in found.curves[0].points)


def _codec_row(curve: Curve, p: Point, found: Evaluation, values: int) -> list[str]:
    whole = p.bits + 8.0 * curve.model_bytes / values
    psnr = "exact" if p.psnr is None else f"{p.psnr:.2f}"
    ratio = 8 * found.array.itemsize / p.bits if p.bits else float("inf")
    return [curve.name, p.setting, f"{ratio:.2f}", f"{p.bits:.3f}", f"{whole:.3f}", number(p.worst), psnr]


def _speed(megabytes: float, seconds: float) -> tuple[str, str]:
    return (f"{seconds:.3f}", f"{megabytes / seconds:.0f}") if seconds > 0 else ("-", "-")


def _chart(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], ours: int = 0) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = ""
    for n, row in enumerate(rows):
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        body += f'<tr class="ours">{cells}</tr>' if n < ours else f"<tr>{cells}</tr>"
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
