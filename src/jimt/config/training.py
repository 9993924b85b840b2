"""Settings of one training run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jimt.config.checks import (
    NOT_NEGATIVE,
    ONE_OR_MORE,
    POSITIVE,
    SEED,
    SHARE,
    SHARE_BELOW_ONE,
    Settings,
    one_of,
    takes,
)
from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.config.stain import StainConfig
from jimt.config.trainer import LoggerConfig, TrainerConfig
from jimt.errors import InputError

WITHOUT_EFFECT: Final = {
    "method": {"finetune": ("probe",), "linear_probe": ("optim", "augmentation")},
    "task": {"patch": ("stain",), "stain": ()},
}
"""Of each value of a setting the sections without effect under it; they are null then."""
_OFF: Final = {
    "backbone.trainable": "null",
    "trainer.max_epochs": "null",
    "trainer.patience": "null",
    "trainer.gradient_clip_val": "null",
    "trainer.limit_train_batches": "null",
    "trainer.limit_val_batches": "null",
    "trainer.overfit_batches": "null",
    "trainer.fast_dev_run": "false",
    "trainer.compile": "none",
    "trainer.profiler": "null",
    "trainer.callbacks": "{}",
}
"""Settings without effect on a linear probe, each with the value that leaves it out."""


@dataclass
class BackboneConfig(Settings, section="backbone"):
    """The network, by timm name, and where its weights come from."""

    name: str
    weights: str
    trainable: str | None = field(metadata=one_of("all", "last_stage", "head"))
    """Which part is fine-tuned: ``all``, ``last_stage`` or ``head``; null under ``method=linear_probe``, which trains
    none of it."""


@dataclass
class ProbeConfig(Settings, section="probe"):
    """Logistic regression on a frozen network: ``method=linear_probe``."""

    layer: str | None
    """Part of the network, by its name in timm, whose feature map is taken; null for the pooled features at its end."""
    tile: int | None = field(metadata=takes("null, 8, 16 or 32 pixels", lambda value: value in (8, 16, 32)))
    """Side in pixels of the tiles of a field that are labelled each by its own fluorescence; null: patches are."""
    balance_groups: bool
    """A group counts as the square root of its size: large experiments would else outvote the others."""
    c: float = field(metadata=POSITIVE)
    """Inverse of the L2 penalty."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tile is not None and self.layer is None:
            raise InputError(
                "probe.tile needs probe.layer, since tiles are told apart on a feature map, before it is pooled",
                remedies=("probe.layer=NAME", "probe.tile=null"),
            )


def _zero_to(most: int) -> dict[str, Any]:
    return takes(f"0 to {most}", lambda value: 0 <= value <= most)


@dataclass
class AugmentationConfig(Settings, section="augmentation"):
    """How a training patch is changed before the network sees it; a strength of 0 changes nothing."""

    orientations: bool
    """Random quarter turns and mirror images."""
    brightness: float = field(metadata=SHARE)
    """Largest shift of all grey values, as a share of their range."""
    contrast: float = field(metadata=_zero_to(3))
    """Largest change of the contrast about the patch's mean, in factors of two."""
    gamma: float = field(metadata=_zero_to(3))
    """Largest change of the exponent of the grey values, in factors of two."""
    blur: float = field(metadata=_zero_to(8))
    """Largest standard deviation of a Gaussian blur, in pixels."""
    noise: float = field(metadata=SHARE)
    """Largest standard deviation of Gaussian noise, as a share of the range of grey values."""
    scale: float = field(metadata=_zero_to(1))
    """Largest change of the magnification, in factors of two."""


@dataclass
class OptimConfig(Settings, section="optim"):
    """Adam on cross entropy."""

    lr: float = field(metadata=POSITIVE)
    """Of the whole batch: it does not change with the number of devices."""
    betas: tuple[float, float] = field(
        metadata=takes(
            "two numbers from 0 to below 1", lambda betas: len(betas) == 2 and all(0 <= beta < 1 for beta in betas)
        )
    )
    weight_decay: float = field(metadata=NOT_NEGATIVE)
    decoupled: bool
    """Weight decay apart from the gradient (AdamW) instead of an L2 penalty (Adam)."""
    batch_size: int = field(metadata=ONE_OR_MORE)
    """Patches a step over all devices; each takes its even share."""
    accumulate: int = field(metadata=ONE_OR_MORE)
    """Batches whose gradients are added up before a step."""
    schedule: str = field(metadata=one_of("constant", "cosine", "one_cycle"))
    warmup: float = field(metadata=SHARE_BELOW_ONE)
    """Share of all steps in which the learning rate rises; not for ``constant``."""
    ema_decay: float = field(metadata=SHARE_BELOW_ONE)
    """Decay of the exponential moving average of the weights that is evaluated and kept; 0 for none."""
    label_smoothing: float = field(metadata=SHARE_BELOW_ONE)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.betas = (self.betas[0], self.betas[1])  # OmegaConf hands a list over
        if self.schedule == "constant" and self.warmup > 0:
            raise InputError(
                f"optim.warmup={self.warmup} is without effect under optim.schedule=constant, whose rate does not rise",
                remedies=("optim.schedule=cosine", "optim.schedule=one_cycle", "optim.warmup=0"),
            )


