"""Large variables of a dataset, written chunk by chunk where dask is installed, and otherwise loaded one after the other."""

import importlib.util
from collections.abc import Mapping
from typing import Any

LARGE = 1 << 26  # bytes of a variable above which it is written chunk by chunk


def chunked(dataset: Any, name: Any, sizes: Mapping[Any, int] | None) -> Any:
    """A variable, as a dask array of chunks of these sizes by dimension (None: of no known ones) if it is large."""
    variable = dataset.variables[name]
    large = variable.nbytes > LARGE and name not in dataset.indexes
    return variable.chunk(dict(sizes)) if large and sizes and importlib.util.find_spec("dask") is not None else variable


def replaced(dataset: Any, changed: Mapping[Any, Any]) -> Any:
    """The dataset with these variables instead of its own, coordinates as such."""
    coords = {name: variable for name, variable in changed.items() if name in dataset.coords}
    return dataset.assign({name: v for name, v in changed.items() if name not in coords}).assign_coords(coords)
