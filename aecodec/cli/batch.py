"""Many files at once: which they are, what each becomes, and all of them in parallel under one progress bar."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from aecodec.api.options import thread_count
from aecodec.cli.inputs import STDIO
from aecodec.cli.progress import progress, say
from aecodec.container.stores import is_url, list_files
from aecodec.errors import AecodecError, UsageError

_LONGEST_FOLDER = 1_000_000


@dataclass(frozen=True)
class Job:
    """One input and the output that it becomes. `sorted_in`: the output's folder may have to be made. `size`: bytes of the input,
    as far as it is known."""

    name: str
    target: str
    sorted_in: bool = False
    size: int = 0


def plan(inputs: list[str], output: str | None, wanted: Callable[[str], bool], renamed: Callable[[str], str]) -> list[Job]:
    """A job for each input, and for each file that is `wanted` of those that are folders, below them as deep as they go.

    `output` is the output of a single file, or the folder for those of many (with the folders that they lie in); without it,
    outputs lie beside their inputs. UsageError for two inputs that would become one output.
    """
    found: list[tuple[str, str]] = []  # name, and what of it is kept below an output folder
    for name in inputs:
        files = _files_below(name, wanted)
        if files is None:
            found.append((name, PurePosixPath(name).name if name != STDIO else name))
        elif not files:
            raise UsageError(f"{name} is a folder without files of a known kind; name the files")
        else:
            found += files
    many = len(found) > 1 or found[0][0] != inputs[0]
    if output is not None and many and not _is_folder(output):
        raise UsageError(
            f"-o {output} names one output, but there are {len(found)} inputs; name a folder, with a / behind it if it is new"
        )
    into = output.rstrip("/") if output is not None and (many or _is_folder(output)) and output != STDIO else None
    if into is not None:
        targets = [f"{into}/{renamed(kept)}" for _, kept in found]
    else:
        targets = [output if output is not None else renamed(name) for name, _ in found]
    double = next((target for target, count in Counter(targets).items() if count > 1), None)
    if double is not None:
        raise UsageError(f"two inputs would become {double}; give each its own output")
    return [Job(name, target, into is not None, _size(name)) for (name, _), target in zip(found, targets, strict=True)]


def run(jobs: list[Job], work: Callable[[Job, int | None, bool, bool], None], threads: int | None, quiet: bool) -> None:
    """`work(job, threads, alone, quiet)` for each, several at once on a thread each; AecodecError at the end if any failed."""
    for job in jobs:
        if job.sorted_in and not is_url(job.target):
            Path(job.target).parent.mkdir(parents=True, exist_ok=True)
    if len(jobs) == 1:
        work(jobs[0], threads, True, quiet)
        return
    failures = []
    pending: dict[Future[None], Job] = {}
    rest = iter(jobs)
    count = thread_count(threads)
    with progress(f"{len(jobs)} files", sum(job.size for job in jobs) or None, quiet) as advance, ThreadPoolExecutor(count) as pool:
        try:
            while True:
                pending |= {pool.submit(work, job, 1, False, quiet): job for job in islice(rest, 2 * count - len(pending))}
                if not pending:
                    break
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    job = pending.pop(future)
                    advance(job.size)
                    error = future.exception()
                    if isinstance(error, (AecodecError, OSError)):
                        failures.append(error)
                        say(f"{job.name} : failed: {_reason(error)}")
                    elif error is not None:
                        raise error
        finally:
            for future in pending:
                future.cancel()
    if failures:
        kind = UsageError if all(isinstance(error, UsageError) for error in failures) else AecodecError
        raise kind(f"{len(failures)} of {len(jobs)} files failed")


def _reason(error: BaseException) -> str:
    text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    return " ".join(text.split())


def _files_below(name: str, wanted: Callable[[str], bool]) -> list[tuple[str, str]] | None:
    """(name, part below the folder) of the files of a folder; None if it is none."""
    if is_url(name):
        urls = list_files(name)
        if urls is None:
            return None
        files = [(url, url.split(name.rstrip("/").split("://")[-1] + "/", 1)[-1]) for url in urls]
    elif name == STDIO or not Path(name).is_dir():
        return None
    else:
        paths = sorted(islice((path for path in Path(name).rglob("*") if path.is_file()), _LONGEST_FOLDER + 1))
        files = [(str(path), path.relative_to(name).as_posix()) for path in paths]
    if len(files) > _LONGEST_FOLDER:
        raise UsageError(f"{name} holds more than {_LONGEST_FOLDER} files; name folders in it")
    return [(file, kept) for file, kept in files if wanted(file) and not PurePosixPath(kept).name.startswith(".")]


def _is_folder(output: str) -> bool:
    return output.endswith("/") or (not is_url(output) and Path(output).is_dir())


def _size(name: str) -> int:
    if name == STDIO or is_url(name):
        return 0
    path = Path(name)
    return path.stat().st_size if path.is_file() else 0
