"""What a bundle must pass before it ships: size, graphs, proof, executors, and files that every executor decodes alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import aecodec
from aecodec.errors import AecodecError
from aecodec.models.bundle import Bundle
from aecodec.models.exact import prove_exact
from aecodec.models.predictor_check import check_predictor
from aecodec.phases import INPUT_LIMIT
from aecodec.quantizer import symbol_limit
from export.errors import ExportError
from export.executors import BATCHES, LEVELS, THREADS, check_agreement, check_batches, sessions, shapes_of

MOST_BYTES = 4_000_000
ENCODER_TOLERANCE = 1e-4  # of the largest latent: its sums are floats, in any order
_SAMPLE_VALUES = 1 << 14  # the reference executor takes its time


def check_bundle(bundle: Bundle) -> dict[str, Any]:
    """All that needs no data; what was shown, for the provenance. ExportError says what failed."""
    size = len(bundle.to_bytes())
    if size > MOST_BYTES:
        raise ExportError(f"the model has {size} bytes, at most {MOST_BYTES} are shipped; make it narrower or less deep")
    manifest = bundle.manifest
    if not manifest.exact:
        raise ExportError("the model does not declare itself exact: its files would not decode everywhere")
    if bundle.encoder is None:
        raise ExportError("the model has no encoder: nothing could be written with it")
    try:
        aecodec.Model(bundle, "cpu")  # hashes, operators, sizes, and the proofs
        proven = prove_exact(bundle.decoder, manifest.latent_limit)
        if bundle.predictor is not None and manifest.predictor is not None:
            check_predictor(bundle.predictor, manifest.predictor)
    except AecodecError as error:
        raise ExportError(f"the model is not sound: {error}") from None
    _check_decoder(bundle)
    _check_encoder(bundle)
    if bundle.predictor is not None:
        _check_predictor(bundle)
    return {
        "exact": f"proven for latents to {manifest.latent_limit}, outputs to {proven.bound:.6g} in steps of 2**{proven.grain}",
        "executors": f"onnx.reference; ONNX Runtime at {', '.join(LEVELS)} with {' and '.join(map(str, THREADS))} threads",
        "batches": list(BATCHES),
    }


def check_files(bundle: Bundle, held_out: Sequence[np.ndarray], axes: str, fidelities: Sequence[Mapping[str, Any]]) -> None:
    """ExportError unless a file of a sample of what was held out decodes to the same bits by every executor."""
    # A reference field belongs to whole rows and columns.
    sample = cropped(held_out[0], axes, "tz" if bundle.manifest.reference else "tzyx")
    models = {
        f"{provider}, {threads} threads": aecodec.Model(bundle, provider, threads)
        for provider, threads in (("cpu", 1), ("cpu", 2), ("reference", 1))
    }
    first = next(iter(models.values()))
    for fidelity in fidelities:
        data = aecodec.compress(sample, first, axes, embed_model=False, **fidelity)
        decoded = {how: aecodec.decompress(data, model=model) for how, model in models.items()}
        if len({array.tobytes() for array in decoded.values()}) > 1:
            raise ExportError(f"a file of {dict(fidelity)} decodes differently by {'; '.join(decoded)}")


def _check_decoder(bundle: Bundle) -> None:
    """Typical latents and the largest, whole numbers."""
    shapes = shapes_of(bundle.decoder, max(BATCHES))
    if len(shapes) != 1:
        raise ExportError(f"the decoder has the inputs {', '.join(shapes)}; one is due")
    ((name, shape),) = shapes.items()
    manifest, random = bundle.manifest, np.random.default_rng(0)
    step = max(1, round(1 / manifest.latent_unit))
    top = symbol_limit(step, manifest.latent_limit)
    typical = np.clip(np.rint(random.laplace(0.0, 8.0, shape)), -top, top) * step
    largest = random.choice([-1.0, 1.0], shape) * float(manifest.latent_limit)
    for kind, values in (("typical", typical), ("the largest", largest)):
        inputs = values.astype(_dtype(bundle.decoder))
        check_agreement(f"decoder on {kind} latents", bundle.decoder, [inputs])
        for how, run in sessions(bundle.decoder).items():
            check_batches(f"decoder ({how}) on {kind} latents", run, {name: inputs}, [name])


def _check_encoder(bundle: Bundle) -> None:
    assert bundle.encoder is not None
    ((name, shape),) = shapes_of(bundle.encoder, max(BATCHES)).items()
    tiles = np.random.default_rng(0).normal(0.0, 1.0, shape).astype(_dtype(bundle.encoder))
    check_agreement("encoder", bundle.encoder, [tiles], ENCODER_TOLERANCE)
    for how, run in sessions(bundle.encoder).items():
        check_batches(f"encoder ({how})", run, {name: tiles}, [name], ENCODER_TOLERANCE)


def _check_predictor(bundle: Bundle) -> None:
    """Typical planes and the largest, and every kind of phase that picks other constants, as far as time allows."""
    layout = bundle.manifest.predictor
    assert bundle.predictor is not None
    assert layout is not None
    shape = shapes_of(bundle.predictor, max(BATCHES))["planes"]
    random = np.random.default_rng(0)
    typical = np.clip(np.rint(random.laplace(0.0, 60.0, shape)), -INPUT_LIMIT, INPUT_LIMIT)
    largest = random.choice([-1.0, 1.0], shape) * INPUT_LIMIT
    for number in dict.fromkeys((0, layout.kinds // 2, layout.kinds - 1)):
        kind = np.array([number])
        for name, planes in (("typical", typical), ("the largest", largest)):
            inputs = {"planes": planes.astype(np.float32), "kind": kind}
            what = f"predictor, kind {number}, on {name} planes"
            check_agreement(what, bundle.predictor, list(inputs.values()))
            for how, run in sessions(bundle.predictor).items():
                check_batches(f"{what} ({how})", run, inputs, ["planes"])


def _dtype(graph: bytes) -> np.dtype:
    import onnx

    value = onnx.load_model_from_string(graph).graph.input[0]
    return onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)


def cropped(array: np.ndarray, axes: str, letters: str) -> np.ndarray:
    """The first half along the longest of the axes among `letters`, until there are few enough values."""
    while array.size > _SAMPLE_VALUES:
        sizes = {at: array.shape[at] for at, letter in enumerate(axes) if letter in letters and array.shape[at] > 1}
        if not sizes:
            return array
        longest = max(sizes, key=lambda at: sizes[at])
        array = array[(slice(None),) * longest + (slice(0, (sizes[longest] + 1) // 2),)]
    return np.ascontiguousarray(array)
