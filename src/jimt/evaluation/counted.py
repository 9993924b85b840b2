"""Scores held against cells that were counted: what labels by fluorescence leave out, the patches between included."""

import dataclasses
from typing import Any, Final

import numpy as np
import pandas as pd

from jimt.curation.manifest import Curated
from jimt.statistics.estimates import estimates
from jimt.statistics.metrics import METRICS
from jimt.statistics.value_text import percent_text, value_text
from jimt.statistics.within import pair_counts
from jimt.vocabulary import DEAD, LIVE

METRICS_OF_CELLS: Final = ("auroc", "auroc_within_groups", "mean_auroc_of_groups", "auroc_within_raw_images")


def counted_metrics(table: pd.DataFrame, curated: Curated, *, confidence: float, seed: int) -> dict[str, Any] | None:
    """Metrics of scores where a patch is dead if enough of its counted cells are.

    Args:
        table: Scored patches, those between the thresholds included, with ``n_cells`` and ``n_dead`` where cells were
            counted.
        curated: The data set.
        confidence: Coverage of the intervals over groups.
        seed: Of the resampling.

    Returns:
        ``patches`` that hold a cell, how many of them are ``dead``, from which ``dead_share`` on they are, the numbers
        of pairs that areas within groups are of, and ``metrics``; None where no cell was counted in these patches.
    """
    rows = table[table["n_cells"] > 0] if "n_cells" in table else table.iloc[:0]
    if not len(rows):
        return None
    dead_share = float(curated.summary["config"]["curation"]["label"]["dead_share"])
    dead = (rows["n_dead"] >= dead_share * rows["n_cells"]).to_numpy(bool)
    truth = np.where(dead, DEAD, LIVE).astype(np.int64)
    groups, raw_images = (rows[name].to_numpy(object) for name in ("group", "raw_image_id"))
    scores = rows["score"].to_numpy(float)
    found = estimates(truth, scores, groups, raw_images, names=METRICS_OF_CELLS, confidence=confidence, seed=seed)
    return {
        "patches": len(rows),
        "dead": int(dead.sum()),
        "dead_share": dead_share,
        **pair_counts(truth, groups, raw_images),
        "metrics": {name: _plain(dataclasses.asdict(estimate)) for name, estimate in found.items()},
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in values.items()}


def counted_in_words(counted: dict[str, Any]) -> str:
    """What counted cells say of the scores, in one line for the terminal."""
    told = [
        f"{METRICS[name].words} {value_text(values['value'], values['interval_groups'])}"
        for name, values in counted["metrics"].items()
        if values["value"] is not None
    ]
    share = percent_text(counted["dead_share"])
    what = f"{counted['patches']:,} patches that hold one, {counted['dead']:,} of them with {share} or more dead"
    return f"scores against counted cells ({what}): {', '.join(told) or 'one class only'}"
