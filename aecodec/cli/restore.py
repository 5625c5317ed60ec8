"""`aecodec restore`: any input that the command reads, and video, to .npy, image, .aecz or video."""

from collections.abc import Iterable, Iterator
from contextlib import closing, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.api.options import make_options
from aecodec.api.reader import Reader
from aecodec.api.trust import Trust
from aecodec.api.writer import Writer
from aecodec.axes import guess_axes, parse_axes
from aecodec.canonical import ArraySpec
from aecodec.cli.inputs import STDIO, parse_dtype, parse_shape, read_source
from aecodec.cli.outputs import SUFFIX, completed, refuse_existing
from aecodec.cli.progress import progress, say
from aecodec.container.durable import resolved
from aecodec.errors import FormatError, UsageError
from aecodec.integrations.images import save_image
from aecodec.integrations.kinds import IMAGE_SUFFIXES, kind_of
from aecodec.integrations.video import load_video, save_video
from aecodec.tasks.restore import Restoration


def restore_file(
    source: str,
    output: str,
    model: str,
    task: str,
    mask: str | None,
    strengths: dict[str, Any],
    raw: tuple[str | None, str | None, str | None],
    trust: Trust,
    flags: tuple[bool, bool],
) -> None:
    """Restore one input. `strengths`: of Restoration; `raw`: axes, dtype, shape; `flags`: force, quiet."""
    force, quiet = flags
    if STDIO in (source, output):
        raise UsageError("restoring reads and writes files, not standard input and output; name both")
    refuse_existing(output, force)
    strengths = {**strengths, "limits": trust.limits}
    gaps = None if mask is None else _mask(mask)
    if _is_video(source):
        _restore_video(source, output, (model, task, strengths), gaps, quiet)
        return
    opened: Any
    if source.endswith(SUFFIX):
        opened = Reader(source, None, strengths["provider"], strengths["threads"], trust=trust)
        letters = opened.axes
    else:
        found = read_source(source, parse_dtype(raw[1]), parse_shape(raw[2]), raw[0])
        opened, letters = found.array, found.axes
        if opened is None or found.metadata["source"] == "bytes":
            raise UsageError(f"cannot restore {source}: give .npy, an image, .aecz, a video, or raw with --dtype and --shape")
    with closing(opened) if isinstance(opened, Reader) else nullcontext():
        axes = parse_axes(letters, len(opened.shape)) if letters else guess_axes(opened.shape, opened.dtype, False)
        restoration = Restoration(ArraySpec(opened.dtype, axes, opened.shape), model, task, **strengths)
        with progress(source, None, quiet):
            _write(restoration.slabs(opened, gaps), restoration.result, output, force)
    size = "x".join(map(str, restoration.result.shape))
    say(f"{source} : {task}, {size} {opened.dtype}, {output}", quiet)


def _restore_video(source: str, output: str, settings: tuple[str, str, dict[str, Any]], mask: Any, quiet: bool) -> None:
    model, task, strengths = settings
    if not _is_video(output):
        raise UsageError(f"{output}: a video is written as a video; use a suffix such as .mp4 or .mkv")
    if mask is not None:
        raise UsageError("a mask is for arrays and images; write the video's frames to .npy to inpaint them")
    slabs, letters, metadata = load_video(Path(source))
    first = next(slabs, None)
    if first is None:
        raise FormatError(f"{source} has no pictures")
    spec = ArraySpec(first.dtype, parse_axes(letters, first.ndim), (1, *first.shape[1:]))
    restoration = Restoration(spec, model, task, **strengths)
    frames = _Counted(restoration.frames(frame for slab in chain([first], slabs) for frame in slab))
    with progress(source, None, quiet), completed(resolved(output)) as partial:
        save_video([frames], restoration.result.shape, spec.dtype, metadata, partial, Path(output).suffix)
    say(f"{source} : {task}, {frames.count} frames, {output}", quiet)


class _Counted:
    """An iterator that tells how many it gave."""

    def __init__(self, each: Iterator[np.ndarray]) -> None:
        self._each = each
        self.count = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for one in self._each:
            self.count += 1
            yield one


def _is_video(name: str) -> bool:
    kind = kind_of(name)
    return kind is not None and kind.name == "video"


def _mask(name: str) -> np.ndarray:
    found = read_source(name, None, None, None)
    if found.array is None or found.metadata["source"] == "bytes":
        raise UsageError(f"the mask {name} must be an image or .npy")
    mask = np.asarray(found.array)
    return np.asarray(mask.any(-1)) if found.metadata["source"] == "image" and mask.ndim == 3 else mask


def _write(slabs: Iterable[np.ndarray], spec: ArraySpec, output: str, force: bool) -> None:
    """Slabs along the stream axis, to what the output's suffix names."""
    suffix = Path(output).suffix.lower()
    if suffix == SUFFIX:
        options = make_options(False, spec.axes.letters, 5, None, "auto", None, None, {"lossless": True})
        with Writer(output, options, overwrite=force) as writer:
            for slab in slabs:
                writer.write(slab)
        return
    with completed(resolved(output)) as partial:
        if suffix in IMAGE_SUFFIXES:
            save_image(_whole(slabs, spec), spec.axes.letters, {}, partial, suffix)
        elif suffix == ".npy":
            _fill(np.lib.format.open_memmap(partial, "w+", spec.dtype, spec.shape), slabs, spec)
        else:
            _fill(np.memmap(partial, spec.dtype, "w+", shape=spec.shape), slabs, spec)


def _whole(slabs: Iterable[np.ndarray], spec: ArraySpec) -> np.ndarray:
    whole = np.empty(spec.shape, spec.dtype)
    _fill(whole, slabs, spec)
    return whole


def _fill(target: Any, slabs: Iterable[np.ndarray], spec: ArraySpec) -> None:
    for place, slab in _placed(slabs, spec):
        target[place] = slab
    if isinstance(target, np.memmap):
        target.flush()


def _placed(slabs: Iterable[np.ndarray], spec: ArraySpec) -> Iterator[tuple[Any, np.ndarray]]:
    stream, at = spec.axes.stream, 0
    for slab in slabs:
        if stream is None:
            yield (), slab
            return
        yield (slice(None),) * stream + (slice(at, at + slab.shape[stream]),), slab
        at += slab.shape[stream]
