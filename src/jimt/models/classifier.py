"""The LightningModule: a network with two classes, cross entropy and Adam (paper: "Classifiers training")."""

from typing import Any, Final, cast

import pytorch_lightning as pl
from torch import Tensor
from torch.nn import functional
from torchmetrics import MeanMetric

from jimt.data.dataset import PatchBatch
from jimt.models.epoch_row import log_epoch
from jimt.models.freezing import train_trainable
from jimt.models.network import LiveDeadNetwork
from jimt.models.schedules import optimizer_of, seed_epoch
from jimt.models.split_metrics import SplitMetrics


class LiveDeadClassifier(pl.LightningModule):
    """How a network is trained.

    Args:
        network: Trained in place; which of its parameters take part is settled (see ``freezing``).
        optim: The fields of ``OptimConfig``, as plain values.
        seed: Seed of dropout, keyed by epoch and process too, so that a resumed run repeats it.
        record: What the training is, as plain values, for the checkpoints that a resumed run goes on from.
    """

    MONITOR: Final = "val/balanced_accuracy"

    def __init__(self, network: LiveDeadNetwork, *, optim: dict[str, Any], seed: int, record: dict[str, Any]) -> None:
        super().__init__()
        self.network = network
        self._optim, self._seed, self._record = optim, seed, record
        self.train_metrics = SplitMetrics("train")
        self.val_metrics = SplitMetrics("val")
        # Lightning's own mean over processes rounds the number of patches of each down to the mean number
        self.val_loss = MeanMetric()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep beside Lightning's state what the training is."""
        checkpoint["record"] = self._record

    def train(self, mode: bool = True) -> "LiveDeadClassifier":
        """What is frozen stays as in evaluation: no dropout, batch statistics as published."""
        super().train(mode)
        if mode:
            train_trainable(self.network.network)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape ``(n, 2)`` of normalised images of shape ``(n, 3, size, size)``."""
        return cast(Tensor, self.network(images))

    def on_train_epoch_start(self) -> None:
        """Put the frozen part into evaluation mode (Lightning leaves modes as it finds them) and seed dropout."""
        self.train()
        seed_epoch(self._seed, epoch=self.current_epoch, process=self.global_rank)

    def training_step(self, batch: PatchBatch, batch_idx: int) -> Tensor:
        """Cross entropy of one batch."""
        logits = self(batch.patches).float()
        loss = functional.cross_entropy(logits, batch.label, label_smoothing=self._optim["label_smoothing"])
        self.train_metrics.update(logits.detach(), batch.label, batch.group)
        n = len(batch.label)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=n, sync_dist=True, logger=False)
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the training patches' metrics, augmented and drawn as they were."""
        log_epoch(self, means=["train/loss"], values=self.train_metrics.compute())
        self.train_metrics.reset()

    def validation_step(self, batch: PatchBatch, batch_idx: int) -> None:
        """Take in one batch of validation patches."""
        logits = self(batch.patches).float()
        self.val_metrics.update(logits, batch.label, batch.group)
        self.val_loss.update(functional.cross_entropy(logits, batch.label), weight=len(batch.label))

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the validation split; torchmetrics has gathered the processes' shares."""
        self.log_dict({"val/loss": self.val_loss.compute(), **self.val_metrics.compute()})
        self.val_loss.reset()
        self.val_metrics.reset()

    def configure_optimizers(self) -> Any:
        """Adam or AdamW over the parameters that are trained, and the schedule of its learning rate."""
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return optimizer_of(
            [{"params": parameters, "lr": self._optim["lr"]}],
            self._optim,
            lambda: self.trainer.estimated_stepping_batches,
        )
