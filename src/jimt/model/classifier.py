"""The LightningModule: a timm backbone with two classes, cross entropy and Adam (paper: "Classifiers training")."""

from typing import Any, Protocol, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from jimt.backbones import create_backbone
from jimt.model.metrics import split_metrics


class LabelledImages(Protocol):
    """The batch a step takes: what ``jimt.data`` hands over, by its attributes."""

    @property
    def patches(self) -> Tensor:
        """Normalised images, float32, shape ``(n, 3, size, size)``."""

    @property
    def label(self) -> Tensor:
        """Live 1, dead 0, int64, shape ``(n,)``."""


class LiveDeadClassifier(pl.LightningModule):
    """Two logits for each patch: dead, live. ``score`` elsewhere is the softmax of the second.

    Args:
        backbone: timm's name.
        trainable: ``all``, or ``head`` to train the classifier on frozen features.
        lr: Learning rate of Adam.
        betas: Its two decay rates.
        weight_decay: Its L2 penalty.
        prediction: What an answer depends on beside the weights (normalisation, patch size, 8-bit scaling), as plain
            values; kept in the checkpoint and not read here.
        provenance: Where weights and data came from, as plain values; likewise.
    """

    def __init__(
        self,
        *,
        backbone: str,
        trainable: str,
        lr: float,
        betas: list[float],
        weight_decay: float,
        prediction: dict[str, Any],
        provenance: dict[str, Any],
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)  # plain values only: others break loading without pickle
        self._lr, self._betas, self._weight_decay = lr, (betas[0], betas[1]), weight_decay
        self.network = create_backbone(backbone, num_classes=2)
        if isinstance(self._head(), nn.Linear):
            # torch's own initialisation, as the paper's networks had: some of timm's are made for training from scratch
            # and start a two-class head at logits of 5
            self._head().reset_parameters()
        self._frozen = trainable == "head"
        if self._frozen:
            self.network.requires_grad_(False)
            self._head().requires_grad_(True)
        self.val_metrics = split_metrics("val")

    def train(self, mode: bool = True) -> "LiveDeadClassifier":
        """Frozen features stay those of evaluation: no dropout, batch statistics as published."""
        super().train(mode)
        if self._frozen:
            self.network.eval()
            self._head().train(mode)
        return self

    def _head(self) -> Any:
        return cast(Any, self.network.get_classifier())  # type: ignore[operator]

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape ``(n, 2)`` of normalised images of shape ``(n, 3, size, size)``."""
        return cast(Tensor, self.network(images))

    def on_train_epoch_start(self) -> None:
        """Put the frozen part into evaluation mode: Lightning leaves the modes as it finds them."""
        self.train()

    def training_step(self, batch: LabelledImages, batch_idx: int) -> Tensor:
        """Cross entropy of one batch."""
        loss = functional.cross_entropy(self(batch.patches).float(), batch.label)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.label), sync_dist=True)
        return loss

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        """Feed the validation metrics."""
        logits = self(batch.patches).float()
        self.val_metrics.update(logits, batch.label)
        loss = functional.cross_entropy(logits, batch.label)
        self.log("val/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.label), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/balanced_accuracy`` and ``val/auroc``."""
        self.log_dict(self.val_metrics.compute(), sync_dist=True)
        self.val_metrics.reset()

    def configure_optimizers(self) -> Optimizer:
        """Adam over the parameters that are trained."""
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return Adam(parameters, lr=self._lr, betas=self._betas, weight_decay=self._weight_decay)


@torch.inference_mode()
def live_scores(classifier: LiveDeadClassifier, images: Tensor) -> Tensor:
    """P(live) of each image, float32, shape ``(n,)``."""
    logits: Tensor = classifier(images)
    return logits.float().softmax(1)[:, 1]
