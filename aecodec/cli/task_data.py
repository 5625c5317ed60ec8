"""What commands of tasks read: an array, or an .aecz file as a Reader, with the axes that go with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aecodec.api.functions import load_model
from aecodec.api.reader import Reader
from aecodec.api.trust import Trust
from aecodec.cli.inputs import STDIO, parse_dtype, parse_shape, read_source
from aecodec.codec.model import Model
from aecodec.errors import ModelError, UsageError

Source = tuple[str | None, str | None, str | None]  # --dtype, --shape, --axes


@contextmanager
def task_data(name: str, source: Source, model: Model | None, provider: str, trust: Trust) -> Iterator[tuple[Any, str | None]]:
    """(array or Reader, axes) of an input; UsageError for what has no samples."""
    if name == STDIO:
        raise UsageError("this command goes through its input several times: name a file, not standard input")
    if name.endswith(".aecz"):
        with open_reader(name, model, provider, trust) as reader:
            yield reader, None
        return
    dtype, shape, axes = source
    found = read_source(name, parse_dtype(dtype), parse_shape(shape), axes)
    if found.array is None or found.metadata["source"] == "bytes":
        raise UsageError(f"{name} is no array: give .npy, an image, .aecz, or raw binary with --dtype and --shape")
    yield found.array, found.axes


def open_reader(name: str, model: Model | None, provider: str, trust: Trust) -> Reader:
    """A Reader by the file's own model, else by the one given."""
    try:
        return Reader(name, None, provider, trust=trust)
    except ModelError:
        if model is None:
            raise
        return Reader(name, model, provider, trust=trust)


def task_model(name: str | None, provider: str, trust: Trust) -> Model:
    """The model named by -m."""
    if name is None:
        raise UsageError("name a model with -m; of an .aecz file, --score stored needs none")
    return load_model(name, provider, limits=trust.limits)
