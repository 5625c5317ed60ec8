"""The main job on a real field that ships with the library: fit, compress, decompress, verify, compare, draw."""

import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import zstandard
from rich.console import Console
from rich.table import Table

import aecodec
from aecodec.api.verify import verify
from aecodec.cli.progress import size_text
from aecodec.demo.picture import draw

_FIELD = "air_temperature.aecz"
_TRAINING_YEARS = 180
_FRACTIONS = (1e-2, 1e-3)


@dataclass(frozen=True)
class _Result:
    """One row of the table."""

    name: str
    size: int
    worst: float
    seconds: tuple[float, float]


def field() -> np.ndarray:
    """Annual mean air temperature over North America in a climate projection, K: float32 (240 years, 37, 49)."""
    return aecodec.decompress(files("aecodec.demo").joinpath(_FIELD).read_bytes())


def run(folder: Path) -> None:
    """Fit on the first 180 years, compress the 60 after them, check every value, print the table and write the picture."""
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    temperature = field()
    past, future = temperature[:_TRAINING_YEARS], temperature[_TRAINING_YEARS:]
    span = float(np.ptp(future))
    console.print(
        f"{temperature.shape[0]} years of air temperature, {future.shape[1]} x {future.shape[2]} grid, float32, true precision"
    )
    console.print(
        f"models fitted on years 0-{_TRAINING_YEARS - 1}; years {_TRAINING_YEARS}-{len(temperature) - 1} compressed, unseen before"
    )
    np.save(folder / "temperature.npy", future)

    results = [_zstd(future), _aecodec("aecodec, lossless", future, None, 0.0, folder / "lossless.aecz")]
    for fraction in _FRACTIONS:
        bound = fraction * span
        model = aecodec.fit(past, axes="tyx", max_error=bound)
        model.save(folder / f"{fraction:g}.aecm", overwrite=True)
        name = f"aecodec within {bound:.3g} K"
        results.append(_aecodec(name, future, model, bound, folder / f"{fraction:g}.aecz"))
        model_size = len(model.bundle.to_bytes())
        console.print(f"model for {fraction:g} of the range: {size_text(model_size)}, kept beside the files it serves")
    _print_table(console, future.nbytes, results)
    restored = aecodec.open(folder / f"{_FRACTIONS[0]:g}.aecz", model=folder / f"{_FRACTIONS[0]:g}.aecm")[-1]
    draw(future[-1], restored, _FRACTIONS[0] * span, folder / "temperature.png")
    console.print(f"original, reconstruction and error of the last year: {folder / 'temperature.png'}")
    console.print("now yours, with a model fitted on the way:")
    console.print(f"  aecodec compress {folder / 'temperature.npy'} --axes tyx --max-error 0.05 -o mine.aecz", soft_wrap=True)


def _zstd(array: np.ndarray) -> _Result:
    start = time.perf_counter()
    packed = zstandard.ZstdCompressor(level=19).compress(array.tobytes())
    middle = time.perf_counter()
    zstandard.ZstdDecompressor().decompress(packed)
    return _Result("zstd -19, lossless", len(packed), 0.0, (middle - start, time.perf_counter() - middle))


def _aecodec(name: str, array: np.ndarray, model: aecodec.Model | None, bound: float, path: Path) -> _Result:
    start = time.perf_counter()
    data = aecodec.compress(array, model, axes="tyx", embed_model=False, max_error=None if model is None else bound)
    middle = time.perf_counter()
    restored = aecodec.decompress(data, model=model)
    end = time.perf_counter()
    worst = float(np.abs(restored.astype(np.float64) - array).max())
    path.write_bytes(data)
    with aecodec.open(path, model=model) as reader:
        verdict = verify(reader, array)
    if not verdict.sound or worst > bound:
        raise aecodec.AecodecError(f"the demo's own check failed: worst error {worst:g}, allowed {bound:g}, {verdict.bad}")
    return _Result(name, len(data), worst, (middle - start, end - middle))


def _print_table(console: Console, raw: int, results: list[_Result]) -> None:
    table = Table("codec", "size", "times smaller", "worst error", "ms in", "ms out")
    table.add_row("none", size_text(raw), "1.0", "0", "", "")
    for result in results:
        milliseconds = [f"{1000 * s:.0f}" for s in result.seconds]
        table.add_row(result.name, size_text(result.size), f"{raw / result.size:.1f}", f"{result.worst:.3g}", *milliseconds)
    console.print(table)
    console.print("every value checked against its bound, every file decoded from its bytes")
