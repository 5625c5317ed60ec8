"""Latents as observations of a reinforcement-learning environment (extra `gymnasium`).

env = LatentObservation(AddRenderObservation(gymnasium.make("CartPole-v1", render_mode="rgb_array")), model, axes="yxc")
"""

from typing import Any

import numpy as np

from aecodec.codec.model import Model
from aecodec.errors import UsageError, require_extra
from aecodec.tasks.features import Pool, features

try:
    import gymnasium
except ImportError:
    raise require_extra("gymnasium", "gymnasium", "an observation wrapper") from None


class LatentObservation(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Observations (pixels, or any array of one shape) become their latents, float32 (features,).

    Args:
        env: with a Box as its observation space.
        model: of such observations.
        axes: one letter per dimension of an observation, e.g. "yxc".
        pool: "sample": all latents; "mean": their mean over the tiles.

    `reconstruct` decodes what the agent sees, for people to look at.
    """

    def __init__(self, env: Any, model: Model, axes: str, pool: Pool = "sample") -> None:
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, gymnasium.spaces.Box):
            raise UsageError(f"the observations are {type(space).__name__}, a Box of pixels or other numbers is needed")
        if "t" in axes or len(axes) != len(space.shape):
            raise UsageError(f"axes={axes!r}: one letter for each dimension of observations of shape {space.shape}, none of them t")
        if pool == "tile":
            raise UsageError("pool='tile' gives several rows; use 'sample' or 'mean'")
        self.model, self.axes, self.pool = model, axes, pool
        count = self.observation(np.zeros(space.shape, space.dtype)).shape
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, count, np.float32)

    def observation(self, observation: Any) -> np.ndarray:
        """Latents of one observation."""
        return features(np.asarray(observation)[None], self.model, "t" + self.axes, self.pool)[0]

    def reconstruct(self, observation: Any) -> np.ndarray:
        """What is left of an observation in its latents, in its shape."""
        whole = np.asarray(observation)[None]
        letters = "t" + self.axes
        return self.model.decode(self.model.encode(whole, letters), shape=whole.shape, axes=letters)[0]
