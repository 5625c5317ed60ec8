"""Running model graphs: ONNX Runtime where it is installed, the reference executor otherwise. The only onnxruntime import."""

from aecodec.runtime.executor import Executor, load_executor
from aecodec.runtime.sized import SizedExecutor

__all__ = ["Executor", "SizedExecutor", "load_executor"]
