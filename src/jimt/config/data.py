"""Settings of a data set: where its images lie, how their names are read, what groups them."""

import math
from dataclasses import dataclass, field
from typing import Any

from jimt.config.checks import (
    FOLDER,
    NAME,
    NOT_NEGATIVE,
    PIXEL_SIZE,
    POSITIVE,
    SEED,
    SHARE,
    Settings,
    check,
    one_of,
    takes,
)
from jimt.config.patterns import (
    CHANNEL,
    GROUP,
    RAW_IMAGE_ID,
    composed,
    group_names,
    is_regular_expression,
    parse_pattern,
)
from jimt.config.wells import ConditionsConfig, check_conditions
from jimt.errors import InputError, as_list_typed
from jimt.vocabulary import CHANNELS, FURTHER_CHANNELS


def _from_to(low: int, high: int) -> dict[str, Any]:
    return takes(f"{low} to {high}", lambda value: low <= value <= high)


@dataclass
class DoseResponseConfig(Settings, section="dataset.simulation.dose_response"):
    """A drug of which the simulated wells are given doses."""

    doses: list[float] = field(
        metadata=takes("doses of 0 or more", lambda doses: len(doses) > 0 and all(0 <= d < math.inf for d in doses))
    )
    """One for each well, from the first again after the last; in any unit."""
    ec50: float = field(metadata=POSITIVE)
    """Dose of half the effect, in the same unit."""
    hill_slope: float = field(metadata=POSITIVE)


@dataclass
class MicroscopeConfig(Settings, section="dataset.simulation.microscope"):
    """In what the simulated microscope differs from the usual one."""

    pixel_size: float = field(metadata=takes("0.1 to 1.3", lambda size: 0.1 <= size <= 1.3))
    """Micrometres; the usual one has 0.3225, and of four times as many a cell is no more than a dot."""
    light: float = field(metadata=POSITIVE)
    """In bright-field, relative to the usual: with less of it noise is stronger."""
    contrast: float = field(metadata=POSITIVE)
    """Of cells in bright-field, likewise."""


@dataclass
class SimulationConfig(Settings, section="dataset.simulation"):
    """The simulated microscope: what it images when the data set's folder is absent."""

    n_wells: int = field(metadata=_from_to(1, 99_999))
    """At most what five digits in a ScanR name can count, as are fields."""
    fields_per_well: int = field(metadata=_from_to(1, 99_999))
    height: int = field(metadata=_from_to(32, 8192))
    """Pixels; more is beyond any camera, so a slip of the keyboard."""
    width: int = field(metadata=_from_to(32, 8192))
    dead_fraction: float = field(metadata=SHARE)
    treated_dead_fraction: float | None = field(metadata=SHARE)
    """Of every second well, the others being the control, or under the highest doses; null where no well is treated."""
    dose_response: DoseResponseConfig | None
    """Between ``dead_fraction`` and ``treated_dead_fraction``; null where no doses are given."""
    microscope: MicroscopeConfig | None
    """null for the usual one, an Olympus ScanR at 20x."""
    difficulty: float = field(metadata=SHARE)
    seed: int = field(metadata=SEED)
    patch_size: int = field(metadata=_from_to(32, 8192))
    """Pixels; less is smaller than one cell."""
    stride: int = field(metadata=_from_to(1, 8192))

    def __post_init__(self) -> None:
        super().__post_init__()
        most = min(self.height, self.width)
        check("dataset.simulation.patch_size", self.patch_size, self.patch_size <= most, f"32 to {most}, as its fields")
        if self.dose_response is not None:
            if self.treated_dead_fraction is None:
                raise InputError(
                    "dataset.simulation.dose_response needs the dead fraction under the highest doses",
                    remedies=("dataset.simulation.treated_dead_fraction=NUMBER",),
                )
            check("dataset.simulation.n_wells", self.n_wells, self.n_wells <= 384, "1 to 384, with dose_response")


