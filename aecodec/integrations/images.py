"""Images that Pillow reads and writes, animations as stacks (extra `images`)."""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.errors import FormatError, UsageError, require_extra

# As they are: grey of 8, 16 and 32 bits, black and white, with alpha, colour. All else is made RGB, or RGBA.
_KEPT = ("1", "L", "LA", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I", "F")
_MOST_FRAMES = 100_000
_LARGEST_EXTRA = 1 << 16  # bytes of a colour profile or of EXIF that are kept
_SETTINGS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "WEBP": {"lossless": True, "exact": True},
    "PNG": {},
}


def load_image(path: Path) -> tuple[np.ndarray, str, dict[str, Any]]:
    """An image as (array, axes, metadata): "yx" or "yxc", with "t" before them for the frames of an animation."""
    image_module = _pillow("reading images")
    from PIL import UnidentifiedImageError

    try:
        with image_module.open(path) as image:
            _refuse_deep_colour(path, image)
            frames = getattr(image, "n_frames", 1)
            if frames > _MOST_FRAMES:
                raise FormatError(f"{path} has {frames} frames, at most {_MOST_FRAMES} are read; split it")
            metadata: dict[str, Any] = {"source": "image", "format": image.format or "PNG", **_extras(image)}
            if frames == 1:
                array = _pixels(image)
            else:
                array, metadata["durations"] = _animation(image, frames)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, image_module.DecompressionBombError) as error:
        raise FormatError(f"{path} is not an image that Pillow can read: {error}") from None
    axes = "yxc" if array.ndim - (frames > 1) == 3 else "yx"
    return array, "t" + axes if frames > 1 else axes, metadata


def save_image(array: np.ndarray, axes: str, metadata: dict[str, Any], path: Path, suffix: str) -> None:
    """The inverse of `load_image`, in the format of the suffix. Formats that lose something do so here, too: JPEG at quality 95."""
    image_module = _pillow("writing images")
    image_module.init()
    form = image_module.EXTENSION.get(suffix.lower(), "PNG")
    settings = {**_SETTINGS.get(form, {}), **_kept_extras(metadata)}
    try:
        if axes[:1] == "t":
            frames = [image_module.fromarray(frame) for frame in array]
            settings |= {"save_all": True, "append_images": frames[1:], "loop": 0, "duration": _durations(metadata, len(frames))}
            frames[0].save(path, format=form, **settings)
        else:
            image_module.fromarray(array).save(path, format=form, **settings)
    except (TypeError, OSError, KeyError, ValueError, IndexError) as error:
        raise UsageError(
            f"an array of shape {array.shape} and dtype {array.dtype} cannot be a {suffix} image ({error}); use a .npy output"
        ) from None


def _pillow(purpose: str) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise require_extra("Pillow", "images", purpose) from None
    return Image


def _refuse_deep_colour(path: Path, image: Any) -> None:
    """Pillow cuts colours of 16 bits to 8 without a word."""
    raw = [str(tile[3]) for tile in image.tile]
    if image.mode in ("RGB", "RGBA", "LA") and any("16" in mode for mode in raw):
        raise FormatError(f"{path} has colours of 16 bits, of which Pillow keeps 8; save it as TIFF, which is read in full")


def _pixels(image: Any) -> np.ndarray:
    image.load()
    if image.mode == "1":
        return np.asarray(image.convert("L")) != 0  # Pillow's own bool has bytes of 255
    if image.mode in _KEPT:
        return np.asarray(image)
    return np.asarray(image.convert("RGBA" if "transparency" in image.info or image.mode in ("PA", "RGBa") else "RGB"))


def _animation(image: Any, frames: int) -> tuple[np.ndarray, list[int]]:
    """All frames in one mode, and how long each is shown, in milliseconds."""
    parts, durations = [], []
    for number in range(frames):
        image.seek(number)
        parts.append(np.asarray(image.convert("RGBA" if image.mode in ("RGBA", "P", "PA") else "RGB")))
        durations.append(int(image.info.get("duration", 100) or 100))
    if any(part.shape != parts[0].shape for part in parts):
        depth = max(part.shape[2] for part in parts)
        parts = [part if part.shape[2] == depth else np.dstack([part, np.full(part.shape[:2], 255, np.uint8)]) for part in parts]
    stack = np.stack(parts)
    if stack.shape[-1] == 4 and (stack[..., 3] == 255).all():
        stack = np.ascontiguousarray(stack[..., :3])
    return stack, durations


def _durations(metadata: dict[str, Any], frames: int) -> list[int]:
    found = metadata.get("durations")
    sound = isinstance(found, list) and len(found) == frames and all(isinstance(n, int) and 0 < n < 1 << 16 for n in found)
    return found if sound and isinstance(found, list) else [100] * frames


def _extras(image: Any) -> dict[str, str]:
    """Colour profile and EXIF, in base64."""
    found = {"icc": image.info.get("icc_profile"), "exif": image.info.get("exif")}
    return {
        name: base64.b64encode(data).decode()
        for name, data in found.items()
        if isinstance(data, bytes) and 0 < len(data) <= _LARGEST_EXTRA
    }


def _kept_extras(metadata: dict[str, Any]) -> dict[str, bytes]:
    """Of metadata that anybody may have written."""
    kept = {}
    for name, option in (("icc", "icc_profile"), ("exif", "exif")):
        text = metadata.get(name)
        if isinstance(text, str) and len(text) <= 2 * _LARGEST_EXTRA:
            try:
                kept[option] = base64.b64decode(text, validate=True)
            except ValueError:
                continue
    return kept
