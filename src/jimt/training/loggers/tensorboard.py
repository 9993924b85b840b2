"""An evaluation in TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.weighted_patches import is_right
from jimt.training.loggers.logged_values import metric_values
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from pytorch_lightning.loggers import TensorBoardLogger

_FRAME = 4
"""Width of the frame of a wrong patch, in pixels."""


def log_to_tensorboard(
    logger: TensorBoardLogger,
    *,
    metrics: dict[str, Any],
    scores: pd.DataFrame,
    images: NDArray[np.uint8],
    chosen: NDArray[np.int64],
) -> None:
    """Log test metrics beside the hyperparameters, curves, and the chosen patches with a red frame where wrong."""
    labels, values = scores["label"].to_numpy(np.int64), scores["score"].to_numpy(np.float64)
    logger.log_hyperparams(logger.hparams, metric_values(metrics))  # scalars as well, which the table refers to
    writer = logger.experiment
    if len(np.unique(labels)) == 2:
        writer.add_pr_curve("test/precision_recall", labels == LIVE, values)
        writer.add_figure("test/roc", _roc_figure(labels, values), close=False)
    counts = np.array(metrics["confusion_matrix"]["counts"])
    writer.add_figure("test/confusion_matrix", _confusion_figure(counts), close=False)
    if len(chosen):
        framed = np.repeat(images[..., None], 3, axis=-1)
        wrong = ~is_right(labels, values)[chosen]
        inside = np.zeros(images.shape[1:], bool)
        inside[_FRAME:-_FRAME, _FRAME:-_FRAME] = True
        framed[wrong[:, None, None] & ~inside] = (255, 0, 0)
        writer.add_images("test/patches_wrong_framed_red", framed, dataformats="NHWC")
    writer.flush()


def _roc_figure(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> Figure:
    from matplotlib.figure import Figure
    from sklearn.metrics import roc_curve

    false_live, true_live, _ = roc_curve(labels, scores, pos_label=LIVE)
    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    axes.plot(false_live, true_live)
    axes.set(xlabel="dead patches called live", ylabel="live patches called live", aspect="equal")
    return figure


def _confusion_figure(counts: NDArray[np.int64]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(counts, cmap="Blues", vmin=0)
    names = [LABEL_NAMES[DEAD], LABEL_NAMES[LIVE]]
    axes.set(xlabel="predicted", ylabel="true", xticks=[0, 1], yticks=[0, 1], xticklabels=names, yticklabels=names)
    for (row, column), count in np.ndenumerate(counts):
        dark = count > counts.max() / 2
        axes.text(column, row, f"{count}", ha="center", va="center", color="white" if dark else "black")
    return figure
