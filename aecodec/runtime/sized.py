"""Runs that are known to be small enough before they begin, and to have given what they should when they end."""

import numpy as np

from aecodec.errors import ModelError
from aecodec.models.graph_check import SizedGraph
from aecodec.runtime.executor import Executor


class SizedExecutor:
    """An executor of a checked graph. Pickles, survives forks, and can be shared by threads, as the executor within."""

    def __init__(self, executor: Executor, graph: SizedGraph) -> None:
        self._executor, self.graph = executor, graph

    @property
    def provider(self) -> str:
        """Who runs it."""
        return self._executor.provider

    def run(self, *arrays: np.ndarray) -> np.ndarray:
        """The graph's output for its inputs, in the graph's order; LimitError instead of a run that would take too much."""
        sizes = self.graph.sizes(*(array.shape for array in arrays))
        output = self._executor.run(*arrays)
        if output.shape != sizes.output or output.dtype != self.graph.output.dtype:
            raise ModelError(f"a model's graph returned {output.dtype} of {output.shape}, {sizes.output} is due")
        return output
