"""What the variables of a dataset are: their axes, which of them may lose anything, and within which bound (CF conventions)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aecodec.errors import UsageError
from aecodec.fidelity import Fidelity, fidelity_from_options

Demand = float | Mapping[str, float] | None

_AXIS = {"T": "t", "Z": "z", "Y": "y", "X": "x"}
_STANDARD_NAMES = {
    "t": ("time", "forecast_period", "forecast_reference_time"),
    "y": ("latitude", "projection_y_coordinate", "grid_latitude"),
    "x": ("longitude", "projection_x_coordinate", "grid_longitude"),
    "z": ("air_pressure", "height", "depth", "altitude", "model_level_number"),
}
_NAMES = {
    "t": ("time", "t", "valid_time", "step", "date"),
    "y": ("lat", "latitude", "y", "rlat", "nlat", "j", "south_north", "ny"),
    "x": ("lon", "longitude", "x", "rlon", "nlon", "i", "west_east", "nx"),
    "z": ("lev", "level", "plev", "z", "depth", "height", "altitude", "isobaricInhPa", "pressure_level", "bottom_top"),
}
_UNITS = {"degrees_north": "y", "degree_north": "y", "degrees_east": "x", "degree_east": "x"}
_FLAGS = ("flag_values", "flag_meanings", "flag_masks")


@dataclass(frozen=True)
class Bounds:
    """Demands on a dataset: a number for all variables that may lose something, or numbers by name, for each kind of fidelity.

    A variable that is named takes its own; others what is asked of all, if anything is, or else lose nothing.
    """

    demands: Mapping[str, Demand]

    def __post_init__(self) -> None:
        general = [kind for kind, demand in self.demands.items() if demand is not None and not isinstance(demand, Mapping)]
        if len(general) > 1:
            raise UsageError(f"{' and '.join(general)} are asked of all variables; ask for one, and name variables for others")

    def names(self) -> set[str]:
        """All variables that are named."""
        return {name for demand in self.demands.values() if isinstance(demand, Mapping) for name in demand}

    def fidelity(self, name: str) -> Fidelity:
        """What is asked of a variable that may lose something."""
        own = {kind: demand[name] for kind, demand in self.demands.items() if isinstance(demand, Mapping) and name in demand}
        if not own:
            own = {kind: demand for kind, demand in self.demands.items() if isinstance(demand, (int, float))}
        return fidelity_from_options(**own)  # type: ignore[arg-type]  # which checks them

    def check(self, dataset: Any) -> None:
        """UsageError for names that the dataset does not have, or that must not lose anything."""
        for name in sorted(self.names()):
            if name not in dataset.variables:
                raise UsageError(f"a bound is given for {name!r}; the dataset has {', '.join(map(str, dataset.data_vars))}")
            if reason := why_exact(dataset, name):
                raise UsageError(f"a bound is given for {name!r}, which is {reason} and kept exactly; leave it out")


def why_exact(dataset: Any, name: str) -> str | None:
    """Why a variable must not lose anything whatever is asked, in words; None if it may."""
    variable = dataset.variables[name]
    if name in dataset.coords or name in dataset.dims:
        return "a coordinate"
    if any(key in variable.attrs for key in _FLAGS):
        return "a mask or flag"
    if variable.dtype.kind not in "iufc":
        return f"of {variable.dtype} values"
    if " since " in str(variable.attrs.get("units", "")):
        return "a time"
    for other in dataset.variables.values():
        for key in ("bounds", "climatology", "grid_mapping", "coordinates"):
            if name in str(other.attrs.get(key, other.encoding.get(key, ""))).replace(":", " ").split():
                return f"named as the {key} of another variable"
    return None


def may_lose(dataset: Any, name: str, bounds: Bounds) -> bool:
    """True if a variable is one whose bound counts: floats, packed floats, and integers that are named."""
    if why_exact(dataset, name) is not None:
        return False
    variable = dataset.variables[name]
    packed = "scale_factor" in variable.attrs or "add_offset" in variable.attrs
    return variable.dtype.kind in "fc" or packed or name in bounds.names()


def axes_of(dataset: Any, name: str) -> str:
    """One letter per dimension of a variable: time `t`, horizontal `y x`, levels `c` beside time and `z` without, others `c`."""
    variable = dataset.variables[name]
    found: list[str] = []
    for dimension in variable.dims:
        letter = _letter(dataset, dimension)
        found.append(letter if letter not in found else "c")
    if not {"y", "x"} & set(found) and len(found) >= 2 and found[-2:] == ["c", "c"]:
        found[-2:] = ["y", "x"]  # nothing is known of them, and neighbours are mostly alike
    elif found == ["c"]:
        found = ["t"]
    if "t" in found:
        found = ["c" if letter == "z" else letter for letter in found]
    return "".join(found)


def _letter(dataset: Any, dimension: Any) -> str:
    coordinate = dataset.variables.get(dimension)
    attributes = {} if coordinate is None else {**coordinate.encoding, **coordinate.attrs}
    if str(attributes.get("axis", "")).upper() in _AXIS:
        return _AXIS[str(attributes["axis"]).upper()]
    for letter, names in _STANDARD_NAMES.items():
        if attributes.get("standard_name") in names:
            return letter
    units = str(attributes.get("units", ""))
    if " since " in units or (coordinate is not None and coordinate.dtype.kind == "M"):
        return "t"
    if "positive" in attributes:
        return "z"
    if units in _UNITS:
        return _UNITS[units]
    return next((letter for letter, names in _NAMES.items() if str(dimension) in names), "c")
