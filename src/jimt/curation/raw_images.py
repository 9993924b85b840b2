"""The raw images of a data set, as its folder tells them."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from jimt.curation.listing import Listing
from jimt.curation.shift import Shift
from jimt.vocabulary import CHANNELS, Split


@dataclass(frozen=True)
class RawImage:
    """The files of one raw image, or one published patch."""

    raw_image_id: str
    group: str | None
    """None where nothing tells which raw image a published patch was cut from."""
    brightfield: Path
    fluorescence: Path | None
    label: int | None = None
    split: Split | None = None
    seeks_shift: bool = False
    """Whether it is among those whose channels are compared, to tell how far they lie apart."""
    shift: Shift | None = None
    """How far fluorescence lies from bright-field, where that is to be undone."""
    nuclei: Path | None = None
    """Of layout ``pairs``, where the data set has such a channel; likewise the next."""
    live_stain: Path | None = None

    @property
    def files(self) -> dict[str, Path]:
        """All of them, by the names of ``CHANNELS``."""
        files = {name: getattr(self, name) for name in CHANNELS}
        return {name: path for name, path in files.items() if path is not None}


@dataclass(frozen=True)
class ImagedWell:
    """The well a raw image is of, what was done to it, and when it was imaged."""

    condition: str
    day: float | None
    """None where nothing tells it."""
    well: str


@dataclass
class Finding:
    """What a data set's folder holds."""

    images: list[RawImage] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    """Path below the data set's folder (or raw_image_id) to the reason it cannot be used."""
    n_files: int = 0
    """Image files in the folder, those left out on purpose not counted."""
    unmatched: list[str] = field(default_factory=list)
    """Image files that the pattern does not match, or that lie in no class folder."""
    channels: Counter[str] = field(default_factory=Counter)
    """Layout ``pairs``: files of each channel, those of no use included."""
    used_channels: dict[str, str] = field(default_factory=dict)
    """Words, or places in a stack, of the channels that are read, and which each is."""
    read: dict[str, Counter[str]] = field(default_factory=dict)
    """Of each placeholder or named group, what it read and in how many files."""
    merged: dict[str, list[str]] = field(default_factory=dict)
    """Groups whose name is written in several ways: the name that is kept, and the others."""
    groups_by_time: tuple[str, tuple[str, ...]] | None = None
    """A position whose group is another one at each time, and these groups, where that is so of all positions."""
    wells: dict[str, ImagedWell] = field(default_factory=dict)
    """Of each raw image that is held against a control, by its raw_image_id; empty where nothing is."""
    unused_wells: list[str] = field(default_factory=list)
    """Wells of the table of conditions of which there is no raw image."""
    listing: Listing = field(default_factory=Listing)
    """Where it was made from one: files of other formats, and links that were not followed."""

    @property
    def n_ignored(self) -> int:
        """Image files that the pattern does not match, or which are of another channel."""
        return len(self.unmatched) + sum(n for word, n in self.channels.items() if word not in self.used_channels)
