"""Settings of the device, of how it is driven, and of where metrics go."""

from dataclasses import dataclass, field
from typing import Any

from jimt.config.checks import NOT_NEGATIVE, NULL_OR_ONE_OR_MORE, ONE_OR_MORE, Settings, one_of, takes
from jimt.errors import InputError


@dataclass
class TrainerConfig(Settings, section="trainer"):
    """The device and how it is driven."""

    accelerator: str = field(metadata=one_of("cpu", "gpu"))
    devices: int = field(metadata=ONE_OR_MORE)
    num_nodes: int = field(metadata=ONE_OR_MORE)
    strategy: str = field(metadata=one_of("auto", "ddp"))
    precision: str = field(metadata=one_of("auto", "32-true", "bf16-mixed", "16-mixed"))
    """``auto``: bfloat16 on a CPU that has instructions for it (AVX512-BF16, AMX-BF16), 32 bit everywhere else."""
    compile: str = field(metadata=one_of("none", "default", "reduce-overhead"))
    """Of ``torch.compile``, its own word: ``reduce-overhead`` replays CUDA graphs, for small batches on a GPU."""
    max_epochs: int | None = field(metadata=ONE_OR_MORE)
    """Null under ``method=linear_probe``."""
    patience: int | None = field(metadata=NULL_OR_ONE_OR_MORE)
    """Epochs without a better validation score after which training ends; null to train ``max_epochs``."""
    gradient_clip_val: float | None = field(metadata=takes("null, or more than 0", lambda value: value > 0))
    """Largest norm of the gradient of all weights together; a longer one is shortened to it."""
    limit_train_batches: int | None = field(metadata=NULL_OR_ONE_OR_MORE)
    """Batches an epoch trains on, the first of its draw; null for all."""
    limit_val_batches: int | None = field(metadata=NULL_OR_ONE_OR_MORE)
    """Batches the validation split is cut to, the first of the manifest; null for all."""
    overfit_batches: int | None = field(metadata=NULL_OR_ONE_OR_MORE)
    """Batches that are trained on again and again, unchanged, to see whether a network can learn them by heart."""
    fast_dev_run: bool
    """Train on one batch and validate on one, to see whether all goes through; nothing is kept."""
    num_threads: int | None = field(metadata=NULL_OR_ONE_OR_MORE)
    num_workers: int = field(metadata=NOT_NEGATIVE)
    eval_batch_size: int = field(metadata=ONE_OR_MORE)
    progress: str = field(metadata=one_of("lines", "rich", "none"))
    profiler: str | None = field(metadata=one_of("simple", "advanced", "pytorch"))
    callbacks: dict[str, Any]
    """Lightning's callbacks by class name, each with its arguments."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.devices * self.num_nodes > 1 and self.strategy == "auto":
            raise InputError(
                f"trainer.devices={self.devices} on trainer.num_nodes={self.num_nodes} are several "
                "processes, and trainer.strategy=auto starts one",
                remedies=("trainer.strategy=ddp", "trainer.devices=1 trainer.num_nodes=1"),
            )
        if self.accelerator == "cpu" and self.precision == "16-mixed":
            raise InputError(
                "trainer.precision=16-mixed is for graphics cards: on a CPU torch trains in 32 bit or in bfloat16",
                remedies=("trainer.precision=auto", "trainer=gpu"),
            )
        if self.accelerator == "cpu" and self.compile == "reduce-overhead":
            raise InputError(
                "trainer.compile=reduce-overhead replays CUDA graphs, and a CPU has none",
                remedies=("trainer.compile=default", "trainer=gpu"),
            )
        if self.overfit_batches is not None and self.limit_train_batches is not None:
            raise InputError(
                "trainer.overfit_batches and trainer.limit_train_batches both say how many batches an epoch has",
                remedies=("trainer.overfit_batches=null", "trainer.limit_train_batches=null"),
            )


@dataclass
class LoggerConfig(Settings, section="logger"):
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
    n_table_patches: int = field(metadata=NOT_NEGATIVE)
    """Test patches in the table with images, at most."""
