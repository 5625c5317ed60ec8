"""From a chosen candidate to a bundle: integer weights as precise as the proof allows, graphs, manifest."""

import numpy as np

from aecodec.models.bundle import Bundle, encode_reference
from aecodec.models.candidates import Candidate, Fitter, make_bands
from aecodec.models.exact import prove_exact
from aecodec.models.linear import AXIS_BITS, LinearWeights, dct_matrix, decoder_graph, encoder_graph
from aecodec.models.manifest import Manifest
from aecodec.models.predictor_search import FittedPredictor

_HEADROOM = 4.0
_MAX_WEIGHT_BITS = 24
TRIVIAL_TILE = (1, 1, 1, 1)  # an autoencoder that only scales, where the predictor does all the work
_REFERENCE_FINE = 16.0  # parts of a lattice step: what the field is rounded by adds to the noise of all that is coded


def build_bundle(fitter: Fitter, candidate: Candidate, predictor: FittedPredictor | None, axes: str) -> Bundle:
    """Graphs, proof and manifest of the chosen candidate, spreads measured on all samples."""
    basis = np.eye(1) if candidate.tile == TRIVIAL_TILE else fitter.basis(candidate)
    statistics = fitter.statistics
    unit = statistics.unit
    offset = statistics.shift + (0.0 if candidate.reference else unit * statistics.mean())
    part, reference = None, None
    centre = statistics.mean()[:, None, None]
    if candidate.reference:
        steps = fitter.scale * fitter.lattice / _REFERENCE_FINE
        part, reference = encode_reference(unit[:, None, None] * statistics.mean_field(), unit * steps)
        centre = reference[:, statistics.window[0], statistics.window[1]] / unit[:, None, None]
    t = candidate.tile[0]
    samples = [s[: len(s) // t * t] for s in statistics.samples if len(s) >= t]
    y, _ = fitter.latents(samples, centre, candidate, basis)
    spreads = np.abs(y).mean(axis=0, dtype=np.float64)
    order = np.argsort(-spreads, kind="stable")
    weights, latent_unit, limit = _exact_weights(candidate.tile, basis, order, float(np.abs(y).max()), fitter.errors_given)
    decoder = decoder_graph(weights)
    prove_exact(decoder, limit)
    manifest = Manifest(
        family="linear",
        axes=axes,
        tile=candidate.tile,
        offset=tuple(offset.tolist()),
        scale=tuple((unit * fitter.scale).tolist()),
        bands=make_bands(spreads[order]),
        latent_unit=latent_unit,
        latent_limit=limit,
        exact=True,
        reference=statistics.shape if candidate.reference else None,
        predictor=predictor.layout if predictor is not None else None,
        provenance={"fitted_steps": statistics.steps, "method": "closed-form KLT x DCT"},
    )
    graph = predictor.graph if predictor is not None else None
    sites = predictor.sites if predictor is not None and candidate.reference else None
    bits = np.packbits(sites).tobytes() if sites is not None and sites.any() else None
    return Bundle(manifest, decoder, encoder_graph(weights), reference, part, graph, bits).sealed()


def _exact_weights(
    tile: tuple[int, int, int, int], basis: np.ndarray, order: np.ndarray, peak: float, fine: bool
) -> tuple[LinearWeights, float, int]:
    """Integer weights as precise as the proof allows, the latent unit, and the latent limit.

    The limit covers latents four times as large as the largest seen; the unit is a sixteenth of the finest useful step.
    """
    unit = 2.0**-4 if fine else 2.0**-14
    limit = 1 << int(np.ceil(np.log2(max(_HEADROOM * peak / unit, 2.0**16))))
    while limit > 1 << 34:
        limit, unit = limit >> 1, unit * 2.0
    rows, columns = (np.rint(dct_matrix(n) * 2.0**AXIS_BITS).astype(np.int64) for n in tile[2:])
    reach_channels = float(np.abs(basis).sum(axis=0).max())
    reach_space = float(np.abs(dct_matrix(tile[2])).sum(axis=0).max() * np.abs(dct_matrix(tile[3])).sum(axis=0).max())
    room = 53 - np.log2(limit) - np.log2(max(reach_channels, 1.0)) - np.log2(max(reach_space, 1.0)) - 0.5
    bits = int(min(_MAX_WEIGHT_BITS, np.floor(room)))
    channels = np.rint(basis * 2.0**bits).astype(np.int64)
    return LinearWeights(tile, bits, channels, rows, columns, order), unit, limit
