"""How long chunks are, and which arrays can be cut into chunks that a reader takes."""

import math

from aecodec.canonical import ArraySpec
from aecodec.codec.effort import effort_of
from aecodec.codec.model import Model
from aecodec.limits import DEFAULT_LIMITS, Limits

_MANY = 32  # chunks, of which one more or less makes no difference to threads


def check_writable(spec: ArraySpec, limits: Limits) -> None:
    """LimitError for arrays that no reader with such limits would take."""
    shape = spec.with_length(1).shape
    size = math.prod(shape) * spec.dtype.itemsize
    remedy = "name another axis t, z or y, so that its steps are smaller, or raise {name} in limits= here and for reading"
    limits.check("chunk_bytes", size, f"one step of the stream axis has {math.prod(shape)} values, {size} bytes", remedy)
    limits.check("dimensions", len(shape), f"the array has {len(shape)} dimensions", "reshape it")
    remedy = "name the longest of the axes t or x instead of c"
    limits.check("channels", spec.channels, f"axes={spec.axes.letters!r} make {spec.channels} channels of {shape}", remedy)


def chunk_length(
    spec: ArraySpec, model: Model | None, level: int, limits: Limits = DEFAULT_LIMITS, total: int | None = None
) -> int:
    """Steps of the stream axis in a chunk: about as many values as the level has in one, in whole tiles, and within `limits`.

    Where the stream is known to have `total` steps, and few chunks, these are about alike and of an even number, so that threads
    have as much to do.
    """
    if spec.axes.stream is None:
        return 1
    sample = max(1, math.prod(spec.with_length(1).canonical_shape))
    length = max(1, effort_of(level).chunk_values // sample)
    unit = 16 if spec.stream_axis != 0 else 1
    if model is not None:
        tile = model.manifest.tile[spec.stream_axis]
        unit = tile // math.gcd(tile, spec.steps_per_sample) if spec.stream_axis == 0 else tile
    most = max(1, limits.chunk_bytes // (sample * spec.real_dtype.itemsize))
    usual = min(most, max(unit, round(length / unit) * unit))
    chunks = 1 if total is None else -(-total // usual)
    if total is None or not 1 < chunks < _MANY:
        return usual
    alike = -(-total // (chunks + chunks % 2))
    return min(usual, -(-alike // unit) * unit)
