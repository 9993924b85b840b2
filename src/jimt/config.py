"""Every knob of jimt: types and cross-field checks. The values stand in ``conf/``, each written once."""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from jimt.errors import InputError
from jimt.patterns import check_pattern, composed, parse_pattern

LAYOUTS = ("pairs", "stack", "patches")
SCALING_METHODS = ("full_range", "bit_depth", "percentile_image", "percentile_dataset")
LABEL_SCALES = ("raw", "background_subtracted", "log_background_ratio")
ON_BAD_IMAGE = ("raise", "skip")
KERNELS = ("linear", "rbf")
EXECUTORS = ("local", "dask")
TRAINABLE = ("all", "last_stage", "head", "none")
SCHEDULES = ("constant", "cosine", "one_cycle")
ACCELERATORS = ("cpu", "gpu")
STRATEGIES = ("auto", "ddp")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
FILTER_PRECISIONS = ("32-true", "bf16-mixed")  # no auto: a curation is the same on every machine
PROGRESS = ("lines", "rich", "none")
PROFILERS = ("simple", "advanced", "pytorch")
# What a search may go by, and which way is better; recall of one class would choose a network that knows no other.
SEARCH_METRICS: dict[str, Literal["maximize", "minimize"]] = {
    "val/auroc": "maximize",
    "val/balanced_accuracy": "maximize",
    "val/average_precision_live": "maximize",
    "val/f1_live": "maximize",
    "val/f1_dead": "maximize",
    "val/loss": "minimize",
    "val/brier": "minimize",
}


_OFF: Final = {
    "gradient_clip_val": "null",
    "limit_train_batches": "null",
    "limit_val_batches": "null",
    "overfit_batches": "null",
    "fast_dev_run": "false",
}
"""Settings of the trainer for epochs of batches, each with the value that leaves it out."""


def _check(field: str, value: object, ok: bool, allowed: str) -> None:
    if not ok:
        raise InputError(f"{field}={value} is not allowed", advice=f"it takes {allowed}")


def check_confidence(setting: str, value: float) -> None:
    """Raise an ``InputError`` if no interval can have this coverage, named by the setting or flag that gave it."""
    _check(setting, value, 0.5 <= value < 1, "0.5 to below 1")


def _is_name(name: str) -> bool:
    """Whether a data set may be called so: a folder and files bear its name."""
    return re.fullmatch(r"[\w-]+(\.[\w-]+)*", name) is not None


def _one_of(field: str, value: str, choices: tuple[str, ...]) -> None:
    _check(field, value, value in choices, "one of " + ", ".join(choices))


@dataclass
class SimulationConfig:
    """The simulated microscope: what it images when the data set's folder is absent."""

    n_wells: int
    fields_per_well: int
    height: int
    width: int
    dead_fraction: float
    difficulty: float
    seed: int
    patch_size: int
    stride: int


