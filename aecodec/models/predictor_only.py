"""A model that only predicts, on lattices of any spacing, arrays of any number of channels and of any units.

A predictor sees whole numbers of a lattice's units and nothing of the values themselves, so one can serve arrays that have
nothing in common but how their values follow each other. Its autoencoder is the identity.
"""

from typing import Any

import numpy as np

from aecodec.models.build import TRIVIAL_TILE
from aecodec.models.bundle import Bundle
from aecodec.models.linear import AXIS_BITS, LinearWeights, decoder_graph, encoder_graph
from aecodec.models.manifest import Manifest
from aecodec.models.predictor_check import check_predictor
from aecodec.phases import PhaseLayout

_LATENT_LIMIT = 1 << 24
_WEIGHT_BITS = 8


def predictor_only(layout: PhaseLayout, graph: bytes, axes: str, family: str, provenance: dict[str, Any]) -> Bundle:
    """The bundle, sealed, its predictor proven exact; ModelError if it is not. `axes`: where the array's are not named."""
    check_predictor(graph, layout)
    one, first = np.ones((1, 1), np.int64), np.zeros(1, np.int64)
    weights = LinearWeights(TRIVIAL_TILE, _WEIGHT_BITS, one << _WEIGHT_BITS, one << AXIS_BITS, one << AXIS_BITS, first)
    manifest = Manifest(
        family=family,
        axes=axes,
        tile=TRIVIAL_TILE,
        offset=(0.0,),
        scale=(1.0,),
        bands=((1, 1.0),),
        latent_unit=2.0**-4,
        latent_limit=_LATENT_LIMIT,
        exact=True,
        predictor=layout,
        provenance=provenance,
        any_channels=True,
    )
    return Bundle(manifest, decoder_graph(weights), encoder_graph(weights), predictor=graph).sealed()
