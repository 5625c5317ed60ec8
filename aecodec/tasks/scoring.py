"""Scores of a piece: how far its values, latents or code lengths are from those of normal data.

Each is about 1 for normal data where it is a distance: "reconstruction" is the root mean square of the errors, each channel's in
units of its normal spread; "latent" the Mahalanobis distance of the latents by the root of their number. "rate" is bits a value.
"""

from collections.abc import Callable

import numpy as np

from aecodec.codec.model import Model
from aecodec.errors import UsageError
from aecodec.tasks.normal import Normal
from aecodec.tasks.pieces import Piece
from aecodec.tasks.place_means import block_means

KINDS = ("reconstruction", "latent", "rate")


class Scorer:
    """Scores pieces by one of KINDS against `normal`."""

    def __init__(self, model: Model, kind: str, normal: Normal) -> None:
        if kind not in KINDS:
            raise UsageError(f"score={kind!r} is unknown; use {', '.join(KINDS)}")
        self.kind, self.normal, self.space = kind, normal, normal.space
        self.model = model
        if kind == "reconstruction" and normal.kept == self.space.width and self._lossless():
            raise UsageError(
                f"the model {model.id[:12]} keeps all of its input, so that reconstruction says nothing; "
                'pass keep= (a share of the variance such as 0.9, or a number of latents), or use score="latent" or "rate"'
            )

    def _lossless(self) -> bool:
        tile = self.model.manifest.tile
        return self.space.latents >= int(np.prod(tile))

    def __call__(self, piece: Piece) -> np.ndarray:
        """float64 (steps, channels, rows, columns): energy of each value's step, channel and tile place.

        Steps are the piece's own; rows and columns those of the tile grid.
        """
        made: dict[str, Callable[[Piece], np.ndarray]] = {
            "reconstruction": self._reconstruction,
            "latent": self._latent,
            "rate": self._rate,
        }
        return made[self.kind](piece)

    def finish(self, energy: np.ndarray) -> np.ndarray:
        """Scores of mean energies."""
        return energy if self.kind == "rate" else np.sqrt(energy)

    def _whitened(self, piece: Piece) -> np.ndarray:
        y = self.space.encode(piece.x, piece.origin)
        error = piece.x - self.normal.reconstruct(y, piece)
        return np.asarray(error / self.normal.spread.reshape(1, -1, 1, 1))

    def _reconstruction(self, piece: Piece) -> np.ndarray:
        return block_means(np.square(self._whitened(piece)), self.model.manifest.tile)

    def _latent(self, piece: Piece) -> np.ndarray:
        """Mean squared Mahalanobis distance, shared out among channels by reconstruction-based contributions (Alcala and Qin 2009).

        These are the squares of its gradient by each channel, over what they are for normal data.
        """
        y = self.space.encode(piece.x, piece.origin)
        distance = (np.square(self.normal.project(y)) / self.normal.variances).mean(axis=1)
        steps, rows, columns = self.space.grid(piece.shape)
        placed = distance.reshape(steps, 1, rows, columns).repeat(self.model.manifest.tile[0], axis=0)[: len(piece.x)]
        usual = np.maximum(self.normal.usual_influence, 1e-300).reshape(1, -1, 1, 1)
        shown = self.normal.influence(y, piece) / usual
        share = shown / np.maximum(shown.mean(axis=1, keepdims=True), 1e-300)
        return np.asarray(placed * np.where(shown.sum(axis=1, keepdims=True) > 0, share, 1.0))

    def _rate(self, piece: Piece) -> np.ndarray:
        """Code length in bits: latents' coordinates as Gaussian, what they leave as Laplacian, by the spreads of normal data.

        A two-part code (Rissanen 1978) with steps of a normal spread's hundredth, so that bits of a value, up to a constant,
        are the negative logarithm of its likelihood.
        """
        y = self.space.encode(piece.x, piece.origin)
        squares = np.square(self.normal.project(y)[:, : self.normal.kept]) / self.normal.variances[: self.normal.kept]
        steps, rows, columns = self.space.grid(piece.shape)
        tile = self.model.manifest.tile
        latent = 0.5 * np.log2(np.e) * squares.sum(axis=1) + squares.shape[1] * _GAUSSIAN_BITS
        values = tile[0] * piece.shape[1] * tile[2] * tile[3]
        placed = (latent / values).reshape(steps, 1, rows, columns).repeat(tile[0], axis=0)[: len(piece.x)]
        error = np.abs(piece.x - self.normal.reconstruct(y, piece)) / self.normal.spread.reshape(1, -1, 1, 1)
        residual = block_means(np.sqrt(2.0) * np.log2(np.e) * error + _LAPLACE_BITS, tile)
        return np.asarray(placed + residual)


_FINE = 0.01  # of a spread: the step of the code
_GAUSSIAN_BITS = float(0.5 * np.log2(2.0 * np.pi) - np.log2(_FINE))
_LAPLACE_BITS = float(np.log2(np.sqrt(2.0) / _FINE))
