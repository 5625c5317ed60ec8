"""One way to restore arrays of one spec, part by part, by a model that was trained to.

source ── slabs ──> canonical frames ── units of the range ──> restorer, band by band ──> values ──> slabs of the result

A stream of frames is held a few frames at a time, an image or a series a band of rows or steps: memory does not grow with length.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from aecodec.api.options import ModelLike, as_model, thread_count
from aecodec.canonical import ArraySpec, cast_values
from aecodec.codec.model import Model
from aecodec.errors import UsageError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.models.restores import TASKS
from aecodec.tasks.autoencoded import AutoencoderRestorer, usable
from aecodec.tasks.damage import Units, canonical_mask, measured_range
from aecodec.tasks.noise import estimate_noise
from aecodec.tasks.restorer import Restorer, Strengths

_SAMPLES, _SAMPLE_ROWS = 16, 64  # parts of a long array that its noise is estimated from
_USUAL_BLUR = 1.0


class Sliced(Protocol):
    """An array, memory map or open .aecz file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Its dtype."""
        ...

    def __getitem__(self, index: Any) -> np.ndarray: ...


class Restoration:
    """One way to restore arrays of one spec. `result`: the spec of what comes out; safe to use for one array after another.

    `noise`: standard deviation in the array's units; None: estimated to denoise, else 0. `blur`: of a Gaussian, in values.
    `value_range`: (low, high) that the model sees as its own range; None: the model's, or for other than 8-bit arrays and a
    model of 8-bit images the array's own.
    """

    def __init__(
        self,
        spec: ArraySpec,
        model: ModelLike = "restore",
        task: str = "denoise",
        *,
        noise: float | None = None,
        blur: float | None = None,
        value_range: Sequence[float] | None = None,
        provider: str = "auto",
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
        core: int = 0,
    ) -> None:
        if task not in TASKS:
            raise UsageError(f"task={task!r} is unknown; use one of {', '.join(TASKS)}")
        for name, strength in (("noise", noise), ("blur", blur)):
            if strength is not None and not (np.isfinite(strength) and strength >= 0):
                raise UsageError(f"{name}={strength} must be 0 or more")
        running = as_model(model, provider, limits)
        if running is None:
            raise UsageError("name a model to restore with, such as model='restore'")
        if spec.dtype.kind in "bc":
            raise UsageError(f"{spec.dtype} arrays cannot be restored; convert them to whole or real numbers first")
        self.spec, self.task, self._noise = spec, task, noise
        self._blur = (_USUAL_BLUR if blur is None else blur) if task == "deblur" else 0.0
        self.restorer = _restorer(running, task, (provider, thread_count(threads), limits), core)
        self.units = Units.of(self.restorer.restores, running.id, spec, value_range)
        self._double = task == "upscale"
        self.result = self._doubled() if self._double else spec

    def slabs(self, source: Sliced, mask: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Parts of the restored array one after another along the stream axis; (step by step, or bands of rows)."""
        units = self.units if self.units.known else measured_range(self.units, self._parts(source))
        gaps = None if mask is None else canonical_mask(np.asarray(mask), self.spec)
        if self.task == "inpaint" and gaps is None and self.spec.dtype.kind != "f":
            raise UsageError(
                "to inpaint whole numbers a mask is needed that is true where values are missing; floats may be NaN there"
            )
        stream, length = self.spec.axes.stream, self.spec.length
        if stream is not None and self.spec.stream_axis == 0 and not self.restorer.restores.series:
            per = self.spec.steps_per_sample

            def each() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
                for at in range(length):
                    for step, frame in enumerate(self._canonical(source, at, at + 1)):
                        yield frame, None if gaps is None else gaps[min(at * per + step, len(gaps) - 1)]

            frames = self._frames(each(), units)
            for _ in range(length):
                yield self._joined([next(frames) for _ in range(per)], 1)
            return
        yield from self._rows(source, gaps, units)

    def frames(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Restored frames, in the user's axes without `t`, of frames that come one by one, as those of a video do."""
        units = self.units
        if not units.known:
            raise UsageError("frames of a stream have no range that is known beforehand; give value_range=(low, high)")
        each = ((self.spec.with_length(1).to_canonical(frame[None])[0], None) for frame in frames)
        for made in self._frames(each, units):
            yield self._joined([made], 1)[0]

    def _frames(self, each: Iterator[tuple[np.ndarray, np.ndarray | None]], units: Units) -> Iterator[np.ndarray]:
        """Restored (channels, rows, columns) of each frame, seen with those around it; the first and last repeat."""
        around = self.restorer.restores.frames // 2
        held: deque[tuple[np.ndarray, np.ndarray | None]] = deque(maxlen=2 * around + 1)
        ahead = 0
        for frame in each:
            if not held:
                held.extend([frame] * around)
            held.append(frame)
            ahead += 1
            if ahead > around:
                yield self._middle(held, units)
        for _ in range(min(around, ahead)):
            held.append(held[-1])
            yield self._middle(held, units)

    def _middle(self, held: Iterable[tuple[np.ndarray, np.ndarray | None]], units: Units) -> np.ndarray:
        """The middle one of the frames held; a value is missing if it is in the middle one."""
        frames = list(held)
        x, gaps = frames[len(frames) // 2]
        noise = self._strength([x], units)
        parts = []
        for group in units.groups:
            stacked = np.stack([units.to_units(frame[group], group) for frame, _ in frames])
            missing = units.missing(x[group], gaps)

            def fetch(start: int, stop: int, stacked: np.ndarray = stacked, missing: np.ndarray | None = missing) -> Any:
                return stacked[:, :, start:stop], None if missing is None else missing[start:stop]

            shape = (x.shape[1] * (1 + self._double), x.shape[2] * (1 + self._double))
            made = [band for _, band in self.restorer.bands(fetch, shape, noise)]
            parts.append(self._values(np.concatenate(made, 1), x[group], missing, group, units))
        return np.concatenate(parts)

    def _rows(self, source: Sliced, gaps: np.ndarray | None, units: Units) -> Iterator[np.ndarray]:
        """Bands of rows of one image, or of steps of a series."""
        series = self.restorer.restores.series
        noise = self._strength(self._sampled(source), units)
        height = self.spec.length
        width = 1 if series else self.spec.canonical_shape[3]
        shape = (height * (1 + self._double), width * (1 + (self._double and not series)))

        def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray | None]:
            part = self._canonical(source, start, stop)
            x = part.transpose(2, 1, 0, 3)[0] if series else part[0]
            if gaps is None:
                return x, None
            return x, gaps[start:stop, 0] if series else gaps[0, start:stop]

        runs = []
        for group in units.groups:

            def fetch(start: int, stop: int, group: slice = group) -> tuple[np.ndarray, np.ndarray | None]:
                x, found = rows(start, stop)
                return units.to_units(x[group], group)[None], units.missing(x[group], found)

            runs.append(self.restorer.bands(fetch, shape, noise))
        for made in zip(*runs, strict=True):
            band = made[0][0]
            x, found = (None, None) if self._double else rows(band.start, band.stop)
            parts = [
                self._values(
                    part, None if x is None else x[group], None if x is None else units.missing(x[group], found), group, units
                )
                for (_, part), group in zip(made, units.groups, strict=True)
            ]
            whole = np.concatenate(parts)
            length = band.stop - band.start
            yield self._joined(list(whole.transpose(1, 0, 2)[..., None]) if series else [whole], length)

    def _values(self, made: np.ndarray, x: np.ndarray | None, missing: np.ndarray | None, group: slice, units: Units) -> np.ndarray:
        """Restored units as values of the array's dtype; what was known stays, to inpaint, and what is no number, elsewhere."""
        values = cast_values(units.to_values(made, group), self.spec.real_dtype)
        if x is None or self._double or missing is None:
            return values
        if self.task == "inpaint":
            return values if self._noise else np.where(missing, values, x)
        return np.where(np.isfinite(x), values, x) if x.dtype.kind == "f" else values

    def _strength(self, parts: list[np.ndarray], units: Units) -> Strengths:
        """What the model is told; noise as one number for all channels."""
        span = units.span
        if self._noise is not None:
            noise = float(np.mean(self._noise / span))
        elif self.task == "denoise":
            flat = self.restorer.restores.series
            found = [[estimate_noise(x.reshape(1, -1) if flat else x) for x in part] for part in parts]
            noise = float(np.mean(np.median(np.array(found), 0) / span))
        else:
            noise = 0.0
        return Strengths(noise, self._blur, self._double)

    def _sampled(self, source: Sliced) -> list[np.ndarray]:
        """A few stretches of a long image or series, (channels, rows, columns) each."""
        if self.task != "denoise" or self._noise is not None:
            return []
        length = self.spec.length
        starts = np.unique(np.linspace(0, max(0, length - _SAMPLE_ROWS), _SAMPLES).astype(int) // 2 * 2)
        series = self.restorer.restores.series
        found = (self._canonical(source, int(a), min(length, int(a) + _SAMPLE_ROWS)) for a in starts)
        return [part.transpose(2, 1, 0, 3)[0] if series else part[0] for part in found]

    def _canonical(self, source: Sliced, start: int, stop: int) -> np.ndarray:
        stream = self.spec.axes.stream
        part = np.asarray(source[(slice(None),) * (stream or 0) + (slice(start, stop),)] if stream is not None else source[()])
        return self.spec.with_length(stop - start).to_canonical(part)

    def _parts(self, source: Sliced) -> Iterator[np.ndarray]:
        """The array a part at a time, canonical, to measure its range."""
        step = max(1, (1 << 22) * self.spec.length // max(1, int(np.prod(self.spec.shape))))
        for start in range(0, self.spec.length, step):
            yield self._canonical(source, start, min(self.spec.length, start + step))

    def _joined(self, frames: list[np.ndarray], length: int) -> np.ndarray:
        """Canonical frames as a part of the result in the user's axes."""
        spec = self.result.with_length(length)
        return spec.from_canonical(np.ascontiguousarray(np.stack(frames)).reshape(spec.canonical_shape))

    def _doubled(self) -> ArraySpec:
        letters = "t" if self.restorer.restores.series else "yx"
        shape = tuple(2 * n if a in letters else n for a, n in zip(self.spec.axes.letters, self.spec.shape, strict=True))
        return ArraySpec(self.spec.dtype, self.spec.axes, shape)


def _restorer(model: Model, task: str, settings: tuple[str, int, Limits], core: int) -> Restorer:
    """The model's own, or a denoising autoencoder in its place."""
    undone = usable(model.manifest) if model.manifest.restores is None else None
    if undone is not None and task in undone.tasks:
        return AutoencoderRestorer(model, undone, core)
    return Restorer(model, task, *settings, core)
