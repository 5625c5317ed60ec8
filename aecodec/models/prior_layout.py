"""How a model's latents come in slices, each expected from those before (normative: FORMAT.md, "Priors")."""

from dataclasses import dataclass

from aecodec.phases import PhaseLayout

FINE = 16  # parts of a step that latents are whole numbers of
OUTPUT_FINE = 64  # parts of a step that a decoder of maps makes whole numbers of
LARGEST_INDEX = 45
SHIFT = (
    2  # from the scale index that a prior says to the group's: mean magnitudes are 2**((index - 14) / 2), the groups' from 2**-8 on
)
MOST_SLICES, MOST_KINDS = 8, 64
LARGEST_LIMIT = (1 << 24) - 1


@dataclass(frozen=True)
class PriorLayout:
    """`ends` of the slices; `layout`: how the first is walked; `kinds`: steps at which another kind begins; which have `means`."""

    ends: tuple[int, ...]
    layout: PhaseLayout
    kinds: tuple[int, ...]
    means: tuple[bool, ...]

    def kind(self, step: int) -> int:
        """The kind of a quantizer step."""
        return sum(start <= step for start in self.kinds)

    @property
    def widths(self) -> tuple[int, ...]:
        """Latents of each slice."""
        return tuple(end - start for start, end in zip((0, *self.ends), self.ends, strict=False))

    def is_sound(self) -> bool:
        """True if a file may ask for this."""
        return (
            1 < len(self.ends) <= MOST_SLICES
            and all(width > 0 for width in self.widths)
            and len(self.means) == len(self.ends) - 1
            and len(self.kinds) <= MOST_KINDS
            and all(a < b for a, b in zip((0, *self.kinds), self.kinds, strict=False))
            and self.layout.is_sound()
        )
