"""Files that hold one array each: .npy, as memory maps, and images."""

import tokenize
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.canonical import checked_dtype
from aecodec.errors import DtypeError, FormatError, TruncatedError, require_extra

IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm", ".pgm"))
# numpy evaluates the literal that a header is, and what is none fails in any of Python's ways.
NPY_ERRORS = (ValueError, TypeError, KeyError, SyntaxError, OverflowError, RecursionError, MemoryError, tokenize.TokenError)


def load_npy(path: Path) -> np.ndarray:
    """A .npy file as a memory map."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except EOFError:
        raise TruncatedError(f"{path} is empty") from None
    except NPY_ERRORS as error:
        if isinstance(error, ValueError) and "object" in str(error).lower():
            raise DtypeError(f"{path} holds Python objects; save it as an array of numbers first") from None
        raise FormatError(f"{path} is not a sound .npy file: {str(error)[:200]}") from None
    checked_dtype(array.dtype)
    return np.asarray(array) if array.ndim == 0 else array


def load_image(path: Path) -> tuple[np.ndarray, str, dict[str, Any]]:
    """An image as (array, axes, metadata of its source)."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise require_extra("Pillow", "images", "reading images") from None
    try:
        with Image.open(path) as image:
            kind = image.format or "PNG"
            image.load()
            keep = image.mode in ("L", "RGB", "RGBA", "I;16", "F")
            array = np.asarray(image if keep else image.convert("RGBA" if "transparency" in image.info else "RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise FormatError(f"{path} is not an image that Pillow can read: {error}") from None
    return array, "yx" if array.ndim == 2 else "yxc", {"source": "image", "format": kind}
