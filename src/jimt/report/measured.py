"""What was measured of a model, where it can be read: metrics, and the scores behind them."""

import numpy as np
from numpy.typing import NDArray

from jimt.report.study import Model, why_not


def has_metrics(model: Model) -> bool:
    """Whether its metrics can be read."""
    return why_not(model, "metrics") is None


def confidence_of(model: Model) -> float:
    """Coverage of its intervals: that of the metrics, which may have been evaluated again with another."""
    return float(model.metrics["confidence"] if has_metrics(model) else model.record.confidence)


def arrays(model: Model) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.object_] | None]:
    """Labels, scores and groups of the tested patches, each ``(n_patches,)``; None where groups are not known."""
    scores = model.scores
    known = bool(scores["group"].notna().all())
    return (
        scores["label"].to_numpy(np.int64),
        scores["score"].to_numpy(np.float64),
        scores["group"].to_numpy(object) if known else None,
    )
