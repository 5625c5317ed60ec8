"""Photographs: bits a pixel against PSNR and MS-SSIM, and speed, next to JPEG, WebP, AVIF and JPEG XL.

    python bench/images.py [--data DIR] [--model NAME_OR_PATH]

The Kodak suite, or any folder of RGB PNGs; it is test data, on which nothing is fitted or tuned. PSNR is of the squared error
over all RGB values of an image; curves are means over the images of bits a pixel and of dB at each setting. BD-rates are
computed image by image and averaged, and once on those mean curves. Without --model the peers are measured alone. Speeds are
measured twice: of single images, one at a time, with as many threads as a codec can use; and of the whole suite as one has it in
a folder, several images at once, each by one thread, at the settings nearest to 34 dB.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import one_thread

# isort: split
import image_codecs
import numpy as np
from draw_images import picture
from environment import environment
from image_batch import batch_table, measure_batch
from image_rows import METRICS, Row, compared, measure, write_csv
from image_tables import COMPARED_AT, bd_table, speed_table
from PIL import Image

import aecodec

PACKAGES = ("numpy", "pillow", "imagecodecs", "onnxruntime", "zstandard", "aecodec")


def load_images(folder: Path | None, names: list[str] | None) -> Iterator[tuple[str, np.ndarray]]:
    """(name, uint8 (rows, columns, 3)) of each PNG of a folder, or of its photos/kodak."""
    if folder is None:
        raise SystemExit("no images: give --data DIR or AECODEC_BENCH_DATA, a folder that holds photos/kodak/*.png or PNGs")
    nested = folder / "photos" / "kodak"
    found = sorted((nested if nested.is_dir() else folder).glob("*.png"))
    found = [path for path in found if names is None or path.stem in names]
    if not found:
        raise SystemExit(f"no images: {folder} has neither photos/kodak/*.png nor PNGs{' of those names' if names else ''}")
    for path in found:
        with Image.open(path) as image:
            yield path.stem, np.asarray(image.convert("RGB"))


def codecs(options: argparse.Namespace) -> tuple[list[image_codecs.Codec], list[str]]:
    """All codecs, and lines that name the model."""
    found = [codec for threads in options.threads for codec in image_codecs.peers(threads, options.peers)]
    if options.model is None:
        return found, ["aecodec: not measured, no --model was given"]
    model = aecodec.load_model(options.model)
    found += [image_codecs.ours(model, threads, options.qualities, options.level) for threads in options.threads]
    shipped = "ships with the library" if model.shipped else "does not ship with the library"
    return found, [f"model: {model.id}, {len(model.stored)} bytes beside the files, {shipped}; level {options.level}"]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("AECODEC_BENCH_DATA"), help="holds photos/kodak/*.png or PNGs")
    parser.add_argument("--model", help="name, id or path of aecodec's model")
    parser.add_argument("--qualities", nargs="+", type=float, default=list(image_codecs.QUALITIES["aecodec"]), help="aecodec's")
    parser.add_argument("--level", type=int, default=5, help="aecodec's")
    parser.add_argument("--peers", nargs="*", default=list(image_codecs.QUALITIES)[:-1], metavar="CODEC")
    parser.add_argument("--images", nargs="+", help="names without .png; all of the folder by default")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="of codecs that can use more than one")
    parser.add_argument("--runs", type=int, default=3, help="rounds of timed calls")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    chosen, about_model = codecs(options)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    facts = [
        *environment(PACKAGES),
        *(f"{library}: {version}" for library, version in image_codecs.versions().items()),
        f"environment: {', '.join(f'{name}=1' for name in one_thread.VARIABLES)}; load of the machine beforehand {load:.1f}",
        *about_model,
        f"speeds: medians of {options.runs} rounds of all codecs and settings in turn in one process, encoding then decoding",
        "psnr: of the mean squared error over all RGB values of the image; ms_ssim: mean of those of R, G and B",
        *(f"{codec} settings: {setting}" for codec, setting in image_codecs.SETTINGS.items()),
    ]
    rows: list[Row] = []
    suite = list(load_images(Path(options.data) if options.data else None, options.images))
    for name, x in suite:
        found = measure(name, x, chosen, options.runs)
        rows += found
        print(f"{name}: {len(found)} settings, {x.shape[1]} x {x.shape[0]}", flush=True)
    write_csv(options.csv, rows, facts)
    comparisons = {metric: compared(rows, metric) for metric in METRICS}
    for metric, found_comparisons in comparisons.items():
        write_csv(options.csv.with_name(f"{options.csv.stem}-bd-{metric.replace('_', '-')}.csv"), found_comparisons, facts)
    batch = measure_batch([x for _, x in suite], chosen, rows, options.threads, options.runs, COMPARED_AT)
    write_csv(options.csv.with_name(f"{options.csv.stem}-batch.csv"), batch, facts)
    print(bd_table(comparisons), speed_table(rows), batch_table(batch), sep="\n")
    picture(rows, options.csv.with_suffix(".png"))


if __name__ == "__main__":
    main()
