"""The bounded path: latents, and what they leave as a residual on the error lattice, so that every value is within its error.

Body: flags byte; lattice steps (one float64, or one per channel); with latents a varint step and their section; predictor
byte, and weights if it says so; residual section; then the sections that the flags name.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from aecodec.codec.effort import Effort
from aecodec.codec.fast_mode import encode_fast
from aecodec.codec.finite import FiniteValues
from aecodec.codec.latent_coding import LatentCoder, decode_latent_section
from aecodec.codec.model import Model, Origin
from aecodec.codec.samples import middle, sample_window
from aecodec.codec.sections import (
    apply_exceptions,
    check_output,
    decode_classes,
    decode_steps,
    encode_classes,
    encode_exceptions,
    encode_steps,
    output_checksum,
    put_back,
)
from aecodec.codec.weight_choice import FEWEST, choose_weights
from aecodec.errors import FormatError
from aecodec.fast_lattice import restored_values, restored_weighted
from aecodec.lattice import (
    from_lattice,
    lattice_steps,
    lorenzo_residual,
    to_lattice,
    within_bound,
)
from aecodec.models.search import LatentChoice, ResidualChoice, choose_residual, choose_step
from aecodec.packing.estimate import latents_bits, residual_bits
from aecodec.packing.residuals import decode_narrow_residual, encode_residual
from aecodec.packing.varint import Cursor, put_section, put_varint
from aecodec.quantizer import quantize
from aecodec.weighted import TERMS, WEIGHTED, residual_of_indices

LATENTS, CLASSES, EXCEPTIONS, CHECKSUM, PER_CHANNEL = 1, 2, 4, 8, 16
_ALL_FLAGS = LATENTS | CLASSES | EXCEPTIONS | CHECKSUM | PER_CHANNEL
# What a first look finds to be so many times too large is not looked at again; but for so many bits, which it takes in any case.
_NEAR, _FRAMING = 1.15, 256.0
_PIECE = 1 << 14  # values that weights are fitted on, at least


@dataclass(frozen=True)
class _Chunk:
    """A chunk and its lattice. `values`: canonical, all finite."""

    values: np.ndarray
    steps: np.ndarray
    origin: Origin

    @property
    def shape(self) -> tuple[int, int, int, int]:
        n, c, h, w = self.values.shape
        return n, c, h, w

    def part(self, window: tuple[slice, slice, slice, slice]) -> "_Chunk":
        """A window of whole tiles as a chunk of its own."""
        origin = (self.origin[0] + window[2].start, self.origin[1] + window[3].start)
        return _Chunk(self.values[window], self.steps, origin)

    def indices(self, base: np.ndarray | None = None) -> np.ndarray | None:
        """Lattice indices, the lattice through 0 or through `base`; None if they do not fit."""
        return to_lattice(self.values, self.steps, base)


def encode_lattice(
    seen: FiniteValues, errors: np.ndarray, model: Model | None, effort: Effort, origin: Origin, most: float = np.inf
) -> bytes | None:
    """A chunk -> body; None if no lattice serves it. `errors`: largest absolute error of each channel.

    None too where a sample says that it would come out at over `most` bits per value.
    """
    if not effort.latents:
        if (fast := encode_fast(seen, errors, effort)) is not None:
            return fast
        model = None
    array, values, classes = seen.array, seen.values, seen.classes
    steps = lattice_steps(errors, seen.peaks, array.dtype)
    if not steps.all():
        return None
    chunk = _Chunk(values, steps, origin)
    if not effort.thorough and most < np.inf and _choose(chunk, model, effort.for_glance(), _NEAR * most, _FRAMING) is None:
        return None
    chosen = _choose(chunk, model, effort, most)
    if chosen is None:
        return None
    choice, weights = chosen
    coded = LatentCoder(model, values, origin).code(choice.step) if choice.step and model is not None else None
    x_hat = coded.x_hat if coded is not None else None
    indices = chunk.indices(x_hat)
    if indices is None:
        return encode_lattice(seen, errors, None, effort, origin, most) if x_hat is not None else None

    stored, per_channel = encode_steps(steps)
    flags = PER_CHANNEL if per_channel else 0
    body = bytearray(stored)
    if coded is not None:
        flags |= LATENTS | (0 if coded.model.manifest.exact else CHECKSUM)
        put_varint(body, choice.step)
        put_section(body, coded.pack(effort.thorough))
    if classes is not None and (x_hat is not None or not choice.residual.predictor):
        indices = np.where(classes == 0, indices, np.int32(0))  # differences rather see the missing filled by their neighbours
    if weights is not None:
        body.append(WEIGHTED)
        body += weights.tobytes()
        left = residual_of_indices(indices, weights)
    else:
        body.append(choice.residual.predictor)
        left = lorenzo_residual(indices, choice.residual.predictor)
    put_section(body, encode_residual(left.reshape(-1), choice.residual.cell, effort.thorough))

    restored = from_lattice(indices, steps, array.dtype, x_hat)
    sound = within_bound(array, restored, errors)
    if classes is not None:
        flags |= CLASSES
        put_section(body, encode_classes(classes))
        sound |= classes != 0
    if flags & CHECKSUM:
        body += output_checksum(restored)
    if not sound.all():
        flags |= EXCEPTIONS
        put_section(body, encode_exceptions(array, np.flatnonzero(~sound)))
    return bytes([flags]) + bytes(body)


def decode_lattice(
    cursor: Cursor,
    shape: tuple[int, int, int, int],
    dtype: np.dtype,
    model: Model | None,
    origin: Origin,
    watch: Callable[[np.ndarray], None] | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Body -> canonical array, in `out` if given. `watch` is told the residual, of that shape."""
    flags = cursor.byte()
    if flags & ~_ALL_FLAGS:
        raise FormatError(f"chunk uses unknown flags {flags:#x}")
    steps = decode_steps(cursor, shape[1], bool(flags & PER_CHANNEL), dtype)
    x_hat = None
    if flags & LATENTS:
        x_hat = decode_latent_section(cursor, model, shape, origin)
    predictor, weights = cursor.byte(), None
    if predictor > WEIGHTED:
        raise FormatError(f"chunk names unknown predictor {predictor}")
    if predictor == WEIGHTED:
        weights = np.frombuffer(cursor.take(len(TERMS)), np.int8)
    section = cursor.section()
    residual = decode_narrow_residual(section, math.prod(shape)).reshape(shape)
    section.end()
    if watch is not None:
        watch(residual)
    if weights is not None:
        array = restored_weighted(residual, steps, weights, dtype, x_hat, out)
    else:
        array = restored_values(residual, steps, predictor, dtype, x_hat, out)
    classes = decode_classes(cursor.section(), shape) if flags & CLASSES else None
    if flags & CHECKSUM:
        check_output(cursor, array)
    if classes is not None:
        put_back(array, classes)
    if flags & EXCEPTIONS:
        apply_exceptions(cursor.section(), array)
    cursor.end()
    return array


