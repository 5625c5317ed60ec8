"""Choosing who runs a graph."""

import os
import threading
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from aecodec.errors import MissingExtraError, ModelError, UsageError

PROVIDERS = ("cpu", "cuda", "auto", "reference")
_warned = False


class Executor(Protocol):
    """Runs one graph of one output."""

    provider: str

    def run(self, *arrays: np.ndarray) -> np.ndarray:
        """The graph's output for its inputs, in the graph's order."""


def load_executor(graph: bytes, provider: str = "auto", threads: int = 1, arena: bool = False) -> Executor:
    """An executor for `graph` that can be shared by threads, pickled and forked.

    `provider`: "cpu", "cuda", "auto" (CUDA if it works, else CPU), or "reference" (numpy, slow, needs only onnx). Without ONNX
    Runtime, "auto" and "cpu" fall back to the reference executor with one warning; "cuda" is never replaced silently. `arena`
    keeps memory between runs, for graphs that run often on little.
    """
    check_provider(provider)
    if provider != "reference":
        try:
            import onnxruntime  # noqa: F401  # only to see whether it is there
        except ImportError:
            if provider == "cuda":
                raise MissingExtraError(
                    "provider='cuda' needs onnxruntime-gpu, which is not installed: pip install 'aecodec[gpu]'"
                ) from None
            _warn_once()
            provider = "reference"
    return LazyExecutor(graph, provider, threads, arena)


def check_provider(provider: str) -> None:
    """UsageError unless `provider` is one of PROVIDERS."""
    if provider not in PROVIDERS:
        raise UsageError(f"provider={provider!r} is unknown; use one of {', '.join(PROVIDERS)}")


def _warn_once() -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            "ONNX Runtime is not installed; models run on the slow reference executor, with the same result. "
            "pip install 'aecodec[cpu]' makes it fast",
            RuntimeWarning,
            stacklevel=4,
        )


class LazyExecutor:
    """Builds the real executor at first use in each process: sessions neither pickle nor survive a fork."""

    def __init__(self, graph: bytes, provider: str, threads: int, arena: bool = False) -> None:
        self.provider = provider
        self._arguments = (graph, provider, threads, arena)
        self._lock, self._home = threading.Lock(), os.getpid()
        self._run: Callable[..., np.ndarray] | None = None
        self._process = -1

    def __getstate__(self) -> dict[str, Any]:
        return {"arguments": self._arguments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(*state["arguments"])  # type: ignore[misc]  # the lock cannot travel, so all is built anew

    def run(self, *arrays: np.ndarray) -> np.ndarray:
        """The graph's output for its inputs, in the graph's order."""
        run = self._run
        if run is None or self._process != os.getpid():
            if self._home != os.getpid():  # another thread may have held the lock at the fork
                self._lock, self._home = threading.Lock(), os.getpid()
            with self._lock:
                if self._run is None or self._process != os.getpid():
                    self._run, self.provider = _build(*self._arguments)
                    self._process = os.getpid()
                run = self._run
        return run(*arrays)


def _build(graph: bytes, provider: str, threads: int, arena: bool) -> tuple[Callable[..., np.ndarray], str]:
    if provider == "reference":
        from aecodec.runtime.reference import ReferenceRun

        return ReferenceRun(graph), provider
    from aecodec.runtime.ort import OrtRun

    try:
        run = OrtRun(graph, provider, threads, arena=arena)
    except AttributeError as error:  # an incomplete installation of onnxruntime imports as an empty package
        raise ModelError(f"ONNX Runtime is broken ({error}); reinstall it: pip install --force-reinstall onnxruntime") from None
    return run, run.provider
