"""What a model says of itself, and the checks that a manifest from anywhere must pass."""

import hashlib
import math
from dataclasses import dataclass, field, fields
from typing import Any

from aecodec.container.layout import create_json
from aecodec.errors import ModelError
from aecodec.models.prior_layout import LARGEST_LIMIT, MOST_SLICES, PriorLayout
from aecodec.models.restores import Restores
from aecodec.models.suits import Suits
from aecodec.phases import ZERO, PhaseLayout

PARTS = (
    "encoder",
    "decoder",
    "reference",
    "predictor",
    "constant",
    *(f"prior-{i}" for i in range(MOST_SLICES)),
    "restorer",
    "sampler",
)
MAX_LATENTS = 1 << 20
MAX_TILE_VALUES = 1 << 24
MAX_TEXT = 256
MAX_CHANNELS = 1 << 20
MAX_COMPONENTS = 64
MAX_IN_ORDER = 1 << 10  # channels that are decoded one after the other


@dataclass(frozen=True)
class Manifest:
    """What a model says of itself.

    `tile`: (steps, channels, rows, columns) that the graphs see at once. `offset`, `scale`: float64 per channel; the graphs
    see (x - reference - offset) / scale. `bands`: (end, spread) of runs of latents, spreads in units of `scale`.
    `latent_unit`: power of two, the decoder's integers are in it. `latent_limit`: the largest magnitude it may be fed.
    `reference`: (channels, rows, columns) of the reference field, or None. `predictor`: how its graph is
    to be used, or None. `prior`: how latents come in slices, or None. `suits`: for which arrays it may be taken unasked, or None.
    `any_channels`: the one offset and scale serve every channel, of however many.
    `restores`: what its restorer can undo, or None. `samples`: components of the mixture that its latents are drawn from, or None.
    """

    family: str
    axes: str
    tile: tuple[int, int, int, int]
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    bands: tuple[tuple[int, float], ...]
    latent_unit: float
    latent_limit: int
    exact: bool
    reference: tuple[int, int, int] | None = None
    predictor: PhaseLayout | None = None
    prior: PriorLayout | None = None
    suits: Suits | None = None
    any_channels: bool = False
    restores: Restores | None = None
    samples: int | None = None
    parts: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    unknown: dict[str, Any] = field(default_factory=dict)  # keys of a later version: ignored, but part of the id

    @property
    def id(self) -> str:
        """SHA-256 that names the model, hexadecimal."""
        return hashlib.sha256(create_json(self.to_json())).hexdigest()

    @property
    def channels(self) -> int:
        """Channels of the arrays it serves, or 1 if it serves any number of them."""
        return len(self.offset)

    @property
    def most_channels(self) -> int:
        """Channels that arrays may have."""
        if not self.any_channels:
            return self.channels
        return MAX_IN_ORDER if self.predictor is not None and not self.predictor.channel_reach else MAX_CHANNELS

    def serves(self, channels: int) -> bool:
        """True if arrays may have so many channels."""
        return 1 <= channels <= self.most_channels if self.any_channels else channels == self.channels

    @property
    def latents(self) -> int:
        """Latents of a tile."""
        return self.bands[-1][0]

    def to_json(self) -> dict[str, Any]:
        """The manifest as a JSON object."""
        known = {name: value for name, value in self.__dict__.items() if name in _KNOWN}
        record = {**self.unknown, **known}
        for key in ("tile", "offset", "scale"):
            record[key] = list(record[key])
        record["bands"] = [list(band) for band in self.bands]
        record["parts"], record["provenance"] = dict(self.parts), dict(self.provenance)  # the caller's to change
        record["reference"] = list(self.reference) if self.reference else None
        if self.predictor is None:
            del record["predictor"]  # as in files of format 1.0, whose ids must not change
        else:
            record["predictor"] = _layout_json(self.predictor)
        if self.prior is None:
            del record["prior"]
        else:
            lists = {key: list(getattr(self.prior, key)) for key in ("ends", "kinds", "means")}
            record["prior"] = {**lists, "layout": _layout_json(self.prior.layout)}
        if self.suits is None:
            del record["suits"]  # likewise
        else:
            record["suits"] = self.suits.to_json()
        if not self.any_channels:
            del record["any_channels"]  # likewise
        optional = {"restores": self.restores and self.restores.to_json(), "samples": self.samples and {"components": self.samples}}
        for key, value in optional.items():
            if value is None:
                del record[key]  # likewise
            else:
                record[key] = value
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Manifest":
        """Parse and validate; the record may be hostile."""
        try:
            manifest = cls(
                family=_text(record["family"]),
                axes=_text(record["axes"]),
                tile=_four(record["tile"]),
                offset=tuple(_real(v) for v in record["offset"]),
                scale=tuple(_real(v) for v in record["scale"]),
                bands=tuple((_whole(end), _real(spread)) for end, spread in record["bands"]),
                latent_unit=_real(record["latent_unit"]),
                latent_limit=_whole(record["latent_limit"]),
                exact=_flag(record["exact"]),
                reference=_three(record["reference"]) if record["reference"] else None,
                predictor=_layout(record.get("predictor")),
                prior=_prior(record.get("prior")),
                suits=Suits.from_json(record["suits"]) if "suits" in record else None,
                any_channels=_flag(record.get("any_channels", False)),
                restores=Restores.from_json(record["restores"]) if "restores" in record else None,
                samples=_whole(record["samples"]["components"]) if "samples" in record else None,
                parts={_text(k): _text(v) for k, v in record["parts"].items()},
                provenance=dict(record["provenance"]),
                unknown={key: value for key, value in record.items() if key not in _KNOWN},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelError(f"malformed model manifest: {type(error).__name__} {error}") from None
        manifest._validate()
        return manifest

    def _validate(self) -> None:
        ends = [end for end, _ in self.bands]
        spreads = [spread for _, spread in self.bands]
        mantissa, _ = math.frexp(self.latent_unit) if math.isfinite(self.latent_unit) else (0.0, 0)
        checks = {
            f"tile sizes must be 1 to 4096, their product at most {MAX_TILE_VALUES}": all(1 <= n <= 4096 for n in self.tile)
            and math.prod(self.tile) <= MAX_TILE_VALUES,
            "offset and scale need one finite number per channel": 1 <= len(self.offset) == len(self.scale) <= MAX_CHANNELS
            and all(math.isfinite(v) for v in self.offset)
            and all(math.isfinite(v) and v > 0 for v in self.scale),
            "bands must rise and have finite spreads": bool(ends)
            and all(a < b for a, b in zip([0, *ends], ends, strict=False))
            and ends[-1] <= MAX_LATENTS
            and all(math.isfinite(s) and s >= 0 for s in spreads),
            "latent_unit must be a power of two": mantissa == 0.5,
            "latent_limit must be 1 to 2**53": 1 <= self.latent_limit <= 2**53,
            "reference must have the model's channels": self.reference is None
            or (self.reference[0] == self.channels and all(n >= 1 for n in self.reference)),
            f"parts must be among {', '.join(PARTS)}": set(self.parts) <= set(PARTS) and "decoder" in self.parts,
            "predictor must have a reach of 1 to 32, a power of two, and known sources": self.predictor is None
            or self.predictor.is_sound(),
            f"a predictor that takes channels one by one serves at most {MAX_IN_ORDER}": self.predictor is None
            or self.predictor.channel_reach > 0
            or self.channels <= MAX_IN_ORDER,
            "predictor and its layout must come together": ("predictor" in self.parts) == (self.predictor is not None),
            f"prior must have 2 to {MOST_SLICES} slices up to the latents, an exact decoder, a part each, tiles of all channels": (
                self.prior is None and not any(name.startswith("prior") for name in self.parts)
            )
            or (self.prior is not None and self._prior_fits(self.prior)),
            "any_channels needs one offset, tiles of one channel, and no reference field or prior": not self.any_channels
            or (self.channels == self.tile[1] == 1 and self.reference is None and self.prior is None),
            "restorer and restores must come together": ("restorer" in self.parts) == (self.restores is not None),
            "sampler and samples must come together": ("sampler" in self.parts) == (self.samples is not None),
            f"samples must have 1 to {MAX_COMPONENTS} components": self.samples is None or 1 <= self.samples <= MAX_COMPONENTS,
            "constant sites need a reference field": "constant" not in self.parts or self.reference is not None,
        }
        for rule, holds in checks.items():
            if not holds:
                raise ModelError(f"invalid model manifest: {rule}")

    def _prior_fits(self, prior: PriorLayout) -> bool:
        names = {f"prior-{i}" for i in range(len(prior.ends))}
        return (
            prior.is_sound()
            and bool(self.bands)
            and ZERO not in prior.layout.sources
            and prior.ends[-1] == self.latents
            and self.exact
            and self.latent_limit <= LARGEST_LIMIT
            and names == {name for name in self.parts if name.startswith("prior")}
            and self.tile[1] == self.channels
            and (prior.layout.channel_reach > 0 or prior.ends[0] <= MAX_IN_ORDER)
        )


_KNOWN = {each.name for each in fields(Manifest)} - {"unknown"}


def _layout(record: Any) -> PhaseLayout | None:
    if record is None:
        return None
    if not isinstance(record, dict):
        raise TypeError(f"{str(record)[:40]!r} is no predictor's layout")
    if unknown := set(record) - {each.name for each in fields(PhaseLayout)}:
        raise ValueError(f"predictor has unknown keys {', '.join(sorted(unknown))[:80]}; upgrade aecodec to use the model")
    sources = tuple(_text(name) for name in record["sources"])
    reach, channel_reach, classes = (_whole(record[key]) for key in ("reach", "channel_reach", "classes"))
    more = _whole(record.get("spacing", 0)), _flag(record.get("zeros", False))
    return PhaseLayout(reach, channel_reach, classes, sources, _flag(record["offsets"]), *more)


def _layout_json(layout: PhaseLayout) -> dict[str, Any]:
    # Newer keys are absent where they say nothing, as from ids of before.
    known = {name: value for name, value in layout.__dict__.items() if name not in ("spacing", "zeros") or value}
    return {**known, "sources": list(layout.sources)}


def _prior(record: Any) -> PriorLayout | None:
    if record is None:
        return None
    if not isinstance(record, dict) or set(record) != {"ends", "layout", "kinds", "means"}:
        raise TypeError(f"{str(record)[:40]!r} is no prior")
    layout = _layout(record["layout"])
    if layout is None:
        raise TypeError("a prior needs a layout")
    ends, kinds = (tuple(_whole(n) for n in record[key]) for key in ("ends", "kinds"))
    return PriorLayout(ends, layout, kinds, tuple(_flag(m) for m in record["means"]))


def _four(values: Any) -> tuple[int, int, int, int]:
    a, b, c, d = (_whole(v) for v in values)
    return a, b, c, d


def _three(values: Any) -> tuple[int, int, int]:
    a, b, c = (_whole(v) for v in values)
    return a, b, c


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{str(value)[:40]!r} is no whole number")
    return value


def _real(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"{str(value)[:40]!r} is no number")
    return float(value)


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError(f"{str(value)[:40]!r} is neither true nor false")
    return value


def _text(value: Any) -> str:
    if type(value) is not str or len(value) > MAX_TEXT:
        raise TypeError(f"{str(value)[:40]!r} is no text of at most {MAX_TEXT} characters")
    return value
