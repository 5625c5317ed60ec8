"""The default model: one that ships and suits the array, or one fitted on the very data that is to be written, if that pays."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

from aecodec.api.options import Options
from aecodec.api.trial import Trial
from aecodec.canonical import ArraySpec
from aecodec.codec.effort import effort_of
from aecodec.codec.model import Model
from aecodec.errors import AecodecError, LimitError, ModelError
from aecodec.limits import Limits
from aecodec.models.bundle import Bundle
from aecodec.models.fit import fit_linear
from aecodec.models.manifest import Manifest
from aecodec.models.registry import shipped

_SMALLEST_FIT = 1 << 14  # values below which a model's own bytes cannot pay
_SMALLEST = 1 << 10  # values below which no model is looked for
_FIT_VALUES = 1 << 23
_PIECES = 8
_QUICK = 1 << 20  # values up to which trying a predictor hardly takes time, at levels that do not ask for the smallest size
_BOUNDED = ("max_error", "max_range_error")
_AHEAD = 0.75  # of the size without any model: a shipped one that is this far ahead knows the kind of array


def wants_model(options: Options, spec: ArraySpec, values: int) -> bool:
    """True if a model may be chosen or fitted: none was given or forbidden, and there is one that could serve."""
    if options.model is not None or options.no_model or values < _SMALLEST:
        return False
    return (_may_fit(options) and values >= _SMALLEST_FIT) or bool(_suiting(spec, options, values))


def chosen_model(slabs: Sequence[np.ndarray], spec: ArraySpec, options: Options, values: int) -> Model | None:
    """The model that makes `values` values smallest, as canonical `slabs` of them tell: shipped, fitted on them, or none.

    Sizes are those of a sample; fitting is left out where no bound is to be kept and a shipped model is far ahead without it.
    """
    bounded = options.fidelity.kind in _BOUNDED
    ready = _shipped_models(spec, options, values)
    if bounded and not ready:
        return fitted_model(slabs, spec, options, values)  # whose own estimate says whether it pays
    trial = Trial.of(slabs, spec, options, values)
    costs: dict[Model | None, float] = {None: trial.cost(None)}
    for model in ready:
        with suppress(LimitError):  # the caller's own limits, which its runs turned out to be beyond
            costs[model] = trial.cost(model)
    if _may_fit(options) and (bounded or not ready or min(costs.values()) > _AHEAD * costs[None]):
        fitted = fitted_model(slabs, spec, options, values)
        if fitted is not None:
            costs[fitted] = trial.cost(fitted)
    return min(costs, key=lambda model: costs[model])


def fitted_model(slabs: Iterable[np.ndarray], spec: ArraySpec, options: Options, values: int) -> Model | None:
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


def _may_fit(options: Options) -> bool:
    """True if level and fidelity have a use for what is fitted."""
    return options.fidelity.kind not in ("lossless", "max_point_error")


def _suiting(spec: ArraySpec, options: Options, values: int) -> list[Path]:
    """Files of shipped models whose manifests say that they are for such arrays, and that the level has time for."""
    kind, effort = options.fidelity.kind, effort_of(options.level).for_size(values)
    predicts = effort.predicted and (effort.thorough or values <= _QUICK)
    return [
        path
        for path, manifest in shipped().items()
        if manifest.suits is not None
        and manifest.serves(spec.channels)
        and manifest.suits.holds(spec.dtype, spec.axes.letters, kind)
        and (predicts or not _only_predicts(manifest, kind))
    ]


def _only_predicts(manifest: Manifest, kind: str) -> bool:
    """True if all that the model has for this kind of fidelity is a predictor."""
    return manifest.any_channels or (manifest.predictor is not None and kind in (*_BOUNDED, "lossless"))


def _shipped_models(spec: ArraySpec, options: Options, values: int) -> list[Model]:
    """Those that suit and can code the array; a damaged one, or one beyond the limits, is passed over: nobody asked for it."""
    found = []
    for path in _suiting(spec, options, values):
        try:
            model = _loaded(path, path.stat().st_mtime_ns, options.provider, options.limits)
            model.check_fits(spec.canonical_shape)
        except (AecodecError, OSError):
            continue
        found.append(model)
    return found


@lru_cache(maxsize=4)
def _loaded(path: Path, _changed: int, provider: str, limits: Limits) -> Model:
    """Many small arrays of a kind in a row need the graphs checked only once."""
    return Model(Bundle.from_bytes(path.read_bytes(), limits), provider, limits=limits)


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
