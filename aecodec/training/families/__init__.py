"""Kinds of autoencoders, by name: each a small module that changes what the encoder sees, the latents or the loss."""

from typing import Any

from aecodec.errors import UsageError
from aecodec.training.families.denoising import Denoising
from aecodec.training.families.family import Family
from aecodec.training.families.sparse import Sparse
from aecodec.training.families.vanilla import Vanilla
from aecodec.training.families.variational import Variational

__all__ = ["FAMILIES", "Denoising", "Family", "Sparse", "Vanilla", "Variational", "family_of"]

FAMILIES: dict[str, Any] = {"vanilla": Vanilla, "sparse": Sparse, "denoising": Denoising, "variational": Variational}


def family_of(family: "str | Family") -> Family:
    """The family of that name with its defaults, or the one given; UsageError for unknown names."""
    if not isinstance(family, str):
        return family
    if family not in FAMILIES:
        raise UsageError(f"family={family!r} is unknown; use {', '.join(FAMILIES)}")
    return FAMILIES[family]()
