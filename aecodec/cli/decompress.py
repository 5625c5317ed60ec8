"""`aecodec decompress`."""

from aecodec.api.functions import load_model
from aecodec.api.reader import Reader
from aecodec.api.trust import DEFAULT_TRUST, Trust
from aecodec.cli.batch import Job, plan, run
from aecodec.cli.dataset import decompress_dataset, is_stored_dataset
from aecodec.cli.outputs import SUFFIX, refuse_existing, restored_name, seekable, write_array
from aecodec.cli.progress import progress, say, size_text
from aecodec.errors import TruncatedError


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
    """Decompress each input, and each .aecz file of those that are folders, to `output`, or to its own name without .aecz; a zarr
    store to a NetCDF file."""
    if is_stored_dataset(inputs, output):
        assert output is not None
        decompress_dataset(inputs[0], output, force, quiet)
        return
    jobs = plan(inputs, output, lambda name: name.endswith(SUFFIX), restored_name)
    for job in jobs:
        refuse_existing(job.target, force)
    given = load_model(model, provider) if model is not None and len(jobs) > 1 else model

    def work(job: Job, threads: int | None, alone: bool, quiet: bool) -> None:
        name, target = job.name, job.target
        with seekable(name) as source, Reader(source, given, provider, threads, trust=trust) as reader:
            if not reader.finished:
                raise TruncatedError(
                    f"{name} was cut off, damaged at its end, or is still being written; {len_text(reader)} are there: "
                    "save them with `aecodec recover`"
                )
            with progress(name, None, quiet or not alone):
                write_array(reader, target)
            shape = "x".join(map(str, reader.shape)) or "scalar"
            say(f"{name} : {shape} {reader.dtype}, {size_text(reader.nbytes)}, {target}", quiet)

    run(jobs, work, threads, quiet)


def len_text(reader: Reader) -> str:
    """How far along its stream axis a file reaches."""
    return f"{reader.array_file.spec.length} step(s) of {reader.array_file.axis_name}"
