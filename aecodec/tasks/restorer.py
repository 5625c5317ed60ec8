"""A model's restorer at work on one array of frames, of any size, a band of rows at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from aecodec import filling
from aecodec.codec.model import Model
from aecodec.errors import LimitError, ModelError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.models.restorer_check import check_restorer
from aecodec.models.restores import BLUR, CONDITIONS, MISSING, NOISE, UPSCALED, Restores
from aecodec.resampling import REACH, twice
from aecodec.runtime import SizedExecutor, load_executor
from aecodec.tasks.able import able
from aecodec.tasks.tiles import Pair, bands, filled

_CORE, _SERIES_CORE = 512, 1 << 15  # rows and columns, or steps, that one run gives

# (start, stop) of rows -> frames (F, channels, rows, columns) float32 in units of the range, and where values are missing, bool
# (rows, columns), or None.
Fetch = Callable[[int, int], tuple[np.ndarray, np.ndarray | None]]


@dataclass(frozen=True)
class Strengths:
    """`noise` in units of the range, `blur` in values; `double`: the frames are to be enlarged to twice their size."""

    noise: float = 0.0
    blur: float = 0.0
    double: bool = False


class Restorer:
    """The graph, checked, with the sizes of its parts; ModelError if the model has none, or was not trained for `task`."""

    def __init__(
        self, model: Model, task: str, provider: str = "auto", threads: int = 1, limits: Limits = DEFAULT_LIMITS, core: int = 0
    ) -> None:
        restores, graph = model.manifest.restores, model.bundle.restorer
        if restores is None or graph is None or task not in restores.tasks:
            raise cannot(model, task)
        self.restores: Restores = restores
        self._sized = check_restorer(graph, restores, limits)
        self._executor = SizedExecutor(load_executor(graph, provider, threads), self._sized)
        self._core = self._chosen(core or (_SERIES_CORE if restores.series else _CORE))

    def bands(self, fetch: Fetch, shape: Pair, strengths: Strengths) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows, and the middle frame restored there, (channels, rows, columns) in units of the range; from top to bottom.

        `shape`: rows and columns of the result; of a series, its steps and 1.
        """
        halo, multiple = self._turned(self.restores.halo), self._turned(self.restores.multiple)
        for parts in bands(shape, self._core, halo, multiple):
            planes = self._planes(fetch, parts[0].window[0], shape, strengths)
            rows = parts[0].core[0]
            out = np.empty((self.restores.channels, rows.stop - rows.start, shape[1]), np.float32)
            for part in parts:
                out[:, :, part.core[1]] = self._run(planes[..., part.window[1]])[(slice(None), *part.inner)]
            yield rows, out

    def _planes(self, fetch: Fetch, rows: slice, shape: Pair, strengths: Strengths) -> np.ndarray:
        """Planes of a band: frames and conditions, filled up to multiples by the last row and column."""
        frames, missing = _fetched(fetch, slice(rows.start, min(rows.stop, shape[0])), shape[0], strengths.double)
        joined = frames.reshape(-1, *frames.shape[2:])
        width = filled(shape[1], self._turned(self.restores.multiple)[1])
        planes = np.zeros((len(joined) + CONDITIONS, *joined.shape[1:]), np.float32)
        planes[: len(joined)] = joined
        conditions = planes[len(joined) :]
        conditions[NOISE], conditions[BLUR], conditions[UPSCALED] = strengths.noise, strengths.blur, float(strengths.double)
        if missing is not None:
            conditions[MISSING] = missing
        pads = ((0, 0), (0, rows.stop - rows.start - planes.shape[1]), (0, width - planes.shape[2]))
        return np.pad(planes, pads, "edge")

    def _run(self, planes: np.ndarray) -> np.ndarray:
        source = planes[None].swapaxes(-1, -2) if self.restores.series else planes[None]
        made = self._executor.run(np.ascontiguousarray(source))[0]
        return made.swapaxes(-1, -2) if self.restores.series else made

    def _turned(self, pair: Pair) -> Pair:
        """Of the graph's rows and columns: those of what `bands` cuts, where steps of a series are rows."""
        return (pair[1], pair[0]) if self.restores.series else pair

    def _chosen(self, most: int) -> Pair:
        """The largest core, up to `most`, whose runs are within the limits."""
        restores = self.restores
        while True:
            core = (
                (1, filled(most, restores.multiple[1]))
                if restores.series
                else (filled(most, restores.multiple[0]), filled(most, restores.multiple[1]))
            )
            window = tuple(c + 2 * h for c, h in zip(core, restores.halo, strict=True))
            try:
                self._sized.sizes((1, restores.planes, *window))
            except LimitError:
                if most <= max(restores.multiple):
                    raise
                most //= 2
                continue
            return self._turned((core[0], core[1]))


def _fetched(fetch: Fetch, rows: slice, height: int, double: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Frames of the rows asked for, gaps filled and enlarged if need be, from the few more rows that this takes."""
    times = 2 if double else 1
    more = filling.REACH + (REACH if double else 0)
    start, stop = max(0, rows.start // times - more), min(height // times, -(-rows.stop // times) + more)
    frames, missing = fetch(start, stop)
    if missing is not None:
        frames = filling.fill_gaps(frames, missing)
    inner = slice(rows.start - times * start, rows.stop - times * start)
    if not double:
        return frames[..., inner, :], None if missing is None else missing[inner]
    if missing is not None:
        missing = missing.repeat(2, 0).repeat(2 if frames.shape[-1] > 1 else 1, 1)[inner]
    axes = (-2, -1) if frames.shape[-1] > 1 else (-2,)
    return twice(frames, axes)[..., inner, :], missing


def cannot(model: Model, task: str) -> ModelError:
    """The error for a model that was not trained for a task: what it is, and which installed models are."""
    manifest = model.manifest
    restores = manifest.restores
    trained = (
        f"it restores by {', '.join(restores.tasks)}" if restores else f"it is of the family {manifest.family}, without a restorer"
    )
    others = able(lambda m: m.restores is not None and task in m.restores.tasks)
    known = f"installed models that can: {', '.join(others)}" if others else "no installed model can"
    return ModelError(
        f"the model {model.id[:12]} was not trained to {task}: {trained}; {known}; "
        "train one on arrays of your own with `aecodec train DATA --networks restorer`"
    )
