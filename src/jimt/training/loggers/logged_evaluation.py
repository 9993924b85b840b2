"""Hands an evaluation to the loggers that show one: TensorBoard and W&B."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jimt.config.trainer import LoggerConfig
from jimt.training.loggers.logged_values import sample_patches

if TYPE_CHECKING:
    import pandas as pd
    from pytorch_lightning.loggers import Logger


class Patches(Protocol):
    """Patches by an array of indices: an array of them, or what reads them when they are asked for."""

    def __getitem__(self, index: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Patches of shape ``(n, size, size)``."""


def log_evaluation(
    loggers: Sequence[Logger],
    *,
    metrics: dict[str, Any],
    scores: pd.DataFrame,
    patches: Patches,
    checkpoint: Path,
    config: LoggerConfig,
    seed: int,
) -> None:
    """Log test metrics, curves, a sample of test patches and the checkpoint; ``test_metrics.json`` is the CSV's part.

    Args:
        loggers: Of ``make_loggers``.
        metrics: What ``test_metrics.json`` holds.
        scores: What ``test_scores.csv`` holds.
        patches: The patches of these rows, in the same order. Only the sampled ones are read.
        checkpoint: The one that was evaluated.
        config: How many patches, and whether the checkpoint is logged.
        seed: Of the sample.
    """
    from pytorch_lightning.loggers import TensorBoardLogger

    from jimt.training.loggers.tensorboard import log_to_tensorboard
    from jimt.training.loggers.wandb_logger import JimtWandbLogger

    boards = [logger for logger in loggers if isinstance(logger, TensorBoardLogger)]
    runs = [logger for logger in loggers if isinstance(logger, JimtWandbLogger)]
    if not boards and not runs:
        return
    chosen = sample_patches(
        scores["label"].to_numpy(np.int64), scores["score"].to_numpy(np.float64), n=config.n_table_patches, seed=seed
    )
    images = np.asarray(patches[chosen]) if len(chosen) else np.zeros((0, 1, 1), np.uint8)
    for board in boards:
        log_to_tensorboard(board, metrics=metrics, scores=scores, images=images, chosen=chosen)
    for run in runs:
        run.log_test(
            metrics=metrics,
            scores=scores,
            images=images,
            chosen=chosen,
            checkpoint=checkpoint if config.log_checkpoint else None,
            seed=seed,
        )
