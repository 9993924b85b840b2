"""Loggers from their settings, and how they are closed."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger

from jimt.config.trainer import LoggerConfig
from jimt.errors import InputError

_METRICS = "metrics.csv"
_MODES = ("online", "offline", "disabled")
_OTHER_MODES = ("run", "dryrun", "shared")  # older words for online and offline, and one for many writers


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
    loggers: list[Logger] = [CSVLogger(run_folder, name="", version="")]
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


def continue_metrics_csv(loggers: Sequence[Logger], run_folder: Path, *, before_epoch: int) -> None:
    """Keep the rows of earlier epochs: Lightning deletes a ``metrics.csv`` that it finds.

    To be called before anything is logged.

    Args:
        loggers: Of ``make_loggers``.
        run_folder: The folder of the run that goes on.
        before_epoch: The first epoch to be trained again, from 0; its rows and all later ones go.
    """
    path = run_folder / _METRICS
    if not path.is_file() or path.stat().st_size == 0:
        return
    rows = pd.read_csv(path, dtype=str)
    of_epoch = pd.to_numeric(rows["epoch"]).bfill()  # the learning rate stands before the first row of its epoch
    kept = rows[of_epoch < before_epoch]
    logger = next(logger for logger in loggers if isinstance(logger, CSVLogger))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Experiment logs directory .* exists and is not empty")
        logger.experiment.metrics = [row.dropna().to_dict() for _, row in kept.iterrows()]
    logger.save()


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