@dataclass
class DatasetConfig:
    """Where raw images lie, how their names are read and what groups them."""

    name: str
    root: str
    layout: str
    pattern: str | None
    """How the path below ``root`` is read: placeholders or a regular expression (see ``patterns``)."""
    group: list[str] | None
    """Placeholders or named groups that make the group, where the pattern has none of that name."""
    leave_out: str | None
    """Likewise for the paths of images that are left out on purpose, so that nothing warns of them."""
    brightfield: str
    """Layout ``pairs``: what the named group ``channel`` reads on a bright-field image."""
    fluorescence: str
    brightfield_index: int
    """Layout ``stack``: channel index, from 0."""
    fluorescence_index: int
    live_folder: str
    """Layout ``patches``: name of the class folder."""
    dead_folder: str
    bit_depth: int
    """Bits that carry the signal; higher bits of a 16-bit file, the same in every pixel, are masked (ScanR: 12)."""
    bit_shift: int
    """Zero bits below the signal, where a camera's software writes it into the upper bits of 16."""
    empty_labels: str | None
    """CSV of hand labels for the empty filter: ``raw_image_id,y,x,label``."""
    empty_word: str
    not_empty_word: str
    how_to_get: str
    simulation: SimulationConfig | None

    def __post_init__(self) -> None:
        _check("dataset.name", self.name, _is_name(self.name), "letters, digits, dots, _ and -")
        _one_of("dataset.layout", self.layout, LAYOUTS)
        _check("dataset.bit_depth", self.bit_depth, 8 <= self.bit_depth <= 16, "8 to 16")
        most = 16 - self.bit_depth
        _check("dataset.bit_shift", self.bit_shift, 0 <= self.bit_shift <= most, f"0 to {most}, with dataset.bit_depth")
        if self.layout != "patches" and self.pattern is None:
            raise InputError(
                f"dataset.pattern is missing, and layout {self.layout} needs one, such as {{well}}_{{channel}}.tif",
                remedies=("dataset.pattern=PATTERN",),
            )
        if self.pattern is not None:
            check_pattern(self.pattern, layout=self.layout, group=self.group)
        elif self.group is not None:
            raise InputError(
                "dataset.group is without effect where dataset.pattern reads no names", remedies=("dataset.group=null",)
            )
        if self.leave_out is not None:
            parse_pattern(self.leave_out, setting="dataset.leave_out")
        if self.layout == "pairs" and composed(self.brightfield) == composed(self.fluorescence):
            raise InputError(
                f"dataset.brightfield and dataset.fluorescence are both {self.brightfield}, and each is "
                "the word that the file names have for that channel",
                remedies=("dataset.brightfield=WORD", "dataset.fluorescence=WORD"),
            )
        if self.layout == "stack":
            for field in ("brightfield_index", "fluorescence_index"):
                value = getattr(self, field)
                _check(f"dataset.{field}", value, value >= 0, "0 or more")
            if self.brightfield_index == self.fluorescence_index:
                raise InputError(
                    "dataset.brightfield_index and dataset.fluorescence_index are both "
                    f"{self.brightfield_index}, and each channel has its own, from 0",
                    remedies=("dataset.brightfield_index=NUMBER", "dataset.fluorescence_index=NUMBER"),
                )


@dataclass
class ScalingConfig:
    """Conversion of the bright-field image to the 8 bits the network sees."""

    method: str
    low_percentile: float
    high_percentile: float

    def __post_init__(self) -> None:
        _one_of("curation.scaling.method", self.method, SCALING_METHODS)
        _check("curation.scaling.low_percentile", self.low_percentile, 0 <= self.low_percentile < 50, "0 to below 50")
        _check(
            "curation.scaling.high_percentile",
            self.high_percentile,
            50 < self.high_percentile <= 100,
            "above 50 to 100",
        )


@dataclass
class PatchConfig:
    """The sliding window."""

    size: int
    stride: int
    max_no_data: float
    """A patch with a larger share of no-data pixels is not used."""

    def __post_init__(self) -> None:
        _check("curation.patches.size", self.size, self.size >= 32, "32 or more pixels")
        _check("curation.patches.stride", self.stride, self.stride >= 1, "1 or more pixels")
        _check("curation.patches.max_no_data", self.max_no_data, 0 <= self.max_no_data <= 1, "0 to 1")


@dataclass
class EmptyFilterConfig:
    """The support vector machine that drops patches without cells."""

    enabled: bool
    fit_on: list[str]
    """Names of the data sets whose hand labels train it, in this order; those of one run are kept for the others."""
    backbone: str
    weights: str
    kernel: str
    regularisation: float
    """C of the support vector machine."""
    n_folds: int
    batch_size: int
    device: str
    precision: str
    """What the network computes in, on every device; part of the curation's fingerprint."""

    def __post_init__(self) -> None:
        names = self.fit_on
        each_once = len(names) > 0 and len(set(names)) == len(names) and all(map(_is_name, names))
        _check("curation.empty_filter.fit_on", names, each_once, "names of one or more data sets, each once")
        _one_of("curation.empty_filter.kernel", self.kernel, KERNELS)
        _check("curation.empty_filter.regularisation", self.regularisation, self.regularisation > 0, "more than 0")
        _check("curation.empty_filter.n_folds", self.n_folds, self.n_folds >= 2, "2 or more")
        _one_of("curation.empty_filter.precision", self.precision, FILTER_PRECISIONS)
        _check("curation.empty_filter.batch_size", self.batch_size, self.batch_size >= 1, "1 or more")


