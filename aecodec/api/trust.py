"""How far a file is trusted: what it may declare, and whether a model that comes inside it may run."""

import math
from dataclasses import dataclass

from aecodec.api.header import Header
from aecodec.api.options import ModelLike, as_model
from aecodec.canonical import ArraySpec
from aecodec.codec.chunk import work_bytes
from aecodec.codec.model import Model
from aecodec.errors import LimitError, ModelError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.models.bundle import Bundle
from aecodec.models.registry import ENVIRONMENT, find_by_id, missing

_NUMPY_LIMIT = 2**62


@dataclass(frozen=True)
class Trust:
    """What `open`, `decompress` and `Decompressor` were told of their input."""

    limits: Limits = DEFAULT_LIMITS
    allow_embedded_model: bool = True

    def find_model(self, header: Header, embedded: bytes | None, given: ModelLike, provider: str) -> Model | None:
        """The model that decodes a file: the one given, the embedded one if allowed, or an installed one.

        Its id must be the header's, which is checked before any of its graphs is looked at.
        """
        wanted = header.model_id
        if wanted is None:
            return None
        if given is not None and given is not False:
            model = as_model(given, provider, self.limits)
            if model is None or model.id != wanted:
                raise ModelError(f"the file needs model {wanted}, but the one given is {model.id if model else None}")
            return model
        if embedded is not None and self.allow_embedded_model:
            bundle = Bundle.from_bytes(bytes(embedded), self.limits)
            if bundle.id != wanted:
                raise ModelError(f"the file needs model {wanted}, but the one embedded in it is {bundle.id}")
            return Model(bundle, provider, limits=self.limits)
        found = find_by_id(wanted, self.limits)
        if found is not None:
            return Model(found, provider, limits=self.limits)
        if embedded is None:
            raise missing(wanted)
        raise ModelError(
            f"the file brings model {wanted} along, and allow_embedded_model=False keeps it from running; "
            f"pass model=, or put its .aecm into a directory that {ENVIRONMENT} names"
        )

    def check_chunk(self, part: ArraySpec) -> None:
        """LimitError if a chunk of this spec is larger than is allowed."""
        size = math.prod(max(1, n) for n in part.shape) * part.dtype.itemsize  # sizes besides 0 take time, if no memory
        self.limits.check("chunk_bytes", size, f"a chunk declares {math.prod(part.shape)} values, {size} bytes")

    def check_work(self, part: ArraySpec, body: memoryview, with_model: bool) -> None:
        """LimitError if decoding a chunk's body may take more memory than is allowed."""
        values = math.prod(part.canonical_shape)
        size = work_bytes(body, values, with_model)
        self.limits.check("work_bytes", size, f"a chunk of {values} values may take {size} bytes to decode")

    def check_array(self, shape: tuple[int, ...], itemsize: int) -> None:
        """LimitError if an array is too large to be allocated here."""
        size = math.prod(shape) * itemsize
        if math.prod(max(1, n) for n in shape) * itemsize > _NUMPY_LIMIT:
            raise LimitError(f"an array of {shape} has more than numpy can count; read it by slabs or parts")
        remedy = "read it by slabs or parts, give out=, or raise it: limits=aecodec.Limits({name}=...)"
        self.limits.check("array_bytes", size, f"an array of {shape} takes {size} bytes", remedy)

    def check_portion(self, size: int) -> None:
        """LimitError if the slabs that one portion of a stream makes are too large together."""
        remedy = "feed smaller portions, or raise it: limits=aecodec.Limits({name}=...)"
        self.limits.check("array_bytes", size, f"one portion of the stream makes slabs of {size} bytes", remedy)


DEFAULT_TRUST = Trust()
