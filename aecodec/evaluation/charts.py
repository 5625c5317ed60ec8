"""Line and bar charts as SVG text that needs nothing else. Drawn narrow, with large letters, to be legible on a telephone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 12, 48
# Okabe and Ito (2008): told apart by eyes of every kind. The first is ours.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


@dataclass(frozen=True)
class Line:
    """A series. `labels`: of its points, for the pointer; none draws no marks."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: str
    labels: Sequence[str] = ()
    bold: bool = False
    dashed: bool = False


class Scale:
    """From values to places; `log`: by their logarithm."""

    def __init__(self, values: Sequence[float], start: float, stop: float, log: bool = False, zero: bool = False) -> None:
        usable = [v for v in values if math.isfinite(v) and (v > 0 or not log)] or [1.0]
        low, high = min(usable), max(usable)
        if zero:
            low = min(0.0, low)
        self.log, self._start, self._stop = log, start, stop
        if log:
            first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
            low, high = 10.0**first, 10.0 ** max(last, first + 1)
        elif low == high:
            low, high = low - 0.5, high + 0.5
        elif not zero:
            low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
        else:
            high *= 1.05
        self.low, self.high = low, high

    def place(self, value: float) -> float:
        """Where `value` lies, in the units of the drawing."""
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        at = math.log10(max(value, self.low)) if self.log else value
        return self._start + (at - low) / (high - low) * (self._stop - self._start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers between the ends."""
        if self.log:
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            return [10.0**e for e in range(first, last + 1, max(1, math.ceil((last - first) / most)))]
        raw = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= raw)
        return [n * step for n in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]


def line_chart(lines: Sequence[Line], x_label: str, y_label: str, title: str, log_x: bool = False, log_y: bool = False) -> str:
    """Lines over shared axes, with a legend beneath."""
    x = Scale([v for line in lines for v in line.xs], _LEFT, WIDTH - _RIGHT, log_x)
    y = Scale([v for line in lines for v in line.ys], HEIGHT - _BOTTOM, _TOP, log_y)
    drawn = [_line(line, x, y) for line in lines]
    legend = "".join(f'<li><span style="background:{line.colour}"></span>{escape(line.name)}</li>' for line in lines)
    return _figure([*_frame(x, y, x_label, y_label), *drawn], title) + (
        f'<ul class="legend">{legend}</ul>' if len(lines) > 1 else ""
    )


def bar_chart(
    edges: Sequence[float], heights: Sequence[float], marks: Sequence[tuple[float, str]], x_label: str, y_label: str, title: str
) -> str:
    """A histogram of `heights` between `edges`, with named vertical lines at `marks`."""
    x, y = Scale(edges, _LEFT, WIDTH - _RIGHT), Scale(heights, HEIGHT - _BOTTOM, _TOP, zero=True)
    bars = []
    for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
        if height > 0:
            top = y.place(height)
            size = f'width="{x.place(right) - x.place(left):.2f}" height="{y.place(0) - top:.2f}"'
            text = f"<title>{left:.3g} to {right:.3g}: {100 * height:.3g} %</title>"
            bars.append(f'<rect x="{x.place(left):.2f}" y="{top:.2f}" {size} fill="{COLOURS[0]}">{text}</rect>')
    lines = []
    for value, name in marks:
        at = x.place(value)
        lines.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        side, left = ("end", at - 4) if value > 0 else ("start", at + 4)
        lines.append(f'<text class="mark" x="{left:.1f}" y="{_TOP + 14}" text-anchor="{side}">{escape(name)}</text>')
    return _figure([*_frame(x, y, x_label, y_label), *bars, *lines], title)


def number(value: float) -> str:
    """A number for people: 0.0012, 3.4e-7, 12,000."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.4g}"
    if 1e4 <= abs(value) < 1e7:
        return f"{value:,.0f}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def _line(line: Line, x: Scale, y: Scale) -> str:
    shown = [(a, b) for a, b in zip(line.xs, line.ys, strict=True) if math.isfinite(b) and (b > 0 or not y.log)]
    path = " ".join(f"{x.place(a):.1f},{y.place(b):.1f}" for a, b in shown)
    style = f'stroke="{line.colour}" stroke-width="{3 if line.bold else 1.8}"' + (' stroke-dasharray="5 4"' if line.dashed else "")
    drawn = f'<polyline points="{path}" fill="none" stroke-linejoin="round" {style}/>'
    for (a, b), label in zip(shown, line.labels, strict=False):
        spot = f'cx="{x.place(a):.1f}" cy="{y.place(b):.1f}" r="{4.5 if line.bold else 3.5}"'
        drawn += f'<circle {spot} fill="{line.colour}"><title>{escape(label)}</title></circle>'
    return drawn


def _frame(x: Scale, y: Scale, x_label: str, y_label: str) -> list[str]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for tick in x.ticks():
        at = x.place(tick)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{number(tick)}</text>')
    for tick in y.ticks():
        at = y.place(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4.5:.1f}" text-anchor="end">{number(tick)}</text>')
    middle = (_TOP + bottom) / 2
    return [
        *parts,
        f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>',
        f'<text class="label" x="{(_LEFT + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text class="label" transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>',
    ]


def _figure(parts: Sequence[str], title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
