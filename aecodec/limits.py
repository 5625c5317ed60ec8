"""Every cap on what a file, a stream or a model may declare: all in one place, each with its reason.

A declared size is compared with its limit before anything of that size is allocated or run. A writer keeps to the same
limits, so that what it writes can be read without raising any.
"""

import os
from dataclasses import dataclass, field, fields
from pathlib import Path

from aecodec.errors import LimitError, UsageError

_UNKNOWN_MEMORY = 1 << 33
_CGROUP = Path("/sys/fs/cgroup/memory.max")
_READING = "if the source is trusted, raise it: limits=aecodec.Limits({name}=...)"


def physical_memory() -> int:
    """Bytes of memory that this machine has, or this container may use; 8 GiB where neither can be told."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN_MEMORY
    try:
        return min(found, int(_CGROUP.read_text()))
    except (OSError, ValueError):
        return found if found > 0 else _UNKNOWN_MEMORY


@dataclass(frozen=True)
class Limits:
    """Caps for reading what may be hostile; all are whole numbers of at least 1.

    Bytes of records as stored (FORMAT.md, section 1.1, names the defaults):
        header_bytes: one range per channel is about 40 bytes, so a million channels pass.
        metadata_bytes: notes, not arrays.
        model_bytes: a model file, and the same unpacked: zstd may expand a few kilobytes to this and no further.
        index_bytes: an index takes a few bytes a chunk.
        payload_bytes: one chunk record. Chunks never grow by more than a little, so this is just above `chunk_bytes`.

    Bytes as decoded:
        chunk_bytes: one chunk. Levels make chunks of up to 16 MiB or so; only a single step of the stream axis that is larger
            makes larger ones.
        work_bytes: what one chunk may take to decode, on each thread, by an estimate of its mode that is on the high side: up
            to 96 bytes a value with a model; by default the machine's memory.
        array_bytes: an array that is allocated here because no `out=` was given; by default the machine's memory.

    Shapes and numbers of things:
        dimensions: numpy's own limit is not far above.
        channels: each costs some bytes even in an array of no values.
        json_values: numbers, texts and brackets of a header or manifest, each of which becomes an object of up to 100 bytes.
        reference_values: the reference field of a model, which a few bytes can declare; 8 bytes each in memory.

    Graphs of models, embedded or given:
        graph_nodes: operators of one graph.
        graph_constants: elements of all its tensors that do not depend on the input, folded ones included; 8 bytes each at most.
        graph_elements: elements of all tensors that one run makes; 8 bytes each at most. Batches are made as small as it takes.
        graph_operations: multiplications and additions per value decoded; the largest networks that compress photographs
            take about half of this, a fitted model a few hundred.
    """

    header_bytes: int = 1 << 26
    metadata_bytes: int = 1 << 20
    model_bytes: int = 1 << 28
    index_bytes: int = 1 << 30
    payload_bytes: int = (1 << 30) + (1 << 24)
    chunk_bytes: int = 1 << 30
    work_bytes: int = field(default_factory=physical_memory)
    array_bytes: int = field(default_factory=physical_memory)
    dimensions: int = 32
    channels: int = 1 << 26
    json_values: int = 1 << 23
    reference_values: int = 1 << 26
    graph_nodes: int = 1 << 12
    graph_constants: int = 1 << 27
    graph_elements: int = 1 << 27
    graph_operations: int = 1 << 18

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if type(value) is not int or value < 1:
                raise UsageError(f"Limits({each.name}={value!r}): a limit is a whole number of at least 1")

    def check(self, name: str, found: float, declares: str, remedy: str = _READING) -> None:
        """LimitError if `found` is above the limit `name`; `declares` is the message's first part, e.g. "a chunk declares"."""
        limit: int = getattr(self, name)
        if found > limit:
            raise LimitError(f"{declares}, at most {limit} are allowed; {remedy.format(name=name)}")


DEFAULT_LIMITS = Limits()
