"""Settings of the device, of how it is driven, and of where metrics go."""

from dataclasses import dataclass
from typing import Any

from jimt.config.checks import check, one_of
from jimt.errors import InputError

ACCELERATORS = ("cpu", "gpu")
STRATEGIES = ("auto", "ddp")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
PROGRESS = ("lines", "rich", "none")
PROFILERS = ("simple", "advanced", "pytorch")


@dataclass
class TrainerConfig:
    """The device and how it is driven."""

    accelerator: str
    devices: int
    num_nodes: int
    strategy: str
    precision: str
    """``auto``: bfloat16 on a CPU that has instructions for it (AVX512-BF16, AMX-BF16), 32 bit everywhere else."""
    compile: bool
    max_epochs: int | None
    """Null under ``method=linear_probe``."""
    patience: int | None
    """Epochs without a better validation score after which training ends; null to train ``max_epochs``."""
    gradient_clip_val: float | None
    """Largest norm of the gradient of all weights together; a longer one is shortened to it."""
    limit_train_batches: int | None
    """Batches an epoch trains on, the first of its draw; null for all."""
    limit_val_batches: int | None
    """Batches the validation split is cut to, the first of the manifest; null for all."""
    overfit_batches: int | None
    """Batches that are trained on again and again, unchanged, to see whether a network can learn them by heart."""
    fast_dev_run: bool
    """Train on one batch and validate on one, to see whether all goes through; nothing is kept."""
    num_threads: int | None
    num_workers: int
    eval_batch_size: int
    progress: str
    profiler: str | None
    callbacks: dict[str, Any]
    """Lightning's callbacks by class name, each with its arguments."""

    def __post_init__(self) -> None:
        one_of("trainer.accelerator", self.accelerator, ACCELERATORS)
        one_of("trainer.strategy", self.strategy, STRATEGIES)
        one_of("trainer.precision", self.precision, PRECISIONS)
        check("trainer.devices", self.devices, self.devices >= 1, "1 or more")
        check("trainer.num_nodes", self.num_nodes, self.num_nodes >= 1, "1 or more")
        if self.devices * self.num_nodes > 1 and self.strategy == "auto":
            raise InputError(
                f"trainer.devices={self.devices} on trainer.num_nodes={self.num_nodes} are several "
                "processes, and trainer.strategy=auto starts one",
                remedies=("trainer.strategy=ddp", "trainer.devices=1 trainer.num_nodes=1"),
            )
        check("trainer.max_epochs", self.max_epochs, self.max_epochs is None or self.max_epochs >= 1, "1 or more")
        patience = self.patience
        check("trainer.patience", patience, patience is None or patience >= 1, "null, or 1 or more")
        clip = self.gradient_clip_val
        check("trainer.gradient_clip_val", clip, clip is None or clip > 0, "null, or more than 0")
        for field in ("limit_train_batches", "limit_val_batches", "overfit_batches"):
            value = getattr(self, field)
            check(f"trainer.{field}", value, value is None or value >= 1, "null, or 1 or more")
        if self.overfit_batches is not None and self.limit_train_batches is not None:
            raise InputError(
                "trainer.overfit_batches and trainer.limit_train_batches both say how many batches an epoch has",
                remedies=("trainer.overfit_batches=null", "trainer.limit_train_batches=null"),
            )
        check("trainer.num_workers", self.num_workers, self.num_workers >= 0, "0 or more")
        check("trainer.eval_batch_size", self.eval_batch_size, self.eval_batch_size >= 1, "1 or more")
        threads = self.num_threads
        check("trainer.num_threads", threads, threads is None or threads >= 1, "null, or 1 or more")
        one_of("trainer.progress", self.progress, PROGRESS)
        if self.profiler is not None:
            one_of("trainer.profiler", self.profiler, PROFILERS)


@dataclass
class LoggerConfig:
    """Where metrics go beside ``metrics.csv``, which is always written."""

    wandb: bool
    tensorboard: bool
    project: str
    entity: str | None
    """W&B team or user; null for the account's default."""
    group: str | None
    """W&B group of the runs of one sweep; null for none."""
    log_checkpoint: bool
    """Best checkpoint as an artifact."""
    n_table_patches: int
    """Test patches in the table with images, at most."""

    def __post_init__(self) -> None:
        check("logger.n_table_patches", self.n_table_patches, self.n_table_patches >= 0, "0 or more")
