"""The default model: fitted on the very data that is to be written, if that pays for its own bytes."""

from collections.abc import Iterator

import numpy as np

from aecodec.api.options import Options
from aecodec.canonical import ArraySpec
from aecodec.codec.model import Model
from aecodec.errors import ModelError
from aecodec.models.fit import fit_linear

_SMALLEST_FIT = 1 << 14  # values below which a model's own bytes cannot pay
_FIT_VALUES = 1 << 23
_PIECES = 8


def wants_fit(options: Options) -> bool:
    """True if a model may be fitted: none was given or forbidden, and level and fidelity have a use for latents."""
    given = options.model is not None or options.no_model
    return not given and options.fidelity.kind not in ("lossless", "max_point_error")


def fitted_model(slabs: list[np.ndarray] | Iterator[np.ndarray], spec: ArraySpec, options: Options, values: int) -> Model | None:
    """A model fitted on canonical `slabs`, or None if prediction alone is expected to make `values` values smaller."""
    if values < _SMALLEST_FIT:
        return None
    errors = options.fidelity.allowed_errors(spec.channels)
    # A reference field belongs to arrays of many samples; where rows or columns are the stream, no chunk sees all of it.
    reference = None if spec.stream_axis == 0 else False
    try:
        result = fit_linear(slabs, errors, spec.axes.letters, reference=reference, values_to_code=values)
    except ModelError:
        return None  # nobody asked for a model by name: prediction and bytes serve any data
    if errors is not None and result.predictive_bits_per_value <= result.bits_per_value:
        return None
    return Model(result.bundle, options.provider)


def pieces(array: np.ndarray, spec: ArraySpec) -> Iterator[np.ndarray]:
    """Canonical pieces spread over a whole `array`, of about 8 Mi values together, so that a memory map is never read whole."""
    stream = spec.axes.stream
    if stream is None or array.size <= _FIT_VALUES or spec.stream_axis != 0:
        window = min(spec.length, max(64, _FIT_VALUES * spec.length // max(1, array.size)))
        start = (spec.length - window) // 2
        part = array if stream is None else array[(slice(None),) * stream + (slice(start, start + window),)]
        yield spec.with_length(window).to_canonical(part)
        return
    length = max(1, _FIT_VALUES * spec.length // array.size // _PIECES)
    for start in np.linspace(0, spec.length - length, _PIECES).astype(int).tolist():
        part = array[(slice(None),) * stream + (slice(start, start + length),)]
        yield spec.with_length(length).to_canonical(part)
