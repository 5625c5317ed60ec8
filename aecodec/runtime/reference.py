"""The second, independent executor: onnx's own reference implementation, pure numpy."""

import numpy as np
from onnx.reference import ReferenceEvaluator


class ReferenceRun:
    """One graph of one output."""

    def __init__(self, graph: bytes) -> None:
        import onnx

        self._evaluator = ReferenceEvaluator(onnx.load_model_from_string(graph))

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        """The output for the graph's inputs, in its order."""
        names = [str(name) for name in self._evaluator.input_names]
        (output,) = self._evaluator.run(None, dict(zip(names, arrays, strict=True)))
        return np.asarray(output)
