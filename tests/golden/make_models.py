"""Makes the golden models: `python tests/golden/make_models.py [NAME...]`. A file that exists is never written again.

Each name gives NAME.aecm and NAME.model.json: the recipe below and what comes of the model's own part, as SHA-256: of the sampler's
weights, means and factors, float64, and of the tiles that its means are decoded to; of what the restorer makes of the recipe's
array. The restorer's weights are whole sixteenths, so that its sums are exact in any order.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import aecodec
from aecodec.models.bundle import Bundle
from aecodec.models.linear import IR_VERSION, OPSET
from aecodec.models.mixture import Mixture
from aecodec.models.restores import CONDITIONS, Restores
from aecodec.tasks.generate import decoded, sampler_of
from aecodec.tasks.restore import restore

FOLDER = Path(__file__).parent

# `shape`, `dtype` and `fit` of the closed form that holds the part; `components` of a sampler; `restores` of a restorer, and
# `restore`, what it is asked for.
RECIPES: dict[str, dict] = {
    "sampler": {
        "shape": [40, 8, 8],
        "dtype": "<f4",
        "fit": {"axes": "tyx", "tile": [1, 1, 4, 4], "reference": False},
        "components": 3,
    },
    "restorer": {
        "shape": [2, 2, 12, 20],
        "dtype": "<f4",
        "fit": {"axes": "tcyx", "tile": [1, 2, 4, 4], "reference": False},
        "restores": {
            "tasks": ["denoise", "deblur"],
            "frames": 3,
            "low": [0.0, -128.0],
            "high": [256.0, 128.0],
            "multiple": [2, 2],
            "halo": [2, 2],
        },
        "restore": {"task": "denoise", "axes": "tcyx", "noise": 8.0},
    },
}


def array_of(recipe: dict) -> np.ndarray:
    """Whole numbers."""
    random = np.random.default_rng(20)
    steps = np.cumsum(np.cumsum(random.integers(-3, 4, recipe["shape"]), axis=-1), axis=-2)
    return np.clip(steps, -100, 100).astype(recipe["dtype"])


def bundle_of(recipe: dict) -> Bundle:
    """The closed form of the array, without a predictor, and the part."""
    made = aecodec.fit(array_of(recipe), provider="cpu", **recipe["fit"]).bundle
    manifest = replace(made.manifest, predictor=None)
    made = replace(made, manifest=manifest, predictor=None)
    if "components" in recipe:
        sampler = mixture(recipe["components"], manifest.latents)
        return replace(made, manifest=replace(manifest, samples=recipe["components"]), sampler=sampler.to_bytes()).sealed()
    restores = Restores.from_json(recipe["restores"])
    return replace(made, manifest=replace(manifest, restores=restores), restorer=restorer_graph(restores)).sealed()


def mixture(components: int, latents: int) -> Mixture:
    """Of quarters and eighths."""
    random = np.random.default_rng(20)
    factors = np.tril(random.integers(-3, 4, (components, latents, latents)) / 8 + 2 * np.eye(latents))
    return Mixture(np.arange(1, components + 1) / 4, random.integers(-40, 41, (components, latents)) / 4, factors)


def restorer_graph(restores: Restores) -> bytes:
    """The middle frame, and a convolution of 3 x 3 of all planes added to it."""
    random = np.random.default_rng(20)
    channels = restores.channels
    first = restores.frames // 2 * channels
    weight = random.integers(-2, 3, (channels, restores.frames * channels + CONDITIONS, 3, 3)) / 16
    constants = {
        "start": np.array([first], np.int64),
        "stop": np.array([first + channels], np.int64),
        "axis": np.array([1], np.int64),
        "weight": weight.astype(np.float32),
    }
    nodes = [
        helper.make_node("Slice", ["planes", "start", "stop", "axis"], ["middle"]),
        helper.make_node("Conv", ["planes", "weight"], ["change"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["middle", "change"], ["restored"]),
    ]
    source, target = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", count, "rows", "columns"])
        for name, count in (("planes", restores.planes), ("restored", channels))
    )
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "restorer", [source], [target], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def found(model: aecodec.Model, recipe: dict, provider: str = "cpu") -> dict[str, str]:
    """What the model's part gives, by name, as SHA-256."""
    if "components" in recipe:
        part = sampler_of(model)
        tiles = decoded(model, part.means.astype(np.float32))
        given = {"weights": part.weights, "means": part.means, "factors": part.factors, "tiles": tiles}
    else:
        given = {"restored": restore(array_of(recipe), model, provider=provider, threads=1, **recipe["restore"])}
    return {name: hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest() for name, values in given.items()}


def main() -> int:
    """Make the files named, or all that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"by default all that have no file yet, of {', '.join(RECIPES)}")
    names = parser.parse_args().names
    if unknown := sorted(set(names) - set(RECIPES)):
        parser.error(f"no recipe for {', '.join(unknown)}")
    status = 0
    for name in names or [name for name in RECIPES if not (FOLDER / f"{name}.aecm").exists()]:
        target, beside = FOLDER / f"{name}.aecm", FOLDER / f"{name}.model.json"
        if target.exists() or beside.exists():
            sys.stderr.write(f"{target.name} exists; golden files are never rewritten\n")
            status = 1
            continue
        bundle = bundle_of(RECIPES[name])
        bundle.save(target)
        model = aecodec.load_model(target, "cpu", threads=1)
        description = {"recipe": RECIPES[name], "expected": {"id": model.id, **found(model, RECIPES[name])}}
        description["writer"] = f"aecodec {aecodec.__version__}"
        beside.write_text(json.dumps(description, indent=2) + "\n")
        sys.stdout.write(f"{target.name}: {target.stat().st_size} bytes, {model.id}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
