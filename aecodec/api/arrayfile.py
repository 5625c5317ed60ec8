"""An array file before anything is decoded: its parts as one array, and what of it is missing."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from aecodec.api.header import Header, alike, check_alike
from aecodec.api.trust import DEFAULT_TRUST, Trust
from aecodec.codec.chunk import ChunkCoder
from aecodec.container.layout import PREFIX_SIZE, Kind
from aecodec.container.parts import Part
from aecodec.container.reader import ContainerReader
from aecodec.errors import ChecksumError, FormatError, MissingError, TruncatedError
from aecodec.limits import Limits

Ranges = list[tuple[int, int]]
_REMEDY = 'read the rest with on_error="skip", or save it to a new file with `aecodec recover`'


class ArrayFile:
    """Snapshot of a file. `headers`: of each part, None where the record is damaged; `spec`: of all parts together."""

    def __init__(self, container: ContainerReader, trust: Trust = DEFAULT_TRUST) -> None:
        self.trust = trust
        headers = [_header(part, trust.limits) for part in container.parts]
        first = next((header for header in headers if header is not None), None)
        if first is None:
            raise _headless(container.parts[0])
        strangers = {n for n, header in enumerate(headers) if header is not None and not alike(first, header)}
        doubtful = {n for n in strangers if container.parts[n].doubtful}
        if doubtful:  # bytes inside a damaged chunk that look like a file
            container, headers = container.without(doubtful), [h for n, h in enumerate(headers) if n not in doubtful]
        for part, header in zip(container.parts, headers, strict=True):
            if header is not None:
                check_alike(first, header, f"the part of the file that begins at byte {part.base}")
        self.container, self.headers, self.header = container, headers, first
        self.spec = first.spec.with_length(self._checked_length())
        self.coders: dict[int, ChunkCoder] = {}  # of parts, as far as chunks were decoded

    def take_coders(self, before: "ArrayFile") -> None:
        """Use the coders of an earlier state of the file for the parts that are still the same."""
        for number, coder in before.coders.items():
            if number < len(self.headers) and self.container.parts[number].preamble == before.container.parts[number].preamble:
                self.coders[number] = coder

    def _checked_length(self) -> int:
        parts, spec = self.container.parts, self.header.spec
        for part, header in zip(parts, self.headers, strict=True):
            if header is not None:
                self.trust.check_chunk(header.spec.with_length(int(part.index.counts.max(initial=0))))
        length = int(self.container.part_starts[-1])
        if spec.axes.stream is not None:
            return length
        if len(parts) > 1:
            raise FormatError(
                f"the file has {len(parts)} parts, but arrays with axes={spec.axes.letters!r} have no axis to be joined along"
            )
        if length != 1 and 0 not in spec.shape:
            raise (
                TruncatedError("the only chunk is missing: the file was cut off")
                if not length
                else FormatError(f"{length} chunks, not 1")
            )
        return length

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return self.container.index.starts.size

    def span(self, number: int) -> tuple[int, int]:
        """Start and stop of a chunk along the stream axis."""
        return int(self.container.index.starts[number]), int(self.container.ends[number])

    @cached_property
    def missing(self) -> Ranges:
        """Ranges of the stream axis known to be missing without decoding: gaps between chunks, and parts without a header."""
        starts = self.container.part_starts
        headless = [(int(starts[n]), int(starts[n + 1])) for n, header in enumerate(self.headers) if header is None]
        return merged([*map(tuple, self.container.gaps().tolist()), *headless])

    @cached_property
    def certain(self) -> int:
        """Steps before this one are where they were written: behind a part that lost its end an unknown number is missing."""
        torn = [n for n, part in enumerate(self.container.parts[:-1]) if not part.finished]
        return int(self.container.part_starts[torn[0] + 1]) if torn else self.spec.length

    def require_certain(self, stop: int) -> None:
        """MissingError if steps up to `stop` are not all where they were written."""
        if stop > self.certain:
            raise MissingError(
                f"a part of the file lost its end, so that an unknown number of steps is missing before step {self.certain} of "
                f"{self.axis_name}; {_REMEDY}",
                self.certain,
                self.certain,
            )

    def require(self, steps: range | np.ndarray) -> None:
        """MissingError if any of `steps` is known to be missing."""
        if not self.missing or not len(steps):
            return
        if isinstance(steps, range):
            rising = steps if steps.step > 0 else steps[::-1]
            # Of each gap, the first of the steps that does not lie before it.
            first = [rising[0] + max(0, -((rising[0] - start) // rising.step)) * rising.step for start, _ in self.missing]
            hit = [number <= rising[-1] and number < gap[1] for number, gap in zip(first, self.missing, strict=True)]
        else:
            starts, stops = np.array(self.missing).T
            places = np.searchsorted(starts, steps, side="right") - 1
            hit = np.bincount(places[(places >= 0) & (steps < stops[places])], minlength=1).astype(bool).tolist()
        if any(hit):
            raise self.missing_error(*self.missing[hit.index(True)])

    @property
    def axis_name(self) -> str:
        """The stream axis, for messages."""
        stream = self.spec.axes.stream
        return "the array" if stream is None else f"axis {self.spec.axes.letters[stream]!r}"

    def missing_error(self, start: int, stop: int, chunk: int | None = None, reason: str = "") -> MissingError:
        """The error to raise where steps from `start` to `stop` are asked for."""
        steps = f"{steps_text([(start, stop)])} of {self.axis_name}" if self.spec.axes.stream is not None else "the array"
        what = f"chunk {chunk}, which holds {steps}, is damaged: {reason}"
        if chunk is None:
            what = f"{steps} {'are' if self.spec.axes.stream is not None else 'is'} missing: no sound chunk is there"
        return MissingError(f"{what}; {_REMEDY}", start, stop, chunk)


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Ranges in order, those that touch or overlap as one, empty ones left out."""
    joined: Ranges = []
    for start, stop in sorted(ranges):
        if start >= stop:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def steps_text(ranges: Ranges, most: int = 8) -> str:
    """Ranges for people: steps 5 to 9, 20 to 24."""
    shown = ", ".join(f"{start} to {stop - 1}" if stop - start > 1 else f"{start}" for start, stop in ranges[:most])
    return f"steps {shown}" + (f" and {len(ranges) - most} more ranges" if len(ranges) > most else "")


def _header(part: Part, limits: Limits) -> Header | None:
    return None if Kind.HEADER in part.preamble.damaged else Header.from_json(part.preamble.header, limits)


def _headless(part: Part) -> ChecksumError:
    reason = part.preamble.damaged[Kind.HEADER]
    return ChecksumError(
        f"the header record at byte {part.base + PREFIX_SIZE} is damaged ({reason}), and without it nothing says what the chunks "
        "hold; take the file, or at least its beginning up to the first chunk, from a copy"
    )
