"""Restoration on the Kodak suite and generation of Fashion-MNIST, next to classical methods and the ends of the scale.

    python bench/tasks_restore.py [--data DIR] [--images N] [--only restoration generation]

Restoration: crops of 256 x 256 from the middle of each image, one spoiled copy of each, the same for all methods; nothing is tuned
on them; others' settings that matter are all shown. PSNR is of RGB values rounded to 8 bits; seconds are of processor time, so
that methods of several threads gain nothing by it. Generation: the Frechet distance (Heusel et al. 2017) to the test images in the
features of a small classifier that is trained here on the real training images, whose own distance is the low end of the scale.
"""

import argparse
import os
from pathlib import Path

import one_thread

# isort: split
import numpy as np
import restoration_methods as methods
from environment import environment
from PIL import Image
from tasks_tables import Row, averaged, show, strips, write_csv

import aecodec
from aecodec.tasks.generate import generate, reconstruct
from aecodec.tasks.pictures import grid

HERE = Path(__file__).parent
PACKAGES = ("numpy", "onnxruntime", "scikit-image", "opencv-python-headless", "bm3d", "pillow", "torch", "aecodec")
SIDE = 256
SIGMA, PATCH, MISSING = 25.0, 8, 0.25
SHOWN = 4  # crops in the picture
SAMPLES = 10000


def restoration(folder: Path, count: int, model_name: str) -> tuple[list[Row], np.ndarray]:
    """One row per task, method and crop, and a picture of the first few."""
    model = aecodec.load_model(model_name, "cpu", threads=1)
    rows: list[Row] = []
    pictures = []
    paths = sorted((folder / "photos" / "kodak").glob("*.png"))[:count]
    if not paths:
        raise SystemExit(f"{folder} holds no photos/kodak/*.png")
    for number, path in enumerate(paths):
        clean = _middle(np.asarray(Image.open(path).convert("RGB")))
        rng = np.random.default_rng(number)
        for task in (methods.denoising(clean, SIGMA, rng), methods.inpainting(clean, PATCH, MISSING, rng), methods.doubling(clean)):
            made = {}
            for method, run in {**task.others, **methods.ours(task, model)}.items():
                seconds, restored = methods.timed(run)
                made[method] = restored
                rows.append(Row(task.name, method, path.stem, methods.psnr(clean, restored), seconds))
            if number in range(0, SHOWN * 5, 5):
                pictures.append((task.name, [clean, task.shown, *(made[name] for name in task.order)]))
    return rows, strips(pictures)


def generation(folder: Path, model_name: str) -> tuple[list[Row], np.ndarray, list[str]]:
    """Frechet distances to the test images, as rows whose figure is the distance, a grid of samples, and notes."""
    from fashion_classifier import Classifier  # torch, which the rest does without

    train, test, labels, test_labels = (
        np.load(folder / "images" / f"fashion_{name}.npy") for name in ("train_x", "test_x", "train_y", "test_y")
    )
    classifier = Classifier(train, labels)
    model = aecodec.load_model(model_name, "cpu", threads=1)
    rng = np.random.default_rng(0)
    seconds, samples = methods.timed(lambda: generate(model, SAMPLES, seed=0))
    pixels = train[:SAMPLES].reshape(SAMPLES, -1).astype(np.float64)
    factor = np.linalg.cholesky(np.cov(pixels, rowvar=False) + 1e-3 * np.eye(pixels.shape[1]))
    normal = (rng.standard_normal(pixels.shape) @ factor.T + pixels.mean(0)).reshape(-1, 28, 28)
    sets = {
        "training images": train[:SAMPLES],
        "aecodec, reconstructions of test images": reconstruct(model, list(test))[:, 0, 0],
        "aecodec, samples": samples[:, 0, 0],
        "aecodec, samples of spread 0.7": generate(model, SAMPLES, seed=0, spread=0.7)[:, 0, 0],
        "normal distribution of pixels": normal,
        "uniform noise": rng.uniform(0, 255, (SAMPLES, 28, 28)),
    }
    expected = classifier.features(test)
    rows = [
        Row(
            "generation",
            name,
            "10000 images",
            classifier.distance(expected, np.clip(images, 0, 255)),
            seconds if "samples" in name else 0.0,
        )
        for name, images in sets.items()
    ]
    note = f"classifier: {classifier.about}, {classifier.accuracy(test, test_labels):.1%} of the test images right"
    return rows, grid(samples[:100], model), [note]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("AECODEC_BENCH_DATA"), help="holds photos/kodak and images")
    parser.add_argument("--images", type=int, default=24, help="of the Kodak suite")
    parser.add_argument("--only", nargs="+", choices=("restoration", "generation"), default=["restoration", "generation"])
    parser.add_argument("--restorer", default="restore", help="name or path of the model that restores photographs")
    parser.add_argument("--generator", default="fashion", help="name or path of the model of Fashion-MNIST")
    parser.add_argument("--folder", type=Path, default=HERE, help="for CSVs and pictures")
    options = parser.parse_args()
    if options.data is None:
        raise SystemExit("give --data DIR or AECODEC_BENCH_DATA, a folder that holds photos/kodak and images/fashion_*.npy")
    facts = [*environment(PACKAGES), f"environment: {', '.join(f'{name}=1' for name in one_thread.VARIABLES)}"]
    if "restoration" in options.only:
        rows, picture = restoration(Path(options.data), options.images, options.restorer)
        model = f"model: {aecodec.load_model(options.restorer, 'cpu').id}"
        write_csv(options.folder / "tasks-restoration.csv", rows, [*facts, model, *methods.SETTINGS])
        Image.fromarray(picture).save(options.folder / "tasks-restoration.png")
        show("Restoration of Kodak crops: mean PSNR in dB and seconds of a processor", averaged(rows))
    if "generation" in options.only:
        rows, picture, notes = generation(Path(options.data), options.generator)
        model = f"model: {aecodec.load_model(options.generator, 'cpu').id}"
        write_csv(options.folder / "tasks-generation.csv", rows, [*facts, model, *notes])
        Image.fromarray(picture).save(options.folder / "tasks-samples.png")
        show("Frechet distance to the test images of Fashion-MNIST", rows)


def _middle(image: np.ndarray) -> np.ndarray:
    top, left = ((n - SIDE) // 2 for n in image.shape[:2])
    return image[top : top + SIDE, left : left + SIDE]


if __name__ == "__main__":
    main()
