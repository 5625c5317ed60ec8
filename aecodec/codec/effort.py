"""What each `level` tries: the only place where effort is traded for size."""

from dataclasses import dataclass

from aecodec.errors import UsageError
from aecodec.models.search import MORE_PREDICTORS, PREDICTORS
from aecodec.packing.contexts import CELL_SIZES


@dataclass(frozen=True)
class Effort:
    """Latent steps as multiples of the lattice's, predictors and cells to compare, sample size, zstd's own level, and how many
    lossless plans to code in full."""

    multiples: tuple[float, ...]
    predictors: tuple[int, ...]
    cells: tuple[int, ...]
    sample_values: int
    zstd_level: int
    thorough: bool
    predicted: bool = True
    lossless_tries: int = 1


_FAST = Effort((1.4,), (0, PREDICTORS[2]), (0, 64), 1 << 15, 1, False, False)
_NORMAL = Effort((0.8, 1.1, 1.6, 2.8), PREDICTORS, CELL_SIZES, 1 << 16, 3, False)
_FINE = (0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0, 2.4, 2.8, 3.4, 4.0)
LEVELS = {
    1: _FAST,
    2: Effort(_FAST.multiples, PREDICTORS, (0, 64), 1 << 16, 1, False, False),
    3: Effort((1.0, 2.0), PREDICTORS, (0, 64), 1 << 16, 3, False),
    4: Effort((1.0, 1.4, 2.0), PREDICTORS, (0, 64), 1 << 17, 3, False),
    5: _NORMAL,
    6: Effort((0.7, 1.0, 1.4, 2.0, 2.8, 3.6), PREDICTORS, CELL_SIZES, 1 << 18, 6, False),
    7: Effort(_FINE, PREDICTORS + MORE_PREDICTORS, CELL_SIZES, 1 << 19, 9, True, 2),
    8: Effort(_FINE, PREDICTORS + MORE_PREDICTORS, CELL_SIZES, 1 << 20, 12, True, 3),
    9: Effort(_FINE, PREDICTORS + MORE_PREDICTORS, CELL_SIZES, 1 << 30, 19, True, 5),
}
DEFAULT_LEVEL = 5


def effort_of(level: int) -> Effort:
    """The effort of a level; UsageError outside 1 to 9."""
    if level not in LEVELS:
        raise UsageError(f"level={level!r} is outside 1 (fastest) to 9 (smallest)")
    return LEVELS[level]
