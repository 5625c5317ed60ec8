"""`aecodec compress`."""

import sys
from dataclasses import replace
from typing import Any, BinaryIO

from aecodec.api.options import Options, make_options
from aecodec.api.whole import axes_of, feed, prepared
from aecodec.api.writer import Writer
from aecodec.cli.inputs import STDIO, Source, parse_dtype, parse_shape, read_source
from aecodec.cli.outputs import compressed_name, refuse_existing
from aecodec.cli.progress import progress, say, size_text
from aecodec.errors import FidelityError, UsageError


def compress_files(
    inputs: list[str],
    output: str | None,
    raw: tuple[str | None, str | None],
    settings: tuple[Any, str | None, int, bool | None, str, int | None],
    fidelity: Any,
    force: bool,
    quiet: bool,
) -> None:
    """Compress each input to `output`, or to its own name with .aecz. `settings`: as make_options takes them."""
    if output is not None and len(inputs) > 1:
        raise UsageError(f"-o names one output, but there are {len(inputs)} inputs")
    model, axes, level, embed, provider, threads = settings
    options = make_options(model, axes, level, embed, provider, threads, None, fidelity)
    dtype, shape = parse_dtype(raw[0]), parse_shape(raw[1])
    names = [output or compressed_name(name) for name in inputs]
    for target in names:
        refuse_existing(target, force)
    for name, target in zip(inputs, names, strict=True):
        source = read_source(name, dtype, shape, axes)
        if source.metadata["source"] == "bytes" and options.fidelity.kind != "lossless":
            raise FidelityError(f"{source.name} is plain bytes, which are kept losslessly; for numbers give --dtype and --shape")
        _compress(source, target, replace(options, axes=source.axes, metadata=source.metadata), force, quiet)


def _compress(source: Source, target: str, options: Options, force: bool, quiet: bool) -> None:
    total = source.array.nbytes if source.array is not None else None
    sink: str | BinaryIO = sys.stdout.buffer if target == STDIO else target
    done = 0
    with progress(source.name, total, quiet) as advance:
        array = source.array
        spec = axes_of(array, options) if array is not None else None
        if array is not None:
            options = prepared(array, options)
        # An input that can be read again needs no unfinished output.
        with Writer(sink, options, overwrite=force, keep_unfinished=array is None) as writer:

            def write(slab: Any) -> None:
                nonlocal done
                writer.write(slab)
                done += slab.nbytes
                advance(slab.nbytes)

            if array is not None and spec is not None:
                feed(write, array, spec)
            else:
                for slab in source.slabs:
                    write(slab)
    size = writer.size
    if target == STDIO:
        sys.stdout.buffer.flush()
    say(f"{source.name} : {size_text(done)} -> {size_text(size)}, {done / max(1, size):.2f}:1, {target}", quiet)
