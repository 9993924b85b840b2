"""Every knob of jimt: types and cross-field checks. The values stand in ``conf/``, each written once."""

import re
from dataclasses import dataclass

from jimt.errors import InputError

LAYOUTS = ("pairs", "stack", "patches")
SCALING_METHODS = ("full_range", "bit_depth", "percentile_image", "percentile_dataset")
LABEL_SCALES = ("raw", "background_subtracted", "log_background_ratio")
ON_BAD_IMAGE = ("raise", "skip")
KERNELS = ("linear", "rbf")
TRAINABLE = ("all", "head")
ACCELERATORS = ("cpu", "gpu")
STRATEGIES = ("auto", "ddp")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def _check(field: str, value: object, ok: bool, allowed: str) -> None:
    if not ok:
        raise InputError(f"{field}={value} is not allowed: it takes {allowed}")


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
    """Regular expression on the path below ``root``, with named groups (see ``curation.finding``)."""
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
    """Bits that carry the signal; higher bits of a 16-bit file are masked (ScanR: 12)."""
    empty_labels: str | None
    """CSV of hand labels for the empty filter: ``raw_image_id,y,x,label``."""
    empty_word: str
    not_empty_word: str
    how_to_get: str
    simulation: SimulationConfig | None

    def __post_init__(self) -> None:
        _check(
            "dataset.name",
            self.name,
            re.fullmatch(r"[\w-]+(\.[\w-]+)*", self.name) is not None,
            "letters, digits, dots, _ and -",
        )
        _one_of("dataset.layout", self.layout, LAYOUTS)
        _check("dataset.bit_depth", self.bit_depth, 8 <= self.bit_depth <= 16, "8 to 16")
        if self.layout != "patches" and self.pattern is None:
            raise InputError(f"dataset.pattern is missing: layout {self.layout} needs a regular expression")
        if self.pattern is not None:
            self._check_pattern(self.pattern)
        if self.layout == "pairs" and self.brightfield == self.fluorescence:
            raise InputError(
                f"dataset.brightfield and dataset.fluorescence are both {self.brightfield}: "
                "give each channel the word the file names have for it"
            )
        if self.layout == "stack":
            for field in ("brightfield_index", "fluorescence_index"):
                value = getattr(self, field)
                _check(f"dataset.{field}", value, value >= 0, "0 or more")
            if self.brightfield_index == self.fluorescence_index:
                raise InputError(
                    f"dataset.brightfield_index and dataset.fluorescence_index are both {self.brightfield_index}: "
                    "give each channel its own index"
                )

    def _check_pattern(self, pattern: str) -> None:
        try:
            named = re.compile(pattern).groupindex
        except re.error as error:
            raise InputError(f"dataset.pattern is not a regular expression: {error}") from error
        required = {
            "pairs": ("raw_image_id", "group", "channel"),
            "stack": ("raw_image_id", "group"),
            "patches": ("raw_image_id",),
        }[self.layout]
        missing = [name for name in required if name not in named]
        if missing:
            raise InputError(
                f"dataset.pattern lacks the named group {', '.join(missing)}: write (?P<{missing[0]}>...) around "
                f"the part of the path that tells it"
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
    backbone: str
    weights: str
    kernel: str
    regularisation: float
    """C of the support vector machine."""
    n_folds: int
    batch_size: int
    device: str

    def __post_init__(self) -> None:
        _one_of("curation.empty_filter.kernel", self.kernel, KERNELS)
        _check("curation.empty_filter.regularisation", self.regularisation, self.regularisation > 0, "more than 0")
        _check("curation.empty_filter.n_folds", self.n_folds, self.n_folds >= 2, "2 or more")
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
    """A component that explains a smaller share of the patches has collapsed."""
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
        if (self.live_below is None) != (self.dead_above is None):
            raise InputError("curation.label.live_below and curation.label.dead_above are given together or not at all")
        if self.live_below is not None and self.dead_above is not None and self.live_below > self.dead_above:
            raise InputError(
                f"curation.label.live_below={self.live_below} lies above curation.label.dead_above={self.dead_above}: "
                "a patch would be live and dead"
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
class CurationConfig:
    """From raw images to a manifest, in the order of the pipeline."""

    output_root: str
    on_bad_image: str
    n_jobs: int
    """Processes that read images; -1 for all cores."""
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


@dataclass
class BackboneConfig:
    """The network, by timm name, and where its weights come from."""

    name: str
    weights: str
    trainable: str

    def __post_init__(self) -> None:
        _one_of("backbone.trainable", self.trainable, TRAINABLE)


@dataclass
class OptimConfig:
    """Adam on cross entropy."""

    lr: float
    betas: tuple[float, float]
    weight_decay: float
    batch_size: int

    def __post_init__(self) -> None:
        _check("optim.lr", self.lr, self.lr > 0, "more than 0")
        two = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        _check("optim.betas", self.betas, two, "two numbers from 0 to below 1")
        self.betas = (self.betas[0], self.betas[1])  # OmegaConf hands a list over, of any length
        _check("optim.weight_decay", self.weight_decay, self.weight_decay >= 0, "0 or more")
        _check("optim.batch_size", self.batch_size, self.batch_size >= 1, "1 or more")


@dataclass
class TrainerConfig:
    """The device and how it is driven."""

    accelerator: str
    devices: int
    strategy: str
    precision: str
    """``auto``: bfloat16 on a CPU that gains from it (measured at the start), 32 bit everywhere else."""
    compile: bool
    max_epochs: int
    num_threads: int | None
    num_workers: int
    eval_batch_size: int

    def __post_init__(self) -> None:
        _one_of("trainer.accelerator", self.accelerator, ACCELERATORS)
        _one_of("trainer.strategy", self.strategy, STRATEGIES)
        _one_of("trainer.precision", self.precision, PRECISIONS)
        _check("trainer.devices", self.devices, self.devices >= 1, "1 or more")
        _check("trainer.max_epochs", self.max_epochs, self.max_epochs >= 1, "1 or more")
        _check("trainer.num_workers", self.num_workers, self.num_workers >= 0, "0 or more")
        _check("trainer.eval_batch_size", self.eval_batch_size, self.eval_batch_size >= 1, "1 or more")
        threads = self.num_threads
        _check("trainer.num_threads", threads, threads is None or threads >= 1, "null, or 1 or more")


@dataclass
class EvaluationConfig:
    """Intervals of the test metrics."""

    n_bootstrap: int
    confidence: float

    def __post_init__(self) -> None:
        _check("evaluation.n_bootstrap", self.n_bootstrap, self.n_bootstrap >= 100, "100 or more")
        _check("evaluation.confidence", self.confidence, 0.5 <= self.confidence < 1, "0.5 to below 1")


@dataclass
class TrainConfig:
    """What a training run is made of."""

    seed: int
    run_dir: str
    retrain: bool
    """Train again although the run's folder holds this very training, finished."""
    dataset: DatasetConfig
    curation: CurationConfig
    backbone: BackboneConfig
    optim: OptimConfig
    trainer: TrainerConfig
    evaluation: EvaluationConfig

    def __post_init__(self) -> None:
        _check("seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295")
