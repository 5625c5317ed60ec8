"""Datasets to zarr stores, each variable within its own bound, and the accessor `.aecodec` of xarray's datasets.

    import aecodec.integrations.xarray
    dataset.to_zarr("out.zarr", encoding=dataset.aecodec.encoding(max_error={"t2m": 0.05}), zarr_format=3)
    for row in dataset.aecodec.to_zarr("out.zarr", max_range_error=1e-3): print(row)

Coordinates, masks, flags, times and bounds of cells are kept to the bit, and so is all that no bound is asked of.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from aecodec.api.autofit import pieces
from aecodec.api.options import ModelLike
from aecodec.api.whole import with_range
from aecodec.axes import parse_axes
from aecodec.canonical import ArraySpec
from aecodec.codec.effort import DEFAULT_LEVEL, effort_of
from aecodec.codec.model import Model
from aecodec.errors import ModelError, require_extra
from aecodec.fidelity import Fidelity
from aecodec.integrations.coding import Coding
from aecodec.integrations.large_variables import chunked, replaced
from aecodec.integrations.models import SMALL, reference_to
from aecodec.integrations.variables import Bounds, Demand, axes_of, may_lose
from aecodec.integrations.zarr import AecodecCodec
from aecodec.integrations.zarr_summary import Summary, summarise
from aecodec.models.fit import fit_linear

try:
    import xarray
    import zarr
except ImportError:
    raise require_extra("xarray", "xarray", "aecodec.integrations.xarray") from None

Models = ModelLike | Mapping[str, ModelLike]
_SMALLEST_FIT = 1 << 14  # values below which a model's own bytes cannot pay
_LARGEST_STEP = 8  # chunks' worth of values that one step may have before its rows and columns are cut
_KEPT_ENCODING = ("dtype", "scale_factor", "add_offset", "_FillValue", "missing_value", "units", "calendar", "_Unsigned")


@dataclass(frozen=True)
class VariableReport:
    """How a variable was kept. `stored_bytes`: chunks and metadata, the model's bytes among them."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    axes: str
    fidelity: Fidelity
    model: bool
    modes: Mapping[str, int]
    unfit: int
    array_bytes: int
    stored_bytes: int

    @property
    def ratio(self) -> float:
        """How many times smaller it is than in memory."""
        return self.array_bytes / max(1, self.stored_bytes)


@dataclass(frozen=True)
class _Lazy:
    """A variable as what needs only sizes and slices of it; nothing is kept."""

    variable: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.variable.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.variable.dtype)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(self.variable[index].values)


def encoding(
    dataset: Any,
    *,
    model: Models = None,
    level: int = DEFAULT_LEVEL,
    axes: Mapping[str, str] | None = None,
    max_error: Demand = None,
    max_range_error: Demand = None,
    max_point_error: Demand = None,
    psnr: Demand = None,
    quality: Demand = None,
) -> dict[str, dict[str, Any]]:
    """The `encoding=` of `Dataset.to_zarr` (zarr_format=3): chunks and codec of each variable of numbers.

    Args:
        dataset: an xarray.Dataset.
        model: one for all, or by name; None fits one on each variable where that pays, False uses none.
        level: effort, 1 to 9.
        axes: one letter per dimension, by name, where CF attributes and names of dimensions do not tell.
        max_error: a number for all variables of floats, or numbers by name; so too the other fidelities, of which a
            variable takes the one that names it, or else the one for all. Integers lose something only if they are named.

    Raises:
        UsageError: a name that is not there, or of what must not lose anything.
    """
    demands = {
        "max_error": max_error,
        "max_range_error": max_range_error,
        "max_point_error": max_point_error,
        "psnr": psnr,
        "quality": quality,
    }
    bounds = Bounds(demands)
    bounds.check(dataset)
    effort_of(level)
    found = {}
    for name, variable in dataset.variables.items():
        if variable.dtype.kind not in "biufcmM":
            continue  # text: xarray's own way
        lossy = may_lose(dataset, name, bounds)
        letters = axes[name] if axes and name in axes else axes_of(dataset, name)
        spec = ArraySpec(_numbers(variable.dtype), parse_axes(letters, variable.ndim), tuple(variable.shape))
        coding, chunks = _coding(variable, spec, bounds.fidelity(name) if lossy else Fidelity(), _of(model, name), level)
        kept = {} if lossy else {key: variable.encoding[key] for key in _KEPT_ENCODING if key in variable.encoding}
        found[name] = {**kept, "serializer": AecodecCodec(coding=coding), "compressors": None}
        if variable.ndim and variable.size:
            found[name]["chunks"] = chunks
    return found


def to_zarr(dataset: Any, store: Any, *, mode: Literal["w", "w-"] = "w-", **options: Any) -> list[VariableReport]:
    """Write a dataset to a zarr v3 store, as `encoding` says (`options` are its), and report each variable.

    Variables beyond 64 MB are written chunk by chunk if dask is installed, and otherwise loaded one after the other.
    """
    chosen = encoding(dataset, **options)
    store = os.fspath(store) if isinstance(store, os.PathLike) else store
    _by_chunks(dataset, chosen).to_zarr(store, mode=mode, encoding=chosen, zarr_format=3, consolidated=False)
    group = zarr.open_group(store, mode="r")
    return [_report(group[str(name)], str(name), chosen[name]["serializer"].coding) for name in chosen]


