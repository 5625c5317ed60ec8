"""`aecodec decompress`."""

from aecodec.api.reader import Reader
from aecodec.api.trust import DEFAULT_TRUST, Trust
from aecodec.cli.outputs import refuse_existing, restored_name, seekable, write_array
from aecodec.cli.progress import progress, say, size_text
from aecodec.errors import TruncatedError, UsageError


def decompress_files(
    inputs: list[str],
    output: str | None,
    model: str | None,
    provider: str,
    threads: int | None,
    force: bool,
    quiet: bool,
    trust: Trust = DEFAULT_TRUST,
) -> None:
    """Decompress each input to `output`, or to its own name without .aecz."""
    if output is not None and len(inputs) > 1:
        raise UsageError(f"-o names one output, but there are {len(inputs)} inputs")
    names = [output or restored_name(name) for name in inputs]
    for target in names:
        refuse_existing(target, force)
    for name, target in zip(inputs, names, strict=True):
        with seekable(name) as source, Reader(source, model, provider, threads, trust=trust) as reader:
            if not reader.finished:
                raise TruncatedError(
                    f"{name} was cut off, damaged at its end, or is still being written; {len_text(reader)} are there: "
                    "save them with `aecodec recover`"
                )
            with progress(name, None, quiet):
                write_array(reader, target)
            shape = "x".join(map(str, reader.shape)) or "scalar"
            say(f"{name} : {shape} {reader.dtype}, {size_text(reader.nbytes)}, {target}", quiet)


def len_text(reader: Reader) -> str:
    """How far along its stream axis a file reaches."""
    return f"{reader.array_file.spec.length} step(s) of {reader.array_file.axis_name}"
