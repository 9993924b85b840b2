"""Settings of a curation, from raw images to the manifest, in the order of the pipeline."""

from dataclasses import dataclass, field

from jimt.config.checks import (
    FOLDER,
    NOT_NEGATIVE,
    ONE_OR_MORE,
    POSITIVE,
    SEED,
    SHARE,
    TWO_OR_MORE,
    Settings,
    is_name,
    one_of,
    takes,
)
from jimt.config.data import DatasetConfig
from jimt.config.stains import NucleiConfig, PositiveConfig
from jimt.errors import InputError
from jimt.vocabulary import COUNTING_SCALES, SCALES


@dataclass
class ScalingConfig(Settings, section="curation.scaling"):
    """Conversion of the bright-field image to the 8 bits the network sees."""

    method: str = field(metadata=one_of("full_range", "bit_depth", "percentile_image", "percentile_dataset"))
    low_percentile: float = field(metadata=takes("0 to below 50", lambda value: 0 <= value < 50))
    high_percentile: float = field(metadata=takes("above 50 to 100", lambda value: 50 < value <= 100))


@dataclass
class PatchConfig(Settings, section="curation.patches"):
    """The sliding window."""

    size: int = field(metadata=takes("32 or more pixels", lambda value: value >= 32))
    stride: int = field(metadata=takes("1 or more pixels", lambda value: value >= 1))
    max_no_data: float = field(metadata=SHARE)
    """A patch with a larger share of no-data pixels is not used."""


@dataclass
class EmptyFilterConfig(Settings, section="curation.empty_filter"):
    """The support vector machine that drops patches without cells."""

    enabled: bool
    fit_on: list[str] = field(
        metadata=takes(
            "names of one or more data sets, each once",
            lambda names: len(names) > 0 and len(set(names)) == len(names) and all(map(is_name, names)),
        )
    )
    """Names of the data sets whose hand labels train it, in this order; those of one run are kept for the others."""
    backbone: str
    weights: str
    features: str = field(metadata=one_of("patches", "field"))
    """Whether each patch passes through the network by itself, or its field once, whose feature map is averaged over
    each patch; a checkpoint keeps it."""
    kernel: str = field(metadata=one_of("linear", "rbf"))
    regularisation: float = field(metadata=POSITIVE)
    """C of the support vector machine."""
    n_folds: int = field(metadata=TWO_OR_MORE)
    batch_size: int = field(metadata=ONE_OR_MORE)
    device: str
    precision: str = field(metadata=one_of("32-true", "bf16-mixed"))
    """What the network computes in, on every device, and so no ``auto``; part of the curation's fingerprint."""


@dataclass
class LabelConfig(Settings, section="curation.label"):
    """Live and dead by fluorescence, or by cells that were counted."""

    scale: str = field(metadata=one_of(*SCALES))
    background_percentile: float = field(metadata=takes("0 to 100", lambda value: 0 <= value <= 100))
    """Percentile of a field's valid pixels that counts as its background."""
    fit_on: str
    """Name of the curated data set the mixture is fitted on."""
    n_sigma: float | None = field(metadata=NOT_NEGATIVE)
    """Null on the scale ``cells``."""
    n_init: int = field(metadata=ONE_OR_MORE)
    tolerance: float = field(metadata=POSITIVE)
    """Gain in mean log-likelihood below which the mixture has converged."""
    min_patches: int = field(metadata=TWO_OR_MORE)
    min_weight: float = field(metadata=takes("0 to below 0.5", lambda value: 0 <= value < 0.5))
    """A component that explains a smaller share of the patches has collapsed; so few outliers are left out."""
    fit_range: tuple[float, float] | None = field(
        metadata=takes(
            "null, or two values of which the second is larger", lambda ends: len(ends) == 2 and ends[0] < ends[1]
        )
    )
    """Least and greatest value the mixture is fitted on; null: all values but outliers."""
    positive: PositiveConfig
    """Scales ``positive_area`` and ``positive_nuclei``."""
    dead_share: float = field(metadata=takes("more than 0 to 1", lambda value: 0 < value <= 1))
    """Scale ``cells``, and the audit of labels: a patch is dead where at least this share of its cells is."""
    live_below: float | None
    """Fixed thresholds, on the chosen scale, in place of the mixture's."""
    dead_above: float | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit_range is not None:
            self.fit_range = (self.fit_range[0], self.fit_range[1])  # OmegaConf hands a list over
            self._refuse_idle_range()
        self._check_n_sigma()
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

    def _check_n_sigma(self) -> None:
        if self.scale == "cells" and self.n_sigma is not None:
            raise InputError(
                "curation.label.n_sigma is without effect where curation.label.scale is cells, whose threshold is "
                "curation.label.dead_share",
                remedies=("curation.label.n_sigma=null",),
            )
        if self.scale != "cells" and self.n_sigma is None:
            raise InputError(
                f"curation.label.scale={self.scale} needs a number of standard deviations",
                remedies=("curation.label.n_sigma=NUMBER",),
            )

    def _refuse_idle_range(self) -> None:
        if self.scale in COUNTING_SCALES:
            raise InputError(
                f"curation.label.fit_range is without effect where curation.label.scale is {self.scale}, which fits no "
                "mixture",
                remedies=("curation.label.fit_range=null",),
            )
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
class SplitConfig(Settings, section="curation.split"):
    """Train, validation and test, by group."""

    train: float = field(metadata=POSITIVE)
    val: float = field(metadata=POSITIVE)
    test: float = field(metadata=POSITIVE)
    keep_folders: bool
    """Layout ``patches``: take the split of the folders as published."""


@dataclass
class ExecutorConfig(Settings, section="curation.executor"):
    """Where raw images are read: in threads of this machine, or on the workers of a Dask cluster."""

    backend: str = field(metadata=one_of("local", "dask"))
    scheduler: str | None
    """Address of the cluster's scheduler, ``tcp://HOST:8786``."""
    worker_timeout: float = field(metadata=takes("more than 0 seconds", lambda value: value > 0))
    """Seconds to wait for a worker where the cluster has none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.backend == "dask") != (self.scheduler is not None):
            raise InputError(
                "curation.executor.backend=dask and curation.executor.scheduler are given together, or not at all",
                remedies=(
                    "curation.executor.backend=dask curation.executor.scheduler=tcp://HOST:8786",
                    "curation.executor.backend=local curation.executor.scheduler=null",
                ),
            )


@dataclass
class CurationConfig(Settings, section="curation"):
    """From raw images to a manifest, in the order of the pipeline."""

    output_root: str = field(metadata=FOLDER)
    on_bad_image: str = field(metadata=one_of("raise", "skip"))
    n_jobs: int = field(metadata=takes("-1, or 1 or more", lambda value: value == -1 or value >= 1))
    """Images that are read at a time; -1 for one a core."""
    align: bool
    """Undo the shift between fluorescence and bright-field, where one stands out."""
    executor: ExecutorConfig
    scaling: ScalingConfig
    patches: PatchConfig
    empty_filter: EmptyFilterConfig
    nuclei: NucleiConfig
    label: LabelConfig
    split: SplitConfig
    seed: int = field(metadata=SEED)
    """Seed of mixture and splits; apart from the training's, so that another training seed keeps the split."""


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
