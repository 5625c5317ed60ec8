"""What packs symbols in the packing bench: aecodec's streams and tensors, zstd on the bytes, rANS; and the entropies."""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from sources import Tensor

from aecodec.compiled.cells import cell_indices
from aecodec.compiled.room import Room
from aecodec.packing.contexts import decode_latents, encode_latents, ordered_latents
from aecodec.packing.residuals import CELL_SIZES, decode_residual, encode_residual, side_information
from aecodec.packing.stream import decode_stream, encode_stream, unzigzag, zigzag
from aecodec.packing.varint import Cursor

SETTINGS = {
    "aecodec": "aecodec.packing: encode_stream of zigzagged values, encode_latents, encode_residual; thorough=False (as level 5)",
    "aecodec thorough": "the same with thorough=True (as levels 7 to 9)",
    "zstd": "zstandard, level 3 or 19, on the symbols as the narrowest signed integers, little-endian",
    "rANS": "one law for all symbols, no contexts: constriction.stream.stack.AnsCoder, one Categorical of their own histogram, "
    "perfect=False; building it is timed, its table is not counted; symbols handed over as int32 offsets",
}
RANS = importlib.util.find_spec("constriction") is not None


@dataclass(frozen=True)
class Packer:
    """`pack()` gives bytes (or words); `unpack(packed)` the symbols."""

    name: str
    pack: Callable[[], Any]
    unpack: Callable[[Any], np.ndarray]


def narrowest(symbols: np.ndarray) -> np.ndarray:
    """The symbols as the narrowest signed integer type that holds them: the bytes that speeds and ratios count."""
    return symbols.astype(np.min_scalar_type(min(int(symbols.min()), -int(symbols.max()) - 1)))


def empirical_bits(symbols: np.ndarray) -> float:
    """Size in bits at the order-0 entropy of the symbols' own frequencies: less than any code that must learn or send them."""
    _, counts = np.unique(symbols, return_counts=True)
    return float((counts * (np.log2(symbols.size) - np.log2(counts))).sum())


def latents_ideal(tensor: Tensor) -> float:
    """Bits at the empirical entropy given the scale indices that the codec gives each symbol."""
    ordered, ends = ordered_latents(tensor.symbols, tensor.grid, tensor.bands, tensor.step, Room())
    return sum(empirical_bits(symbols) for symbols in np.split(ordered, ends[:-1]) if symbols.size)


def residual_ideal(residual: np.ndarray, size: int) -> tuple[float, float]:
    """Bits of the values given the scale index of their cell of `size` values, and bits of these indices' differences."""
    if size == 0:
        return empirical_bits(residual), 0.0
    indices = cell_indices(zigzag(residual), size)
    of_values = np.repeat(indices, size)[: residual.size]
    bits = sum(empirical_bits(residual[of_values == index]) for index in np.unique(indices))
    return bits, empirical_bits(side_information(indices))


def cell_size_of(packed: bytes) -> int:
    """The cell size that `encode_residual` settled on: it drops cells that do not pay."""
    return CELL_SIZES[packed[0]]


def of_stream(values: np.ndarray) -> Iterator[Packer]:
    """Ways to pack 1-D int32 values."""
    narrow = narrowest(values)
    unsigned = zigzag(narrow)
    for name, thorough in (("aecodec", False), ("aecodec thorough", True)):
        yield Packer(
            name,
            lambda thorough=thorough: encode_stream(unsigned, signed=True, thorough=thorough),
            lambda data: unzigzag(decode_stream(Cursor(data), values.size)),
        )
    yield from of_bytes(values)


def of_tensor(tensor: Tensor) -> Iterator[Packer]:
    """Ways to pack a tensor of latents."""
    about = (tensor.grid, tensor.bands, tensor.step)
    for name, thorough in (("aecodec", False), ("aecodec thorough", True)):
        yield Packer(
            name,
            lambda thorough=thorough: encode_latents(tensor.symbols, *about, thorough),
            lambda data: decode_latents(Cursor(data), *about),
        )
    yield from of_bytes(tensor.symbols)


def of_residual(residual: np.ndarray, size: int) -> Iterator[Packer]:
    """Ways to pack a 1-D residual with scale indices for cells of `size` values."""
    for name, thorough in (("aecodec", False), ("aecodec thorough", True)):
        yield Packer(
            name,
            lambda thorough=thorough: encode_residual(residual, size, thorough),
            lambda data: decode_residual(Cursor(data), residual.size),
        )
    yield from of_bytes(residual)


def of_bytes(values: np.ndarray) -> Iterator[Packer]:
    """The peers: zstd at two levels, and rANS where it is installed."""
    narrow = narrowest(values)
    unpacker = zstandard.ZstdDecompressor()
    for level in (3, 19):
        packer = zstandard.ZstdCompressor(level=level)
        yield Packer(
            f"zstd -{level}",
            lambda packer=packer: packer.compress(narrow.data.cast("B")),
            lambda data: np.frombuffer(unpacker.decompress(data), narrow.dtype).reshape(values.shape),
        )
    if RANS:
        yield _rans(values)


def _rans(values: np.ndarray) -> Packer:
    import constriction

    coder_type, categorical = constriction.stream.stack.AnsCoder, constriction.stream.model.Categorical
    low = int(values.min())
    offsets = np.ascontiguousarray((values - low).reshape(-1), np.int32)

    def law() -> Any:
        counts = np.bincount(offsets)
        counts = np.append(counts, 0) if counts.size < 2 else counts
        return categorical((counts / offsets.size).astype(np.float32), perfect=False)

    known = law()

    def pack() -> np.ndarray:
        coder = coder_type()
        coder.encode_reverse(offsets, law())
        return coder.get_compressed()

    def unpack(words: np.ndarray) -> np.ndarray:
        return (coder_type(words).decode(known, offsets.size) + low).reshape(values.shape)

    return Packer("rANS", pack, unpack)
