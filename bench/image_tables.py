"""Tables of the images bench in Markdown, from its rows: BD-rates, and speed at about the same quality."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from bd_rate import AVERAGE, MEAN_CURVE, Comparison
from image_rows import ANCHORS, METRICS, Row, compared, read_rows
from tables import markdown

_TITLES = {"psnr": "PSNR", "ms_ssim": "MS-SSIM"}
COMPARED_AT = 34.0  # dB: the setting of each codec whose mean PSNR is nearest is the one whose speed is shown


def images(path: Path) -> str:
    """Both tables of a CSV."""
    rows = read_rows(path)
    return bd_table({metric: compared(rows, metric) for metric in METRICS}) + "\n" + speed_table(rows)


def bd_table(comparisons: Mapping[str, Sequence[Comparison]]) -> str:
    """A row per codec: percent of bits against each anchor, mean over images (of the mean curve in brackets)."""
    found = {(metric, c.codec, c.anchor, c.image): c.percent for metric, every in comparisons.items() for c in every}
    columns = [(metric, anchor) for metric in comparisons for anchor in ANCHORS]
    rows = []
    for codec in dict.fromkeys(key[1] for key in found):
        cells = []
        for metric, anchor in columns:
            mean, curve = (found.get((metric, codec, anchor, kind)) for kind in (AVERAGE, MEAN_CURVE))
            cells.append("" if mean is None or curve is None else f"{mean:+.1f} % ({curve:+.1f} %)")
        rows.append([codec, *cells])
    return markdown(["BD-rate", *(f"{_TITLES[metric]}, against {anchor}" for metric, anchor in columns)], rows)


def speed_table(rows: Sequence[Row]) -> str:
    """A row per codec and number of threads, at the setting nearest to COMPARED_AT."""
    settings: dict[tuple[str, int], dict[float, list[Row]]] = {}
    for row in rows:
        settings.setdefault((row.codec, row.threads), {}).setdefault(row.setting, []).append(row)
    out = []
    for (codec, threads), by_setting in sorted(settings.items(), key=lambda item: (item[0][1], item[0][0])):
        near = min(by_setting.values(), key=lambda group: abs(_mean(group, "psnr") - COMPARED_AT))
        quality = [f"{_mean(near, 'bits_per_pixel'):.3f}", f"{_mean(near, 'psnr'):.2f}", f"{_mean(near, 'ms_ssim'):.4f}"]
        speeds = [f"{statistics.median(getattr(row, name) for row in near):.1f}" for name in ("encode_mpix_s", "decode_mpix_s")]
        out.append([codec, str(threads), f"{near[0].setting:g}", *quality, *speeds])
    header = ["codec", "threads", "setting", "bits a pixel", "PSNR, dB", "MS-SSIM", "megapixels/s in", "megapixels/s out"]
    return markdown(header, out)


def _mean(rows: Sequence[Row], name: str) -> float:
    return statistics.fmean(getattr(row, name) for row in rows)
