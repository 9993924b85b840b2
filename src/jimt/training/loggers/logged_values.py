"""What every logger shows of an evaluation: metrics by name, and a sample of patches."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.weighted_patches import is_right
from jimt.vocabulary import DEAD, LIVE


def metric_values(metrics: dict[str, Any]) -> dict[str, float]:
    """``test/NAME`` and, where there is an interval over groups, ``test/NAME_low`` and ``test/NAME_high``.

    ``test/pearson_r`` is of score and fluorescence on the scale of the labels, ``test/pearson_r_raw`` in raw counts.
    What cannot be had, a class being absent, is left out.

    Args:
        metrics: What ``test_metrics.json`` holds.
    """
    values = {}
    for name, estimate in metrics["metrics"].items():
        if estimate["value"] is not None:
            values[f"test/{name}"] = float(estimate["value"])
        if estimate["interval_groups"] is not None:
            low, high = estimate["interval_groups"]
            values[f"test/{name}_low"], values[f"test/{name}_high"] = float(low), float(high)
    correlation = metrics["correlation"]
    for name, found in (("pearson_r", correlation), ("pearson_r_raw", correlation["raw"])):
        if found["patches"]["r"] is not None:
            values[f"test/{name}"] = float(found["patches"]["r"])
    return values


def sample_patches(labels: NDArray[np.int64], scores: NDArray[np.float64], *, n: int, seed: int) -> NDArray[np.int64]:
    """Draw patches in equal parts from live and dead, wrong and right; a part that is too small leaves its share.

    Returns:
        At most ``n`` indices, the wrong ones first.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    right = is_right(labels, scores)[order]
    parts = [order[(right == r) & (labels[order] == label)][:n] for r in (False, True) for label in (LIVE, DEAD)]
    turns = sorted((turn, part) for part, rows in enumerate(parts) for turn in range(len(rows)))[:n]
    return np.array([parts[part][turn] for part, turn in sorted((part, turn) for turn, part in turns)], np.int64)
