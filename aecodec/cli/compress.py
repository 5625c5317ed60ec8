"""`aecodec compress`."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, BinaryIO

import numpy as np

from aecodec.api.options import Options, make_options, thread_count
from aecodec.api.whole import axes_of, feed, prepared
from aecodec.api.writer import Writer
from aecodec.cli.batch import Job, plan, run
from aecodec.cli.inputs import STDIO, Source, parse_dtype, parse_shape, read_source
from aecodec.cli.outputs import compressed_name, refuse_existing
from aecodec.cli.progress import progress, say, size_text
from aecodec.errors import FidelityError, UsageError
from aecodec.integrations.kinds import kind_of


def compress_files(
    inputs: list[str],
    output: str | None,
    raw: tuple[str | None, str | None],
    settings: tuple[Any, str | None, int, bool | None, str, int | None],
    fidelity: Any,
    force: bool,
    quiet: bool,
) -> None:
    """Compress each input, and each file of those that are folders. `settings`: as make_options takes them."""
    model, axes, level, embed, provider, threads = settings
    options = make_options(model, axes, level, embed, provider, threads, None, fidelity)
    dtype, shape = parse_dtype(raw[0]), parse_shape(raw[1])
    jobs = plan(inputs, output, lambda name: kind_of(name) is not None, compressed_name)
    for job in jobs:
        refuse_existing(job.target, force)

    def work(job: Job, threads: int | None, alone: bool, quiet: bool) -> None:
        source = read_source(job.name, dtype, shape, axes)
        if source.metadata["source"] == "bytes" and options.fidelity.kind != "lossless":
            raise FidelityError(f"{source.name} is plain bytes, which are kept losslessly; for numbers give --dtype and --shape")
        own = replace(options, axes=source.axes, metadata=source.metadata, threads=thread_count(threads))
        _compress(source, job.target, own, force, quiet, alone)

    run(jobs, work, threads, quiet)


def _compress(source: Source, target: str, options: Options, force: bool, quiet: bool, alone: bool) -> None:
    total = source.array.nbytes if source.array is not None else None
    sink: str | BinaryIO = sys.stdout.buffer if target == STDIO else target
    done = 0
    with progress(source.name, total, quiet or not alone) as advance:
        array = source.array
        spec = axes_of(array, options) if array is not None else None
        slabs = source.slabs
        if array is not None:
            options = prepared(array, options)
        elif source.metadata["source"] == "video":
            options, slabs = _looked_at(source, options)
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
                for slab in slabs:
                    write(slab)
    size = writer.size
    if target == STDIO:
        sys.stdout.buffer.flush()
    say(f"{source.name} : {size_text(done)} -> {size_text(size)}, {done / max(1, size):.2f}:1, {target}", quiet)


def _looked_at(source: Source, options: Options) -> tuple[Options, Iterator[np.ndarray]]:
    """The options that suit the first slab of a stream, and all its slabs."""
    first = next(source.slabs, None)
    if first is None:
        raise UsageError(f"{source.name} holds no frame; there is nothing to compress")
    fidelity = options.fidelity
    if fidelity.needs_range and first.dtype != np.uint8:
        raise FidelityError(f"{source.name} is read as it goes, so that its range is not known; pass --value-range LOW,HIGH")
    return prepared(first, options), chain([first], source.slabs)