@dataclass
class LabelConfig:
    """Live and dead by mean fluorescence."""

    scale: str
    background_percentile: float
    """Percentile of a field's valid pixels that counts as its background."""
    fit_on: str
    """Name of the curated data set the mixture is fitted on."""
    n_sigma: float
    n_init: int
    tolerance: float
    """Gain in mean log-likelihood below which the mixture has converged."""
    min_patches: int
    min_weight: float
    """A component that explains a smaller share of the patches has collapsed; so few outliers are left out."""
    fit_range: tuple[float, float] | None
    """Least and greatest value the mixture is fitted on; null: all values but outliers."""
    live_below: float | None
    """Fixed cut-offs, on the chosen scale, in place of the mixture's."""
    dead_above: float | None

    def __post_init__(self) -> None:
        _one_of("curation.label.scale", self.scale, LABEL_SCALES)
        percentile = self.background_percentile
        _check("curation.label.background_percentile", percentile, 0 <= percentile <= 100, "0 to 100")
        _check("curation.label.n_sigma", self.n_sigma, self.n_sigma >= 0, "0 or more")
        _check("curation.label.n_init", self.n_init, self.n_init >= 1, "1 or more")
        _check("curation.label.tolerance", self.tolerance, self.tolerance > 0, "more than 0")
        _check("curation.label.min_patches", self.min_patches, self.min_patches >= 2, "2 or more")
        _check("curation.label.min_weight", self.min_weight, 0 <= self.min_weight < 0.5, "0 to below 0.5")
        if self.fit_range is not None:
            self._check_range(self.fit_range)
        if (self.live_below is None) != (self.dead_above is None):
            raise InputError(
                "curation.label.live_below and curation.label.dead_above are given together or not at all",
                remedies=(
                    "curation.label.live_below=NUMBER curation.label.dead_above=NUMBER",
                    "curation.label.live_below=null curation.label.dead_above=null",
                ),
            )
        if self.live_below is not None and self.dead_above is not None and self.live_below > self.dead_above:
            raise InputError(
                f"curation.label.live_below={self.live_below} lies above "
                f"curation.label.dead_above={self.dead_above}, so a patch would be live and dead",
                remedies=(f"curation.label.live_below={self.dead_above} curation.label.dead_above={self.live_below}",),
            )

    def _check_range(self, fit_range: tuple[float, ...]) -> None:
        ends = tuple(fit_range)  # OmegaConf hands a list over, of any length
        rising = len(ends) == 2 and ends[0] < ends[1]
        _check("curation.label.fit_range", list(ends), rising, "null, or two values of which the second is larger")
        self.fit_range = (ends[0], ends[1])
        if self.live_below is not None:
            raise InputError(
                "curation.label.fit_range is without effect where curation.label.live_below and "
                "curation.label.dead_above are given",
                remedies=(
                    "curation.label.fit_range=null",
                    "curation.label.live_below=null curation.label.dead_above=null",
                ),
            )


@dataclass
class SplitConfig:
    """Train, validation and test, by group."""

    train: float
    val: float
    test: float
    keep_folders: bool
    """Layout ``patches``: take the split of the folders as published."""
    n_folds: int
    """Grouped folds for cross-validation beside the split; 0 for none."""

    def __post_init__(self) -> None:
        for field in ("train", "val", "test"):
            value = getattr(self, field)
            _check(f"curation.split.{field}", value, value > 0, "more than 0")
        _check("curation.split.n_folds", self.n_folds, self.n_folds == 0 or self.n_folds >= 2, "0, or 2 or more")


@dataclass
class ExecutorConfig:
    """Where raw images are read: in processes of this machine, or on the workers of a Dask cluster."""

    backend: str
    scheduler: str | None
    """Address of the cluster's scheduler, ``tcp://HOST:8786``."""
    worker_timeout: float
    """Seconds to wait for a worker where the cluster has none."""

    def __post_init__(self) -> None:
        _one_of("curation.executor.backend", self.backend, EXECUTORS)
        if (self.backend == "dask") != (self.scheduler is not None):
            raise InputError(
                "curation.executor.backend=dask and curation.executor.scheduler are given together, or not at all",
                remedies=(
                    "curation.executor.backend=dask curation.executor.scheduler=tcp://HOST:8786",
                    "curation.executor.backend=local curation.executor.scheduler=null",
                ),
            )
        _check("curation.executor.worker_timeout", self.worker_timeout, self.worker_timeout > 0, "more than 0 seconds")


