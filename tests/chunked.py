"""Files of many small chunks and their records, for tests that damage them."""

import io
from collections.abc import Sequence

import numpy as np

import aecodec
from aecodec.axes import parse_axes
from aecodec.container.layout import FRAME_SIZE, PREFIX_SIZE, Kind, parse_frame


def chunked(array: np.ndarray, axes: str, size: int, **options: object) -> bytes:
    """A file of `array` with a chunk for every `size` steps of its stream axis."""
    from aecodec.api.encoder import StreamEncoder
    from aecodec.api.options import make_options
    from aecodec.container.writer import ContainerWriter

    metadata, model = options.pop("metadata", None), options.pop("model", None)
    out = io.BytesIO()
    made = make_options(model, axes, 5, None, "auto", 1, metadata, options)
    encoder = StreamEncoder(ContainerWriter(out), made)
    encoder.declare(array.dtype, axes, array.shape)
    stream = parse_axes(axes, array.ndim).stream
    encoder._begin(made.model)
    encoder._chunk_length = size
    for slab in np.split(array, range(size, array.shape[stream], size), axis=stream):
        encoder.write(slab)
    encoder.finish()
    return out.getvalue()


def records(data: bytes) -> list[tuple[int, int, int]]:
    """(offset, kind, end) of each record of a file of one part."""
    at, found = PREFIX_SIZE, []
    while at < len(data):
        frame = parse_frame(data[at : at + FRAME_SIZE])
        found.append((at, frame.kind, at + FRAME_SIZE + frame.length))
        at = found[-1][2]
    return found


def spans(data: bytes, kind: Kind) -> list[tuple[int, int]]:
    """(offset, end) of the records of one kind."""
    return [(at, end) for at, found, end in records(data) if found == kind]


def flipped(data: bytes, places: int | Sequence[int]) -> bytes:
    """`data` with a bit changed in some bytes."""
    changed = bytearray(data)
    for place in [places] if isinstance(places, int) else places:
        changed[place] ^= 0x10
    return bytes(changed)


def steps(count: int, dtype: str = "i4") -> np.ndarray:
    """(count, 6) values, each step's its own."""
    return (np.arange(count)[:, None] * 10 + np.arange(6)).astype(dtype)


def skipping(data: object) -> aecodec.Reader:
    """A reader that leaves out what is damaged."""
    return aecodec.open(data if not isinstance(data, bytes) else io.BytesIO(data), on_error="skip", threads=1)