@dataclass
class EvaluationConfig(Settings, section="evaluation"):
    """How patches are scored, and the intervals of the metrics."""

    confidence: float = field(metadata=takes("0.5 to below 1", lambda value: 0.5 <= value < 1))
    orientations: int = field(metadata=takes("1, 4 or 8", lambda value: value in (1, 4, 8)))
    """A score is of the mean over so many of a patch's orientations: 1, 4 (quarter turns) or 8 (mirrored as well)."""


@dataclass
class TrainConfig(Settings):
    """What a training run is made of."""

    seed: int = field(metadata=SEED)
    run_dir: str
    retrain: bool
    """Train again although the run's folder holds this very training, finished."""
    resume: str | None
    """Folder of a run that was cut off, to go on with after its last finished epoch."""
    report: bool
    """Write ``report.html`` at the end; ``jimt report`` writes it later."""
    task: str = field(metadata=one_of(*WITHOUT_EFFECT["task"]))
    """``patch``: live or dead of each patch; ``stain``: maps of the stain, by which patches and fields are judged."""
    method: str = field(metadata=one_of(*WITHOUT_EFFECT["method"]))
    """``finetune``, by gradient descent, or ``linear_probe``, logistic regression on the frozen network."""
    dataset: DatasetConfig
    curation: CurationConfig
    backbone: BackboneConfig
    probe: ProbeConfig | None
    """Of a linear probe alone."""
    stain: StainConfig | None
    """Of ``task=stain`` alone."""
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
        super().__post_init__()
        if self.task == "stain" and self.method != "finetune":
            raise no_decoder(self.method)
        if self.task == "stain" and self.optim is not None and self.optim.label_smoothing > 0:
            raise InputError(
                f"optim.label_smoothing={self.optim.label_smoothing:g} is without effect under task=stain, which "
                "learns from no labels",
                remedies=("optim.label_smoothing=0", "task=patch"),
            )
        if self.method == "linear_probe":
            self._check_linear_probe()
        elif self.backbone.trainable is None or self.trainer.max_epochs is None:
            knows_part = self.backbone.trainable is not None
            missing, value = ("trainer.max_epochs", 30) if knows_part else ("backbone.trainable", "all")
            raise InputError(
                f"{missing}=null is not allowed under method=finetune",
                remedies=("method=linear_probe", f"{missing}={value}"),
            )
        if self.trainer.fast_dev_run and self.resume is not None:
            raise InputError(
                "trainer.fast_dev_run=true keeps nothing, so it cannot go on with a run",
                remedies=("resume=null", "trainer.fast_dev_run=false"),
            )

    def _check_linear_probe(self) -> None:
        """Refuse what has no effect on a logistic regression that is fitted once."""
        values = {name: getattr(getattr(self, name.partition(".")[0]), name.partition(".")[2]) for name in _OFF}
        if given := [name for name, value in values.items() if value not in (None, False, {}, "none")]:
            raise InputError(
                f"{given[0]} is without effect under method=linear_probe, which trains in no batches",
                remedies=(" ".join(f"{name}={_OFF[name]}" for name in given), "method=finetune"),
            )
        if self.trainer.devices * self.trainer.num_nodes > 1:
            raise InputError(
                "a linear probe is fitted by one process",
                remedies=("trainer.devices=1 trainer.num_nodes=1 trainer.strategy=auto",),
            )


def no_decoder(method: str) -> InputError:
    """The error of a method that cannot be asked for maps of the stain."""
    return InputError(
        f"task=stain trains a decoder, and method={method} trains none", remedies=("method=finetune", "task=patch")
    )


def refuse_fast_dev_run(trainer: TrainerConfig, so: str) -> None:
    """Raise where a trial run is asked of a command that needs what a training leaves."""
    if trainer.fast_dev_run:
        raise InputError(
            f"trainer.fast_dev_run=true keeps nothing, so {so}",
            advice="try it in a single training",
            remedies=("trainer.fast_dev_run=false",),
        )
