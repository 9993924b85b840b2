"""An evaluation in TensorBoard."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pytorch_lightning.loggers import TensorBoardLogger

from jimt.figures.discrimination import confusion_matrices, roc_curves
from jimt.statistics.curves import roc
from jimt.statistics.weighted_patches import is_right
from jimt.vocabulary import LIVE

_FRAME = 4
"""Width of the frame of a wrong patch, in pixels."""


def log_to_tensorboard(
    logger: TensorBoardLogger,
    *,
    metrics: dict[str, Any],
    values: dict[str, float],
    scores: pd.DataFrame,
    images: NDArray[np.uint8],
    chosen: NDArray[np.int64],
) -> None:
    """Log test metrics beside the hyperparameters, curves, and the chosen patches with a red frame where wrong."""
    labels, live = scores["label"].to_numpy(np.int64), scores["score"].to_numpy(np.float64)
    logger.log_hyperparams(logger.hparams, values)  # scalars as well, which the table refers to
    writer = logger.experiment
    if len(np.unique(labels)) == 2:
        writer.add_pr_curve("test/precision_recall", labels == LIVE, live)
        curve = roc(labels, live, None, n_resamples=0, confidence=0.95, seed=0)  # of no groups, so without a band
        writer.add_figure("test/roc", roc_curves({"test split": (curve, "")}), close=False)
    counts = np.array(metrics["confusion_matrix"]["counts"])
    writer.add_figure("test/confusion_matrix", confusion_matrices({"test split": counts}), close=False)
    if len(chosen):
        framed = np.repeat(images[..., None], 3, axis=-1)
        wrong = ~is_right(labels, live)[chosen]
        inside = np.zeros(images.shape[1:], bool)
        inside[_FRAME:-_FRAME, _FRAME:-_FRAME] = True
        framed[wrong[:, None, None] & ~inside] = (255, 0, 0)
        writer.add_images("test/patches_wrong_framed_red", framed, dataformats="NHWC")
    writer.flush()
