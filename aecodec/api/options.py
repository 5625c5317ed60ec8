"""What a call to compress, open or Compressor asks for, checked once."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from aecodec.codec.effort import DEFAULT_LEVEL, effort_of
from aecodec.codec.model import Model
from aecodec.errors import UsageError
from aecodec.fidelity import Fidelity, fidelity_from_options
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.models.bundle import Bundle
from aecodec.models.registry import load_bundle
from aecodec.runtime.executor import check_provider

ModelLike = Model | Bundle | str | os.PathLike[str] | bytes | None | Literal[False]


class FidelityOptions(TypedDict, total=False):
    """The fidelity keywords; at most one, besides `value_range`."""

    max_error: float | Sequence[float] | None
    max_range_error: float | None
    max_point_error: float | None
    psnr: float | None
    quality: float | None
    lossless: bool | None
    value_range: Sequence[Any] | None


@dataclass(frozen=True)
class Options:
    """`model` None: choose a shipped one or fit one, if that pays; `no_model`: predict only."""

    fidelity: Fidelity
    model: Model | None = None
    no_model: bool = False
    axes: str | None = None
    level: int = DEFAULT_LEVEL
    embed_model: bool | None = None
    provider: str = "auto"
    threads: int = 1
    metadata: dict[str, Any] = field(default_factory=dict)
    limits: Limits = DEFAULT_LIMITS
    allow_embedded_model: bool = True  # of the file that is appended to


def make_options(
    model: ModelLike,
    axes: str | None,
    level: int,
    embed_model: bool | None,
    provider: str,
    threads: int | None,
    metadata: dict[str, Any] | None,
    fidelity: FidelityOptions,
    limits: Limits | None = None,
    allow_embedded_model: bool = True,
) -> Options:
    """Check the keyword arguments that all writing calls share."""
    effort, limits = effort_of(level), limits or DEFAULT_LIMITS
    check_provider(provider)
    asked = fidelity_from_options(**fidelity)
    # A model that no chunk can need is not worth its bytes in the file.
    unused = model is False or (not effort.latents and (model is None or asked.kind not in ("psnr", "quality")))
    return Options(
        fidelity=asked,
        model=None if unused else as_model(model, provider, limits),
        no_model=unused,
        axes=axes,
        level=level,
        embed_model=embed_model,
        provider=provider,
        threads=thread_count(threads),
        metadata=metadata or {},
        limits=limits,
        allow_embedded_model=allow_embedded_model,
    )


def as_model(model: ModelLike, provider: str, limits: Limits = DEFAULT_LIMITS) -> Model | None:
    """A running model from a model, a bundle, a path, a name, an id, or the bytes of a .aecm file."""
    if model is None or model is False or isinstance(model, Model):
        return model or None
    bundle = model if isinstance(model, Bundle) else load_bundle(model, limits)
    return Model(bundle, provider, limits=limits)


def thread_count(threads: int | None) -> int:
    """The number asked for, or that of the processors this process may use."""
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not 1 <= threads <= 1024:
        raise UsageError(f"threads={threads} is outside 1 to 1024")
    return threads
