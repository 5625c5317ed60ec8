"""Rate-distortion pictures from curves.csv alone: python bench/draw.py [CSV]."""

import sys
from pathlib import Path

import matplotlib as mpl
from tables import rows_of

mpl.use("Agg")
from matplotlib import pyplot as plt

# Okabe and Ito's colours, told apart by all kinds of colour vision; markers differ too.
STYLES = {
    "aecodec fitted": ("#D55E00", "o", "-"),
    "aecodec embedded": ("#E69F00", "s", "-"),
    "SZ3": ("#0072B2", "^", "--"),
    "SPERR": ("#009E73", "v", "--"),
    "ZFP": ("#000000", "x", "--"),
}

# Hollow and larger where it may lie on another's points.
MARKS = ({"markersize": 5}, {"markersize": 8, "fillstyle": "none"})


def pictures(path: Path, folder: Path) -> None:
    """One PNG per set: root mean square error over the range against bits a value, both logarithmic."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = rows_of(path)
    for name in dict.fromkeys(row["name"] for row in rows):
        _picture([row for row in rows if row["name"] == name], folder / f"{name}.png")


def _picture(rows: list[dict[str, str]], path: Path) -> None:
    figure, plot = plt.subplots(figsize=(5.6, 4.0), dpi=100, layout="constrained")
    for codec, (colour, marker, line) in STYLES.items():
        # An error of nothing at all has no place on a logarithmic axis.
        points = sorted(
            (float(r["bits_per_value"]), float(r["nrmse"])) for r in rows if r["codec"] == codec and float(r["nrmse"]) > 0
        )
        if points:
            plot.loglog(
                *zip(*points, strict=True),
                color=colour,
                marker=marker,
                linestyle=line,
                label=codec,
                **MARKS[codec == "aecodec embedded"],
            )
    first = rows[0]
    plot.set_title(f"{first['name']}, {first['dtype']}, {first['shape']}", fontsize=10)
    plot.set_xlabel("bits per value")
    plot.set_ylabel("root mean square error / range")
    plot.grid(visible=True, which="major", linewidth=0.5, alpha=0.5)
    plot.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    plot.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    plot.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    plot.legend(fontsize=8, title="same hard bound, level " + next(r["level"] for r in rows if r["level"]), title_fontsize=8)
    figure.savefig(path, pil_kwargs={"optimize": True}, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("curves.csv")
    pictures(source, source.with_suffix(""))
