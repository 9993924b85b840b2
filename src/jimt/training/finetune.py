"""Fine-tuning by Lightning: the trainer, its callbacks, and what ends a training early."""

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import callbacks as lightning_callbacks
from pytorch_lightning.callbacks import (
    Callback,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
    WeightAveraging,
)
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.profilers import AdvancedProfiler, PyTorchProfiler, SimpleProfiler
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor

from jimt.curation.manifest import Curated
from jimt.errors import InputError, Interrupted, as_typed, did_you_mean
from jimt.models.checkpoint import read_tensors, write_tensors
from jimt.models.classifier import LiveDeadClassifier
from jimt.models.network import LiveDeadNetwork
from jimt.models.stain_module import StainModule
from jimt.models.stain_network import StainNetwork
from jimt.system.files import BEST_EPOCH, LAST
from jimt.training.callbacks import EpochLine, Patience, StepLosses, SyncLoggers
from jimt.training.gpu_memory import Stage, out_of_memory
from jimt.training.learners import learner_of
from jimt.training.loggers.map_pictures import map_pictures
from jimt.training.settled import Training, process_number

_PROFILERS: dict[str, Any] = {
    "simple": SimpleProfiler,
    "advanced": AdvancedProfiler,
    "pytorch": PyTorchProfiler,
}


def fit(training: Training, network: LiveDeadNetwork | StainNetwork, curated: Curated) -> int:
    """Fine-tune and leave the weights of the best epoch in the network.

    Args:
        training: What was asked and settled.
        network: Trained in place.
        curated: The data set, with the split to train on.

    Returns:
        The epoch whose weights were kept, from 1; 0 of a trial run, which keeps nothing.

    Raises:
        InputError: If the training is told to stop; finished epochs are kept.
    """
    settings = training.config.trainer
    if settings.patience is not None and not training.validates:
        raise InputError(
            "trainer.patience needs validation patches", remedies=("trainer.patience=null", "crossval.validation=true")
        )
    module, datamodule = learner_of(training, network, curated)
    if settings.compile != "none":  # not before: the smallest crop is found out by passes of several sizes on the CPU
        network.compile_parts(mode=settings.compile)
    _run(module, datamodule, training, map_pictures(training, network, curated))
    if settings.fast_dev_run or process_number() != 0:
        return 0
    best = read_tensors(training.folder / BEST_EPOCH)
    module.load_state_dict(best["state_dict"])
    return int(best["epoch"]) + 1


def _run(
    module: LiveDeadClassifier | StainModule,
    datamodule: pl.LightningDataModule,
    training: Training,
    pictures: list[Callback],
) -> None:
    """Let Lightning train; ``best_epoch.ckpt`` and ``last.ckpt`` hold what it needs to go on."""
    settings, optim = training.config.trainer, training.config.optim
    assert optim is not None
    overfits = settings.overfit_batches
    is_one_gpu = settings.accelerator == "gpu" and settings.devices == 1
    monitor = module.MONITOR if training.validates else None  # without validation patches the best epoch is the last
    at_each_epoch_end: dict[str, Any] = {
        "dirpath": training.folder / BEST_EPOCH.parent,
        "save_on_train_epoch_end": True,  # a resumed run starts with the next epoch, not in the middle of one
        "enable_version_counter": False,
    }
    checkpoints = [
        ModelCheckpoint(filename=BEST_EPOCH.stem, monitor=monitor, mode="max", **at_each_epoch_end),
        # Lightning's save_last writes in epochs alone that are the best so far; mode sets the two apart where none is
        ModelCheckpoint(filename=LAST.stem, monitor=None, mode="min", **at_each_epoch_end),
    ]
    stage = Stage()
    average = WeightAveraging(avg_fn=_moving_average(optim.ema_decay), use_buffers=True)
    shown: dict[str, list[Callback]] = {
        "rich": [RichProgressBar(leave=True)],
        "lines": [EpochLine(module.MONITOR)],
        "none": [],
    }
    profiler = None
    if settings.profiler is not None:
        profiler = _PROFILERS[settings.profiler](dirpath=training.folder, filename="profile")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"pytorch_lightning\.utilities\._pytree")
        for message in _NOBODY_CAN_ACT_ON:
            warnings.filterwarnings("ignore", message=message)
        trainer = pl.Trainer(
            accelerator=settings.accelerator,
            devices=[training.device_index] if is_one_gpu else settings.devices,
            num_nodes=settings.num_nodes,
            strategy=settings.strategy,
            precision=training.precision,  # type: ignore[arg-type]  # a closed set of strings, checked by TrainerConfig
            max_epochs=settings.max_epochs,
            accumulate_grad_batches=optim.accumulate,
            gradient_clip_val=settings.gradient_clip_val,
            limit_train_batches=settings.limit_train_batches if overfits is None else overfits,
            limit_val_batches=settings.limit_val_batches,
            fast_dev_run=settings.fast_dev_run,
            logger=[DummyLogger()] if settings.fast_dev_run else list(training.loggers),
            callbacks=[
                stage,
                SyncLoggers(),
                StepLosses(),
                *checkpoints,
                *pictures,  # before the average, which takes its weights back when a validation ends
                *shown[settings.progress],
                *([Patience(module.MONITOR, patience=settings.patience, mode="max")] if settings.patience else []),
                *([average] if optim.ema_decay > 0 else []),
                LearningRateMonitor("epoch"),
                *_lightning_callbacks(settings.callbacks),
                *training.callbacks,
            ],
            profiler=profiler,
            plugins=[_AtomicCheckpointIO()],
            enable_progress_bar=settings.progress == "rich",
            enable_model_summary=False,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the sampler shares its own draw out; Lightning's wrapper would permute it
        )
        try:
            ckpt_path = None if training.resumes is None else training.resumes.path
            trainer.fit(module, datamodule, ckpt_path=ckpt_path, weights_only=True)
        except torch.OutOfMemoryError as error:
            raise out_of_memory(training.config, validates=stage.validates) from error
        except SystemExit as error:  # Lightning's answer to Ctrl-C and, as SIGTERMException, to SIGTERM
            signal = "SIGTERM" if isinstance(error, SIGTERMException) else "Ctrl-C"
            raise Interrupted(
                f"the training was told to stop ({signal}) and can go on after the last finished epoch",
                remedies=(as_typed("resume", training.resumed_by),),
            ) from error
        except torch._dynamo.exc.TorchDynamoException as error:
            raise _not_compiled(error) from error


