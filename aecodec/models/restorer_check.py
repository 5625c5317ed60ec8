"""Whether a model's restorer may be run and is what its manifest says, known before it is run."""

import math

from aecodec.errors import ModelError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.models.graph_check import SizedGraph
from aecodec.models.restores import Restores

_NOMINAL = (16, 24)  # rows and columns, in multiples, that it is tried on


def check_restorer(graph: bytes, restores: Restores, limits: Limits = DEFAULT_LIMITS) -> SizedGraph:
    """The graph of a restorer, from (n, planes, rows, columns) to (n, channels, rows, columns); ModelError or LimitError."""
    sized = SizedGraph(graph, limits)
    if len(sized.inputs) != 1:
        raise ModelError(f"the model's restorer has {len(sized.inputs)} inputs, 1 is expected")
    (value,) = sized.inputs.values()
    if value.dtype != "float32" or sized.output.dtype != "float32":
        raise ModelError(f"the model's restorer is from {value.dtype} to {sized.output.dtype}, float32 is due")
    for n, times in ((1, _NOMINAL), (2, _NOMINAL[::-1])):
        space = tuple(
            1 if restores.series and at == 0 else m * k for at, (m, k) in enumerate(zip(restores.multiple, times, strict=True))
        )
        sizes = sized.sizes((n, restores.planes, *space))
        due = (n, restores.channels, *space)
        if sizes.output != due:
            raise ModelError(f"the model's restorer makes {sizes.output} of {restores.planes} planes of {space}, {due} is due")
        each = -(-sizes.operations // (n * restores.channels * math.prod(space)))
        limits.check("graph_operations", each, f"the model's restorer takes {each} operations a value")
    return sized
