"""Rows of training: epochs against bare steps, the way of patches to the device, two processes against one."""

import copy
import re
import shutil
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from speed_measuring import (
    Row,
    Suite,
    config_of,
    in_turn,
    median_of,
    now,
    process,
    ratios_of,
    simulated,
)
from torch.nn import functional
from torch.utils.data import DataLoader

from jimt.curation.store import cut_patches, places_of
from jimt.data.datamodule import LiveDeadDataModule, open_for_training
from jimt.data.preparation import prepare
from jimt.models.stain_module import StainModule, map_losses
from jimt.networks.backbones import normalisation
from jimt.training.run import train
from jimt.vocabulary import LIVE


class BareSteps(Callback):
    """Between epochs, as many bare steps on one resident batch, with a copy of the network and the same optimiser.

    A step is forward, backward, the gradient clipped where the training clips it, and the optimiser.
    An epoch is timed from its start to its validation: drawing, cutting, changing and normalising patches, steps,
    metrics. What comes once an epoch is left out, validation and checkpoint: of few steps it would be a large part.
    """

    def __init__(self) -> None:
        self.epochs: list[float] = []
        self.bare: list[float] = []
        self._batch: Any = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._start = now()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, i: int) -> None:
        """Keep the first batch, as the network takes it."""
        if self._batch is None:
            self._batch = type(batch)(*(part.clone() if torch.is_tensor(part) else part for part in batch))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock, but not where validation is tried before the first epoch."""
        if not trainer.sanity_checking:
            self.epochs.append(now() - self._start)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bare steps."""
        network = copy.deepcopy(pl_module.network).train()
        theirs = trainer.optimizers[0]
        kept = {key: theirs.defaults[key] for key in ("fused", "foreach") if key in theirs.defaults}
        optimizer = type(theirs)([p for p in network.parameters() if p.requires_grad], lr=1e-5, **kept)
        is_bfloat16 = str(trainer.precision) == "bf16-mixed"
        start = now()
        for _ in range(int(trainer.num_training_batches)):
            optimizer.zero_grad()
            with torch.autocast(pl_module.device.type, torch.bfloat16, enabled=is_bfloat16):
                loss = self._loss(pl_module, network)
            loss.backward()
            if trainer.gradient_clip_val:
                torch.nn.utils.clip_grad_norm_(network.parameters(), trainer.gradient_clip_val)
            optimizer.step()
        self.bare.append(now() - start)

    def _loss(self, module: pl.LightningModule, network: torch.nn.Module) -> torch.Tensor:
        if isinstance(module, StainModule):
            losses = map_losses(network(self._batch.pixels).float(), self._batch.targets, network.outputs)
            return losses.sum()
        return functional.cross_entropy(network(self._batch.patches).float(), self._batch.label)


Case = tuple[str, int, int, tuple[str, ...]]
CASES: tuple[Case, ...] = (
    ("ResNet-18, batch 4", 4, 16, ("backbone=resnet18", "optim.batch_size=4")),
    ("ResNet-18, batch 32", 32, 2, ("backbone=resnet18", "optim.batch_size=32")),
    ("Inception-v3, batch 16", 16, 2, ("backbone=inception_v3", "optim.batch_size=16")),
    ("task=stain, ResNet-18, batch 8", 8, 4, ("task=stain", "backbone=resnet18", "optim.batch_size=8")),
)
"""Trainings: what they are called, their batch, steps of an epoch, and overrides."""


def training_rows(suite: Suite, cases: Sequence[Case] = CASES) -> list[Row]:
    """Row 1: whole epochs against bare steps."""
    data = simulated(suite, "train", wells=8, fields=2, height=560, width=672)
    rows = []
    for name, size, steps, overrides in cases:
        steps = suite.sized(steps, least=2)
        folder = suite.folder / "training"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        config = config_of(
            "train",
            *data,
            *suite.trainer,
            *overrides,
            "augmentation=intensity",
            "backbone.weights=random",
            f"run_dir={folder}",
            "report=false",
            "trainer.progress=none",
            f"trainer.max_epochs={suite.repeats + 1}",
            f"trainer.limit_train_batches={steps}",
            "trainer.limit_val_batches=1",
            f"trainer.num_threads={suite.threads}",
        )
        bare = BareSteps()
        train(config, callbacks=[bare], evaluates=False)
        rates = [[size * steps / seconds for seconds in side[1:]] for side in (bare.epochs, bare.bare)]
        rows.append(
            Row(
                1,
                f"training, {name}, augmentation on",
                "bare steps on one resident batch",
                ">= 0.95",
                ratios_of(*rates),
                f"{median_of(rates[0], 'images/s')} against {median_of(rates[1], 'images/s')}",
            )
        )
    return rows


