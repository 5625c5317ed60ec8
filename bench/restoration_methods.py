"""Spoiled images, and the classical methods that restore them: non-local means, BM3D, Telea, biharmonic, bicubic, Lanczos."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from aecodec.codec.model import Model
from aecodec.tasks.restore import restore

STRENGTHS = (0.4, 0.5, 0.6, 0.8)  # of non-local means, in standard deviations of the noise
RADII = (3, 5, 9)  # of Telea's method
SETTINGS = (
    "crops: 256 x 256 of the middle of each Kodak image",
    "denoise: white noise of 25 added to RGB, kept as floats, not clipped; its deviation told to all methods, but where said",
    f"non-local means: skimage.restoration.denoise_nl_means, fast_mode, patch 5, distance 6, h = {STRENGTHS} sigma",
    "BM3D: bm3d.bm3d_rgb, its default profile",
    "inpaint: 25 % of the 8 x 8 blocks missing, at random",
    "Telea: cv2.inpaint; biharmonic: skimage.restoration.inpaint_biharmonic",
    "upscale: from half the size by Pillow's BICUBIC, its kernel widened, rounded to 8 bits; bicubic, Lanczos: Pillow's",
    "seconds: processor time of one call, of all threads together",
)

Run = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Task:
    """`given`: keywords of aecodec's `restore` and `spoiled`, its input; `others`: other methods by name; `order`: as drawn."""

    name: str
    spoiled: np.ndarray
    shown: np.ndarray
    given: dict[str, Any]
    others: dict[str, Run]
    order: tuple[str, ...]


def denoising(clean: np.ndarray, sigma: float, rng: np.random.Generator) -> Task:
    """White noise."""
    from bm3d import bm3d_rgb
    from skimage.restoration import denoise_nl_means

    noisy = (clean + rng.normal(0.0, sigma, clean.shape)).astype(np.float32)

    def means(strength: float) -> Run:
        return lambda: denoise_nl_means(
            noisy, patch_size=5, patch_distance=6, h=strength * sigma, sigma=sigma, fast_mode=True, channel_axis=-1
        )

    others = {f"non-local means, {strength} sigma": means(strength) for strength in STRENGTHS}
    others["BM3D"] = lambda: bm3d_rgb(noisy / 255.0, sigma / 255.0) * 255.0
    given = {"task": "denoise", "noise": sigma, "axes": "yxc", "value_range": (0.0, 255.0)}
    return Task("denoise", noisy, _bytes(noisy), given, others, ("non-local means, 0.5 sigma", "BM3D", "aecodec"))


def inpainting(clean: np.ndarray, size: int, share: float, rng: np.random.Generator) -> Task:
    """Square blocks missing."""
    import cv2
    from skimage.restoration import inpaint_biharmonic

    cells = rng.random([-(-n // size) for n in clean.shape[:2]]) < share
    mask = cells.repeat(size, 0).repeat(size, 1)[: clean.shape[0], : clean.shape[1]]
    spoiled = np.where(mask[..., None], 0, clean).astype(np.uint8)

    def telea(radius: int) -> Run:
        return lambda: cv2.inpaint(spoiled, mask.astype(np.uint8), radius, cv2.INPAINT_TELEA)

    others: dict[str, Run] = {f"Telea, radius {radius}": telea(radius) for radius in RADII}
    others["biharmonic"] = lambda: inpaint_biharmonic(spoiled / 255.0, mask, channel_axis=-1) * 255.0
    return Task(
        "inpaint", spoiled, spoiled, {"task": "inpaint", "mask": mask}, others, ("Telea, radius 5", "biharmonic", "aecodec")
    )


def doubling(clean: np.ndarray) -> Task:
    """Half the resolution."""
    whole = (clean.shape[1], clean.shape[0])
    small = Image.fromarray(clean).resize((whole[0] // 2, whole[1] // 2), Image.Resampling.BICUBIC)
    others: dict[str, Run] = {
        "bicubic": lambda: np.asarray(small.resize(whole, Image.Resampling.BICUBIC)),
        "Lanczos": lambda: np.asarray(small.resize(whole, Image.Resampling.LANCZOS)),
    }
    shown = np.asarray(small.resize(whole, Image.Resampling.NEAREST))
    return Task("upscale", np.asarray(small), shown, {"task": "upscale"}, others, ("bicubic", "Lanczos", "aecodec"))


def ours(task: Task, model: Model) -> dict[str, Run]:
    """aecodec with what it is told, and to denoise once more with the noise to be estimated."""
    runs: dict[str, Run] = {"aecodec": lambda: restore(task.spoiled, model, **task.given, threads=1)}
    if task.name == "denoise":
        runs["aecodec, noise estimated"] = lambda: restore(task.spoiled, model, **{**task.given, "noise": None}, threads=1)
    return runs


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of processor time, and the result."""
    start = time.process_time()
    made = run()
    return time.process_time() - start, made


def psnr(clean: np.ndarray, restored: np.ndarray) -> float:
    """dB, of 8-bit values."""
    return 10.0 * math.log10(255.0**2 / float(np.square(clean.astype(np.float64) - _bytes(restored)).mean()))


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))
