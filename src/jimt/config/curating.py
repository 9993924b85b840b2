"""Settings of a curation, from raw images to the manifest, in the order of the pipeline."""

from dataclasses import dataclass

from jimt.config.checks import check, check_folder, is_name, one_of
from jimt.config.data import DatasetConfig
from jimt.errors import InputError

SCALING_METHODS = ("full_range", "bit_depth", "percentile_image", "percentile_dataset")
LABEL_SCALES = ("raw", "background_subtracted", "log_background_ratio")
ON_BAD_IMAGE = ("raise", "skip")
KERNELS = ("linear", "rbf")
EXECUTORS = ("local", "dask")
FILTER_PRECISIONS = ("32-true", "bf16-mixed")  # no auto: a curation is the same on every machine


@dataclass
class ScalingConfig:
    """Conversion of the bright-field image to the 8 bits the network sees."""

    method: str
    low_percentile: float
    high_percentile: float

    def __post_init__(self) -> None:
        one_of("curation.scaling.method", self.method, SCALING_METHODS)
        check("curation.scaling.low_percentile", self.low_percentile, 0 <= self.low_percentile < 50, "0 to below 50")
        check(
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
        check("curation.patches.size", self.size, self.size >= 32, "32 or more pixels")
        check("curation.patches.stride", self.stride, self.stride >= 1, "1 or more pixels")
        check("curation.patches.max_no_data", self.max_no_data, 0 <= self.max_no_data <= 1, "0 to 1")


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
        each_once = len(names) > 0 and len(set(names)) == len(names) and all(map(is_name, names))
        check("curation.empty_filter.fit_on", names, each_once, "names of one or more data sets, each once")
        one_of("curation.empty_filter.kernel", self.kernel, KERNELS)
        check("curation.empty_filter.regularisation", self.regularisation, self.regularisation > 0, "more than 0")
        check("curation.empty_filter.n_folds", self.n_folds, self.n_folds >= 2, "2 or more")
        one_of("curation.empty_filter.precision", self.precision, FILTER_PRECISIONS)
        check("curation.empty_filter.batch_size", self.batch_size, self.batch_size >= 1, "1 or more")


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
    """Fixed thresholds, on the chosen scale, in place of the mixture's."""
    dead_above: float | None

    def __post_init__(self) -> None:
        one_of("curation.label.scale", self.scale, LABEL_SCALES)
        percentile = self.background_percentile
        check("curation.label.background_percentile", percentile, 0 <= percentile <= 100, "0 to 100")
        check("curation.label.n_sigma", self.n_sigma, self.n_sigma >= 0, "0 or more")
        check("curation.label.n_init", self.n_init, self.n_init >= 1, "1 or more")
        check("curation.label.tolerance", self.tolerance, self.tolerance > 0, "more than 0")
        check("curation.label.min_patches", self.min_patches, self.min_patches >= 2, "2 or more")
        check("curation.label.min_weight", self.min_weight, 0 <= self.min_weight < 0.5, "0 to below 0.5")
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
        check("curation.label.fit_range", list(ends), rising, "null, or two values of which the second is larger")
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

    def __post_init__(self) -> None:
        for field in ("train", "val", "test"):
            value = getattr(self, field)
            check(f"curation.split.{field}", value, value > 0, "more than 0")


@dataclass
class ExecutorConfig:
    """Where raw images are read: in processes of this machine, or on the workers of a Dask cluster."""

    backend: str
    scheduler: str | None
    """Address of the cluster's scheduler, ``tcp://HOST:8786``."""
    worker_timeout: float
    """Seconds to wait for a worker where the cluster has none."""

    def __post_init__(self) -> None:
        one_of("curation.executor.backend", self.backend, EXECUTORS)
        if (self.backend == "dask") != (self.scheduler is not None):
            raise InputError(
                "curation.executor.backend=dask and curation.executor.scheduler are given together, or not at all",
                remedies=(
                    "curation.executor.backend=dask curation.executor.scheduler=tcp://HOST:8786",
                    "curation.executor.backend=local curation.executor.scheduler=null",
                ),
            )
        check("curation.executor.worker_timeout", self.worker_timeout, self.worker_timeout > 0, "more than 0 seconds")


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
        check_folder("curation.output_root", self.output_root)
        one_of("curation.on_bad_image", self.on_bad_image, ON_BAD_IMAGE)
        check("curation.n_jobs", self.n_jobs, self.n_jobs == -1 or self.n_jobs >= 1, "-1, or 1 or more")
        check("curation.seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295")


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
