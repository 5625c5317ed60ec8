"""Small files of every kind, and what is in them: arrays, chunk bodies and models, sound, as damage finds them."""

import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

import aecodec
from aecodec.api.header import Header
from aecodec.api.reader import Reader
from aecodec.codec.chunk import ChunkCoder
from aecodec.codec.model import Model
from aecodec.models.bundle import Bundle
from aecodec.packing.varint import Cursor, put_section

from . import files

GOLDEN = Path(__file__).parent.parent / "golden"


@dataclass(frozen=True)
class Sample:
    """An array file and the array it holds."""

    name: str
    data: bytes
    array: np.ndarray

    @property
    def parts(self) -> int:
        """How many files it was joined from."""
        return self.data.count(b"\x89AEC\r\n\x1a\n")

    @property
    def has_model(self) -> bool:
        """True if a model is embedded, which makes a case cost ten times as much."""
        return any(record.kind == files.MODEL for record in files.split(self.data)[1])


@dataclass(frozen=True)
class Body:
    """A chunk's body, and all that its decoder is told besides."""

    name: str
    body: bytes
    shape: tuple[int, int, int, int]
    origin: tuple[int, int]
    coder: ChunkCoder

    def decode(self, body: bytes) -> np.ndarray:
        """What the decoder makes of another body in its place."""
        return self.coder.decode(body, self.shape, self.origin)


@dataclass(frozen=True)
class ModelSample:
    """A model file, and an array file that needs it and embeds it."""

    name: str
    data: bytes
    file: Sample

    @property
    def id(self) -> str:
        """The id that the file's header has for it."""
        return json.loads(files.split(self.file.data)[1][0].payload)["model"]


@cache
def arrays() -> tuple[Sample, ...]:
    """All array files: the golden ones and the made ones, none above some kilobytes."""
    return golden() + made()


@cache
def golden() -> tuple[Sample, ...]:
    """The golden files but `by_photo`'s; what they hold is known by its hash."""
    return _golden(path for path in GOLDEN.glob("*.aecz") if not path.stem.startswith("photo"))


@cache
def by_photo() -> tuple[Sample, ...]:
    """Golden files for the model `photo`, which is in the package and takes longer to load than thousands of cases can bear."""
    return _golden(GOLDEN.glob("photo*.aecz"))


def _golden(paths: Iterable[Path]) -> tuple[Sample, ...]:
    found = []
    for path in sorted(paths):
        array = aecodec.decompress(path.read_bytes(), threads=1, provider="cpu")
        expected = json.loads(path.with_suffix(".json").read_text())["expected"]
        assert hashlib.sha256(array.tobytes()).hexdigest() == expected["sha256"], path
        found.append(Sample(path.stem, path.read_bytes(), array))
    return tuple(found)


@cache
def made() -> tuple[Sample, ...]:
    """What golden files leave out: other dtypes, axes and fidelities, tiny arrays, several chunks, models that are not exact."""
    random = np.random.default_rng(3)
    field = _smooth(random.normal(size=(5, 12, 14)))
    holes = np.where(field > 20, np.nan, field)
    holes[0, 0, :3] = [np.inf, -np.inf, -0.0]
    plain = {
        "float16-floats": (field.astype("f2"), "tyx", {}),
        "float16-bounded": (field.astype("f2"), "tyx", {"max_error": 0.5}),
        "float16-holes": (holes.astype("f2"), "tyx", {"max_point_error": 0.01}),
        "float16-walk": (np.cumsum(random.normal(size=300)).astype("f2"), "t", {}),
        "complex64": ((field + 1j * field[::-1]).astype("c8"), "tyx", {}),
        "complex128-points": ((holes + 1j * field).astype("c16"), "tyx", {"max_point_error": 0.05}),
        "big-endian-range": (field.astype(">f8"), "tyx", {"max_range_error": 0.01}),
        "uint8": (np.rint(field).astype("i4").astype("u1"), "tyx", {}),
        "uint16-error": (np.rint(field * 50 + 9000).astype("u2"), "tyx", {"max_error": 40}),
        "int64-wide": (np.cumsum(random.integers(-(2**40), 2**40, 200)), "t", {}),
        "uint64-points": (random.integers(0, 2**50, 200).astype("u8"), "t", {"max_point_error": 0.1}),
        "bool-volume": (random.random((4, 5, 6)) < 0.3, "zyx", {}),
        "one-row": (field[0, :1], "yx", {"max_error": 0.1}),
        "columns-stream": (field[0], "cx", {"max_error": 0.1}),
        "channels-alone": (field[0, 0], "c", {"max_error": 0.1}),
        "0-d": (np.array(-2.5, "f4"), "", {"max_error": 0.1}),
        "0-d-complex": (np.array(1 - 1j, "c16"), "", {}),
        "nothing": (np.zeros((0, 4), "f4"), "tc", {}),
        "no-channels": (np.zeros((3, 0), "i2"), "tc", {}),
        "all-nan": (np.full((3, 4, 4), np.nan, "f4"), "tyx", {"max_error": 0.1}),
        "fast": (field.astype("f4"), "tyx", {"max_error": 0.1, "level": 1}),
        "smallest": (holes.astype("f8"), "tyx", {"max_error": 0.1, "level": 9}),
        "metadata-nested": (field[0], "yx", {"metadata": {"unit": "K", "list": [1, 2.5, None, {"a": "é"}]}, "max_error": 1}),
        "psnr-alone": (field.astype("f4"), "tyx", {"psnr": 40.0}),
    }
    found = []
    for name, (array, axes, options) in plain.items():
        found.append(_sample(name, aecodec.compress(array, False, axes, threads=1, **options)))
    found += [_chunked(field.astype("f4")), *_modelled(field.astype("f4"), holes.astype("f4"))]
    return tuple(found)


