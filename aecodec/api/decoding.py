"""From a chunk record to an array in the user's axes, with the model that its header asks for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from aecodec.api.header import Header
from aecodec.api.options import ModelLike
from aecodec.api.trust import DEFAULT_TRUST, Trust
from aecodec.canonical import ArraySpec
from aecodec.codec.chunk import ChunkCoder
from aecodec.codec.model import Origin
from aecodec.container.layout import Kind
from aecodec.container.records import Chunk, Preamble
from aecodec.errors import ModelError

T = TypeVar("T")


def part_coder(header: Header, preamble: Preamble, given: ModelLike, provider: str, trust: Trust) -> ChunkCoder:
    """What decodes the chunks of one part; a damaged model record does no harm if the model is given or installed."""
    try:
        model = trust.find_model(header, preamble.model, given, provider)
    except ModelError as error:
        if Kind.MODEL not in preamble.damaged:
            raise
        raise ModelError(f"the model record in the file is damaged ({preamble.damaged[Kind.MODEL]}): {error}") from None
    return ChunkCoder(header.spec.real_dtype, header.fidelity, model)


def decode_chunk(
    chunk: Chunk,
    spec: ArraySpec,
    coder: ChunkCoder,
    trust: Trust = DEFAULT_TRUST,
    threads: int = 1,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """An array in the user's axes from a chunk record. `out`: memory of that shape that it may be a view of, to save a copy."""
    part = spec.with_length(chunk.count)
    trust.check_chunk(part)
    trust.check_work(part, chunk.body, coder.model is not None)
    origin: Origin = (chunk.start if spec.stream_axis == 2 else 0, chunk.start if spec.stream_axis == 3 else 0)
    room = None if out is None else _canonical_view(out, part)
    array = part.from_canonical(coder.decode(chunk.body, part.canonical_shape, origin, threads, room))
    return array.astype(spec.dtype, copy=False)


def _canonical_view(array: np.ndarray, spec: ArraySpec) -> np.ndarray | None:
    """`array` as a canonical array to be filled, if it is laid out as one."""
    if array.shape != spec.shape or array.dtype != spec.real_dtype or spec.dtype.kind == "b":
        return None
    canonical = spec.axes.canonical(array)
    return canonical if canonical.flags.c_contiguous and np.may_share_memory(canonical, array) else None


def ahead(function: Callable[[int], T], numbers: Iterable[int], threads: int) -> Iterator[tuple[int, Callable[[], T]]]:
    """(number, its result when called) of each number in order, the next ones computed on threads meanwhile."""
    if threads == 1:
        for number in numbers:
            yield number, lambda number=number: function(number)  # type: ignore[misc]
        return
    with ThreadPoolExecutor(threads) as pool:
        queue: deque[tuple[int, Future[T]]] = deque()
        try:
            for number in numbers:
                queue.append((number, pool.submit(function, number)))
                if len(queue) > threads:
                    first, future = queue.popleft()
                    yield first, future.result
            while queue:
                first, future = queue.popleft()
                yield first, future.result
        finally:
            for _, future in queue:
                future.cancel()