def _choose(
    chunk: _Chunk, model: Model | None, effort: Effort, most: float, spare: float = 0.0
) -> tuple[LatentChoice, np.ndarray | None] | None:
    """Step, predictor and cell that make a sample smallest, and weights if without latents these do better than the predictor; None
    if nothing is within `most` bits for each value and `spare`."""
    tile = model.manifest.tile if model is not None else (1, 1, 1, 1)
    sample = chunk.part(sample_window(chunk.shape, tile, effort.sample_values))
    indices = sample.indices()
    if indices is None:
        return None
    alone = _choose_residual(indices, effort)
    better = None
    if chunk.values.size > FEWEST:
        piece = chunk.part(middle(chunk.shape, max(effort.sample_values, _PIECE))).indices()
        better = choose_weights(piece, alone.predictor, alone.cell) if piece is not None else None
    best = LatentChoice(alone.bits * (1.0 if better is None else better.share), 0, alone)
    if model is not None:
        best = min(best, _choose_latents(sample, model, effort), key=lambda choice: choice.bits)
    if best.bits > most * sample.values.size + spare:
        return None
    return best, better.weights if better is not None and not best.step else None


def _choose_latents(sample: _Chunk, model: Model, effort: Effort) -> LatentChoice:
    """The best latent step for a sample; of infinite size if the lattice serves none."""
    manifest = model.manifest
    natural = float(np.sqrt(np.mean((sample.steps / np.array(manifest.scale)) ** 2))) / manifest.latent_unit
    steps = sorted({min(max(1, round(m * natural)), manifest.latent_limit) for m in effort.multiples})
    latents = (manifest.bands, manifest.latent_unit, manifest.latent_limit)

    def residual_of(symbols: np.ndarray, step: int) -> np.ndarray | None:
        return sample.indices(model.reconstruct(symbols, step, sample.shape, sample.origin))

    if model.maps is not None:
        return _choose_coded(sample, LatentCoder(model, sample.values, sample.origin), steps, effort)
    y = model.latents(sample.values, sample.origin)
    if len(steps) == 1:
        symbols = quantize(y, steps[0], manifest.latent_unit, manifest.latent_limit)
        left = residual_of(symbols, steps[0])
        if left is None:
            return LatentChoice(np.inf, 0, ResidualChoice(np.inf, 0, 0))
        residual = _choose_residual(left, replace(effort, predictors=(0,)))
        bits = latents_bits(symbols, manifest.bands, steps[0] * manifest.latent_unit) + residual.bits
        return LatentChoice(bits, steps[0], residual)
    return choose_step(y, steps, latents, residual_of, effort.predictors, effort.cells)


def _choose_coded(sample: _Chunk, coder: LatentCoder, steps: list[int], effort: Effort) -> LatentChoice:
    """The same where each step has latents of its own: by coding the sample."""
    best = LatentChoice(np.inf, 0, ResidualChoice(np.inf, 0, 0))
    for step in steps:
        coded = coder.code(step)
        left = sample.indices(coded.x_hat) if coded is not None else None
        if coded is None or left is None:
            continue
        residual = _choose_residual(left, replace(effort, predictors=(0,)))
        bits = 8 * len(coded.pack(False)) + residual.bits
        best = min(best, LatentChoice(bits, step, residual), key=lambda choice: choice.bits)
    return best


def _choose_residual(indices: np.ndarray, effort: Effort) -> ResidualChoice:
    """The cheapest way to code lattice `indices`, int32 of (steps, channels, rows, columns)."""
    if len(effort.cells) > 1:
        return choose_residual(indices, effort.predictors, effort.cells)
    useful = sum(1 << axis for axis, size in enumerate(indices.shape) if size > 1)
    cell = effort.cells[0]
    masks = sorted({mask & useful for mask in effort.predictors})
    found = {mask: lorenzo_residual(indices, mask).reshape(-1) for mask in masks}
    # The logarithms of magnitudes order predictors as sizes do, in a fraction of the time.
    best = min(masks, key=lambda mask: float(np.log2(np.abs(found[mask]) + np.float32(1)).sum()))
    return ResidualChoice(residual_bits(found[best], cell), best, cell)
