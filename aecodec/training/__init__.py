"""Training networks in torch (extra `train`): the only place that imports it.

model = aecodec.training.train("winds/", axes="tcyx", max_error=0.05, time_budget="10m")
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from aecodec.errors import require_extra

for _module in ("torch", "safetensors"):
    if find_spec(_module) is None:
        raise require_extra(_module, "train", "training")

from aecodec.training.data import TrainingData, open_data  # noqa: E402  # after the check, whose message is the better one
from aecodec.training.families import Denoising, Sparse, Variational  # noqa: E402
from aecodec.training.monitor import Snapshot  # noqa: E402
from aecodec.training.objective import Objective  # noqa: E402
from aecodec.training.outcome import Outcome, TrainingError  # noqa: E402
from aecodec.training.plan import Plan  # noqa: E402
from aecodec.training.train import train  # noqa: E402

if TYPE_CHECKING:
    from aecodec.training.tune import tune

__all__ = [
    "Denoising",
    "Objective",
    "Outcome",
    "Plan",
    "Snapshot",
    "Sparse",
    "TrainingData",
    "TrainingError",
    "Variational",
    "open_data",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    """`tune` on first use, for it brings Optuna."""
    if name != "tune":
        raise AttributeError(f"module 'aecodec.training' has no attribute {name!r}")
    if find_spec("optuna") is None:
        raise require_extra("optuna", "train", "tuning")
    from aecodec.training.tune import tune

    globals()["tune"] = tune  # the module has taken the name
    return tune
