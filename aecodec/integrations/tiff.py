"""TIFF through tifffile: any dtype, stacks, microscopes' dimensions (extra `images`)."""

from pathlib import Path
from typing import Any

import numpy as np

from aecodec.errors import FormatError, UsageError, require_extra

# tifffile's letters. Q, I and others are dimensions of unknown meaning.
_LETTERS = {"T": "t", "Z": "z", "C": "c", "S": "c", "Y": "y", "X": "x"}
_LONGEST_TEXT = 1 << 16


def load_tiff(path: Path) -> tuple[np.ndarray, str, dict[str, Any]]:
    """The only series of a TIFF file as (array, axes, metadata)."""
    tifffile = _tifffile("reading TIFF")
    try:
        with tifffile.TiffFile(path) as file:
            if len(file.series) != 1:
                raise FormatError(f"{path} holds {len(file.series)} series of images that are not alike; save each to its own file")
            series, page = file.series[0], file.pages[0]
            array = np.asarray(series.asarray())
            letters = _axes(series.axes)
            metadata: dict[str, Any] = {"source": "tiff", "tiff_axes": series.axes, "photometric": page.photometric.name.lower()}
            if page.description and len(page.description) <= _LONGEST_TEXT and page.description.isascii():
                metadata["description"] = page.description
            if page.resolutionunit is not None and page.resolution != (1.0, 1.0):
                metadata["resolution"] = [float(page.resolution[0]), float(page.resolution[1]), int(page.resolutionunit)]
    except FormatError:
        raise
    except Exception as error:  # noqa: BLE001  # tifffile raises what its parsing runs into
        raise FormatError(f"{path} is not a TIFF that can be read: {_reason(error)}") from None
    return array, letters, metadata


def save_tiff(array: np.ndarray, axes: str, metadata: dict[str, Any], path: Path, suffix: str) -> None:
    """The inverse of `load_tiff`, packed by zlib; without the metadata of a TIFF, by what the axes say."""
    tifffile = _tifffile("writing TIFF")
    if not array.size or array.dtype.kind not in "buif":
        raise UsageError(f"an array of shape {array.shape} and dtype {array.dtype} cannot be a {suffix} image; use a .npy output")
    named = str(metadata.get("tiff_axes", ""))
    settings: dict[str, Any] = {"photometric": "rgb" if axes.endswith("yxc") and array.shape[-1] in (3, 4) else "minisblack"}
    if metadata.get("photometric") == "miniswhite":
        settings["photometric"] = "miniswhite"
    resolution = metadata.get("resolution")
    if isinstance(resolution, list) and len(resolution) == 3 and all(isinstance(n, (int, float)) and n > 0 for n in resolution):
        settings |= {"resolution": tuple(resolution[:2]), "resolutionunit": int(resolution[2])}
    description = metadata.get("description")
    if isinstance(description, str) and description.isascii():  # tifffile's own words on shape and axes, ImageJ's, OME's
        settings |= {"description": description, "metadata": None}
    elif len(named) == array.ndim:
        settings["metadata"] = {"axes": named}
    planar = array.ndim >= 3 and settings["photometric"] == "rgb"
    with tifffile.TiffWriter(path, bigtiff=array.nbytes > 1 << 31) as file:
        file.write(np.ascontiguousarray(array), planarconfig="contig" if planar else None, compression="zlib", **settings)


def _tifffile(purpose: str) -> Any:
    try:
        import tifffile
    except ImportError:
        raise require_extra("tifffile", "images", purpose) from None
    return tifffile


def _axes(found: str) -> str:
    """Our letters for tifffile's: what it does not know is samples (t), then space (z), then channels."""
    letters = [_LETTERS.get(letter, "?") for letter in found]
    for number, letter in enumerate(letters):
        if letter == "?" or (letter != "c" and letter in letters[:number]):
            free = [spare for spare in "tz" if spare not in letters]
            letters[number] = free[0] if free else "c"
    return "".join(letters)


def _reason(error: Exception) -> str:
    text = str(error)[:200]
    return f"{text} (pip install imagecodecs)" if "imagecodecs" in text else text or type(error).__name__
