"""`aecodec info`, `verify` and `models`: tables for people, JSON for programs."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from aecodec.api.reader import Reader
from aecodec.api.verify import verify
from aecodec.cli.inputs import parse_dtype, parse_shape, read_source
from aecodec.cli.outputs import seekable
from aecodec.cli.progress import say, size_text
from aecodec.codec.chunk import Mode
from aecodec.container.layout import MAGIC, MODEL_FILE
from aecodec.errors import OutputExistsError, UsageError
from aecodec.models.bundle import Bundle
from aecodec.models.registry import installed, load_bundle


def show_file(name: str, as_json: bool) -> None:
    """Describe an .aecz or .aecm file."""
    if _is_model(name):
        show_model(Bundle.from_bytes(Path(name).read_bytes()), as_json)
        return
    with seekable(name) as source, Reader(source, threads=1) as reader:
        facts = file_facts(reader)
    if as_json:
        _print(json.dumps(facts, indent=2))
        return
    model = facts["model"]
    rows = {
        "array": f"{'x'.join(map(str, facts['shape'])) or 'scalar'} {facts['dtype']}, axes {facts['axes']!r}",
        "fidelity": " ".join(f"{key}={value}" for key, value in facts["fidelity"].items() if key != "ranges"),
        "size": f"{size_text(facts['array_bytes'])} -> {size_text(facts['file_bytes'])}, {facts['ratio']:.2f}:1",
        "model": _model_text(model) if model else "none",
        "chunks": ", ".join(f"{count} {mode}" for mode, count in facts["modes"].items()) or "none",
        "complete": "yes" if facts["complete"] else "no: cut off, or still being written",
    }
    _table(name, rows)


def _model_text(model: dict[str, Any]) -> str:
    place = f"embedded, {size_text(model['bytes'])}" if model["bytes"] else "not embedded"
    return f"{model['id'][:12]} {model['family']}, tile {'x'.join(map(str, model['tile']))}, {place}"


def file_facts(reader: Reader) -> dict[str, Any]:
    """All that `info` shows, as JSON values."""
    container = reader.container
    modes: Counter[str] = Counter()
    for number in range(container.index.starts.size):
        body = container.chunk(number).body
        mode = body[0] if len(body) else -1
        modes[Mode(mode).name.lower() if mode in set(Mode) else f"unknown mode {mode}"] += 1
    embedded = container.preamble.model
    model = None
    if reader.model is not None:
        manifest = reader.model.manifest
        model = {
            "id": reader.model.id,
            "family": manifest.family,
            "tile": list(manifest.tile),
            "exact": manifest.exact,
            "bytes": len(embedded or b""),
        }
    return {
        "shape": list(reader.shape),
        "dtype": str(reader.dtype),
        "axes": reader.axes,
        "fidelity": reader.fidelity.to_json(),
        "array_bytes": reader.nbytes,
        "file_bytes": container.size,
        "ratio": reader.nbytes / container.size,
        "model": model,
        "modes": dict(modes),
        "chunks": int(container.index.starts.size),
        "complete": reader.complete,
        "metadata": reader.metadata,
    }


def verify_file(
    name: str,
    against: str | None,
    raw: tuple[str | None, str | None],
    model: str | None,
    provider: str,
    threads: int | None,
    quiet: bool,
) -> bool:
    """Verify and report; True if the file is sound."""
    with seekable(name) as source, Reader(source, model, provider, threads) as reader:
        original = None
        if against is not None:
            original = read_source(against, parse_dtype(raw[0]), parse_shape(raw[1]), None).array
            if original is None:
                raise UsageError("--against must name a file, not standard input")
        verdict = verify(reader, original)
        complete = reader.complete
    for start, count, reason in verdict.bad:
        say(f"{name} : steps {start} to {start + count - 1}: {reason}")
    if not complete:
        say(f"{name} : no sound end: the file was cut off, or is still being written")
    found = f"worst error {verdict.worst_error:g}" if verdict.worst_error is not None else "checksums only"
    found += f", {verdict.psnr:.2f} dB" if verdict.psnr is not None else ""
    if verdict.sound and complete:
        say(f"{name} : sound, {verdict.chunks} chunk(s), {found}", quiet)
    return verdict.sound and complete


def list_models() -> None:
    """Name, id, family and size of each installed model."""
    found = list(installed())
    if not found:
        say("no models are installed; fit one with `aecodec fit DATA -o MODEL.aecm`")
        return
    table = Table("name", "id", "family", "tile", "channels", "size")
    for name, path in found:
        bundle = Bundle.from_bytes(path.read_bytes())
        m = bundle.manifest
        table.add_row(name, bundle.id[:12], m.family, "x".join(map(str, m.tile)), str(m.channels), size_text(path.stat().st_size))
    Console().print(table)


def show_model(bundle: Bundle, as_json: bool) -> None:
    """A model's manifest."""
    m = bundle.manifest
    if as_json:
        _print(json.dumps({"id": bundle.id, **m.to_json()}, indent=2))
        return
    rows = {
        "id": bundle.id,
        "family": f"{m.family}, {'exact' if m.exact else 'not exact'}",
        "tile": f"{'x'.join(map(str, m.tile))} (steps, channels, rows, columns), fitted with axes {m.axes!r}",
        "latents": f"{m.latents} per tile in {len(m.bands)} bands",
        "channels": str(m.channels),
        "reference": "x".join(map(str, m.reference)) if m.reference else "none",
        "provenance": ", ".join(f"{key}: {value}" for key, value in m.provenance.items()),
    }
    _table("model", rows)


def export_model(name: str, folder: Path, force: bool) -> None:
    """Write manifest.json, encoder.onnx and decoder.onnx."""
    if Path(name).is_file() and not _is_model(name):
        with Reader(name, threads=1) as reader:
            if reader.model is None:
                raise UsageError(f"{name} uses no model")
            bundle = reader.model.bundle
    else:
        bundle = load_bundle(name)
    parts = {
        "manifest.json": json.dumps(bundle.manifest.to_json(), indent=2).encode(),
        "decoder.onnx": bundle.decoder,
        "encoder.onnx": bundle.encoder,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for part, data in parts.items():
        if data is None:
            continue
        if (folder / part).exists() and not force:
            raise OutputExistsError(f"{folder / part} exists; choose another folder with -o, or overwrite it with -f")
        (folder / part).write_bytes(data)
    say(f"{folder} : {', '.join(part for part, data in parts.items() if data is not None)}")


def _is_model(name: str) -> bool:
    path = Path(name)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(len(MAGIC) + 3)
    return head[: len(MAGIC)] == MAGIC and head[-1:] == MODEL_FILE


def _table(title: str, rows: dict[str, str]) -> None:
    table = Table(show_header=False, title=title, title_justify="left")
    for key, value in rows.items():
        table.add_row(key, value)
    Console().print(table)


def _print(text: str) -> None:
    print(text)  # noqa: T201  # what the user asked for
