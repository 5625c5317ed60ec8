"""Values that are told to be 0, one by one, before anything else of them (normative: FORMAT.md, "Mode 7, predicted").

Where many values are exactly 0 - dry places, no echo, no ice - and others are far from it, what lies between two laws fits
neither. A predictor whose layout has zeros says the odds of each; what is coded is whether they were wrong.
"""

import numpy as np

from aecodec.codec.grouping import put_symbols, take_symbols
from aecodec.errors import FormatError
from aecodec.packing.groups import GroupedSymbols
from aecodec.packing.scale import INDICES
from aecodec.phases import ODDS, Phase, targets


def at_zero(exact: np.ndarray, zero: np.ndarray, spacing: int) -> np.ndarray:
    """Which values, real fine units, may be told to be 0, whose place is `zero`: those of its lattice cell, and not of its edge."""
    return np.asarray(np.abs(exact - zero) <= (spacing - 1) / 2)


def surprises(zeros: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Symbols, int32, that tell which values are 0: -1 where that is not what the index of the odds has one expect, else 0."""
    return -(zeros ^ (odds >= ODDS // 2)).astype(np.int32)


def skipped_of(free: np.ndarray | None, known: np.ndarray | None, phase: Phase) -> np.ndarray | None:
    """Which values of a phase nothing is coded of: those `free`, in frames, and those `known`, of the phase."""
    here = None if free is None else targets(free, phase)
    return known if here is None else here if known is None else here | known


def put_but(groups: list[list[np.ndarray]], symbols: np.ndarray, index: np.ndarray, skipped: np.ndarray | None) -> None:
    """Append the symbols of a phase, but those `skipped`, to the groups that `index` names."""
    wanted = ... if skipped is None else ~skipped
    put_symbols(groups, symbols[wanted].reshape(-1), index[wanted].reshape(-1))


def take_but(grouped: GroupedSymbols, index: np.ndarray, skipped: np.ndarray | None) -> np.ndarray:
    """The symbols of a phase, int32 of the shape of `index`, 0 where they are `skipped`."""
    if skipped is None:
        return take_symbols(grouped, index.reshape(-1)).reshape(index.shape)
    found = np.zeros(index.shape, np.int32)
    found[~skipped] = take_symbols(grouped, index[~skipped])
    return found


class ZerosPut:
    """Tells zeros of `reals`, frames of real fine units, but where they are `free`, by symbols put into `groups` by their odds.

    `zero`: their place, int32 that broadcasts to the frames. `frames`: where they are, bool.
    """

    def __init__(self, reals: np.ndarray, free: np.ndarray | None, zero: np.ndarray, spacing: int) -> None:
        self.groups: list[list[np.ndarray]] = [[] for _ in range(INDICES)]
        self.frames = np.zeros(reals.shape, bool)
        self._reals, self._free, self._spacing = reals, free, spacing
        self._zero = np.broadcast_to(zero, reals.shape)

    def tell(self, phase: Phase, odds: np.ndarray) -> np.ndarray:
        """Which values of the phase are 0."""
        zeros = at_zero(targets(self._reals, phase), targets(self._zero, phase), self._spacing)
        skipped = skipped_of(self._free, None, phase)
        if skipped is not None:
            zeros &= ~skipped
        put_but(self.groups, surprises(zeros, odds), odds, skipped)
        targets(self.frames, phase)[...] = zeros
        return zeros


class ZerosTaken:
    """The inverse: zeros by the symbols of `grouped`."""

    def __init__(self, grouped: GroupedSymbols, shape: tuple[int, ...], free: np.ndarray | None) -> None:
        self.frames = np.zeros(shape, bool)
        self._grouped, self._free = grouped, free

    def tell(self, phase: Phase, odds: np.ndarray) -> np.ndarray:
        """Which values of the phase are 0. FormatError for symbols that tell nothing."""
        skipped = skipped_of(self._free, None, phase)
        symbols = take_but(self._grouped, odds, skipped)
        if symbols.size and not -1 <= int(symbols.min()) <= int(symbols.max()) <= 0:
            worst = max(int(symbols.max()), -int(symbols.min()))
            raise FormatError(f"chunk tells zeros by a symbol of magnitude {worst}, where only 0 and -1 say something")
        zeros = np.asarray((symbols != 0) ^ (odds >= ODDS // 2))
        if skipped is not None:
            zeros &= ~skipped
        targets(self.frames, phase)[...] = zeros
        return zeros