@xarray.register_dataset_accessor("aecodec")  # type: ignore[no-untyped-call]  # xarray's is untyped
class Accessor:
    """`dataset.aecodec`: the functions of this module as methods."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def encoding(self, **options: Any) -> dict[str, dict[str, Any]]:
        """See `aecodec.integrations.xarray.encoding`."""
        return encoding(self._dataset, **options)

    def to_zarr(self, store: Any, **options: Any) -> list[VariableReport]:
        """See `aecodec.integrations.xarray.to_zarr`."""
        return to_zarr(self._dataset, store, **options)


def _coding(variable: Any, spec: ArraySpec, fidelity: Fidelity, model: ModelLike, level: int) -> tuple[Coding, tuple[int, ...]]:
    """The coding of a variable and its chunks; whatever is relative to its range takes a pass over it."""
    if fidelity.needs_range:
        fidelity = with_range(_Lazy(variable), spec, fidelity)  # type: ignore[arg-type]  # sizes and slices serve
    chunks, whole = _chunks(spec, level)
    if model is None and fidelity.kind not in ("lossless", "max_point_error") and effort_of(level).latents:
        model = _fitted(variable, spec, fidelity, whole)
    reference = reference_to(model, True if isinstance(model, Model) and len(model.stored) <= 4 * SMALL else None, None)
    return Coding(spec.axes.letters, fidelity, level, reference), chunks


def _chunks(spec: ArraySpec, level: int) -> tuple[tuple[int, ...], bool]:
    """Sizes of chunks, of about as many values as the level likes; and True if they have all rows and columns."""
    wanted, sizes = effort_of(level).chunk_values, list(spec.shape)
    stream = spec.axes.stream
    whole = True
    if stream is not None and spec.shape[stream]:
        rest = max(1, math.prod(spec.with_length(1).shape))
        sizes[stream] = max(1, min(sizes[stream], wanted // rest))
        while math.prod(sizes) > _LARGEST_STEP * wanted:
            longest = max((i for i, letter in enumerate(spec.axes.letters) if letter != "c"), key=lambda i: sizes[i])
            sizes[longest] = -(-sizes[longest] // 2)
            whole = False
    return tuple(max(1, size) for size in sizes), whole


def _fitted(variable: Any, spec: ArraySpec, fidelity: Fidelity, whole: bool) -> Model | None:
    """A model fitted on parts of the variable, or None where prediction alone is expected to be smaller."""
    values = math.prod(spec.shape)
    if values < _SMALLEST_FIT:
        return None
    errors = fidelity.allowed_errors(spec.channels)
    reference = None if whole and spec.stream_axis == 0 else False
    slabs = pieces(_Lazy(variable), spec)  # type: ignore[arg-type]  # sizes and slices serve
    try:
        result = fit_linear(slabs, errors, spec.axes.letters, reference=reference, values_to_code=values)
    except ModelError:
        return None  # nobody asked for a model by name
    if errors is not None and result.predictive_bits_per_value <= result.bits_per_value:
        return None
    return Model(result.bundle)


def _by_chunks(dataset: Any, chosen: Mapping[str, Mapping[str, Any]]) -> Any:
    """The dataset with large variables by the chunks that they are to have."""
    dims = {name: dataset.variables[name].dims for name in chosen}
    sizes = {name: dict(zip(dims[name], how["chunks"], strict=True)) if "chunks" in how else None for name, how in chosen.items()}
    found = {name: chunked(dataset, name, sizes[name]) for name in chosen}
    return replaced(dataset, {name: v for name, v in found.items() if v is not dataset.variables[name]})


def _report(array: Any, name: str, coding: Coding) -> VariableReport:
    summary: Summary = summarise(array)
    metadata = len(array.metadata.to_buffer_dict(_prototype())["zarr.json"].to_bytes())
    return VariableReport(
        name,
        tuple(array.shape),
        str(array.dtype),
        coding.axes or "",
        coding.fidelity,
        coding.reference is not None,
        dict(summary.modes),
        summary.unfit,
        int(array.nbytes),
        summary.stored_bytes + metadata,
    )


def _prototype() -> Any:
    from zarr.core.buffer import default_buffer_prototype

    return default_buffer_prototype()


def _of(model: Models, name: str) -> ModelLike:
    return model.get(name) if isinstance(model, Mapping) else model


def _numbers(dtype: np.dtype) -> np.dtype:
    return np.dtype("i8") if dtype.kind in "mM" else dtype


def unpacked(dataset: Any, bounds: Mapping[str, Demand]) -> Any:
    """A dataset opened with decode_cf=False, in which variables that may lose something hold the numbers that they stand for.

    Packed ones become floats, and fill values NaN, which a bound does not touch; all others stay as they are stored.
    """
    asked = Bounds(bounds)
    changed = {}
    for name, variable in dataset.variables.items():
        if may_lose(dataset, name, asked) and asked.fidelity(name).kind != "lossless":
            decoded = xarray.conventions.decode_cf_variable(name, variable, decode_times=False, decode_timedelta=False)
            decoded.encoding = {}
            changed[name] = decoded
    return dataset.assign(changed)
