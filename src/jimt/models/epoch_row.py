"""The row of an epoch, which loggers are given before a checkpoint claims the epoch."""

from collections.abc import Sequence

import pytorch_lightning as pl
from torch import Tensor


def log_epoch(module: pl.LightningModule, *, means: Sequence[str], values: dict[str, Tensor]) -> None:
    """Log what an epoch of training comes to; to be called in ``on_train_epoch_end``.

    Lightning itself logs it after the checkpoint: a training killed in between would lack the row when it is resumed.

    Args:
        module: That is trained.
        means: Names of what it has logged in each step, by ``on_epoch=True, logger=False``; the row has their means.
        values: What else it has.
    """
    module.log_dict(values, logger=False)
    reached = module.trainer.callback_metrics  # gathered from all processes
    row = {name: reached[name].item() for name in (*means, *values)}
    step = module.trainer.global_step - 1  # as Lightning numbers the metrics of the validation before
    for logger in module.loggers:
        logger.log_metrics({**row, "epoch": module.current_epoch}, step=step)
        logger.save()
