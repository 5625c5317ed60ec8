"""Lossless sizes and speeds: python bench/lossless.py --data DIR [--part train].

Each set's test part (or its train part, on which constants were chosen) as one array: aecodec at levels 1, 5 and 9 without a
model; zstd at level 19 on shuffled bytes; the smallest of Blosc2's codecs and filters at clevel 9; the smaller of pcodec at its
default and its highest level. Speeds are of one thread's CPU time, each the best of a few runs, and hold as ratios.
"""

import argparse
import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

import blosc2
import numpy as np
import zstandard
from environment import environment, source_digest
from fields import SPLITS, load_sets
from pcodec import ChunkConfig, standalone

import aecodec

LEVELS = (1, 5, 9)
PCODEC_LEVELS = (8, 12)
GROUPS = {
    "true": ("navy_winds_uv", "A1B_E1_tas", "colpex_air_potential_temperature", "colpex_air_pressure", "um_seaice_v", "fice"),
    "step": ("glosea4_ens", "um_hybrid_x_wind", "watch_x", "uci_har", "skab"),
    "integer": ("fmi_20160928", "jasper_ridge", "mitdb_100", "kodim01"),
}
_RUNS = 3
_SHUFFLES = ([blosc2.Filter.SHUFFLE], [blosc2.Filter.BITSHUFFLE], [blosc2.Filter.NOFILTER])
_DELTAS = [[blosc2.Filter.DELTA, *filters] for filters in _SHUFFLES[:2]]
_CODECS = {
    blosc2.Codec.ZSTD: [*_SHUFFLES, *_DELTAS],
    blosc2.Codec.LZ4HC: _SHUFFLES,
    blosc2.Codec.ZLIB: _SHUFFLES,
    blosc2.Codec.BLOSCLZ: _SHUFFLES,
}


@dataclass(frozen=True)
class Row:
    """One codec on one set; a line of the CSV. `over_best_peer`: its size by that of the smallest peer's output."""

    name: str
    group: str
    part: str
    shape: str
    dtype: str
    codec: str
    setting: str
    size: int
    ratio: float
    over_best_peer: float
    mb_per_s_in: float
    mb_per_s_out: float


@dataclass(frozen=True)
class Coder:
    """Both ways of one setting of a codec; `restore` gives anything whose bytes are the array's."""

    codec: str
    setting: str
    encode: Callable[[np.ndarray], bytes]
    restore: Callable[[bytes, np.ndarray], np.ndarray]


def coders(axes: str) -> Iterator[Coder]:
    """All that are compared."""
    for level in LEVELS:
        yield Coder(
            f"aecodec {level}",
            "no model, one thread",
            lambda x, level=level: aecodec.compress(x, False, axes, level=level, threads=1),
            lambda data, _: aecodec.decompress(data, threads=1),
        )
    for level in (3, 19):
        yield Coder(f"zstd {level}", "bytes shuffled", lambda x, level=level: shuffled_zstd(x, level), unshuffled_zstd)
    for codec, variants in _CODECS.items():
        for filters in variants:
            names = "+".join(f.name.lower() for f in filters)
            yield Coder("Blosc2", f"{codec.name.lower()} {names}", lambda x, c=codec, f=filters: blosc(x, c, f), deblosc)
    for level in PCODEC_LEVELS:
        yield Coder("pcodec", f"level {level}", lambda x, level=level: pcodec(x, level), depcodec)


def shuffled_zstd(x: np.ndarray, level: int) -> bytes:
    """zstd of all first bytes, all second bytes, ..."""
    planes = x.reshape(-1).view(np.uint8).reshape(-1, x.itemsize).T.tobytes()
    return zstandard.ZstdCompressor(level=level).compress(planes)


def unshuffled_zstd(data: bytes, x: np.ndarray) -> np.ndarray:
    """The inverse of `shuffled_zstd`."""
    planes = np.frombuffer(zstandard.ZstdDecompressor().decompress(data), np.uint8)
    return np.ascontiguousarray(planes.reshape(x.itemsize, -1).T)


def blosc(x: np.ndarray, codec: blosc2.Codec, filters: list[blosc2.Filter]) -> bytes:
    """One Blosc2 chunk of the array."""
    meta = [0] * len(filters)
    return blosc2.compress2(x, codec=codec, clevel=9, filters=filters, filters_meta=meta, typesize=x.itemsize, nthreads=1)


def deblosc(data: bytes, _: np.ndarray) -> np.ndarray:
    """The inverse of `blosc`."""
    return np.frombuffer(blosc2.decompress2(data, nthreads=1), np.uint8)


def pcodec(x: np.ndarray, level: int) -> bytes:
    """pcodec's own file of the array in C order; bytes, which it does not take, as uint16."""
    flat = x.reshape(-1)
    return standalone.simple_compress(flat.astype(np.uint16) if x.itemsize == 1 else flat, ChunkConfig(compression_level=level))


def depcodec(data: bytes, x: np.ndarray) -> np.ndarray:
    """The inverse of `pcodec`."""
    return standalone.simple_decompress(data).astype(x.dtype, copy=False)