def _sample(name: str, data: bytes) -> Sample:
    return Sample(name, data, aecodec.decompress(data, threads=1, provider="cpu"))


def _chunked(field: np.ndarray) -> Sample:
    """Several chunks, written in two goes."""
    out = io.BytesIO()
    for i, slabs in enumerate((field[:2], field[2:])):
        options = {} if i else {"max_error": 0.1}
        with aecodec.open(out, "a" if i else "w", model=False, axes="tyx", threads=1, **options) as f:
            for step in slabs:
                f.write(step[None])
    return _sample("chunks", out.getvalue())


def _modelled(field: np.ndarray, holes: np.ndarray) -> list[Sample]:
    options = {"axes": "tyx", "tile": (1, 1, 8, 8), "provider": "cpu"}
    fitted = aecodec.fit(field, max_error=0.5, reference=True, **options)
    plain = aecodec.fit(field, reference=False, **options)
    inexact = _inexact(plain.bundle)
    return [
        _sample("model-lattice", aecodec.compress(field, fitted, "tyx", max_error=0.5, threads=1)),
        _sample("model-integers", aecodec.compress(np.rint(field).astype("i2"), fitted, "tyx", max_error=2, threads=1)),
        _sample("inexact-quality", aecodec.compress(holes, inexact, "tyx", quality=40, threads=1)),
        _sample("inexact-psnr", aecodec.compress(field, inexact, "tyx", psnr=35, threads=1)),
    ]


def _inexact(bundle: Bundle) -> Model:
    """The model without its claim of exactness, so that its chunks carry checksums."""
    return Model(replace(bundle, manifest=replace(bundle.manifest, exact=False)).sealed(), "cpu")


def _smooth(noise: np.ndarray) -> np.ndarray:
    return np.cumsum(np.cumsum(noise, axis=-1), axis=-2)


@cache
def bodies() -> tuple[Body, ...]:
    """The chunks of all array files, and of those by photo."""
    found = []
    for sample in (*arrays(), *by_photo()):
        with Reader(sample.data, provider="cpu") as reader:
            model = reader.model
        _, records = files.split(sample.data)
        header = Header.from_json(json.loads(records[0].payload))
        coder = ChunkCoder(header.spec.real_dtype, header.fidelity, model)
        for number, record in enumerate(r for r in records if r.kind == files.CHUNK):
            cursor = Cursor(record.payload)
            start, count = cursor.varint(), cursor.varint()
            axis = header.spec.stream_axis
            origin = (start if axis == 2 else 0, start if axis == 3 else 0)
            shape = header.spec.with_length(count).canonical_shape
            found.append(Body(f"{sample.name}/{number}", bytes(cursor.take(cursor.remaining)), shape, origin, coder))
    return (*found, *map(_exceptional, [body for body in found if body.body[:2] == b"\2\0"][:4]))


def _exceptional(body: Body) -> Body:
    """A lattice with exceptions, which arrays hardly ever need: three values are stored exactly."""
    values = np.array([1, 2, 3]).astype(body.coder.dtype.newbyteorder("<")).tobytes()
    out = bytearray(b"\2\4" + body.body[2:])
    put_section(out, b"\3\1\0\0\1\0" + values)
    return replace(body, name=f"{body.name}/exceptions", body=bytes(out))


@cache
def models() -> tuple[ModelSample, ...]:
    """The models that array files embed, as files of their own."""
    found, seen = [], set()
    for sample in arrays():
        stored = next((r.payload for r in files.split(sample.data)[1] if r.kind == files.MODEL), None)
        if stored is not None and stored not in seen:
            seen.add(stored)
            found.append(ModelSample(sample.name, stored, sample))
    return tuple(found)
