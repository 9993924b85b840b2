"""Settings of a data set: where its images lie, how their names are read, what groups them."""

from dataclasses import dataclass

from jimt.config.checks import NAME, check, check_folder, is_name, one_of
from jimt.config.pattern_checks import check_pattern
from jimt.config.patterns import composed, parse_pattern
from jimt.errors import InputError

LAYOUTS = ("pairs", "stack", "patches")


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
        check("dataset.name", self.name, is_name(self.name), NAME)
        check_folder("dataset.root", self.root)
        one_of("dataset.layout", self.layout, LAYOUTS)
        check("dataset.bit_depth", self.bit_depth, 8 <= self.bit_depth <= 16, "8 to 16")
        most = 16 - self.bit_depth
        check("dataset.bit_shift", self.bit_shift, 0 <= self.bit_shift <= most, f"0 to {most}, with dataset.bit_depth")
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
                check(f"dataset.{field}", value, value >= 0, "0 or more")
            if self.brightfield_index == self.fluorescence_index:
                raise InputError(
                    "dataset.brightfield_index and dataset.fluorescence_index are both "
                    f"{self.brightfield_index}, and each channel has its own, from 0",
                    remedies=("dataset.brightfield_index=NUMBER", "dataset.fluorescence_index=NUMBER"),
                )
