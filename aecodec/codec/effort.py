"""What each `level` tries: the only place where effort is traded for size.

Levels 1 and 2 code no latents under an error bound and have no model fitted: what they predict with is chosen on a small piece,
and their lattice is one whose bound is proven beforehand (fast_mode.py).
"""

from dataclasses import dataclass, replace

from aecodec.errors import UsageError
from aecodec.models.search import COLUMNS_AXIS, MORE_PREDICTORS, PREDICTORS, ROWS_AXIS, STEPS_AXIS
from aecodec.packing.residuals import CELL_SIZES

_MESSAGE = 1 << 12  # values


@dataclass(frozen=True)
class Effort:
    """Latent steps as multiples of the lattice's (none: no latents under a bound, and no model is fitted), predictors and cells
    to compare, sample size, zstd's own level, whether a model's predictor is tried, how many lossless plans are coded in full, and
    whether an encoder's correction may be left out where it is small.
    """

    multiples: tuple[float, ...]
    predictors: tuple[int, ...]
    cells: tuple[int, ...]
    sample_values: int
    zstd_level: int
    thorough: bool
    predicted: bool = True
    lossless_tries: int = 1
    quick: bool = True

    @property
    def latents(self) -> bool:
        """True if a model's latents are tried where every value has an error bound."""
        return bool(self.multiples)

    @property
    def chunk_values(self) -> int:
        """About how many values a chunk has; without latents less, since one layout then serves all its residual."""
        return 1 << 21

    def for_size(self, values: int) -> "Effort":
        """The effort for a chunk of so many values: of a message little is tried, since trying takes longer than coding."""
        if values > _MESSAGE or self.thorough:
            return self
        middle = len(self.multiples) // 2
        return replace(self, multiples=self.multiples[middle : middle + 1], cells=(0,), predicted=False)

    def for_glance(self) -> "Effort":
        """The effort for a first look at what is likely to come out too large."""
        middle = len(self.multiples) // 2
        return replace(self, multiples=self.multiples[middle : middle + 1], cells=(64,), sample_values=self.sample_values // 8)


_IN_PLANE = (0, COLUMNS_AXIS, ROWS_AXIS | COLUMNS_AXIS, STEPS_AXIS)  # what fast_lattice.py takes in one pass
_NORMAL = Effort((0.8, 1.1, 1.6, 2.8), PREDICTORS, CELL_SIZES, 1 << 15, 3, False)
_FINE = (0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0, 2.4, 2.8, 3.4, 4.0)
LEVELS = {
    1: Effort((), _IN_PLANE, (0, 64, 256), 1 << 13, 1, False, False),
    2: Effort((), _IN_PLANE, (0, 64), 1 << 15, 1, False, False),
    3: Effort((1.0, 2.0), PREDICTORS, (0, 64), 1 << 16, 3, False, False),
    4: Effort((1.0, 1.4, 2.0), PREDICTORS, (0, 64), 1 << 17, 3, False),
    5: _NORMAL,
    6: Effort((0.7, 1.0, 1.4, 2.0, 2.8, 3.6), PREDICTORS, CELL_SIZES, 1 << 18, 6, False, quick=False),
    7: Effort(_FINE, PREDICTORS + MORE_PREDICTORS, CELL_SIZES, 1 << 17, 9, True, True, 2, False),
    8: Effort(_FINE, PREDICTORS + MORE_PREDICTORS, CELL_SIZES, 1 << 17, 12, True, True, 3, False),
    9: Effort(_FINE, PREDICTORS + MORE_PREDICTORS, CELL_SIZES, 1 << 18, 19, True, True, 5, False),
}
DEFAULT_LEVEL = 5


def effort_of(level: int) -> Effort:
    """The effort of a level; UsageError outside 1 to 9."""
    if level not in LEVELS:
        raise UsageError(f"level={level!r} is outside 1 (fastest) to 9 (smallest)")
    return LEVELS[level]
