"""The second, independent executor: onnx's own reference implementation, pure numpy."""

import numpy as np
from onnx.reference import ReferenceEvaluator


class ReferenceRun:
    """One graph of one input and one output."""

    def __init__(self, graph: bytes) -> None:
        import onnx

        self._evaluator = ReferenceEvaluator(onnx.load_model_from_string(graph))

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """The output for `array`."""
        (output,) = self._evaluator.run(None, {str(name): array for name in self._evaluator.input_names})
        return np.asarray(output)
