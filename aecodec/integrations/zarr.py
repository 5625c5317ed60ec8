"""The codec `aecodec` of zarr v3: an array-to-bytes codec, found by its entry point where aecodec and zarr are installed.

    import zarr
    from aecodec.integrations.zarr import AecodecCodec
    codec = AecodecCodec(model, "tcyx", max_error=0.05)
    zarr.create_array("wind.zarr", shape=..., chunks=..., dtype="f4", serializer=codec, compressors=None)

As `serializer` of shards it codes their inner chunks. For zarr v2, see aecodec.integrations.numcodecs.
"""

import asyncio
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Unpack

import numpy as np

from aecodec.api.options import FidelityOptions, ModelLike, thread_count
from aecodec.codec.effort import DEFAULT_LEVEL
from aecodec.errors import FormatError, require_extra
from aecodec.integrations.coding import Coding, make_coding

try:
    from zarr import config
    from zarr.abc.codec import ArrayBytesCodec
    from zarr.registry import register_codec
except ImportError:
    raise require_extra("zarr 3", "zarr", "aecodec.integrations.zarr") from None

NAME = "aecodec"
# Values of a chunk whose work is under a millisecond, most of it Python, which threads cannot share; without a model more are.
_SHORT, _SHORT_WITHOUT_MODEL = 1 << 15, 1 << 17


@dataclass(frozen=True, init=False)
class AecodecCodec(ArrayBytesCodec):
    """Chunks coded by aecodec. Pickles; safe to share between threads; its model is loaded once in each process."""

    coding: Coding
    is_fixed_size = False

    def __init__(
        self,
        model: ModelLike = None,
        axes: str | None = None,
        *,
        level: int = DEFAULT_LEVEL,
        embed_model: bool | None = None,
        model_url: str | None = None,
        coding: Coding | None = None,
        **fidelity: Unpack[FidelityOptions],
    ) -> None:
        """Args are those of `aecodec.compress`, but that no model is chosen or fitted.

        Args:
            model: from `aecodec.fit`, or a path, name or id of one; chunks that it cannot take are coded without it.
            axes: one letter per dimension; guessed where that is unambiguous.
            embed_model: keep the model in the array's metadata; by default if it is small, does not ship and has no `model_url`.
            model_url: where readers find it who allow that (AECODEC_MODEL_URLS); not read here.
            coding: all of the above in one.
            fidelity: as for `aecodec.compress`; lossless by default. What is relative to the value range needs `value_range=`.
        """
        made = coding if coding is not None else make_coding(model, axes, level, embed_model, model_url, **fidelity)
        object.__setattr__(self, "coding", made)

    @classmethod
    def from_dict(cls, data: Any) -> "AecodecCodec":
        """The codec of a zarr.json's entry; FormatError if it is malformed."""
        if data.get("name") != NAME or not isinstance(data.get("configuration", {}), dict):
            raise FormatError(f"codec {str(data)[:60]!r} is not named {NAME!r}, or has no configuration")
        return cls(coding=Coding.from_json(data.get("configuration", {})))

    def to_dict(self) -> dict[str, Any]:
        """Its entry in zarr.json."""
        return {"name": NAME, "configuration": self.coding.to_json()}

    def evolve_from_array_spec(self, array_spec: Any) -> "AecodecCodec":
        """The same with the array's axes."""
        return AecodecCodec(coding=self.coding.for_array(array_spec.shape, array_spec.dtype.to_native_dtype()))

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """FidelityError, AxesError or DtypeError if chunks cannot be kept so."""
        self.coding.check(tuple(getattr(chunk_grid, "chunk_shape", shape)), dtype.to_native_dtype())

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        """Not known beforehand."""
        raise NotImplementedError

    def _encode_sync(self, chunk_array: Any, chunk_spec: Any) -> Any:
        return chunk_spec.prototype.buffer.from_bytes(self.coding.encode(np.asarray(chunk_array.as_numpy_array())))

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        data: np.ndarray = np.ascontiguousarray(chunk_bytes.as_numpy_array())
        array = self.coding.decode(data.data, chunk_spec.shape, chunk_spec.dtype.to_native_dtype())
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(array)

    async def _encode_single(self, chunk_array: Any, chunk_spec: Any) -> Any:
        return await _done(self._encode_sync, chunk_array, chunk_spec, _SHORT)

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        short = _SHORT_WITHOUT_MODEL if self.coding.reference is None else _SHORT
        return await _done(self._decode_sync, chunk_bytes, chunk_spec, short)


async def _done(work: Callable[[Any, Any], Any], chunk: Any, chunk_spec: Any, short: int) -> Any:
    """Call `work` in a thread, so that zarr goes on, but for a `short` chunk, which to hand over takes longer than that."""
    if math.prod(chunk_spec.shape) <= short:
        return work(chunk, chunk_spec)
    return await asyncio.get_running_loop().run_in_executor(_threads(), work, chunk, chunk_spec)


@cache
def _threads() -> ThreadPoolExecutor:
    """As many as zarr's configuration says, or as there are processors: of more, as asyncio has them, each waits for others."""
    return ThreadPoolExecutor(config.get("threading.max_workers", None) or thread_count(None), "aecodec-zarr")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)


register_codec(NAME, AecodecCodec)  # as the entry point does, where the package is run without being installed
