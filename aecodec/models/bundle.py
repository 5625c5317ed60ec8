"""A model as one file (.aecm): manifest and parts, named by the SHA-256 of the manifest, which names each part's SHA-256."""

import hashlib
import math
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from aecodec.container.durable import replace_durably
from aecodec.container.layout import (
    FRAME_SIZE,
    MODEL_FILE,
    PREFIX_SIZE,
    Kind,
    check_payload,
    create_json,
    create_prefix,
    create_record,
    parse_frame,
    parse_json,
    parse_prefix,
)
from aecodec.container.stores import created, is_url
from aecodec.errors import FormatError, ModelError, OutputExistsError
from aecodec.lattice import lorenzo_residual, lorenzo_restore
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.models.manifest import PARTS, Manifest
from aecodec.packing import zstd
from aecodec.packing.residuals import decode_residual, encode_residual
from aecodec.packing.varint import Cursor, put_varint

_PART_LEVEL = 19
_SPATIAL_AXES = 0b1100
_REFERENCE_CELL = 16
_NO_GRAPHS = ("reference", "constant", "sampler")


@dataclass(frozen=True)
class Bundle:
    """Manifest, graphs, reference field, float64 (channels, rows, columns), and which of its sites are constant, as bits.

    `priors`: graphs of the slices, if latents come in any. `restorer`: the graph that restores arrays; `sampler`: the mixture
    that latents are drawn from, as stored.
    """

    manifest: Manifest
    decoder: bytes
    encoder: bytes | None = None
    reference: np.ndarray | None = None
    stored_reference: bytes | None = None
    predictor: bytes | None = None
    stored_constant: bytes | None = None
    priors: tuple[bytes, ...] = ()
    restorer: bytes | None = None
    sampler: bytes | None = None

    @property
    def id(self) -> str:
        """SHA-256 of the manifest, hexadecimal."""
        return self.manifest.id

    def to_bytes(self) -> bytes:
        """The .aecm file; LimitError if it would be larger than readers take."""
        present = {name: data for name, data in self._parts().items() if data is not None}
        joined = bytearray()
        for name, data in present.items():
            put_varint(joined, PARTS.index(name))
            put_varint(joined, len(data))
            joined += data
        remedy = "use smaller networks, or fit with reference=False"
        DEFAULT_LIMITS.check("model_bytes", len(joined), f"the model would have {len(joined)} bytes", remedy)
        frame = bytearray()
        put_varint(frame, len(joined))
        frame += zstd.compress(bytes(joined), _PART_LEVEL)
        header = create_record(Kind.HEADER, 0, create_json(self.manifest.to_json()))
        return create_prefix(MODEL_FILE) + header + create_record(Kind.PART, 1, bytes(frame))

    @classmethod
    def from_bytes(cls, data: bytes, limits: Limits = DEFAULT_LIMITS) -> "Bundle":
        """Parse and check a .aecm file: frames, hashes, manifest. Its graphs are not looked at; `Model` does that."""
        limits.check("model_bytes", len(data), f"a model file has {len(data)} bytes")
        parse_prefix(data[:PREFIX_SIZE], MODEL_FILE)
        payloads, at = [], PREFIX_SIZE
        for kind in (Kind.HEADER, Kind.PART):
            frame = parse_frame(data[at : at + FRAME_SIZE], limits)
            payload = data[at + FRAME_SIZE : at + FRAME_SIZE + frame.length]
            check_payload(frame, payload)
            if frame.kind != kind:
                raise FormatError(f"model record of kind {frame.kind}, {kind.name.lower()} expected")
            payloads.append(payload)
            at += FRAME_SIZE + frame.length
        manifest = Manifest.from_json(parse_json(payloads[0], limits))
        cursor = Cursor(payloads[1])
        size = cursor.varint()
        limits.check("model_bytes", size, f"the model's parts declare {size} bytes")
        joined = Cursor(zstd.decompress(cursor.take(cursor.remaining), size))
        parts: dict[str, bytes] = {}
        while joined.remaining:
            name = PARTS[joined.varint(len(PARTS) - 1)]
            if name in parts:
                raise ModelError(f"model part {name!r} comes twice")
            parts[name] = bytes(joined.take(joined.varint()))
            _check_hash(name, parts[name], manifest)
        if "decoder" not in parts:
            raise ModelError("model has no decoder")
        stored = parts.get("reference")
        if (stored is None) != (manifest.reference is None):
            raise ModelError("model lacks the reference field that its manifest names")
        if set(manifest.parts) - {"encoder"} - set(parts):
            raise ModelError(f"model lacks parts that its manifest names: {sorted(set(manifest.parts) - set(parts))}")
        reference = decode_reference(stored, manifest, limits) if stored is not None else None
        slices = range(len(manifest.prior.ends)) if manifest.prior is not None else ()
        priors = tuple(parts[f"prior-{i}"] for i in slices)
        graphs = (parts["decoder"], parts.get("encoder"))
        more = (parts.get("restorer"), parts.get("sampler"))
        return cls(manifest, *graphs, reference, stored, parts.get("predictor"), parts.get("constant"), priors, *more)

    @cached_property
    def constant(self) -> np.ndarray | None:
        """Sites that are expected to equal the reference field, bool (channels, rows, columns)."""
        shape = self.manifest.reference
        if self.stored_constant is None or shape is None:
            return None
        bits = np.unpackbits(np.frombuffer(self.stored_constant, np.uint8))
        if not 0 <= bits.size - math.prod(shape) < 8:
            raise ModelError(f"{bits.size} bits of constant sites, the reference field has {math.prod(shape)}")
        return bits[: math.prod(shape)].astype(bool).reshape(shape)

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the .aecm file, to a path or an fsspec URL; OutputExistsError if it exists and `overwrite` is not set."""
        if isinstance(path, str) and is_url(path):
            with created(path, overwrite) as stored:
                stored.write(self.to_bytes())
            return
        target = Path(path)
        if target.exists() and not overwrite:
            raise OutputExistsError(f"{target} exists; choose another name or pass overwrite=True")
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(self.to_bytes())
            replace_durably(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def sealed(self) -> "Bundle":
        """The same bundle with the hash of each part in its manifest."""
        hashes = {name: hashlib.sha256(d).hexdigest() for name, d in self._parts().items() if d is not None}
        return replace(self, manifest=replace(self.manifest, parts=hashes))

    @property
    def graphs(self) -> dict[str, bytes]:
        """Its ONNX graphs by the names of their parts."""
        return {name: data for name, data in self._parts().items() if data is not None and name not in _NO_GRAPHS}

    def check_sealed(self) -> None:
        """ModelError unless the parts are those that the manifest, and so the id, names."""
        for name, data in self._parts().items():
            if data is not None:
                _check_hash(name, data, self.manifest)

    def _parts(self) -> dict[str, bytes | None]:
        return {
            "encoder": self.encoder,
            "decoder": self.decoder,
            "reference": self.stored_reference,
            "predictor": self.predictor,
            "constant": self.stored_constant,
            **{f"prior-{i}": graph for i, graph in enumerate(self.priors)},
            "restorer": self.restorer,
            "sampler": self.sampler,
        }


def _check_hash(name: str, part: bytes, manifest: Manifest) -> None:
    if hashlib.sha256(part).hexdigest() != manifest.parts.get(name):
        raise ModelError(f"model part {name!r} does not match the SHA-256 in the manifest")


def encode_reference(field_values: np.ndarray, steps: np.ndarray) -> tuple[bytes, np.ndarray]:
    """A reference field float64 (C, Y, X), rounded to multiples of `steps` (C,) -> its part, and the field as rounded."""
    limit = 2.0**30
    indices = np.clip(np.rint(field_values / steps[:, None, None]), -limit, limit).astype(np.int32)
    residual = lorenzo_residual(indices[None], _SPATIAL_AXES).reshape(-1)
    out = bytearray(steps.astype("<f8").tobytes())
    out += encode_residual(residual, _REFERENCE_CELL, thorough=True)
    return bytes(out), indices * steps[:, None, None]


def decode_reference(part: bytes, manifest: Manifest, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """The inverse of `encode_reference`."""
    shape = manifest.reference
    if shape is None:
        raise ModelError("the model's manifest names no reference field")
    limits.check("reference_values", math.prod(shape), f"the model's reference field of {shape} declares {math.prod(shape)} values")
    cursor = Cursor(part)
    steps = cursor.array(np.dtype("<f8"), shape[0])
    residual = decode_residual(cursor, math.prod(shape)).reshape(1, *shape)
    cursor.end()
    if not np.isfinite(steps).all():
        raise ModelError("reference field has a step that is not finite")
    with np.errstate(over="ignore"):
        values = np.asarray(lorenzo_restore(residual, _SPATIAL_AXES)[0] * steps[:, None, None])
    if not np.isfinite(values).all():
        raise ModelError("reference field has a value that is not finite")
    return values
