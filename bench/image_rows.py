"""What the images bench measures: a row per image, codec, setting and number of threads."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

import numpy as np
from bd_rate import Comparison, Point, comparisons
from image_codecs import Codec
from image_quality import in_decibels, ms_ssim, psnr
from timing import Times

ANCHORS = ("JPEG", "WebP")
METRICS = ("psnr", "ms_ssim")


@dataclass(frozen=True)
class Row:
    """One image coded with one setting; a line of the CSV. Megapixels a second are those of the median time."""

    image: str
    width: int
    height: int
    codec: str
    threads: int
    setting: float
    size: int
    bits_per_pixel: float
    psnr: float
    ms_ssim: float
    encode_mpix_s: float
    decode_mpix_s: float


@dataclass
class _Case:
    """A codec with one of its settings, what it made of the image at hand, and the times that it took."""

    codec: Codec
    setting: float
    data: bytes = b""
    there: Times = field(default_factory=Times)
    back: Times = field(default_factory=Times)

    @property
    def file(self) -> tuple[str, bytes]:
        """What decoding depends on."""
        return self.codec.name, self.data

    def encode(self, x: np.ndarray) -> None:
        """For the clock."""
        self.data = self.codec.encode(x, self.setting)


def measure(name: str, x: np.ndarray, codecs: Sequence[Codec], runs: int) -> list[Row]:
    """Rows of one image, uint8 (rows, columns, 3): each setting once to warm up and compare, then `runs` rounds of all in turn."""
    longest = max(len(codec.settings) for codec in codecs)
    # By settings first, so that what slows the machine for a while slows every codec.
    turns = [_Case(codec, codec.settings[i]) for i in range(longest) for codec in codecs if i < len(codec.settings)]
    qualities: dict[tuple[str, bytes], tuple[float, float]] = {}
    for case in turns:
        case.encode(x)
        decoded = case.codec.decode(case.data)
        if case.file not in qualities:  # another number of threads mostly gives the same bytes
            qualities[case.file] = (psnr(x, decoded), ms_ssim(x, decoded))
    for _ in range(runs):
        for case in turns:
            case.there.call(lambda case=case: case.encode(x))
        for case in turns:
            case.back.call(lambda case=case: case.codec.decode(case.data))
    pixels = x.shape[0] * x.shape[1]
    return [
        Row(
            *(name, x.shape[1], x.shape[0], case.codec.name, case.codec.threads, case.setting, len(case.data)),
            *(8 * len(case.data) / pixels, *qualities[case.file], case.there.rate(pixels), case.back.rate(pixels)),
        )
        for case in turns
    ]


def compared(rows: Iterable[Row], metric: str) -> list[Comparison]:
    """BD-rates of every codec at its fewest threads; `metric`: "psnr", or "ms_ssim" in decibels."""
    fewest: dict[str, int] = {}
    rows = list(rows)
    for row in rows:
        fewest[row.codec] = min(row.threads, fewest.get(row.codec, row.threads))

    def quality(row: Row) -> float:
        return in_decibels(row.ms_ssim) if metric == "ms_ssim" else row.psnr

    points = [
        Point(row.codec, row.image, row.setting, row.bits_per_pixel, quality(row))
        for row in rows
        if row.threads == fewest[row.codec]
    ]
    return comparisons(points, ANCHORS)


def write_csv(path: Path, rows: Sequence[object], facts: Sequence[str]) -> None:
    """Comment lines, then rows of one dataclass."""
    with path.open("w", newline="", encoding="utf-8") as file:
        file.writelines(f"# {line}\n" for line in facts)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([each.name for each in fields(rows[0])])
        writer.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in astuple(row)] for row in rows)


def read_rows(path: Path) -> list[Row]:
    """The rows of such a CSV."""
    with path.open(encoding="utf-8") as file:
        lines = csv.DictReader(line for line in file if not line.startswith("#"))
        return [Row(**{each.name: each.type(line[each.name]) for each in fields(Row)}) for line in lines]
