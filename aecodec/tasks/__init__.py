"""What else a trained model gives: anomalies, features, neighbours; all from its ONNX graphs, piece by piece, without torch.

detector = aecodec.tasks.AnomalyDetector(model).fit(normal); found = detector.score("run.aecz"); found.events()
y = aecodec.tasks.features(array, model)
"""

from aecodec.tasks.anomaly import AnomalyDetector
from aecodec.tasks.changepoints import changepoints
from aecodec.tasks.features import features
from aecodec.tasks.neighbours import nearest
from aecodec.tasks.results import Event, Scores
from aecodec.tasks.stored_rates import chunk_rates, stored_bits
from aecodec.tasks.thresholds import Threshold, pot_threshold, quantile_threshold
from aecodec.tasks.windows import WindowDetector

__all__ = [
    "AnomalyDetector",
    "Event",
    "Scores",
    "Threshold",
    "WindowDetector",
    "changepoints",
    "chunk_rates",
    "features",
    "nearest",
    "pot_threshold",
    "quantile_threshold",
    "stored_bits",
]