def _not_compiled(error: Exception) -> InputError:
    """What to say where ``torch.compile`` fails, as it does on a machine without a compiler."""
    reason = str(getattr(error, "inner_exception", error)).strip().partition("\n")[0]
    return InputError(f"torch.compile cannot compile this network ({reason})", remedies=("trainer.compile=none",))


_NOBODY_CAN_ACT_ON = (
    "Experiment logs directory .* exists and is not empty",  # Hydra's folder is in use by design
    "Checkpoint directory .* exists and is not empty",
    ".*does not have many workers",  # memory-mapped patches need none
    # the learning rate is that of the whole batch whatever the devices (conf/optim), and every fold may do without val
    "You defined a `validation_step` but have no `val_dataloader`",
    "Total length of `.*` across ranks is zero",
    "It is recommended to use `self.log\\('(train|val)/.*sync_dist=True",  # torchmetrics has gathered them by then
    "The ``compute`` method of metric MeanMetric was called before",  # of a process without a field to validate on
    # metrics of an epoch without a class are NaN or 0, as their names' columns show
    "No (positive|negative) samples in targets",
    "No positive samples found in target",
)
"""Warnings of Lightning and torchmetrics, as regular expressions."""


def _lightning_callbacks(asked: dict[str, Any]) -> list[Callback]:
    known = {
        name: value
        for name in lightning_callbacks.__all__
        if isinstance(value := getattr(lightning_callbacks, name), type) and issubclass(value, Callback)
    }
    made = []
    for name, arguments in asked.items():
        if name not in known:
            raise InputError(
                f"trainer.callbacks: Lightning has no callback {name}",
                advice=did_you_mean(name, known, otherwise="its documentation lists them"),
            )
        try:
            made.append(known[name](**(arguments or {})))
        except (TypeError, ValueError, MisconfigurationException) as error:
            raise InputError(f"trainer.callbacks.{name}", advice=f"{str(error).strip().splitlines()[0]}") from error
    return made


class _AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old checkpoint and renames, so that a full disk or a kill leaves the old one whole."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint; an OSError of the disk leaves what was there before."""
        write_tensors(checkpoint, Path(path))


def _moving_average(decay: float) -> Any:
    """The moving average of the weights that is evaluated and kept."""

    def average(old: Tensor, new: Tensor, n_averaged: Tensor | int) -> Tensor:
        if not torch.is_floating_point(old):  # a counter of batches
            return new
        # the start counts less the longer it is past, or a short training would keep its first weights
        n = int(n_averaged)
        return torch.lerp(old, new, 1 - min(decay, (1 + n) / (10 + n)))

    return average


# which cores are used and that processes start: nothing a user can act on
for _name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric"):
    logging.getLogger(_name).setLevel(logging.WARNING)
