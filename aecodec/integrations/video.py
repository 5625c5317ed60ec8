"""Video through PyAV (FFmpeg; extra `video`): frames in, a few at a time, and frames out."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.errors import FormatError, UsageError, require_extra

_SLAB_BYTES = 1 << 25
# Suffixes whose files keep every value (FFV1, RFC 9043); in the others H.264 at a high quality.
_EXACT = (".mkv", ".avi")
_RATE = Fraction(25)


def load_video(path: Path) -> tuple[Iterator[np.ndarray], str, dict[str, Any]]:
    """The first video stream as (slabs of frames, axes, metadata): grey "tyx" or RGB "tyxc", uint8, or uint16 if deeper."""
    av = _av("reading video")
    try:
        container = av.open(str(path))
        stream = container.streams.video[0]
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise FormatError(f"{path} is not a video that FFmpeg can read: {error or 'it has no video stream'}") from None
    stream.thread_type = "AUTO"
    pixels = stream.format
    deep = any(component.bits > 8 for component in pixels.components) if pixels is not None else False
    grey = pixels is not None and len(pixels.components) == 1 and not pixels.has_palette
    form = ("gray16le" if deep else "gray") if grey else ("rgb48le" if deep else "rgb24")
    metadata = {
        "source": "video",
        "rate": str(stream.average_rate or _RATE),
        "codec": stream.codec_context.name,
        "pixels": pixels.name if pixels is not None else "",
    }
    return _slabs(av, container, stream, form, path), "tyx" if grey else "tyxc", metadata


def _slabs(av: Any, container: Any, stream: Any, form: str, path: Path) -> Iterator[np.ndarray]:
    held: list[np.ndarray] = []
    try:
        for frame in container.decode(stream):
            held.append(frame.to_ndarray(format=form))
            if held[-1].shape != held[0].shape:
                raise FormatError(f"{path}: frames change from {held[0].shape} to {held[-1].shape}; cut it where they do")
            if len(held) * held[0].nbytes >= _SLAB_BYTES:
                yield np.stack(held)
                held = held[:0]
        if held:
            yield np.stack(held)
    except av.FFmpegError as error:
        raise FormatError(f"{path} cannot be decoded to its end: {error}") from None
    finally:
        container.close()


def save_video(
    slabs: Iterable[Iterable[np.ndarray]],
    shape: tuple[int, ...],
    dtype: np.dtype,
    metadata: dict[str, Any],
    path: Path,
    suffix: str,
) -> None:
    """Frames (t, y, x) or (t, y, x, 3), uint8 or uint16, at the rate that the metadata name."""
    av = _av("writing video")
    colour = len(shape) == 4 and shape[3] == 3
    if dtype not in (np.uint8, np.uint16) or not (colour or len(shape) == 3) or 0 in shape:
        raise UsageError(
            f"an array of shape {shape} and dtype {dtype} cannot be a {suffix} video; use uint8 or uint16, frames x rows x columns "
            "(x 3), or a .npy output"
        )
    deep = dtype.itemsize == 2
    form = ("rgb48le" if deep else "rgb24") if colour else ("gray16le" if deep else "gray")
    exact = suffix.lower() in _EXACT
    with av.open(str(path), "w", format={".mkv": "matroska", ".avi": "avi", ".webm": "webm"}.get(suffix.lower(), "mp4")) as out:
        stream = _stream(out, shape, _rate(metadata), _pixels(colour, deep, exact, shape), exact, suffix)
        for frame in chain.from_iterable(slabs):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=form)))
        out.mux(stream.encode())


def _stream(out: Any, shape: tuple[int, ...], rate: Fraction, pixels: str, exact: bool, suffix: str) -> Any:
    codec = "ffv1" if exact else "libvpx-vp9" if suffix.lower() == ".webm" else "libx264"
    stream = out.add_stream(codec, rate=rate, options={} if exact else {"crf": "12"})
    stream.height, stream.width, stream.pix_fmt = shape[1], shape[2], pixels
    if exact and ("gbrp16" in pixels or "16" in pixels):
        stream.codec_context.options = {"level": "3"}
    return stream


def _pixels(colour: bool, deep: bool, exact: bool, shape: tuple[int, ...]) -> str:
    """How the codec has pixels: exactly, or in what players know."""
    if exact:
        return ("gbrp16le" if deep else "bgr0") if colour else ("gray16le" if deep else "gray")
    return "yuv420p" if shape[1] % 2 == 0 and shape[2] % 2 == 0 else "yuv444p"


def _rate(metadata: dict[str, Any]) -> Fraction:
    """Of metadata that anybody may have written."""
    try:
        rate = Fraction(str(metadata.get("rate", _RATE))[:40])
    except (ValueError, ZeroDivisionError):
        return _RATE
    return rate if 0 < rate <= 1000 and rate.denominator < 1 << 20 else _RATE


def _av(purpose: str) -> Any:
    try:
        import av
    except ImportError:
        raise require_extra("PyAV", "video", purpose) from None
    return av
