"""`aecodec fit`."""

import time
from typing import Any

import numpy as np

from aecodec.api.fitting import fit
from aecodec.cli.inputs import parse_dtype, parse_shape, read_source
from aecodec.cli.outputs import refuse_existing
from aecodec.cli.progress import progress, say, size_text
from aecodec.errors import UsageError


def fit_files(
    inputs: list[str],
    output: str,
    raw: tuple[str | None, str | None],
    axes: str | None,
    fidelity: dict[str, Any],
    reference: bool | None,
    seed: int,
    force: bool,
    quiet: bool,
) -> None:
    """Fit one model to all inputs and write it."""
    refuse_existing(output, force)
    dtype, shape = parse_dtype(raw[0]), parse_shape(raw[1])
    arrays: list[np.ndarray] = []
    for name in inputs:
        source = read_source(name, dtype, shape, axes)
        if source.array is None or source.metadata["source"] == "bytes":
            raise UsageError(f"cannot fit on {source.name}: give .npy files or images, or raw files with --dtype and --shape")
        arrays.append(source.array)
        axes = axes or source.axes
    start = time.perf_counter()
    total = sum(array.nbytes for array in arrays)
    with progress("fitting", None, quiet):
        model = fit(arrays[0] if len(arrays) == 1 else arrays, axes, reference=reference, seed=seed, **fidelity)
    model.save(output, overwrite=force)
    manifest = model.manifest
    size = size_text(len(model.bundle.to_bytes()))
    reference_text = "with" if manifest.reference else "without"
    say(
        f"{output} : {size}, tile {'x'.join(map(str, manifest.tile))} (t c y x), {reference_text} reference field, "
        f"from {size_text(total)} in {time.perf_counter() - start:.1f} s, {model.id[:12]}",
        quiet,
    )