@dataclass
class DatasetConfig(Settings, section="dataset"):
    """Where raw images lie, how their names are read and what groups them."""

    name: str = field(metadata=NAME)
    root: str = field(metadata=FOLDER)
    layout: str = field(metadata=one_of("pairs", "stack", "patches"))
    pattern: str | None
    """How the path below ``root`` is read: placeholders or a regular expression (see ``patterns``)."""
    group: list[str] | None
    """Placeholders or named groups that make the group, where the pattern has none of that name."""
    leave_out: str | None
    """Likewise for the paths of images that are left out on purpose, so that nothing warns of them."""
    brightfield: str
    """Layout ``pairs``: what the named group ``channel`` reads on a bright-field image."""
    fluorescence: str
    nuclei: str | None
    live_stain: str | None
    """Likewise on images of a stain of all nuclei, such as Hoechst, and of one of living cells, such as calcein."""
    brightfield_index: int = field(metadata=NOT_NEGATIVE)
    """Layout ``stack``: channel index, from 0."""
    fluorescence_index: int = field(metadata=NOT_NEGATIVE)
    nuclei_index: int | None = field(metadata=NOT_NEGATIVE)
    live_stain_index: int | None = field(metadata=NOT_NEGATIVE)
    live_folder: str
    """Layout ``patches``: name of the class folder."""
    dead_folder: str
    bit_depth: int = field(metadata=takes("8 to 16", lambda value: 8 <= value <= 16))
    """Bits that carry the signal; higher bits of a 16-bit file, the same in every pixel, are masked (ScanR: 12)."""
    bit_shift: int
    """Zero bits below the signal, where a camera's software writes it into the upper bits of 16."""
    pixel_size: float | None = field(metadata=PIXEL_SIZE)
    """Micrometres; null for what the files themselves say, where all agree."""
    empty_labels: str | None
    """CSV of hand labels for the empty filter: ``raw_image_id,y,x,label``."""
    cells: str | None
    """CSV of single cells, counted by hand or by masks: ``raw_image_id,y,x,dead``."""
    cells_on: str = field(metadata=one_of("brightfield", "fluorescence"))
    """Which image they were counted on: with ``curation.align``, those on fluorescence are moved as it is."""
    conditions: ConditionsConfig
    empty_word: str
    not_empty_word: str
    how_to_get: str
    simulation: SimulationConfig | None

    def __post_init__(self) -> None:
        super().__post_init__()
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
        if self.layout == "patches" and self.cells is not None:
            raise InputError(
                "dataset.cells is without effect for published patches, since nothing tells where in a field they lie",
                remedies=("dataset.cells=null",),
            )
        check_conditions(self.conditions, layout=self.layout, pattern=self.pattern)
        if self.layout == "stack" and self.brightfield_index == self.fluorescence_index:
            raise InputError(
                "dataset.brightfield_index and dataset.fluorescence_index are both "
                f"{self.brightfield_index}, and each channel has its own, from 0",
                remedies=("dataset.brightfield_index=NUMBER", "dataset.fluorescence_index=NUMBER"),
            )
        self._check_further_channels()

    def channels(self) -> dict[str, str]:
        """What the file names or the places in a stack call each channel that is read, by the names of ``CHANNELS``."""
        suffix = "_index" if self.layout == "stack" else ""
        called = {name: getattr(self, name + suffix) for name in CHANNELS}
        return {name: composed(str(word)) for name, word in called.items() if word is not None}

    def _check_further_channels(self) -> None:
        suffix = "_index" if self.layout == "stack" else ""
        taken = {} if self.layout == "patches" else self.channels()
        for name in FURTHER_CHANNELS:
            own = name + suffix
            idle = [key for key in (name, f"{name}_index") if key != own or not taken if getattr(self, key) is not None]
            same = [other + suffix for other in taken if other != name and taken[other] == taken.get(name)]
            if idle:
                cause = f"dataset.{idle[0]} is without effect where dataset.layout is {self.layout}"
                raise InputError(cause, remedies=(f"dataset.{idle[0]}=null",))
            if same:
                cause = f"dataset.{same[0]} and dataset.{own} are both {taken[name]}"
                raise InputError(cause, remedies=(f"dataset.{own}=null",))


def check_pattern(text: str, *, layout: str, group: list[str] | None) -> None:
    """Refuse a pattern that does not tell what its layout needs.

    Raises:
        InputError: If it does not; the message says how to write it.
    """
    pattern = parse_pattern(text, setting="dataset.pattern")
    is_regular = is_regular_expression(text)

    def shown(name: str) -> str:
        return f"(?P<{name}>...) around" if is_regular else f"{{{name}}} for"

    missing = [CHANNEL] if layout == "pairs" and CHANNEL not in pattern.names else []
    if group is not None:
        there = [name for name in pattern.names if name != CHANNEL]
        known = len(group) > 0 and set(group) <= set(there)
        check("dataset.group", group, known, f"names of dataset.pattern ({', '.join(there)})")
        if GROUP in pattern.names:
            raise InputError(
                "dataset.pattern reads a group, so dataset.group is without effect", remedies=("dataset.group=null",)
            )
    elif not group_names(pattern, None) and layout != "patches":
        if not is_regular and not missing:
            names = [name for name in pattern.names if name != CHANNEL]
            raise InputError(
                f"dataset.pattern={text} does not tell which of {', '.join(names)} a split may not divide",
                remedies=tuple(as_list_typed("dataset.group", [name]) for name in names),
            )
        missing.insert(0, GROUP)
    # the name of a published patch tells more than its raw image
    if RAW_IMAGE_ID not in pattern.names and (is_regular or layout == "patches"):
        missing.insert(0, RAW_IMAGE_ID)
    if missing:
        what = "named group" if is_regular else "placeholder"
        raise InputError(
            f"dataset.pattern lacks the {what} {', '.join(missing)}",
            advice=f"write {shown(missing[0])} the part of the path that tells it",
        )
