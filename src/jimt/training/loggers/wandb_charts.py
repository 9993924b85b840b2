"""Curves and tables of an evaluation, as W&B draws them."""

from typing import Any

import numpy as np
import pandas as pd
import wandb
from numpy.typing import NDArray

from jimt.statistics.weighted_patches import is_right
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE, SCALES

_N_SCATTER = 5000
"""Points of the scatter plot, at most: the browser draws each."""


def charts(scores: pd.DataFrame, *, scale: str, seed: int) -> dict[str, Any]:
    """ROC and precision-recall curve, confusion matrix, and score against fluorescence, by the name to log.

    Args:
        scores: What ``test_scores.csv`` holds.
        scale: What ``label_value`` is on.
        seed: Of the sample of points, where there are too many to draw.
    """
    labels, live = scores["label"].to_numpy(np.int64), scores["score"].to_numpy(np.float64)
    names = [LABEL_NAMES[DEAD], LABEL_NAMES[LIVE]]
    found: dict[str, Any] = {}
    if len(np.unique(labels)) == 2:
        truth, both = list(labels), np.column_stack([1 - live, live]).tolist()
        found["test/roc"] = wandb.plot.roc_curve(truth, both, labels=names, title="ROC")
        found["test/precision_recall"] = wandb.plot.pr_curve(truth, both, labels=names, title="Precision and recall")
    found["test/confusion_matrix"] = wandb.plot.confusion_matrix(
        y_true=labels.tolist(), preds=(live > 0.5).astype(int).tolist(), class_names=names, title="Confusion matrix"
    )
    drawn = scores.iloc[np.sort(np.random.default_rng(seed).permutation(len(scores))[:_N_SCATTER])]
    drawn = drawn[drawn["mean_fluorescence"].notna()]  # patches that were published have none
    if len(drawn):
        points = wandb.Table(columns=["label_value", "mean_fluorescence", "score", "label"])
        for row in drawn.to_dict("records"):
            numbers = (float(row[name]) for name in ("label_value", "mean_fluorescence", "score"))
            points.add_data(*numbers, LABEL_NAMES[int(row["label"])])
        found["test/score_against_fluorescence"] = wandb.plot.scatter(
            points, "label_value", "score", title=f"Score against {SCALES[scale]}"
        )
        if scale != "raw":
            found["test/score_against_raw_fluorescence"] = wandb.plot.scatter(
                points, "mean_fluorescence", "score", title=f"Score against {SCALES['raw']}"
            )
    return found


def patch_table(rows: pd.DataFrame, images: NDArray[np.uint8]) -> Any:
    """Table of patches with their images.

    Args:
        rows: Their rows of ``test_scores.csv``.
        images: The patches, in the same order, shape ``(n, size, size)``.
    """
    right = is_right(rows["label"].to_numpy(np.int64), rows["score"].to_numpy(np.float64))
    table = wandb.Table(
        columns=["patch", "score", "label", "correct", "raw_image_id", "group", "y", "x", "mean_fluorescence"]
    )
    for image, correct, row in zip(images, right, rows.to_dict("records"), strict=True):
        table.add_data(
            wandb.Image(image, mode="L"),
            float(row["score"]),
            LABEL_NAMES[int(row["label"])],
            bool(correct),
            *(None if pd.isna(row[key]) else str(row[key]) for key in ("raw_image_id", "group")),
            *(None if pd.isna(row[key]) else int(row[key]) for key in ("y", "x")),
            None if pd.isna(row["mean_fluorescence"]) else float(row["mean_fluorescence"]),
        )
    return table
