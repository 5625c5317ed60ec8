"""`aecodec info`: what a file holds, as a table for people or JSON for programs."""

import json
from typing import Any

from aecodec.api.arrayfile import steps_text
from aecodec.api.facts import file_facts
from aecodec.cli.models import is_model, show_model
from aecodec.cli.outputs import seekable
from aecodec.cli.progress import size_text
from aecodec.cli.tables import print_json, print_rows, print_table
from aecodec.container.source import open_source
from aecodec.models.registry import load_bundle


def show_file(name: str, as_json: bool, chunks: bool = False) -> None:
    """Describe an .aecz or .aecm file; with `chunks`, every chunk of an .aecz file."""
    if is_model(name):
        show_model(load_bundle(name), as_json)
        return
    with seekable(name) as origin:
        source = open_source(origin)
        try:
            facts = file_facts(source, chunks)
        finally:
            source.close()
    if as_json:
        print_json(facts)
        return
    print_rows(name, _rows(facts))
    if chunks:
        print_table(
            ["chunk", "steps", "mode", "size"],
            [
                [str(chunk["number"]), f"{chunk['start']} to {chunk['stop'] - 1}", chunk["mode"], size_text(chunk["bytes"])]
                for chunk in facts["each_chunk"]
            ],
        )


def _rows(facts: dict[str, Any]) -> dict[str, str]:
    bits, missing = facts["bits_per_value"], [(start, stop) for start, stop in facts["missing"]]
    damaged = [f"{kind} of part {n + 1}" for n, part in enumerate(facts["parts"]) for kind in part["damaged"]]
    rows = {
        "array": f"{'x'.join(map(str, facts['shape'])) or 'scalar'} {facts['dtype']}, axes {facts['axes']!r}",
        "fidelity": _fidelity_text(facts["fidelity"]),
        "size": f"{size_text(facts['array_bytes'])} -> {size_text(facts['file_bytes'])}, {facts['ratio']:.2f}:1"
        + (f", {bits:.3g} bits per value" if bits is not None else ""),
        "model": _model_text(facts["model"]) if facts["model"] else "none",
        "chunks": ", ".join(f"{count} {mode}" for mode, count in sorted(facts["modes"].items())) or "none",
        "missing": steps_text(missing) if missing else "",
        "damaged": ", ".join(damaged),
        "complete": "yes" if facts["complete"] else "no: cut off, damaged at the end, or still being written",
        "writer": facts["writer"],
        "metadata": json.dumps(facts["metadata"]) if facts["metadata"] else "",
    }
    if len(facts["parts"]) > 1:
        rows |= {
            f"part {n + 1}": f"steps {part['start']} to {part['stop'] - 1}, {size_text(part['bytes'])} from byte {part['offset']}, "
            + (_fidelity_text(part["fidelity"]) if part["fidelity"] else "unreadable")
            for n, part in enumerate(facts["parts"])
        }
    return {key: value for key, value in rows.items() if value}


def _fidelity_text(fidelity: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in fidelity.items() if key != "ranges")


def _model_text(model: dict[str, Any]) -> str:
    place = model["place"] + (f", {size_text(model['bytes'])}" if model["bytes"] else "")
    if "family" not in model:
        return f"{model['id'][:12]}, {place}"
    return f"{model['id'][:12]} {model['family']}, tile {'x'.join(map(str, model['tile']))}, {place}"
