"""What normal data look like to a model: latents' mean and principal axes, and how well channels are reconstructed."""

from collections.abc import Iterable

import numpy as np

from aecodec.errors import ModelError, UsageError
from aecodec.tasks.latent_space import LatentSpace
from aecodec.tasks.pieces import Piece
from aecodec.tasks.place_means import block_means

_WIDEST = 2048  # of vectors whose covariance is found
_FLOOR = 1e-6  # of the mean variance: axes along which nothing varies
_ENOUGH = 5  # places for each latent


class Normal:
    """Principal axes of the latents of normal data, the subspace that is kept of them, and each channel's residual spread.

    `mean` (width,), `axes` (width, width) columns by falling variance, `variances` (width,): of the latents' vectors, their
    covariance shrunk towards a multiple of the identity (Ledoit and Wolf 2004) where there are few
    places for so many latents. `kept`: how many axes reconstruct.
    `spread` (channels,): root mean square of what these leave, in the data's units. `usual_influence` (channels,): the mean of
    `influence`.
    """

    def __init__(self, space: LatentSpace, keep: float | int | None) -> None:
        if space.width > _WIDEST:
            raise ModelError(
                f"the model has {space.width} latents a place, at most {_WIDEST} can be whitened; use a model of fewer latents or "
                f'smaller tiles, or score="rate" on a compressed file'
            )
        self.space, self.keep = space, keep

    def fit(self, pieces: Iterable[Piece]) -> "Normal":
        """Two passes over normal data. UsageError if they are too few."""
        width = self.space.width
        count, total, outer, fourth = 0, np.zeros(width), np.zeros((width, width)), 0.0
        first: np.ndarray | None = None
        for piece in pieces:
            y = self.space.encode(piece.x, piece.origin)
            first = y.mean(axis=0) if first is None else first  # so that sums of squares lose nothing
            y -= first
            count, total = count + len(y), total + y.sum(axis=0)
            outer += y.T @ y
            fourth += float((np.square(y).sum(axis=1) ** 2).sum())
        if first is None or count < 2:
            raise UsageError(f"normal data of {count} tile(s) given; at least 2 are needed, and several times the latents are wise")
        shift = total / count
        covariance = outer / count - np.outer(shift, shift)
        self.mean, self.count = first + shift, count
        values, vectors = np.linalg.eigh(_shrunk(covariance, count, fourth))
        self.variances, self.axes = values[::-1], np.ascontiguousarray(vectors[:, ::-1])
        self.kept = self._kept(np.maximum((self.axes * (covariance @ self.axes)).sum(axis=0), 0.0))
        channels = self.channels_of(pieces)
        squares, influences, values_seen, places = np.zeros(channels), np.zeros(channels), 0, 0
        for piece in pieces:
            y = self.space.encode(piece.x, piece.origin)
            error = piece.x - self.reconstruct(y, piece)
            squares += np.square(error).sum(axis=(0, 2, 3))
            values_seen += error.size // error.shape[1]
            influence = self.influence(y, piece)
            influences += influence.sum(axis=(0, 2, 3))
            places += influence.size // channels
        self.usual_influence = influences / places
        spread = np.sqrt(squares / values_seen)
        scale = np.resize(np.array(self.space.model.manifest.scale), spread.shape)
        self.spread = np.maximum(spread, 1e-6 * scale + 1e-300)
        return self

    @staticmethod
    def channels_of(pieces: Iterable[Piece]) -> int:
        """Channels of the data."""
        return next(iter(pieces)).x.shape[1]

    def _kept(self, variances: np.ndarray) -> int:
        width, keep = self.space.width, self.keep
        if keep is None:  # a model that keeps as much as it is given would reconstruct anything
            tile = self.space.model.manifest.tile
            keep = width if self.space.latents < int(np.prod(tile)) else 0.9
        if isinstance(keep, (int, np.integer)) and not isinstance(keep, bool):
            if not 0 <= keep <= width:
                raise UsageError(f"keep={keep} latents of {width}; use 0 to {width}, or a share of the variance such as 0.9")
            return int(keep)
        if not 0 < keep <= 1:
            raise UsageError(f"keep={keep} must be a share of the variance, more than 0 and at most 1, or a number of latents")
        shares = np.cumsum(variances) / max(float(variances.sum()), 1e-300)
        most = width if keep == 1 else width - 1  # something must be left to err by
        return min(most, int(np.searchsorted(shares, float(keep) - 1e-12)) + 1)

    def project(self, y: np.ndarray) -> np.ndarray:
        """Vectors (places, width) -> coordinates along the axes, float64 (places, width)."""
        return (y - self.mean) @ self.axes

    def influence(self, y: np.ndarray, piece: Piece) -> np.ndarray:
        """How steeply the Mahalanobis distance of vectors rises with each channel: squares, (steps, channels, rows, columns).

        The gradient by values is what the decoder makes of that by latents; steps are the piece's, rows and columns the tile
        grid's.
        """
        gradient = (self.project(y) / self.variances) @ self.axes.T
        length = np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-300)
        usual = float(np.sqrt(self.variances.sum()))  # as long as decoders see latents
        ahead = self.space.decode(self.mean + gradient * (usual / length), piece.shape, piece.origin)
        here = self.space.decode(np.broadcast_to(self.mean, y.shape), piece.shape, piece.origin)
        tile = self.space.model.manifest.tile
        steps, rows, columns = self.space.grid(piece.shape)
        slope = np.square(length / usual).reshape(steps, 1, rows, columns).repeat(tile[0], axis=0)[: len(piece.x)]
        return np.asarray(block_means(np.square(ahead - here), tile) * slope)

    def reconstruct(self, y: np.ndarray, piece: Piece) -> np.ndarray:
        """What the axes that are kept make of vectors: x_hat, float64 canonical."""
        if self.kept < self.space.width:
            axes = self.axes[:, : self.kept]
            y = self.mean + ((y - self.mean) @ axes) @ axes.T
        return self.space.decode(y, piece.shape, piece.origin)


def _shrunk(covariance: np.ndarray, count: int, fourth: float) -> np.ndarray:
    """The covariance, mixed with the identity as Ledoit and Wolf (2004) find best if places are few; never singular."""
    width = len(covariance)
    mean = float(np.trace(covariance)) / width
    distance = float(np.square(covariance - mean * np.eye(width)).sum())
    noise = max(0.0, (fourth / count - float(np.square(covariance).sum())) / count)
    share = min(1.0, noise / distance) if distance > 0 else 1.0
    if count >= _ENOUGH * width:  # it would hide what hardly varies, and so tells most
        share = 0.0
    return (1.0 - share) * covariance + (share * mean + _FLOOR * mean + 1e-300) * np.eye(width)
