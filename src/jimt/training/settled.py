"""One training: what was asked, and what is settled before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from jimt.config.training import TrainConfig
from jimt.curation.folds import Fold
from jimt.curation.manifest import Curated
from jimt.errors import InputError
from jimt.models.checkpoint import Input, Output
from jimt.models.devices import prediction_device
from jimt.models.network import LiveDeadNetwork
from jimt.models.scorers import Scorer, scorer_of
from jimt.models.stain_network import StainNetwork
from jimt.system.hardware import bfloat16_instructions, check_gpus
from jimt.system.memory import keep_freed_memory
from jimt.training.resume import Unfinished
from jimt.vocabulary import Split


@dataclass(frozen=True)
class Training:
    """One training, settled; what ``finetune.fit`` and ``linear_probe.fit`` take.

    Attributes:
        config: What was asked.
        folder: Where its results go.
        fold: One fold of a cross-validation in place of the split; None for the split.
        resumes: What it goes on from; None to start anew.
        precision: Lightning's word for what it computes in.
        device_index: Which graphics card, where one is used.
        weights: Where the pretrained weights came from.
        settings: What the result depends on, flat, by the names of the config.
        takes: What the network takes.
        gives: How its logits become scores, before a temperature is fitted.
        loggers: Where metrics go.
        callbacks: Lightning's, added to those of the config.
    """

    config: TrainConfig
    folder: Path
    fold: Fold | None
    resumes: Unfinished | None
    precision: str
    device_index: int
    weights: str
    settings: dict[str, Any]
    takes: Input
    gives: Output
    loggers: Sequence[Logger] = field(default=())
    callbacks: Sequence[Callback] = field(default=())

    @property
    def resumed_by(self) -> Path:
        """The folder that ``resume`` takes: the run's, or of a fold that of its cross-validation."""
        return self.folder if self.fold is None else self.folder.parent

    @property
    def validates(self) -> bool:
        """Whether there are validation patches; a fold may hold none back."""
        return self.fold is None or self.fold.val is not None


def scorer_for(training: Training, network: LiveDeadNetwork | StainNetwork) -> Scorer:
    """What scores patches with a network of this training, on its device and in its precision."""
    trainer = training.config.trainer
    return scorer_of(
        network,
        takes=training.takes,
        gives=training.gives,
        device=prediction_device(trainer.accelerator, index=training.device_index, precision=training.precision),
        precision=training.precision,
        batch_size=trainer.eval_batch_size,
        cache=None if training.fold is None else maps_cache(training.folder.parent),
    )


def maps_cache(folder: Path) -> Path:
    """Where the folds of a cross-validation in a folder share the feature maps of whole fields."""
    return folder / "maps"


def process_number() -> int:
    """Which of the processes of a training this one is, from 0."""
    return int(getattr(rank_zero_only, "rank", 0))  # set by Lightning from what launched the process


def settle_precision(config: TrainConfig, *, device_index: int, resumes: Unfinished | None) -> str:
    """Check the device, set the threads and settle the precision; a resumed run keeps its own.

    Raises:
        InputError: If there is no such card, or torch cannot use it.
    """
    trainer = config.trainer
    if trainer.num_threads is not None:
        torch.set_num_threads(trainer.num_threads)
    if trainer.accelerator == "cpu":
        keep_freed_memory()
    else:
        devices = max(trainer.devices, device_index + 1)
        check_gpus(devices=devices, precision=trainer.precision, compile_network=trainer.compile != "none")
    if trainer.precision != "auto":
        return trainer.precision
    if resumes is not None:
        return resumes.precision
    # nodes may have different processors; what bfloat16 does to maps of whole fields has not been measured
    scores_tiles = config.probe is not None and config.probe.tile is not None
    decides = trainer.accelerator == "cpu" and trainer.num_nodes == 1 and not scores_tiles
    return "bf16-mixed" if decides and bfloat16_instructions() is not None else "32-true"


def check_processes(config: TrainConfig, curated: Curated) -> None:
    """Raise unless every process has patches to train and validate on.

    Raises:
        InputError: If there are fewer patches than processes, or a batch cannot be shared evenly.
    """
    n_processes = config.trainer.devices * config.trainer.num_nodes
    if n_processes == 1 or config.optim is None:
        return
    for split in (Split.TRAIN, Split.VAL):
        n = int((curated.manifest["split"] == split.value).sum())
        if n < n_processes:
            most = max(part for part in range(1, n + 1) if config.optim.batch_size % part == 0)
            raise InputError(
                f"{n_processes} processes (trainer.devices x trainer.num_nodes) are more than the {n} "
                f"patches of {split.value}",
                remedies=(f"trainer.devices={most} trainer.num_nodes=1",),
            )
    if config.optim.batch_size % n_processes:
        raise InputError(
            f"optim.batch_size={config.optim.batch_size} cannot be shared evenly by {n_processes} "
            "processes (trainer.devices x trainer.num_nodes)",
            remedies=(f"optim.batch_size={max(config.optim.batch_size // n_processes, 1) * n_processes}",),
        )
