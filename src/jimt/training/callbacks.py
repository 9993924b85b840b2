"""What a training does after an epoch: a line on the screen, loggers written out, an end where nothing gets better."""

import contextlib
import time
from typing import Any, Final

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from torch import Tensor

from jimt.training.loggers.lightning_loggers import sync

_AT_A_TIME: Final = 50
"""Steps whose losses are logged together."""


class Patience(EarlyStopping):
    """Lightning's, which would train a run on that had run out of patience when it was cut off."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop a resumed run that has waited long enough."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


class SyncLoggers(Callback):
    """Has the disk keep what was logged before it keeps the checkpoint."""

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Write out what loggers hold back."""
        sync(trainer.loggers)


class StepLosses(Callback):
    """Has loggers keep the loss of every step, as ``train/loss_step``, read from the device a few steps at a time.

    Lightning itself reads each loss after its step: a graphics card, which is asked, then waits for the next step to be
    got ready. Of batches that make one step together it is the last one's loss.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Know which steps were done before, by a run that is resumed."""
        self._done = trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take in the loss of a batch that has ended a step."""
        if trainer.global_step == self._done:
            return
        self._done = trainer.global_step
        # Lightning's is a share of the step's
        self._waiting[self._done - 1] = outputs["loss"] * trainer.accumulate_grad_batches
        if len(self._waiting) == _AT_A_TIME:
            self._log(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log what waits before the validation's row."""
        self._log(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Likewise before the epoch's, where nothing is validated."""
        self._log(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Likewise where a training is told to stop or fails, unless that is the device or the disk."""
        with contextlib.suppress(RuntimeError, OSError):  # of torch, of a disk: the exception before says what is wrong
            self._log(trainer)

    def _log(self, trainer: pl.Trainer) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, {}  # none is logged again, should a logger raise
            values = torch.stack(list(waiting.values())).tolist()
            for step, value in zip(waiting, values, strict=True):
                for logger in trainer.loggers:
                    logger.log_metrics({"train/loss_step": value, "epoch": trainer.current_epoch}, step=step)


class EpochLine(Callback):
    """One line an epoch: loss, validation metrics and time.

    Args:
        monitor: The metric that the best epoch is chosen by.
    """

    def __init__(self, monitor: str) -> None:
        self._monitor = monitor

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the line."""
        seconds = time.monotonic() - self._start
        # in every process, because reading them gathers the loss from all
        values = {key: float(value) for key, value in trainer.callback_metrics.items()}
        if not trainer.is_global_zero:
            return
        names = [name for name in ("train/loss", self._monitor, "val/auroc") if name in values]
        print(
            f"epoch {trainer.current_epoch + 1:>3}/{trainer.max_epochs}  "
            + "  ".join(f"{name} {values[name]:.3f}" for name in names)
            + f"  {seconds:.1f} s",
            flush=True,
        )
