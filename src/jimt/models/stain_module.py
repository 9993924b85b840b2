"""The LightningModule of ``task=stain``: how a network learns to predict maps."""

from typing import Any, Final, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torchmetrics import MeanMetric

from jimt.data.crops import StainBatch
from jimt.data.dataset import process_share
from jimt.models.epoch_row import log_epoch
from jimt.models.freezing import train_trainable
from jimt.models.map_evidence import evidence_of, patch_means
from jimt.models.schedules import optimizer_of, seed_epoch
from jimt.models.split_metrics import SplitMetrics
from jimt.models.stain_network import NUCLEI, StainNetwork

_SQUARED: Final = 0.3  # of log(PI / background): what an error is squared below, and counts as itself above


class StainModule(pl.LightningModule):
    """How maps are learned: smooth L1 on log(PI / background), binary cross entropy on everything else.

    Args:
        network: Trained in place; which parameters of its backbone take part is settled (see ``freezing``).
        optim: The fields of ``OptimConfig``, as plain values.
        decoder_lr: Learning rate of the decoder.
        weights: Of each output's loss, in the order of ``network.outputs``.
        patch_size: Side of the patches that are validated on, pixels.
        seed: Of dropout and noise, keyed by epoch and process too, so that a resumed run repeats them.
        record: What the training is, as plain values, for the checkpoints that a resumed run goes on from.
    """

    MONITOR: Final = "val/correlation"

    def __init__(
        self,
        network: StainNetwork,
        *,
        optim: dict[str, Any],
        decoder_lr: float,
        weights: tuple[float, ...],
        patch_size: int,
        seed: int,
        record: dict[str, Any],
    ) -> None:
        super().__init__()
        self.network = network
        self._optim, self._decoder_lr = optim, decoder_lr
        self._weights = torch.tensor(weights)  # no buffer, or a moving average of weights would take them in
        self._patch_size, self._seed, self._record = patch_size, seed, record
        self.val_metrics = SplitMetrics("val", across_processes=False)
        self._validated: list[tuple[Tensor, ...]] = []  # logits, labels and groups of the patches of each field
        self.val_loss = MeanMetric()
        self.correlations = nn.ModuleList([MeanMetric() for _ in network.outputs])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep beside Lightning's state what the training is."""
        checkpoint["record"] = self._record

    def train(self, mode: bool = True) -> "StainModule":
        """What is frozen stays as in evaluation: batch statistics as published."""
        super().train(mode)
        if mode:
            train_trainable(self.network.encoder)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Maps before the logistic function, of normalised images; as ``StainNetwork``."""
        return cast(Tensor, self.network(images))

    def on_train_epoch_start(self) -> None:
        """Put the frozen part into evaluation mode (Lightning leaves modes as it finds them) and seed the noise."""
        self.train()
        self._weights = self._weights.to(self.device)
        seed_epoch(self._seed, epoch=self.current_epoch, process=self.global_rank)

    def training_step(self, batch: StainBatch, batch_idx: int) -> Tensor:
        """Weighted sum of the losses of one batch."""
        losses = map_losses(self(batch.pixels).float(), batch.targets, self.network.outputs, of_processes=True)
        loss = (losses * self._weights).sum()
        n = len(batch.pixels)
        each = {f"train/loss_{name}": value for name, value in zip(self.network.outputs, losses, strict=True)}
        means = {"train/loss": loss, **each}
        self.log_dict(means, on_step=False, on_epoch=True, batch_size=n, sync_dist=True, logger=False)
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the losses of the training crops."""
        each = [f"train/loss_{name}" for name in self.network.outputs]
        log_epoch(self, means=["train/loss", *each], values={})

    def validation_step(self, batch: StainBatch, batch_idx: int) -> None:
        """Take in one validation field and its patches."""
        raw = self(batch.pixels).float()
        known = torch.isfinite(batch.targets)
        if not known.any():  # of a process that has no field left
            return
        losses = map_losses(raw, batch.targets, self.network.outputs)
        self.val_loss.update((losses * self._weights).sum())
        maps = self.network.as_maps(raw)[0]
        for i, metric in enumerate(self.correlations):
            seen = known[0, i]
            pair = torch.stack([maps[i][seen], batch.targets[0, i][seen]])
            if seen.sum() > 1 and (pair.std(dim=1) > 0).all():
                cast(MeanMetric, metric).update(torch.corrcoef(pair)[0, 1])
        patches = batch.patches.cpu().numpy()
        labelled = patches[patches[:, 2] >= 0]
        if len(labelled) == 0:
            return
        y, x, labels, groups = labelled.T
        valid = known[0].any(dim=0).float().cpu().numpy().astype(np.float64)
        means = patch_means(maps.cpu().numpy(), valid, y, x, size=self._patch_size)
        # ranks of the mean evidence; how much of a patch is of cells is asked when patches are scored
        evidence = evidence_of(means, self.network.outputs, cells=np.ones(len(means)))
        live = -torch.from_numpy(evidence.sum(axis=1)).to(raw)
        logits = torch.stack([-live / 2, live / 2], dim=1)
        self._validated.append((logits.cpu(), torch.from_numpy(labels), torch.from_numpy(groups)))

    def on_validation_epoch_end(self) -> None:
        """Log the validation split; torchmetrics has gathered the processes' shares.

        Of the patches the metrics of ranks alone: where a score turns to dead is fitted after the training.
        """
        ranks = ("val/auroc", "val/auroc_within_groups")
        of_patches: dict[str, Tensor] = {}
        if rows := _of_all_processes(self._validated):
            self.val_metrics.update(*(torch.cat(part).to(self.device) for part in zip(*rows, strict=True)))
            of_patches = {name: value for name, value in self.val_metrics.compute().items() if name in ranks}
        each = [cast(MeanMetric, metric).compute() for metric in self.correlations]
        named = {f"val/correlation_{output}": value for output, value in zip(self.network.outputs, each, strict=True)}
        self.log_dict(
            {"val/loss": self.val_loss.compute(), self.MONITOR: torch.stack(each).nanmean(), **named, **of_patches}
        )
        for metric in (self.val_loss, self.val_metrics, *self.correlations):
            cast(Any, metric).reset()
        self._validated.clear()

    def configure_optimizers(self) -> Any:
        """Adam or AdamW with a rate for what is trained of the backbone and one for the decoder, and their schedule."""
        of_backbone = [parameter for parameter in self.network.encoder.parameters() if parameter.requires_grad]
        own = {id(parameter) for parameter in self.network.encoder.parameters()}
        of_decoder = [parameter for parameter in self.network.parameters() if id(parameter) not in own]
        parts = [{"params": of_backbone, "lr": self._optim["lr"]}, {"params": of_decoder, "lr": self._decoder_lr}]
        # of mixed precision on a graphics card Lightning could not clip the gradient
        return optimizer_of(
            [part for part in parts if part["params"]],
            self._optim,
            lambda: self.trainer.estimated_stepping_batches,
            fused=self.device.type == "cpu",
        )

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of the gradient: Lightning refuses a fused step in bfloat16, whose gradient is not scaled."""
        if gradient_clip_val is not None and self.trainer.precision == "bf16-mixed":
            torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)


def _of_all_processes(rows: list[tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
    """What each process has validated, in every process; some may have had no field, which torchmetrics cannot take."""
    _, n_processes = process_share()
    if n_processes == 1:
        return rows
    gathered: list[Any] = [None] * n_processes
    torch.distributed.all_gather_object(gathered, rows)
    return [row for each in gathered for row in each]


def map_losses(raw: Tensor, targets: Tensor, outputs: tuple[str, ...], *, of_processes: bool = False) -> Tensor:
    """Loss of each output over the places where its target is known; 0 where none is. Shape ``(n_outputs,)``.

    Of ``dead`` and ``live`` the first is of nuclei of either kind, the second, within them, of being dead.

    Args:
        raw: As ``StainNetwork.forward`` gives it, shape ``(n, n_outputs, height, width)``.
        targets: Likewise; NaN where nothing is known.
        outputs: What the maps show.
        of_processes: Divide by the mean number of known places of the processes that train together, so that the mean
            of their losses is that of one process, however many places each of them knows.
    """
    wanted = dict(zip(outputs, targets.unbind(dim=1), strict=True))
    if "dead" in wanted:
        dead, live = (wanted[name] for name in NUCLEI)
        nucleus = torch.maximum(dead, live)
        wanted |= {NUCLEI[0]: nucleus, NUCLEI[1]: torch.where(nucleus > 0, dead / (dead + live), torch.nan)}
    losses, n_known = [], []
    for given, (output, target) in zip(raw.unbind(dim=1), wanted.items(), strict=True):
        known = torch.isfinite(target)
        filled = torch.where(known, target, 0.0)
        if output == "log_pi":
            each = functional.smooth_l1_loss(given, filled, reduction="none", beta=_SQUARED)
        else:
            each = functional.binary_cross_entropy_with_logits(given, filled, reduction="none")
        losses.append((each * known).sum())
        n_known.append(known.sum())
    counts = torch.stack(n_known)
    _, n_processes = process_share()
    if of_processes and n_processes > 1:
        torch.distributed.all_reduce(counts)
        return torch.stack(losses) * n_processes / counts.clamp(min=1)
    return torch.stack(losses) / counts.clamp(min=1)