@dataclass
class CurationConfig:
    """From raw images to a manifest, in the order of the pipeline."""

    output_root: str
    on_bad_image: str
    n_jobs: int
    """Processes that read images; -1 for all cores."""
    executor: ExecutorConfig
    scaling: ScalingConfig
    patches: PatchConfig
    empty_filter: EmptyFilterConfig
    label: LabelConfig
    split: SplitConfig
    seed: int
    """Seed of mixture and splits; apart from the training's, so that another training seed keeps the split."""

    def __post_init__(self) -> None:
        _one_of("curation.on_bad_image", self.on_bad_image, ON_BAD_IMAGE)
        _check("curation.n_jobs", self.n_jobs, self.n_jobs == -1 or self.n_jobs >= 1, "-1, or 1 or more")
        _check("curation.seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295")


@dataclass
class PrepareConfig:
    """What a curation run is made of."""

    dataset: DatasetConfig
    curation: CurationConfig
    dry_run: bool
    """Only list what the names of the files tell; nothing is computed or written."""
    hand_labels_only: bool
    """Only keep the features of hand-labelled patches, for a filter that is trained on several data sets."""

    def __post_init__(self) -> None:
        if self.dry_run and self.hand_labels_only:
            raise InputError(
                "dry_run=true writes nothing and hand_labels_only=true writes a file",
                remedies=("dry_run=false", "hand_labels_only=false"),
            )


@dataclass
class BackboneConfig:
    """The network, by timm name, and where its weights come from."""

    name: str
    weights: str
    trainable: str
    """``all``, ``last_stage``, ``head``, or ``none`` for logistic regression on frozen features."""

    def __post_init__(self) -> None:
        _one_of("backbone.trainable", self.trainable, TRAINABLE)


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
            _check(f"augmentation.{field}", value, 0 <= value <= limit, f"0 to {limit}")


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
    logistic_c: float
    """C of the logistic regression of ``backbone.trainable=none``: the inverse of its L2 penalty."""

    def __post_init__(self) -> None:
        _check("optim.lr", self.lr, self.lr > 0, "more than 0")
        two = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        _check("optim.betas", self.betas, two, "two numbers from 0 to below 1")
        self.betas = (self.betas[0], self.betas[1])  # OmegaConf hands a list over, of any length
        _check("optim.weight_decay", self.weight_decay, self.weight_decay >= 0, "0 or more")
        _check("optim.batch_size", self.batch_size, self.batch_size >= 1, "1 or more")
        _check("optim.accumulate", self.accumulate, self.accumulate >= 1, "1 or more")
        _one_of("optim.schedule", self.schedule, SCHEDULES)
        _check("optim.warmup", self.warmup, 0 <= self.warmup < 1, "0 to below 1")
        if self.schedule == "constant" and self.warmup > 0:
            raise InputError(
                f"optim.warmup={self.warmup} is without effect under optim.schedule=constant, whose rate does not rise",
                remedies=("optim.schedule=cosine", "optim.schedule=one_cycle", "optim.warmup=0"),
            )
        _check("optim.ema_decay", self.ema_decay, 0 <= self.ema_decay < 1, "0 to below 1")
        _check("optim.logistic_c", self.logistic_c, self.logistic_c > 0, "more than 0")
        _check("optim.label_smoothing", self.label_smoothing, 0 <= self.label_smoothing < 1, "0 to below 1")


