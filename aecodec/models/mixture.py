"""The mixture of normal distributions that latents are drawn from (normative: FORMAT.md, "Sampler"); its bytes may be hostile."""

from dataclasses import dataclass

import numpy as np

from aecodec.errors import ModelError

MOST_LATENTS = 512  # of a tile whose covariances are kept
_REMEDY = "supply the model again, it is damaged"


@dataclass(frozen=True)
class Mixture:
    """`weights` (K,), positive, their sum 1; `means` (K, L); `factors` (K, L, L), lower triangular, of the covariances."""

    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray

    def sample(self, count: int, rng: np.random.Generator, spread: float = 1.0) -> np.ndarray:
        """Latents, float32 (count, L); `spread` below 1 keeps them nearer to their component's mean."""
        chosen = rng.choice(len(self.weights), size=count, p=self.weights)
        drawn = rng.standard_normal((count, self.means.shape[1]))
        moved = np.einsum("nij,nj->ni", self.factors[chosen], drawn)
        return np.asarray(self.means[chosen] + spread * moved, np.float32)

    def to_bytes(self) -> bytes:
        """The model part."""
        rows, columns = np.tril_indices(self.means.shape[1])
        parts = (self.weights, self.means, self.factors[:, rows, columns])
        return b"".join(np.ascontiguousarray(part, "<f4").tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, part: bytes, components: int, latents: int) -> "Mixture":
        """The inverse of `to_bytes`; ModelError for what is none."""
        triangle = latents * (latents + 1) // 2
        due = 4 * components * (1 + latents + triangle)
        if latents > MOST_LATENTS or len(part) != due:
            raise ModelError(
                f"the model's sampler has {len(part)} bytes, {due} are due for {components} components of {latents} latents "
                f"(at most {MOST_LATENTS}); {_REMEDY}"
            )
        values = np.frombuffer(part, "<f4").astype(np.float64)
        weights, rest = values[:components], values[components:]
        if not np.isfinite(values).all() or not (weights > 0).all():
            raise ModelError(f"the model's sampler has values that are not finite, or weights that are not positive; {_REMEDY}")
        means = rest[: components * latents].reshape(components, latents)
        factors = np.zeros((components, latents, latents))
        rows, columns = np.tril_indices(latents)
        factors[:, rows, columns] = rest[components * latents :].reshape(components, triangle)
        return cls(weights / weights.sum(), means, factors)
