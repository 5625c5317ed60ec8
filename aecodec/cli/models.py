"""`aecodec models`: models as tables, JSON and plain ONNX files."""

import json
from pathlib import Path
from typing import Any

from aecodec.api.reader import Reader
from aecodec.cli.progress import say, size_text
from aecodec.cli.tables import print_json, print_rows, print_table
from aecodec.container.layout import MAGIC, MODEL_FILE
from aecodec.container.source import open_source
from aecodec.container.stores import is_url
from aecodec.errors import OutputExistsError, UsageError
from aecodec.models.bundle import Bundle
from aecodec.models.manifest import Manifest
from aecodec.models.registry import installed, load_bundle, read_manifest


def list_models() -> None:
    """Name, id, family and size of each installed model, and for which arrays it is taken unasked."""
    found = list(installed())
    if not found:
        say("no models are installed; fit one with `aecodec fit DATA -o MODEL.aecm`")
        return
    rows = []
    for name, path in found:
        m = read_manifest(path)
        tile, size = "x".join(map(str, m.tile)), size_text(path.stat().st_size)
        rows.append([name, m.id[:12], m.family, tile, _channels_text(m), size, _suits_text(m)])
    print_table(["name", "id", "family", "tile", "channels", "size", "suits"], rows)


def show_model(bundle: Bundle, as_json: bool) -> None:
    """A model's manifest."""
    m = bundle.manifest
    if as_json:
        print_json({"id": bundle.id, **m.to_json()})
        return
    rows = {
        "id": bundle.id,
        "family": f"{m.family}, {'exact' if m.exact else 'not exact'}",
        "tile": f"{'x'.join(map(str, m.tile))} (steps, channels, rows, columns), fitted with axes {m.axes!r}",
        "latents": f"{m.latents} per tile in {len(m.bands)} bands",
        "channels": _channels_text(m),
        "suits": _suits_text(m),
        "restores": _restores_text(m),
        "samples": f"a mixture of {m.samples} normal distribution(s) of latents" if m.samples else "none",
        "reference": "x".join(map(str, m.reference)) if m.reference else "none",
        **{f"provenance: {key}": _text(value) for key, value in m.provenance.items()},
    }
    print_rows("model", rows)


def _text(value: Any) -> str:
    """A value of a JSON object for people: entries of a list on lines of their own."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ("\n" if any(isinstance(each, dict) for each in value) else ", ").join(map(_text, value))
    return str(value)


def _suits_text(manifest: Manifest) -> str:
    """For which arrays it is taken unasked, if it ships with the library."""
    return str(manifest.suits) if manifest.suits is not None else "only by name"


def _restores_text(manifest: Manifest) -> str:
    """What its restorer undoes."""
    restores = manifest.restores
    if restores is None:
        return "nothing"
    kind = "series" if restores.series else "rows and columns"
    return f"{', '.join(restores.tasks)}: {kind} of {restores.channels} channel(s), {restores.frames} frame(s) at once"


def export_model(name: str, folder: Path, force: bool) -> None:
    """Write manifest.json, encoder.onnx, decoder.onnx and, if there is one, restorer.onnx."""
    if Path(name).is_file() and not is_model(name):
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
        "restorer.onnx": bundle.restorer,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for part, data in parts.items():
        if data is None:
            continue
        if (folder / part).exists() and not force:
            raise OutputExistsError(f"{folder / part} exists; choose another folder with -o, or overwrite it with -f")
        (folder / part).write_bytes(data)
    say(f"{folder} : {', '.join(part for part, data in parts.items() if data is not None)}")


def is_model(name: str) -> bool:
    """True if a file begins as .aecm files do."""
    if not is_url(name) and not Path(name).is_file():
        return False
    source = open_source(name)
    head = source.read(0, len(MAGIC) + 3)
    source.close()
    return head[: len(MAGIC)] == MAGIC and head[-1:] == MODEL_FILE


def _channels_text(manifest: Manifest) -> str:
    """How many channels arrays may have."""
    return "any" if manifest.any_channels else str(manifest.channels)