def load(folder: Path, part: str) -> Iterator[tuple[str, str, np.ndarray]]:
    """Name, axes and array of each set that is there."""
    for found in load_sets(folder, list(SPLITS)):
        if isinstance(found, str):
            print(found)
        else:
            yield found.name, found.axes, found.train if part == "train" else found.test
    for name, (axes, read) in _SERIES.items():
        try:
            yield name, axes, np.ascontiguousarray(read(folder, part == "train"))
        except (OSError, ImportError) as error:
            print(f"{name} is left out: {error}")


def _watch(folder: Path, train: bool) -> np.ndarray:
    """Wrist sensors, float32 (samples, 6): subjects 1 to 8, or 9 and 10."""
    subject, length = np.load(folder / "series/watch_subject.npy"), np.load(folder / "series/watch_len.npy").astype(int)
    values = np.load(folder / "series/watch_x.npy")
    each = np.repeat(subject, length) if len(subject) == len(length) else subject
    return values[(each <= 8) == train]


def _electrocardiogram(folder: Path, train: bool) -> np.ndarray:
    """Two leads, int16: the first 24 minutes, or the rest."""
    values = np.load(folder / "series/mitdb_100.npy")
    return values[: 24 * 60 * 360] if train else values[24 * 60 * 360 :]


def _photo(folder: Path, train: bool) -> np.ndarray:
    """uint8 (rows, columns, 3): the first training crop, or Kodak's first."""
    from PIL import Image

    path = min((folder / "photos/train").glob("*.png")) if train else folder / "photos/kodak/kodim01.png"
    return np.array(Image.open(path))


_SERIES: dict[str, tuple[str, Callable[[Path, bool], np.ndarray]]] = {
    "watch_x": ("tc", _watch),
    "uci_har": ("tyc", lambda folder, train: np.load(folder / f"series/uci_har_{'train' if train else 'test'}_x.npy")),
    "skab": ("tc", lambda folder, train: np.load(folder / f"series/skab_{'anomaly_free' if train else 'faulty_x'}.npy")),
    "mitdb_100": ("tc", _electrocardiogram),
    "kodim01": ("yxc", _photo),
}


def measure(coder: Coder, x: np.ndarray) -> tuple[int, float, float]:
    """Size, and CPU seconds of both ways; AssertionError if the bytes do not come back."""
    seconds: list[tuple[float, float]] = []
    data = b""
    # Slow settings are timed once: their speed is of no interest.
    while len(seconds) < _RUNS and sum(map(sum, seconds)) < 0.2:
        start = time.process_time()
        data = coder.encode(x)
        middle = time.process_time()
        restored = coder.restore(data, x)
        seconds.append((middle - start, time.process_time() - middle))
        assert restored.tobytes() == x.tobytes(), coder
    return len(data), min(s for s, _ in seconds), min(s for _, s in seconds)


def rows_of(name: str, axes: str, x: np.ndarray, part: str) -> list[Row]:
    """A row per codec, the smallest of its settings."""
    group = next(group for group, names in GROUPS.items() if name in names)
    best: dict[str, tuple[int, float, float, str]] = {}
    for coder in coders(axes):
        size, encode, decode = measure(coder, x)
        if coder.codec not in best or size < best[coder.codec][0]:
            best[coder.codec] = (size, encode, decode, coder.setting)
    peer = min(best[codec][0] for codec in ("zstd 19", "Blosc2", "pcodec"))
    megabytes = x.nbytes / 1e6
    shape = "x".join(map(str, x.shape))
    return [
        Row(name, group, part, shape, x.dtype.str, codec, setting, size, x.nbytes / size, size / peer, megabytes / i, megabytes / o)
        for codec, (size, i, o, setting) in best.items()
    ]


def write(path: Path, rows: list[Row]) -> None:
    """Comment lines that say where and with what the figures came about, then the rows."""
    packages = [f"{name}: {version(name)}" for name in ("blosc2", "pcodec")]
    notes = [f"aecodec source: sha256 {source_digest()}", "speeds: of one thread's CPU time, MB of 10**6 bytes"]
    with path.open("w", newline="", encoding="utf-8") as file:
        file.writelines(f"# {line}\n" for line in [*environment(), *packages, *notes])
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in asdict(row).items()} for row in rows)


def main() -> None:
    """Print size by the best peer's for each set, geometric means by group, and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--part", choices=("test", "train", "both"), default="both")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    rows: list[Row] = []
    for part in ("test", "train") if options.part == "both" else (options.part,):
        for name, axes, x in load(options.data, part):
            rows += rows_of(name, axes, x, part)
            found = {row.codec: row for row in rows if row.name == name and row.part == part}
            print(f"{part:5} {name:34}" + "".join(f"  {c} {r.size} ({r.over_best_peer:.3f})" for c, r in found.items()), flush=True)
        for group in GROUPS:
            for level in LEVELS:
                chosen = [r for r in rows if r.group == group and r.part == part and r.codec == f"aecodec {level}"]
                if chosen:
                    mean = math.exp(np.mean([math.log(r.over_best_peer) for r in chosen]))
                    worst = max(r.over_best_peer for r in chosen)
                    print(f"{part} {group}: level {level} over the best peer, mean {mean:.3f}, worst {worst:.3f}", flush=True)
        write(options.csv, rows)


if __name__ == "__main__":
    main()
