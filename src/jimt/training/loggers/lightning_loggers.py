"""The loggers of a training: how they are opened, what they show of its evaluation, and how they are closed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from jimt.config.trainer import LoggerConfig
from jimt.errors import InputError
from jimt.figures.discrimination import confusion_matrices, roc_curves
from jimt.statistics.curves import curve
from jimt.statistics.weighted_patches import is_right
from jimt.training.loggers.metrics_csv import MetricsCsv
from jimt.vocabulary import DEAD, LIVE

_MODES = ("online", "offline", "disabled")
_OTHER_MODES = ("run", "dryrun", "shared")  # older words for online and offline, and one for many writers
_FRAME = 4
"""Width of the frame of a wrong patch, in pixels."""


def make_loggers(
    config: LoggerConfig, *, run_folder: Path, name: str, settings: dict[str, Any], resumes: bool = False
) -> list[Logger]:
    """The loggers of one training, ``metrics.csv`` first; nothing is opened before something is logged.

    Args:
        config: Which of them.
        run_folder: Where all of them write: ``metrics.csv``, ``tensorboard/`` and ``wandb/``.
        name: The W&B run's name.
        settings: What the training is made of, as plain values; the W&B run's config and TensorBoard's hyperparameters.
        resumes: Whether the training goes on in this folder, and so in its W&B run.

    Raises:
        InputError: If ``WANDB_MODE`` is none that W&B knows.
    """
    loggers: list[Logger] = [MetricsCsv(run_folder)]
    if config.tensorboard:
        board = TensorBoardLogger(run_folder, name="", version="tensorboard", default_hp_metric=False)
        board.hparams = settings
        loggers.append(board)
    if config.wandb:
        # as it is imported, W&B begins to report errors, with their paths, to the company
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        from jimt.training.loggers.wandb_logger import JimtWandbLogger

        mode = os.environ.get("WANDB_MODE")
        if mode is not None and mode not in _MODES + _OTHER_MODES:
            raise InputError(f"WANDB_MODE={mode} is not allowed", advice=f"it takes one of {', '.join(_MODES)}")
        loggers.append(
            JimtWandbLogger(
                run_folder=run_folder,
                project=config.project,
                entity=config.entity,
                group=config.group,
                name=name,
                settings=settings,
                resumes=resumes,
            )
        )
    return loggers


def continue_metrics_csv(loggers: Sequence[Logger], *, before_epoch: int) -> None:
    """Keep the rows of earlier epochs in ``metrics.csv``; to be called before anything is logged.

    Args:
        loggers: Of ``make_loggers``.
        before_epoch: The first epoch to be trained again, from 0; its rows and all later ones go.
    """
    for logger in loggers:
        if isinstance(logger, MetricsCsv):
            logger.go_on(before_epoch=before_epoch)


def sync(loggers: Sequence[Logger]) -> None:
    """Write to the disk what was logged, before a checkpoint claims it; W&B's own process sees to its part."""
    for logger in loggers:
        if isinstance(logger, MetricsCsv):
            logger.sync()
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.flush()


def finish(loggers: Sequence[Logger], *, failed: bool) -> None:
    """Close TensorBoard and end the W&B run, so that the next training of a sweep gets a run of its own.

    Args:
        loggers: Of ``make_loggers``.
        failed: Whether the training was interrupted or raised; Lightning calls such a run finished.
    """
    for logger in loggers:
        close = getattr(logger, "close", None)  # W&B's, which takes the exit code
        if close is not None:
            close(failed=failed)
        else:
            logger.finalize("failed" if failed else "success")


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
    boards = [logger for logger in loggers if isinstance(logger, TensorBoardLogger)]
    runs = [logger for logger in loggers if isinstance(logger, WandbLogger)]
    if not boards and not runs:
        return
    chosen = sample_patches(
        scores["label"].to_numpy(np.int64), scores["score"].to_numpy(np.float64), n=config.n_table_patches, seed=seed
    )
    images = np.asarray(patches[chosen]) if len(chosen) else np.zeros((0, 1, 1), np.uint8)
    values = metric_values(metrics)
    for board in boards:
        _log_to_tensorboard(board, metrics=metrics, values=values, scores=scores, images=images, chosen=chosen)
    for run in runs:
        cast(Any, run).log_test(  # a JimtWandbLogger, whose module imports W&B
            metrics=metrics,
            values=values,
            scores=scores,
            images=images,
            chosen=chosen,
            checkpoint=checkpoint if config.log_checkpoint else None,
            seed=seed,
        )


def _log_to_tensorboard(
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
        drawn = curve("roc", labels, live, None, n_resamples=0, confidence=0.95, seed=0)  # no groups, so no band
        writer.add_figure("test/roc", roc_curves({"test split": (drawn, "")}), close=False)
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
