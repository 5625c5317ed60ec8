"""Restoration on the Kodak suite, next to classical methods.

    python bench/tasks_restore.py [--data DIR] [--images N]

Crops of 256 x 256 from the middle of each image, one spoiled copy of each, the same for all methods; nothing is tuned
on them; others' settings that matter are all shown. PSNR is of RGB values rounded to 8 bits; seconds are of processor time, so
that methods of several threads gain nothing by it. Generation: the Frechet distance (Heusel et al. 2017) to the test images in the
features of a small classifier that is trained here on the real training images, whose own distance is the low end of the scale.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

import one_thread

# isort: split
import numpy as np
import restoration_methods as methods
import tasks_rows
from environment import environment
from PIL import Image
from tasks_tables import Row, averaged, show, strips, write_csv

import aecodec

HERE = Path(__file__).parent
PACKAGES = ("numpy", "onnxruntime", "scikit-image", "opencv-python-headless", "bm3d", "pillow", "torch", "aecodec")
SIDE = 256
SIGMA, PATCH, MISSING = 25.0, 8, 0.25
SHOWN, SHOWN_SIDE = 3, 128  # crops in the picture, and how much of each


def restoration(folder: Path, count: int, model_name: str) -> tuple[list[Row], np.ndarray]:
    """One row per task, method and crop, and a picture of the first few."""
    model = aecodec.load_model(model_name, "cpu", threads=1)
    rows: list[Row] = []
    pictures = []
    paths = sorted((folder / "photos" / "kodak").glob("*.png"))[:count]
    if not paths:
        raise SystemExit(f"{folder} holds no photos/kodak/*.png")
    for number, path in enumerate(paths):
        clean = _middle(np.asarray(Image.open(path).convert("RGB")), SIDE)
        rng = np.random.default_rng(number)
        for task in (methods.denoising(clean, SIGMA, rng), methods.inpainting(clean, PATCH, MISSING, rng), methods.doubling(clean)):
            made = {}
            for method, run in {**task.others, **methods.ours(task, model)}.items():
                seconds, restored = methods.timed(run)
                made[method] = restored
                rows.append(Row(task.name, method, path.stem, methods.psnr(clean, restored), seconds))
            if number in range(0, SHOWN * 5, 5):
                shown = [clean, task.shown, *(made[name] for name in task.order)]
                pictures.append((task.name, [_middle(each, SHOWN_SIDE) for each in shown]))
    return rows, strips(pictures)


def run(data: Path, pictures: Path, models: Mapping[str, str]) -> list[tasks_rows.Row]:
    """The section of bench/tasks.py: means of all crops."""
    rows, picture = restoration(data, 24, models["restorer"])
    Image.fromarray(picture).save(pictures / "tasks-restoration.png")
    about = "; ".join(methods.SETTINGS)
    return [
        tasks_rows.Row(f"(c) {row.task}: PSNR, dB", "Kodak, 24 crops", row.method, "PSNR, dB", row.figure, None, about)
        for row in averaged(rows)
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("AECODEC_BENCH_DATA"), help="holds photos/kodak")
    parser.add_argument("--images", type=int, default=24, help="of the Kodak suite")
    parser.add_argument("--restorer", default="restore", help="name or path of the model that restores photographs")
    parser.add_argument("--folder", type=Path, default=HERE, help="for the CSV and the picture")
    options = parser.parse_args()
    if options.data is None:
        raise SystemExit("give --data DIR or AECODEC_BENCH_DATA, a folder that holds photos/kodak")
    facts = [*environment(PACKAGES), f"environment: {', '.join(f'{name}=1' for name in one_thread.VARIABLES)}"]
    rows, picture = restoration(Path(options.data), options.images, options.restorer)
    model = f"model: {aecodec.load_model(options.restorer, 'cpu').id}"
    write_csv(options.folder / "tasks-restoration.csv", rows, [*facts, model, *methods.SETTINGS])
    Image.fromarray(picture).save(options.folder / "tasks-restoration.png")
    show("Restoration of Kodak crops: mean PSNR in dB and seconds of a processor", averaged(rows))


def _middle(image: np.ndarray, side: int) -> np.ndarray:
    top, left = ((n - side) // 2 for n in image.shape[:2])
    return image[top : top + side, left : left + side]


if __name__ == "__main__":
    main()
