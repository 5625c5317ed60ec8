"""The second, independent executor: onnx's own reference implementation, pure numpy, with one operator made faster."""

import numpy as np
from onnx.reference import ReferenceEvaluator

from aecodec.errors import ModelError
from aecodec.runtime.reference_ops import ConvTranspose


class ReferenceRun:
    """One graph of one output."""

    def __init__(self, graph: bytes) -> None:
        import onnx

        try:
            self._evaluator = ReferenceEvaluator(onnx.load_model_from_string(graph), new_ops=[ConvTranspose])
        except Exception as error:  # noqa: BLE001  # protobuf, onnx and numpy each have errors of their own
            raise ModelError(f"the reference executor cannot load the model: {str(error)[:300]}") from None

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        """The output for the graph's inputs, in its order."""
        names = [str(name) for name in self._evaluator.input_names]
        try:
            (output,) = self._evaluator.run(None, dict(zip(names, arrays, strict=True)))
        except Exception as error:  # noqa: BLE001  # as above
            raise ModelError(f"the reference executor failed on input {arrays[0].shape}: {str(error)[:300]}") from None
        return np.asarray(output)
