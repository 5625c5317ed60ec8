"""The path without a bound: latents alone, with the largest step that reaches the PSNR, or the step that a quality names.

Body: flags byte; varint latent step; symbols section; classes section if the flags say so; checksum for inexact models.
"""

import numpy as np

from aecodec.canonical import cast_values, fill_missing
from aecodec.codec.effort import Effort
from aecodec.codec.equivalent import shares
from aecodec.codec.latent_coding import CodedLatents, LatentCoder, decode_latent_section
from aecodec.codec.lattice_mode import CHECKSUM, CLASSES
from aecodec.codec.model import Model, Origin
from aecodec.codec.sections import (
    check_output,
    decode_classes,
    encode_classes,
    non_finite_classes,
    output_checksum,
    put_back,
)
from aecodec.errors import FormatError
from aecodec.fidelity import Fidelity
from aecodec.packing.varint import Cursor, put_section, put_varint
from aecodec.workers import ALONE, Workers

_BISECTIONS = 12


def encode_latents_only(
    array: np.ndarray, fidelity: Fidelity, model: Model, effort: Effort, origin: Origin, workers: Workers = ALONE
) -> bytes | None:
    """Canonical `array` -> body; None if the PSNR asked for is out of the model's reach."""
    classes = non_finite_classes(array)
    values = array if classes is None else fill_missing(array)
    coder = LatentCoder(model, values, origin, workers, quick=effort.quick)
    manifest = model.manifest
    if fidelity.kind == "quality":
        relative = float(np.sqrt(np.mean((fidelity.spans(array.shape[1]) / np.array(manifest.scale)) ** 2)))
        step = max(1, round(fidelity.relative_step() * relative / manifest.latent_unit))
        step = min(step, manifest.latent_limit)
        coded = coder.code(step)
    else:
        coded = _largest_step(coder, fidelity.allowed_rms(array.shape[1]), array)
    if coded is None:
        return None
    flags = (CLASSES if classes is not None else 0) | (0 if manifest.exact else CHECKSUM)
    body = bytearray([flags])
    put_varint(body, coded.step)
    put_section(body, coded.pack(effort.thorough))
    if classes is not None:
        put_section(body, encode_classes(classes))
    if flags & CHECKSUM:
        body += output_checksum(cast_values(coded.x_hat, values.dtype))
    return bytes(body)


def decode_latents_only(
    cursor: Cursor,
    shape: tuple[int, int, int, int],
    dtype: np.dtype,
    model: Model | None,
    origin: Origin,
    workers: Workers = ALONE,
) -> np.ndarray:
    """Body -> canonical array."""
    flags = cursor.byte()
    if flags & ~(CLASSES | CHECKSUM):
        raise FormatError(f"chunk uses unknown flags {flags:#x}")
    array = decode_latent_section(cursor, model, shape, origin, dtype, workers)
    classes = decode_classes(cursor.section(), shape) if flags & CLASSES else None
    if flags & CHECKSUM:
        check_output(cursor, array)
    if classes is not None:
        put_back(array, classes)
    cursor.end()
    return array


def _largest_step(coder: LatentCoder, allowed: np.ndarray, array: np.ndarray) -> CodedLatents | None:
    """The largest latent step whose root mean square error is within `allowed` (channels,), by bisection on its logarithm."""
    low, high = 0.0, np.log2(coder.model.manifest.latent_limit)
    best = None
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        coded = coder.code(max(1, round(2.0**middle)))
        within = coded is not None and shares(array, cast_values(coded.x_hat, coder.values.dtype), allowed).max(initial=0.0) <= 1.0
        if within:
            best, low = coded, middle
        elif coded is None:  # only larger steps can be coded
            low = middle
        else:
            high = middle
        if high - low < 0.02:
            break
    return best
