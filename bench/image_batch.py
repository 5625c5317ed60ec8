"""All images of a suite one after the other and on several threads, as for a folder: megapixels a second of every codec."""

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from image_codecs import Codec
from image_rows import Row
from tables import markdown
from timing import Times


@dataclass(frozen=True)
class BatchRow:
    """A codec with one setting on a whole suite; `threads` code one image each at a time, by one thread. A line of the CSV."""

    codec: str
    threads: int
    setting: float
    images: int
    megapixels: float
    bits_per_pixel: float
    psnr: float
    encode_mpix_s: float
    decode_mpix_s: float


def nearest_setting(rows: Sequence[Row], codec: str, decibels: float) -> float:
    """The setting of a codec whose mean PSNR over the images is nearest to so many dB."""
    settings = dict.fromkeys(row.setting for row in rows if row.codec == codec)
    return min(settings, key=lambda s: abs(_mean([r.psnr for r in rows if r.codec == codec and r.setting == s]) - decibels))


def measure_batch(
    images: Sequence[np.ndarray], codecs: Sequence[Codec], rows: Sequence[Row], threads: Sequence[int], runs: int, decibels: float
) -> list[BatchRow]:
    """Each codec of one thread at its setting nearest to `decibels`, for every number of threads: rounds of all in turn."""
    alone = [codec for codec in codecs if codec.threads == 1]
    settings = {codec.name: nearest_setting(rows, codec.name, decibels) for codec in alone}
    times = {(codec.name, count): (Times(), Times()) for codec in alone for count in threads}
    for _ in range(runs):
        for codec in alone:
            setting = settings[codec.name]
            for count in threads:
                there, back = times[codec.name, count]
                files = _all(images, lambda x, codec=codec, setting=setting: codec.encode(x, setting), count, there)
                _all(files, codec.decode, count, back)
    pixels = sum(x.shape[0] * x.shape[1] for x in images)
    return [
        BatchRow(*(name, count, settings[name], len(images), pixels / 1e6), *_quality(rows, name, settings[name]), *rates)
        for (name, count), found in times.items()
        for rates in [tuple(each.rate(pixels) for each in found)]
    ]


def batch_table(rows: Sequence[BatchRow]) -> str:
    """A row per codec and number of threads."""
    header = ["codec", "images at once", "setting", "bits a pixel", "PSNR, dB", "megapixels/s in", "megapixels/s out"]
    cells = []
    for row in rows:
        quality = [f"{row.setting:g}", f"{row.bits_per_pixel:.3f}", f"{row.psnr:.2f}"]
        cells.append([row.codec, str(row.threads), *quality, f"{row.encode_mpix_s:.1f}", f"{row.decode_mpix_s:.1f}"])
    return markdown(header, cells)


def _all(items: Sequence[Any], function: Callable[[Any], Any], threads: int, times: Times) -> list[Any]:
    found: list[Any] = []

    def run(pool: ThreadPoolExecutor) -> None:
        found.extend(pool.map(function, items))

    with ThreadPoolExecutor(threads) as pool:
        times.call(lambda: run(pool))
    return found


def _quality(rows: Sequence[Row], codec: str, setting: float) -> tuple[float, float]:
    here = [row for row in rows if row.codec == codec and row.setting == setting]
    return _mean([row.bits_per_pixel for row in here]), _mean([row.psnr for row in here])


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)
