"""What a training does after an epoch: a line on the screen, loggers written out, an end where nothing gets better."""

import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping

from jimt.training.loggers.lightning_loggers import sync


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
