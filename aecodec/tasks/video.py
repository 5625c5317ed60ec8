"""Videos as frames and back, through PyAV, one frame at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.errors import FormatError, UsageError, require_extra

VIDEO_SUFFIXES = frozenset((".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v"))
_CODECS = {".webm": ("libvpx-vp9",)}
_USUAL_CODECS = ("libx264", "mpeg4")  # the first that this build of FFmpeg has
_QUALITY = {"libx264": {"crf": "16"}, "libvpx-vp9": {"crf": "24", "b:v": "0"}, "mpeg4": {"qscale": "2"}}


@dataclass(frozen=True)
class Video:
    """A video file's first stream of pictures: rows, columns, frames a second."""

    path: Path
    rows: int
    columns: int
    rate: Fraction

    @classmethod
    def open(cls, path: str | Path) -> "Video":
        """What a file holds; FormatError if that is no video."""
        av = _av()
        try:
            with av.open(str(path)) as container:
                if not container.streams.video:
                    raise FormatError(f"{path} has no pictures, only sound or text")
                stream = container.streams.video[0]
                return cls(Path(path), stream.height, stream.width, Fraction(stream.average_rate or 25))
        except av.FFmpegError as error:
            raise FormatError(f"{path} is not a video that FFmpeg can read: {error}") from None

    def frames(self) -> Iterator[np.ndarray]:
        """Its pictures in turn, uint8 (rows, columns, 3)."""
        av = _av()
        try:
            with av.open(str(self.path)) as container:
                for frame in container.decode(video=0):
                    yield frame.to_ndarray(format="rgb24")
        except av.FFmpegError as error:
            raise FormatError(f"{self.path} is damaged, or not a video that FFmpeg can read: {error}") from None


def write_video(frames: Iterable[np.ndarray], path: Path, rate: Fraction, suffix: str) -> int:
    """Write uint8 pictures (rows, columns, 3), the last row or column of odd sizes dropped; how many there were.

    `suffix` says the kind of file, whatever the path's own is.
    """
    av = _av()
    codec = next((name for name in _CODECS.get(suffix, _USUAL_CODECS) if name in av.codecs_available), None)
    if codec is None:
        raise UsageError(f"this build of FFmpeg writes no {suffix}; use another suffix, or .npy")
    kind = {".mkv": "matroska", ".m4v": "mp4"}.get(suffix, suffix[1:])
    count = 0
    with av.open(str(path), "w", format=kind) as container:
        stream: Any = None
        for picture in frames:
            even = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
            if stream is None:
                stream = container.add_stream(codec, rate=rate, options=_QUALITY[codec])
                stream.height, stream.width, stream.pix_fmt = even.shape[0], even.shape[1], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")))
            count += 1
        if stream is not None:
            container.mux(stream.encode())
    return count


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise require_extra("PyAV", "video", "reading or writing video") from None
    return av