@dataclass
class ProbeConfig:
    """Logistic regression on a frozen network, for ``backbone.trainable=none``; its C is ``optim.logistic_c``."""

    layer: str | None
    """Part of the network, by its name in timm, whose feature map is taken; null for the pooled features at its end."""
    cell: int | None
    """Side in pixels of the cells of a field that are labelled each by its own fluorescence; null: patches are."""
    balance_groups: bool
    """A group counts as the square root of its size: large experiments would else outvote the others."""

    def __post_init__(self) -> None:
        _check("probe.cell", self.cell, self.cell in (None, 8, 16, 32), "null, 8, 16 or 32 pixels")
        if self.cell is not None and self.layer is None:
            raise InputError(
                "probe.cell needs probe.layer, since cells are told apart on a feature map, before it is pooled",
                remedies=("probe.layer=NAME", "probe.cell=null"),
            )


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
    max_epochs: int
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
        _one_of("trainer.accelerator", self.accelerator, ACCELERATORS)
        _one_of("trainer.strategy", self.strategy, STRATEGIES)
        _one_of("trainer.precision", self.precision, PRECISIONS)
        _check("trainer.devices", self.devices, self.devices >= 1, "1 or more")
        _check("trainer.num_nodes", self.num_nodes, self.num_nodes >= 1, "1 or more")
        if self.devices * self.num_nodes > 1 and self.strategy == "auto":
            raise InputError(
                f"trainer.devices={self.devices} on trainer.num_nodes={self.num_nodes} are several "
                "processes, and trainer.strategy=auto starts one",
                remedies=("trainer.strategy=ddp", "trainer.devices=1 trainer.num_nodes=1"),
            )
        _check("trainer.max_epochs", self.max_epochs, self.max_epochs >= 1, "1 or more")
        patience = self.patience
        _check("trainer.patience", patience, patience is None or patience >= 1, "null, or 1 or more")
        clip = self.gradient_clip_val
        _check("trainer.gradient_clip_val", clip, clip is None or clip > 0, "null, or more than 0")
        for field in ("limit_train_batches", "limit_val_batches", "overfit_batches"):
            value = getattr(self, field)
            _check(f"trainer.{field}", value, value is None or value >= 1, "null, or 1 or more")
        if self.overfit_batches is not None and self.limit_train_batches is not None:
            raise InputError(
                "trainer.overfit_batches and trainer.limit_train_batches both say how many batches an epoch has",
                remedies=("trainer.overfit_batches=null", "trainer.limit_train_batches=null"),
            )
        _check("trainer.num_workers", self.num_workers, self.num_workers >= 0, "0 or more")
        _check("trainer.eval_batch_size", self.eval_batch_size, self.eval_batch_size >= 1, "1 or more")
        threads = self.num_threads
        _check("trainer.num_threads", threads, threads is None or threads >= 1, "null, or 1 or more")
        _one_of("trainer.progress", self.progress, PROGRESS)
        if self.profiler is not None:
            _one_of("trainer.profiler", self.profiler, PROFILERS)


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
        _check("logger.n_table_patches", self.n_table_patches, self.n_table_patches >= 0, "0 or more")


@dataclass
class EvaluationConfig:
    """How patches are scored, and the intervals of the metrics."""

    confidence: float
    orientations: int
    """A score is of the mean over so many of a patch's orientations: 1, 4 (quarter turns) or 8 (mirrored as well)."""

    def __post_init__(self) -> None:
        _check("evaluation.orientations", self.orientations, self.orientations in (1, 4, 8), "1, 4 or 8")
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
    """Write ``report.html`` at the end; ``python -m jimt.report`` writes it later."""
    dataset: DatasetConfig
    curation: CurationConfig
    backbone: BackboneConfig
    probe: ProbeConfig
    augmentation: AugmentationConfig
    optim: OptimConfig
    trainer: TrainerConfig
    logger: LoggerConfig
    evaluation: EvaluationConfig

    def __post_init__(self) -> None:
        _check("seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295")
        if self.backbone.trainable != "none" and self.probe.layer is not None:
            raise InputError(
                "probe.layer is without effect where the network is trained "
                f"(backbone.trainable={self.backbone.trainable})",
                remedies=("backbone.trainable=none", "probe.layer=null probe.cell=null"),
            )
        if self.probe.cell is not None and self.trainer.precision not in ("auto", "32-true"):
            raise InputError(
                f"trainer.precision={self.trainer.precision} is without effect with probe.cell, whose "
                "feature maps are taken in 32 bit",
                remedies=("trainer.precision=32-true",),
            )
        given = [name for name in _OFF if getattr(self.trainer, name) not in (None, False)]
        if self.backbone.trainable == "none" and given:
            raise InputError(
                f"trainer.{given[0]} is without effect under backbone.trainable=none, which trains in no batches",
                remedies=(" ".join(f"trainer.{name}={_OFF[name]}" for name in given),),
            )
        if self.trainer.fast_dev_run and self.resume is not None:
            raise InputError(
                "trainer.fast_dev_run=true keeps nothing, so it cannot go on with a run",
                remedies=("resume=null", "trainer.fast_dev_run=false"),
            )


