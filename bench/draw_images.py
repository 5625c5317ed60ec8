"""The rate-distortion picture of the images bench from its CSV alone: python bench/draw_images.py [CSV]."""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from image_quality import in_decibels
from image_rows import Row, read_rows

mpl.use("Agg")
from matplotlib import pyplot as plt

# Okabe and Ito's colours, told apart by all kinds of colour vision; markers differ too.
STYLES = {
    "aecodec": ("#D55E00", "o", "-"),
    "JPEG": ("#000000", "x", "--"),
    "WebP": ("#0072B2", "^", "--"),
    "AVIF": ("#009E73", "v", "--"),
    "JPEG XL": ("#CC79A7", "s", "--"),
}
_MOST_BITS = 3.0  # a pixel: beyond it, curves of what people take for photographs tell nothing


def picture(rows: Sequence[Row], path: Path) -> None:
    """A PNG: mean PSNR, and mean MS-SSIM in decibels, against mean bits a pixel."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 4.4), dpi=100, layout="constrained")
    for codec, (colour, marker, line) in STYLES.items():
        here = [row for row in rows if row.codec == codec]
        here = [row for row in here if row.threads == min(other.threads for other in here)]
        groups = [[row for row in here if row.setting == setting] for setting in dict.fromkeys(row.setting for row in here)]
        style = {"color": colour, "marker": marker, "linestyle": line, "markersize": 4, "label": codec}
        for plot, quality in ((left, lambda row: row.psnr), (right, lambda row: in_decibels(row.ms_ssim))):
            points = sorted(
                (statistics.fmean(r.bits_per_pixel for r in group), statistics.fmean(map(quality, group))) for group in groups
            )
            points = [point for point in points if point[0] <= _MOST_BITS]
            if points:
                plot.plot(*zip(*points, strict=True), **style)
    for plot, label in ((left, "PSNR, dB (RGB)"), (right, "MS-SSIM, dB: -10 log10(1 - MS-SSIM)")):
        plot.set_xlabel("bits per pixel, whole files")
        plot.set_ylabel(label)
        plot.grid(visible=True, linewidth=0.5, alpha=0.5)
        plot.legend(fontsize=8)
    count = len({row.image for row in rows})
    figure.suptitle(f"means over {count} image{'s' if count > 1 else ''}", fontsize=10)
    figure.savefig(path, pil_kwargs={"optimize": True}, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("images.csv")
    picture(read_rows(source), source.with_suffix(".png"))
