"""Fixed-size-list columns of Arrow tables (embeddings) as compressed columns, in Parquet files or wherever tables go (extra
`arrow`).

A compressed column has one binary value for each `rows` rows, an .aecz file of float vectors: a list of (rows, width); its field
keeps name, width and count in the metadata. Tables keep their other columns: the compressed one is a table of its own.
"""

import json
from typing import Any, Unpack

import numpy as np

from aecodec.api.functions import compress, decompress
from aecodec.api.options import FidelityOptions, ModelLike
from aecodec.errors import DtypeError, FormatError, UsageError, require_extra
from aecodec.limits import DEFAULT_LIMITS, Limits

try:
    import pyarrow as pa
except ImportError:
    raise require_extra("pyarrow", "arrow", "compressing columns of tables") from None

KEY = b"aecodec"
_ROWS = 1 << 16
_AXES = "tc"


def compress_column(
    column: Any, model: ModelLike = None, *, rows: int = _ROWS, level: int = 5, **fidelity: Unpack[FidelityOptions]
) -> Any:
    """A fixed-size-list column of numbers as a table of one binary column, `rows` vectors a value.

    Args:
        column: a pyarrow Array or ChunkedArray of fixed_size_list, no value of which is null.
        model: a model, a path, name or id of one, False for none; None decides for each value.
        rows: vectors in each compressed value: what is decoded together.
        fidelity: as for `aecodec.compress`; lossless by default.

    Raises:
        DtypeError: the column is of another type. UsageError: it has nulls.
    """
    if rows < 1:
        raise UsageError(f"rows={rows} must be 1 or more")
    vectors = vectors_of(column)
    values = [
        compress(vectors[start : start + rows], model, _AXES, level=level, threads=1, **fidelity)
        for start in range(0, len(vectors), rows)
    ]
    about = {"rows": rows, "count": len(vectors), "width": vectors.shape[1], "dtype": vectors.dtype.str}
    field = pa.field("aecz", pa.large_binary(), nullable=False, metadata={KEY: json.dumps(about).encode()})
    return pa.table([pa.array(values, pa.large_binary())], schema=pa.schema([field]))


def decompress_column(
    table: Any, start: int = 0, stop: int | None = None, *, model: ModelLike = None, limits: Limits | None = None
) -> Any:
    """The fixed-size-list column that `compress_column` was given, or its rows from `start` to `stop`; only these are decoded.

    Raises FormatError where the table is no such column, or its values do not hold what its metadata say.
    """
    about = _about(table)
    first, last, _ = slice(start, stop).indices(about["count"])
    rows, width, dtype = about["rows"], about["width"], np.dtype(about["dtype"])
    allowed = limits or DEFAULT_LIMITS
    allowed.check("array_bytes", max(0, last - first) * width * dtype.itemsize, f"{max(0, last - first)} vectors were asked for")
    parts = []
    for number in range(first // rows, -(-last // rows) if last > first else first // rows):
        vectors = decompress(table.column(0)[number].as_py(), model=model, limits=limits)
        if vectors.shape != (min(rows, about["count"] - number * rows), width) or vectors.dtype != dtype:
            raise FormatError(
                f"value {number} holds {vectors.shape} {vectors.dtype}, the column's metadata say width {width} {dtype}"
            )
        begin = number * rows
        parts.append(vectors[max(0, first - begin) : last - begin])
    flat = np.concatenate(parts).reshape(-1) if parts else np.empty(0, dtype)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(flat, dtype.newbyteorder("="))), width)


def vectors_of(column: Any) -> np.ndarray:
    """A fixed-size-list column as an array (rows, width), without a copy where it is one piece."""
    kind = column.type
    if not pa.types.is_fixed_size_list(kind) or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise DtypeError(f"the column is of type {kind}; fixed_size_list of integers or floats is compressed: cast it first")
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = []
    for chunk in chunks:
        flat = chunk.flatten()  # nulls are left out of it, slices are honoured
        if chunk.null_count or flat.null_count:
            raise UsageError(f"the column has {chunk.null_count + flat.null_count} nulls; fill them, or drop these rows, first")
        parts.append(flat.to_numpy(zero_copy_only=False).reshape(len(chunk), kind.list_size))
    if not parts:
        return np.empty((0, kind.list_size), kind.value_type.to_pandas_dtype())
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _about(table: Any) -> dict[str, Any]:
    """The metadata of a compressed column, checked."""
    metadata = table.schema.field(0).metadata if table.num_columns == 1 else None
    if not metadata or KEY not in metadata:
        raise FormatError("the table is not one that compress_column wrote: one column with aecodec's metadata is expected")
    try:
        about = json.loads(metadata[KEY])
        numbers = [about[name] for name in ("rows", "count", "width")]
        dtype = np.dtype(str(about["dtype"]))
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"the column's metadata are not aecodec's: {error}") from None
    if not all(isinstance(n, int) and n >= 0 for n in numbers) or not numbers[0] or dtype.kind not in "iuf":
        raise FormatError(f"the column's metadata declare rows, count and width {numbers} of {dtype}")
    if table.num_rows != -(-numbers[1] // numbers[0]):
        raise FormatError(f"the table has {table.num_rows} values, {numbers[1]} vectors by {numbers[0]} need another number")
    return dict(about)
