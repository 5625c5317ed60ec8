"""Running model graphs: ONNX Runtime where it is installed, the reference executor otherwise. The only onnxruntime import."""

from aecodec.runtime.executor import Executor, load_executor

__all__ = ["Executor", "load_executor"]