def loading_rows(suite: Suite) -> list[Row]:
    """Row 2: patches to the device, augmented and normalised, and nothing done with them."""
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    overrides = simulated(suite, "loaded", wells=12, fields=8, height=560, width=672)
    config = config_of("train", *overrides, "backbone.weights=random", f"run_dir={suite.folder}")
    curated = open_for_training(prepare(config.dataset, config.curation), fold=None)
    rows_of_train = curated.manifest[curated.manifest["split"] == "train"]
    png = suite.folder / "png"
    if not png.is_dir():
        for name in ("dead", "live"):
            (png / name).mkdir(parents=True)
        size = curated.summary["patch_size"]
        for i, (row, patch) in enumerate(
            zip(
                rows_of_train.itertuples(),
                cut_patches(curated.store.field, places_of(rows_of_train), size=size),
                strict=True,
            )
        ):
            cv2.imwrite(str(png / ("live" if row.label == LIVE else "dead") / f"{i}.png"), patch)
    mean, std = normalisation("resnet18.tv_in1k")
    turned = transforms.RandomChoice([transforms.RandomRotation((angle, angle)) for angle in (0, 90, 180, 270)])
    folder = ImageFolder(
        str(png),
        transforms.Compose(
            [turned, transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize(mean, std)]
        ),
    )
    n = suite.sized(1024, least=256)
    torch.set_num_threads(1)
    found = []
    for workers in (0, 1, 2):
        module = LiveDeadDataModule(
            curated,
            config.augmentation,
            batch_size=32,
            accumulate=1,
            eval_batch_size=32,
            num_workers=workers,
            pinned=suite.accelerator == "gpu",
            compiled=config.trainer.compile != "none",
            seed=0,
            mean=mean,
            std=std,
            validates=True,
            repeats=False,
            first_epoch=0,
        )
        theirs_loader = DataLoader(
            folder, batch_size=32, shuffle=True, num_workers=workers, pin_memory=suite.accelerator == "gpu"
        )
        loaders = (module.train_dataloader(), theirs_loader)
        ours, theirs = (
            _rate(loader, n, partial(_on_device, module, suite.device))
            if i == 0
            else _rate(loader, n // 4, lambda batch: batch[0].to(suite.device, non_blocking=True))
            for i, loader in enumerate(loaders)
        )
        rates = in_turn(suite.repeats, ours, theirs)
        where = "in the training's process" if workers == 0 else f"{workers} worker{'s' * (workers > 1)}"
        found.append(
            Row(
                2,
                f"patches to the device, {where}",
                "ImageFolder of PNG, the same turns",
                ">= 10",
                ratios_of(*rates),
                f"{median_of(rates[0], 'patches/s')} against {median_of(rates[1], 'patches/s')}",
                "" if workers else "the default",
            )
        )
    torch.set_num_threads(suite.threads)
    return found


def _on_device(module: LiveDeadDataModule, device: torch.device, batch: Any) -> Any:
    """A batch as the network is given it."""
    return module.on_after_batch_transfer(module.transfer_batch_to_device(batch, device, 0), 0)


def _rate(loader: Any, n: int, then: Callable[[Any], Any]) -> Callable[[], float]:
    """Patches a second, from the first batch that arrives on: workers are started once an epoch."""

    def measured() -> float:
        seen, seconds = 0, 0.0
        while seen < n:
            batches = iter(loader)
            then(next(batches))
            start = now()
            for batch in batches:
                then(batch)
                seen += 32
            seconds += now() - start
        return seen / seconds

    return measured


def processes_rows(suite: Suite) -> list[Row]:
    """Row 10: two processes of one thread each against one; on GPUs, a process for each."""
    on_gpus = suite.accelerator == "gpu"  # their epochs are told in tenths of a second, and must be long
    name, wells, fields = ("loaded", 12, 8) if on_gpus else ("train", 8, 2)
    data = simulated(suite, name, wells=wells, fields=fields, height=560, width=672)
    each = "GPU" if on_gpus else "thread"
    n_epochs = 2  # the first has the start of everything in it

    def seconds(devices: int) -> float:
        folder = suite.folder / "ddp"
        shutil.rmtree(folder, ignore_errors=True)
        words = [
            "train.py",
            *data,
            *suite.trainer,
            "backbone=resnet18",
            "backbone.weights=random",
            "optim.batch_size=32",
            "report=false",
            "trainer.num_threads=1",
            f"trainer.max_epochs={n_epochs}",
            f"trainer.devices={devices}",
            f"trainer.strategy={'ddp' if devices > 1 else 'auto'}",
            f"hydra.run.dir={folder}",
        ]
        told = re.findall(r"^epoch .* ([\d.]+) s$", process(words, threads=1).output, re.MULTILINE)
        return statistics.median(float(each) for each in told[1:])

    one, two = in_turn(suite.repeats_of_processes, lambda: seconds(1), lambda: seconds(2), warms_up=False)
    return [
        Row(
            10,
            f"two DDP processes of one {each} each, epochs with their validation",
            f"one process of one {each}",
            ">= 1.8",
            ratios_of(one, two),
            f"{median_of(two, 's')} against {median_of(one, 's')} an epoch",
        )
    ]
