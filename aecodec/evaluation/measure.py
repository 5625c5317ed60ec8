"""All that the report shows, measured on one array: size, errors, spectra, times, chunks, and the peers beside."""

import platform
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter
from typing import Any, Unpack

import numpy as np

from aecodec.api.facts import ChunkFacts, chunk_facts
from aecodec.api.functions import compress
from aecodec.api.options import FidelityOptions, ModelLike, make_options
from aecodec.api.reader import Reader
from aecodec.api.whole import axes_of, with_range
from aecodec.canonical import ArraySpec, as_array, fill_missing
from aecodec.codec.effort import DEFAULT_LEVEL
from aecodec.codec.model import Model
from aecodec.container.source import BytesSource
from aecodec.errors import UsageError
from aecodec.evaluation.curves import Curve, coded, ladder, peer_curves, spans_of
from aecodec.evaluation.errors import ChannelErrors, Histogram, channel_errors, histogram
from aecodec.evaluation.spectra import Spectrum, spectrum
from aecodec.fidelity import Fidelity
from aecodec.version import __version__

MOST_VALUES = 1 << 22


@dataclass(frozen=True)
class ChunkRow:
    """A chunk: its steps, how it is stored, its bytes and those of the values in it, its largest error."""

    number: int
    start: int
    stop: int
    mode: str
    bytes: int
    raw_bytes: int
    worst: float


@dataclass(frozen=True)
class Evaluation:
    """What was measured. `array`, `restored`: canonical (steps, channels, rows, columns), the values that were coded.

    `file_bytes` without the model, `model_bytes` of the model; `encoding`, `decoding` in seconds; `bounds` of each channel, None
    where no bound was asked for; `broken`: values outside their bound.
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    used: tuple[int, ...]
    dtype: str
    fidelity: Fidelity
    model_id: str | None
    model_family: str
    level: int
    threads: int
    file_bytes: int
    model_bytes: int
    encoding: float
    decoding: float
    bounds: list[float] | None
    broken: int
    missing: int
    channels: list[ChannelErrors]
    histogram: Histogram
    chunks: list[ChunkRow]
    spectra: list[Spectrum]
    curves: list[Curve]
    array: np.ndarray = field(repr=False)
    restored: np.ndarray = field(repr=False)
    machine: dict[str, str] = field(default_factory=dict)

    @property
    def raw_bytes(self) -> int:
        """Bytes of the values that were coded."""
        return self.array.nbytes

    @property
    def worst(self) -> float:
        """The largest absolute error."""
        return max(channel.worst for channel in self.channels)

    def to_json(self) -> dict[str, Any]:
        """All figures, without the arrays."""
        left_out = ("array", "restored", "fidelity")
        plain = asdict(replace(self, array=np.empty(0), restored=np.empty(0)))
        return {key: value for key, value in plain.items() if key not in left_out} | {"fidelity": self.fidelity.to_json()}


def evaluate(
    data: Any,
    model: ModelLike = None,
    axes: str | None = None,
    *,
    name: str = "array",
    level: int = DEFAULT_LEVEL,
    threads: int | None = None,
    provider: str = "auto",
    most_values: int = MOST_VALUES,
    **fidelity: Unpack[FidelityOptions],
) -> Evaluation:
    """Code `data` by the model and by the peers that are installed, and measure what comes of it.

    Args:
        data: an array, as for `compress`; of more than `most_values` values its first steps.
        model: as for `compress`; None takes what suits the array best, False none.
        fidelity: as for `compress`; without any, lossless.

    Raises:
        UsageError: the array is empty, or its dtype is complex or bool.
    """
    options = make_options(model, axes, level, False, provider, threads, None, fidelity, None)
    whole = as_array(data)
    if not whole.size or whole.dtype.kind not in "iuf":
        raise UsageError(f"evaluating takes integers or floats, and at least one; this is a {whole.dtype} array of {whole.shape}")
    spec = axes_of(whole, options)
    used = _first_steps(whole, spec, most_values)
    spec = replace(spec, shape=used.shape)
    demand = with_range(used, spec, options.fidelity) if options.fidelity.needs_range else options.fidelity
    given: FidelityOptions = fidelity if demand.ranges is None else {**fidelity, "value_range": list(demand.ranges)}
    start = perf_counter()
    packed = compress(used, model, spec.axes.letters, level=level, embed_model=True, threads=threads, provider=provider, **given)
    middle = perf_counter()
    with Reader(BytesSource(packed), None, provider, threads) as reader:
        restored = reader.read()
        decoding = perf_counter() - middle
        found, rows, threads_used = reader.model, list(chunk_facts(reader.array_file)), reader.threads
    x, x_hat = spec.to_canonical(used), spec.to_canonical(restored)
    model_bytes = len(found.stored) if found is not None else 0
    bounds = demand.allowed_errors(spec.channels)
    pieces = [fill_missing(x) if x.dtype.kind == "f" else x]
    channels = channel_errors(x, x_hat, bounds)
    low, high = np.array([channel.low for channel in channels]), np.array([channel.high for channel in channels])
    settings, spans = ladder(demand, x.dtype, low, high), spans_of(x.dtype, low, high)
    return Evaluation(
        name=name,
        axes=spec.axes.letters,
        shape=whole.shape,
        used=used.shape,
        dtype=str(whole.dtype),
        fidelity=demand,
        model_id=found.id if found is not None else None,
        model_family=found.manifest.family if found is not None else "none",
        level=level,
        threads=threads_used,
        file_bytes=len(packed) - _embedded(packed, found),
        model_bytes=model_bytes,
        encoding=middle - start,
        decoding=decoding,
        bounds=bounds.tolist() if bounds is not None else None,
        broken=sum(channel.broken for channel in channels),
        missing=int((~np.isfinite(x)).sum()) if x.dtype.kind == "f" else 0,
        channels=channels,
        histogram=histogram(x, x_hat, bounds),
        chunks=[_chunk_row(row, used, restored, spec) for row in rows],
        spectra=[spectrum(pieces[0][:, c], _filled(x_hat)[:, c]) for c in range(min(spec.channels, 8))],
        curves=[
            coded("aecodec", found if found is not None else False, pieces, settings, spans, level, model_bytes),
            *peer_curves(pieces, settings, spans),
        ],
        array=x,
        restored=x_hat,
        machine=_machine(),
    )


def _first_steps(whole: np.ndarray, spec: ArraySpec, most: int) -> np.ndarray:
    stream = spec.axes.stream
    if stream is None or whole.size <= most:
        return np.asarray(whole)
    keep = max(1, most * spec.length // whole.size)
    return np.asarray(whole[(slice(None),) * stream + (slice(0, keep),)])


def _embedded(packed: bytes, model: Model | None) -> int:
    """Bytes of the model's record in a file."""
    return 0 if model is None or model.stored not in packed else len(model.stored)


def _filled(array: np.ndarray) -> np.ndarray:
    return fill_missing(array) if array.dtype.kind == "f" else array


def _chunk_row(row: ChunkFacts, x: np.ndarray, x_hat: np.ndarray, spec: ArraySpec) -> ChunkRow:
    stream = spec.axes.stream
    part = (Ellipsis,) if stream is None else (slice(None),) * stream + (slice(row.start, row.stop),)
    error = np.abs(x[part].astype(np.float64) - x_hat[part])
    worst = float(np.nanmax(np.where(np.isfinite(error), error, 0.0), initial=0.0))
    return ChunkRow(row.number, row.start, row.stop, row.mode, row.bytes, x[part].nbytes, worst)


def _machine() -> dict[str, str]:
    return {
        "aecodec": __version__,
        "numpy": np.__version__,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
