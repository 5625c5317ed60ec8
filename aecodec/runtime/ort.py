"""ONNX Runtime sessions: providers, threads, and honest errors about both."""

import numpy as np
import onnxruntime

from aecodec.errors import ModelError

_NAMES = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OrtRun:
    """One session. `run` is safe from many threads; creation is serialised by the caller."""

    def __init__(self, graph: bytes, provider: str, threads: int, optimise: bool = True, arena: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors come as exceptions
        # A pool of one or two threads that spins would take the cores from numpy and zstd.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Batches of tiles vary in size, and an arena would keep the largest of each; blocks of phases are small and many.
        options.enable_cpu_mem_arena = arena
        if not optimise:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = self._create(graph, options, provider)
        # get_available_providers() lists CUDA even where its libraries fail to load; the session knows.
        active = self._session.get_providers()
        if provider == "cuda" and active[0] != _NAMES["cuda"]:
            raise ModelError(
                f"provider='cuda' was asked for, but ONNX Runtime gave {active[0]}; check the CUDA and cuDNN libraries, "
                "or pass provider='cpu'"
            )
        self.provider = "cuda" if active[0] == _NAMES["cuda"] else "cpu"
        self._inputs = [value.name for value in self._session.get_inputs()]
        self._output = self._session.get_outputs()[0].name

    @staticmethod
    def _create(graph: bytes, options: onnxruntime.SessionOptions, provider: str) -> onnxruntime.InferenceSession:
        wanted = [_NAMES["cuda"], _NAMES["cpu"]] if provider in ("cuda", "auto") else [_NAMES["cpu"]]
        available = onnxruntime.get_available_providers()
        chosen = [name for name in wanted if name in available]
        try:
            # Falling back, from CUDA alone, is announced on the screen.
            return onnxruntime.InferenceSession(graph, options, providers=chosen, enable_fallback=int(len(chosen) > 1))
        except Exception as error:  # noqa: BLE001  # onnxruntime's own exceptions share no public base class
            raise ModelError(f"ONNX Runtime cannot load the model: {str(error)[:300]}") from None

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        """The output for the graph's inputs, in its order."""
        try:
            return np.asarray(self._session.run([self._output], dict(zip(self._inputs, arrays, strict=True)))[0])
        except Exception as error:  # noqa: BLE001  # as above
            raise ModelError(f"ONNX Runtime failed on input {arrays[0].shape} {arrays[0].dtype}: {str(error)[:300]}") from None