def _refuse_fast_dev_run(trainer: TrainerConfig, so: str) -> None:
    if trainer.fast_dev_run:
        raise InputError(
            f"trainer.fast_dev_run=true keeps nothing, so {so}",
            advice="try it with train.py",
            remedies=("trainer.fast_dev_run=false",),
        )


@dataclass
class FoldsConfig:
    """Cross-validation over whole groups."""

    n_folds: int
    folds: list[int] | None
    """Which of them are run, from 0, beside those the folder holds already; null for all."""
    validation: bool | None
    """Hold the next fold back to choose the checkpoint and fit the temperature; null: where a network is trained."""

    def __post_init__(self) -> None:
        _check("crossval.n_folds", self.n_folds, self.n_folds >= 2, "2 or more")
        folds = self.folds
        _check(
            "crossval.folds",
            folds,
            folds is None or (len(folds) > 0 and all(0 <= fold < self.n_folds for fold in folds)),
            f"null, or a list of folds from 0 to {self.n_folds - 1}",
        )
        if self.validation and self.n_folds < 3:
            raise InputError(
                "crossval.validation=true needs three folds or more, one to test and one to choose by, "
                f"and crossval.n_folds={self.n_folds}",
                remedies=("crossval.n_folds=3", "crossval.validation=false"),
            )


@dataclass
class CrossvalConfig(TrainConfig):
    """What a cross-validation is made of: a training for each fold."""

    crossval: FoldsConfig

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_fast_dev_run(self.trainer, "a cross-validation has no folds to score")


@dataclass
class SearchConfig:
    """A search over settings of a training."""

    space: dict[str, Any]
    """Of each setting its range, ``{low, high, log}``, or its ``{choices}``; checked in ``jimt.tune``."""
    metric: str
    n_trials: int
    """In all, those of earlier starts and of other processes included."""
    timeout: float | None
    """Hours after which a process begins no other trial; null for none."""
    n_random: int
    """Trials drawn at random before the sampler learns from them."""
    prune: bool
    """End a training whose best epoch so far is below the median of the finished ones at the same epoch."""
    prune_after_trials: int
    prune_after_epochs: int
    keep_all_checkpoints: bool
    """Keep the checkpoints of every finished trial, not of the best alone."""

    def __post_init__(self) -> None:
        _one_of("tune.metric", self.metric, tuple(SEARCH_METRICS))
        _check("tune.n_trials", self.n_trials, self.n_trials >= 1, "1 or more")
        _check("tune.timeout", self.timeout, self.timeout is None or self.timeout > 0, "null, or more than 0 hours")
        for field in ("n_random", "prune_after_trials", "prune_after_epochs"):
            value = getattr(self, field)
            _check(f"tune.{field}", value, value >= 1, "1 or more")


@dataclass
class TuneConfig(TrainConfig):
    """What a search is made of: a training for each trial."""

    tune: SearchConfig

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_fast_dev_run(self.trainer, "a search has no trials to compare")
        if self.report:
            raise InputError(
                "report=true is not allowed, since a search scores no test split and there is nothing to report",
                remedies=("report=false",),
            )


def dataset_config(values: dict[str, Any]) -> DatasetConfig:
    """A data set's settings from plain values, as a curation records them."""
    simulation = values["simulation"]
    return DatasetConfig(**values | {"simulation": None if simulation is None else SimulationConfig(**simulation)})


def curation_config(values: dict[str, Any]) -> CurationConfig:
    """A curation's settings from plain values, as it records them."""
    parts = {
        "executor": ExecutorConfig,
        "scaling": ScalingConfig,
        "patches": PatchConfig,
        "empty_filter": EmptyFilterConfig,
        "label": LabelConfig,
        "split": SplitConfig,
    }
    return CurationConfig(**values | {name: kind(**values[name]) for name, kind in parts.items()})
