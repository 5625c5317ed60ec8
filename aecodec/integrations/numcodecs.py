"""The codec `aecodec` of numcodecs, for zarr v2, kerchunk and what else takes such codecs; found by its entry point.

zarr.create_array("wind.zarr", ..., zarr_format=2, compressors=Aecodec(model, "tcyx", max_error=0.05))
"""

from typing import Any, Unpack

import numpy as np

from aecodec.api.options import FidelityOptions, ModelLike
from aecodec.canonical import as_array
from aecodec.codec.effort import DEFAULT_LEVEL
from aecodec.errors import UsageError, require_extra
from aecodec.integrations.coding import Coding, make_coding

try:
    from numcodecs.abc import Codec
    from numcodecs.compat import ensure_contiguous_ndarray
    from numcodecs.registry import register_codec
except ImportError:
    raise require_extra("numcodecs", "zarr", "aecodec.integrations.numcodecs") from None


class Aecodec(Codec):  # type: ignore[misc]  # numcodecs has no types
    """Arrays to self-describing chunks and back; arguments as of `aecodec.integrations.zarr.AecodecCodec`.

    Filters before it must leave chunks their shape and numbers: it is no codec for bytes.
    """

    codec_id = "aecodec"

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
        self.coding = coding if coding is not None else make_coding(model, axes, level, embed_model, model_url, **fidelity)

    def encode(self, buf: Any) -> bytes:
        """The stored chunk of an array, of any shape and memory order."""
        array = buf if isinstance(buf, np.ndarray) and buf.dtype.kind in "mM" else as_array(buf)
        self.coding.check(array.shape, array.dtype)
        return self.coding.encode(array, described=True)

    def decode(self, buf: Any, out: Any = None) -> np.ndarray:
        """The array of a stored chunk, copied into `out` (of as many bytes) if given; dates come as int64."""
        array = self.coding.decode(ensure_contiguous_ndarray(buf).data)
        if out is None:
            return array
        target = np.asarray(out)
        if target.nbytes != array.nbytes or not (target.flags.c_contiguous or target.flags.f_contiguous):
            raise UsageError(f"out has {target.nbytes} bytes, the chunk {array.nbytes}; give a contiguous array of that size")
        target.reshape(-1, order="A").view(array.dtype)[...] = array.reshape(-1, order="A")
        return target

    def get_config(self) -> dict[str, Any]:
        """The codec as JSON."""
        return {"id": self.codec_id, **self.coding.to_json()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Aecodec":
        """The inverse of `get_config` (without its id); FormatError if it is malformed."""
        return cls(coding=Coding.from_json({k: v for k, v in config.items() if k != "id"}))

    def __repr__(self) -> str:
        model = self.coding.reference.id[:12] if self.coding.reference is not None else None
        return f"Aecodec(axes={self.coding.axes!r}, fidelity={self.coding.fidelity.to_json()}, model={model})"


register_codec(Aecodec)  # as the entry point does, where the package is run without being installed
