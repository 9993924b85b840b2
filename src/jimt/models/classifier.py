"""The LightningModule: a timm backbone with two classes, cross entropy and Adam (paper: "Classifiers training")."""

import difflib
from typing import Any, Protocol, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, AdamW, Optimizer
from torchmetrics import MeanMetric

from jimt.errors import InputError
from jimt.models.freezing import freeze, train_trainable
from jimt.models.schedules import step_schedule
from jimt.models.split_metrics import SplitMetrics
from jimt.networks.backbones import create_backbone


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
        trainable: ``all``, ``last_stage``, ``head``, or ``none`` for a linear classifier on frozen pooled features,
            which is set and not trained.
        layer: With ``none``, part of the network whose feature map is pooled in place of the last; None for the last.
        optim: The fields of ``OptimConfig``, as plain values.
        seed: Seed of dropout, keyed by epoch and process too, so that a resumed run repeats it.
        prediction: What an answer depends on beside the weights (normalisation, patch size, 8-bit scaling,
            temperature), as plain values; kept in the checkpoint and not read here.
        provenance: Where weights and data came from, as plain values; likewise.
    """

    def __init__(
        self,
        *,
        backbone: str,
        trainable: str,
        layer: str | None,
        optim: dict[str, Any],
        seed: int,
        prediction: dict[str, Any],
        provenance: dict[str, Any],
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)  # plain values only: others break loading without pickle
        self._optim, self._seed, self._layer = optim, seed, layer
        self.linear: nn.Module = nn.Identity()
        if trainable == "none":
            self.network = create_backbone(backbone, num_classes=0)
            self.linear = nn.Linear(self._n_features(backbone), 2)
        else:
            self.network = create_backbone(backbone, num_classes=2)
            head = cast(Any, self.network.get_classifier())  # type: ignore[operator]
            if isinstance(head, nn.Linear):
                # torch's own initialisation, as the paper's networks had: some of timm's are made for training from
                # scratch and start a two-class head at logits of 5
                head.reset_parameters()
            freeze(self.network, head, trainable)
        self.train_metrics = SplitMetrics("train")
        self.val_metrics = SplitMetrics("val")
        # Lightning's own mean over processes rounds the number of patches of each down to the mean number
        self.val_loss = MeanMetric()

    def train(self, mode: bool = True) -> "LiveDeadClassifier":
        """What is frozen stays as in evaluation: no dropout, batch statistics as published."""
        super().train(mode)
        if mode:
            train_trainable(self.network)
        return self

    def _n_features(self, backbone: str) -> int:
        if self._layer is None:
            return cast(int, self.network.head_hidden_size)
        names = [name for name, _ in self.network.named_modules() if name]
        if self._layer not in names:
            near = difflib.get_close_matches(self._layer, names, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(names[:5])} and more"
            raise InputError(f"probe.layer={self._layer} is not a part of {backbone}", advice=hint)
        with torch.inference_mode():
            maps = self.eval().feature_map(torch.zeros(1, 3, 64, 64))
        if maps.ndim != 4:
            raise InputError(
                f"probe.layer={self._layer} of {backbone} has no feature map", advice="choose a convolutional part"
            )
        return int(maps.shape[1])

    def feature_map(self, images: Tensor) -> Tensor:
        """Feature map of the layer, shape ``(n, n_features, height, width)``."""
        if self._layer is None:
            return cast(Tensor, self.network.forward_features(images))  # type: ignore[operator]
        caught: list[Tensor] = []
        hook = self.network.get_submodule(self._layer).register_forward_hook(
            lambda _m, _i, output: caught.append(output)
        )
        try:
            self.network.forward_features(images)  # type: ignore[operator]
        finally:
            hook.remove()
        return caught[0]

    def pooled_features(self, images: Tensor) -> Tensor:
        """What the last linear layer is given, shape ``(n, n_features)``: 2,048 numbers for Inception-v3."""
        if self._layer is not None:
            return self.feature_map(images).mean((2, 3))
        features = self.network.forward_features(images)  # type: ignore[operator]
        return cast(Tensor, self.network.forward_head(features, pre_logits=True))  # type: ignore[operator]

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape ``(n, 2)`` of normalised images of shape ``(n, 3, size, size)``."""
        features = self.network(images) if self._layer is None else self.feature_map(images).mean((2, 3))
        return cast(Tensor, self.linear(features))

    def on_train_epoch_start(self) -> None:
        """Put the frozen part into evaluation mode (Lightning leaves modes as it finds them) and seed dropout."""
        self.train()
        # global, because dropout takes no generator; set anew each epoch, so that a resumed run draws the same
        sequence = np.random.SeedSequence([self._seed, self.current_epoch, self.global_rank])
        torch.manual_seed(int(sequence.generate_state(1)[0]))

    def training_step(self, batch: LabelledImages, batch_idx: int) -> Tensor:
        """Cross entropy of one batch."""
        logits = self(batch.patches).float()
        loss = functional.cross_entropy(logits, batch.label, label_smoothing=self._optim["label_smoothing"])
        self.train_metrics.update(logits.detach(), batch.label)
        n = len(batch.label)
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, batch_size=n)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=n, sync_dist=True)
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the training patches' metrics, augmented and drawn as they were."""
        self.log_dict(self.train_metrics.compute())
        self.train_metrics.reset()

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        """Take in one batch of validation patches."""
        logits = self(batch.patches).float()
        self.val_metrics.update(logits, batch.label)
        self.val_loss.update(functional.cross_entropy(logits, batch.label), weight=len(batch.label))

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the validation split; torchmetrics has gathered the processes' shares."""
        self.log_dict({"val/loss": self.val_loss.compute(), **self.val_metrics.compute()})
        self.val_loss.reset()
        self.val_metrics.reset()

    def configure_optimizers(self) -> Any:
        """Adam or AdamW over the parameters that are trained, and the schedule of its learning rate."""
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        kind: type[Optimizer] = AdamW if self._optim["decoupled"] else Adam
        optimizer = kind(
            parameters,
            lr=self._optim["lr"],
            betas=(self._optim["betas"][0], self._optim["betas"][1]),
            weight_decay=self._optim["weight_decay"],
        )  # type: ignore[call-arg]
        if self._optim["schedule"] == "constant":
            return optimizer
        n_steps = int(self.trainer.estimated_stepping_batches)
        factor = step_schedule(self._optim["schedule"], n_steps=n_steps, warmup=self._optim["warmup"])
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
