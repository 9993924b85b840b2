"""Settings of one training run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jimt.config.checks import check, check_confidence, one_of
from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.config.model import BackboneConfig, ProbeConfig
from jimt.config.trainer import LoggerConfig, TrainerConfig
from jimt.errors import InputError

SCHEDULES = ("constant", "cosine", "one_cycle")
METHODS = ("finetune", "linear_probe")
WITHOUT_EFFECT: Final = {"finetune": ("probe",), "linear_probe": ("optim", "augmentation")}
"""Of each method the sections whose settings have no effect; they are null under it."""
_GIVEN: Final = {"backbone.trainable": "backbone.trainable=all", "trainer.max_epochs": "trainer.max_epochs=30"}
_OFF: Final = {
    "backbone.trainable": "null",
    "trainer.max_epochs": "null",
    "trainer.patience": "null",
    "trainer.gradient_clip_val": "null",
    "trainer.limit_train_batches": "null",
    "trainer.limit_val_batches": "null",
    "trainer.overfit_batches": "null",
    "trainer.fast_dev_run": "false",
    "trainer.profiler": "null",
    "trainer.callbacks": "{}",
}
"""Settings without effect on a linear probe, each with the value that leaves it out."""


@dataclass
class AugmentationConfig:
    """How a training patch is changed before the network sees it; a strength of 0 changes nothing."""

    orientations: bool
    """Random quarter turns and mirror images."""
    brightness: float
    """Largest shift of all grey values, as a share of their range."""
    contrast: float
    """Largest change of the contrast about the patch's mean, in factors of two."""
    gamma: float
    """Largest change of the exponent of the grey values, in factors of two."""
    blur: float
    """Largest standard deviation of a Gaussian blur, in pixels."""

    def __post_init__(self) -> None:
        for field, limit in (("brightness", 1), ("contrast", 3), ("gamma", 3), ("blur", 8)):
            value = getattr(self, field)
            check(f"augmentation.{field}", value, 0 <= value <= limit, f"0 to {limit}")


@dataclass
class OptimConfig:
    """Adam on cross entropy."""

    lr: float
    """Of the whole batch: it does not change with the number of devices."""
    betas: tuple[float, float]
    weight_decay: float
    decoupled: bool
    """Weight decay apart from the gradient (AdamW) instead of an L2 penalty (Adam)."""
    batch_size: int
    """Patches a step over all devices; each takes its even share."""
    accumulate: int
    """Batches whose gradients are added up before a step."""
    schedule: str
    warmup: float
    """Share of all steps in which the learning rate rises; not for ``constant``."""
    ema_decay: float
    """Decay of the exponential moving average of the weights that is evaluated and kept; 0 for none."""
    label_smoothing: float

    def __post_init__(self) -> None:
        check("optim.lr", self.lr, self.lr > 0, "more than 0")
        two = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        check("optim.betas", self.betas, two, "two numbers from 0 to below 1")
        self.betas = (self.betas[0], self.betas[1])  # OmegaConf hands a list over, of any length
        check("optim.weight_decay", self.weight_decay, self.weight_decay >= 0, "0 or more")
        check("optim.batch_size", self.batch_size, self.batch_size >= 1, "1 or more")
        check("optim.accumulate", self.accumulate, self.accumulate >= 1, "1 or more")
        one_of("optim.schedule", self.schedule, SCHEDULES)
        check("optim.warmup", self.warmup, 0 <= self.warmup < 1, "0 to below 1")
        if self.schedule == "constant" and self.warmup > 0:
            raise InputError(
                f"optim.warmup={self.warmup} is without effect under optim.schedule=constant, whose rate does not rise",
                remedies=("optim.schedule=cosine", "optim.schedule=one_cycle", "optim.warmup=0"),
            )
        check("optim.ema_decay", self.ema_decay, 0 <= self.ema_decay < 1, "0 to below 1")
        check("optim.label_smoothing", self.label_smoothing, 0 <= self.label_smoothing < 1, "0 to below 1")


@dataclass
class EvaluationConfig:
    """How patches are scored, and the intervals of the metrics."""

    confidence: float
    orientations: int
    """A score is of the mean over so many of a patch's orientations: 1, 4 (quarter turns) or 8 (mirrored as well)."""

    def __post_init__(self) -> None:
        check("evaluation.orientations", self.orientations, self.orientations in (1, 4, 8), "1, 4 or 8")
        check_confidence("evaluation.confidence", self.confidence)


@dataclass
class TrainConfig:
    """What a training run is made of."""

    seed: int
    run_dir: str
    retrain: bool
    """Train again although the run's folder holds this very training, finished."""
    resume: str | None
    """Folder of a run that was cut off, to go on with after its last finished epoch."""
    report: bool
    """Write ``report.html`` at the end; ``jimt report`` writes it later."""
    method: str
    """``finetune``, by gradient descent, or ``linear_probe``, logistic regression on the frozen network."""
    dataset: DatasetConfig
    curation: CurationConfig
    backbone: BackboneConfig
    probe: ProbeConfig | None
    """Of a linear probe alone."""
    augmentation: AugmentationConfig | None
    """Of fine-tuning alone."""
    optim: OptimConfig | None
    """Likewise."""
    trainer: TrainerConfig
    logger: LoggerConfig
    evaluation: EvaluationConfig

    @property
    def folder(self) -> Path:
        """Where results go: the folder of the run that goes on, or a new one."""
        return Path(self.run_dir if self.resume is None else self.resume)

    def __post_init__(self) -> None:
        check("seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295")
        one_of("method", self.method, METHODS)
        if self.method == "linear_probe":
            self._check_linear_probe()
        elif self.backbone.trainable is None or self.trainer.max_epochs is None:
            missing = "trainer.max_epochs" if self.backbone.trainable is not None else "backbone.trainable"
            raise InputError(
                f"{missing}=null is not allowed under method=finetune",
                remedies=("method=linear_probe", _GIVEN[missing]),
            )
        if self.trainer.fast_dev_run and self.resume is not None:
            raise InputError(
                "trainer.fast_dev_run=true keeps nothing, so it cannot go on with a run",
                remedies=("resume=null", "trainer.fast_dev_run=false"),
            )

    def _check_linear_probe(self) -> None:
        """Refuse what has no effect on a logistic regression that is fitted once."""
        values = {name: getattr(getattr(self, name.partition(".")[0]), name.partition(".")[2]) for name in _OFF}
        given = [name for name, value in values.items() if value not in (None, False, {})]
        if given:
            raise InputError(
                f"{given[0]} is without effect under method=linear_probe, which trains in no batches",
                remedies=(" ".join(f"{name}={_OFF[name]}" for name in given), "method=finetune"),
            )
        if self.trainer.devices * self.trainer.num_nodes > 1:
            raise InputError(
                "a linear probe is fitted by one process",
                remedies=("trainer.devices=1 trainer.num_nodes=1 trainer.strategy=auto",),
            )


def refuse_fast_dev_run(trainer: TrainerConfig, so: str) -> None:
    """Raise where a trial run is asked of a command that needs what a training leaves."""
    if trainer.fast_dev_run:
        raise InputError(
            f"trainer.fast_dev_run=true keeps nothing, so {so}",
            advice="try it in a single training",
            remedies=("trainer.fast_dev_run=false",),
        )
