"""What is asked of a model and what it answers, field by field: the words between reading, network and writing."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.vocabulary import ShareOf

PATCH_COLUMNS: Final = ("y", "x", "score", "empty", "uncertain")
"""Of the table of patches: upper left corner in pixels of the file's image, P(live), whether the filter takes it for
one without cells (missing where the model has no filter), whether it is too near to even to be counted on."""


@dataclass(frozen=True)
class Source:
    """One field to predict: a plane of a file, and what its name tells.

    Attributes:
        number: Place among all fields of the command, from 0, in the order that everything is written in.
        path: The file, as it was named or found.
        name: Tells the field from all others of the command; the ``raw_image_id``.
        series: Which image of a file that holds several positions, from 0.
        time_index: Which time point of the file, from 0; None where it holds one.
        plate: As its name tells; None where it does not.
        well: Likewise, as letter and two digits (``A01``, ``AB07``).
        field: Likewise.
        time: Likewise, or the number of the time point in the file.
        position: What tells its place from all others at every time: all that its name reads but the time, or the file
            that holds its time points; None where there is no time.
        seconds: Of its time point after the first of its file, as the file says it; None where it does not.
    """

    number: int
    path: Path
    name: str
    series: int = 0
    time_index: int | None = None
    plate: str | None = None
    well: str | None = None
    field: str | None = None
    time: str | None = None
    position: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Picture:
    """The bright-field image of a source, at the magnification that the model takes.

    Attributes:
        pixels: Shape ``(height, width)``, uint8, uint16, int16 or float32, as ``RawFields`` takes them.
        shape: Height and width of the file's image, pixels.
        pixel_size: Of the file, micrometres; None where nothing tells it.
        zoom: Pixels here for one of the file's: 1 where nothing was resampled.
        notes: What was done to it, each a sentence: converted from colour, resampled, the sharpest of 7 planes.
        colour: Whether the file's colours differed from grey.
        digest: ``curation.copies.pixel_digest`` of the file's image, before it was resampled.
    """

    pixels: NDArray[Any]
    shape: tuple[int, int]
    pixel_size: float | None
    zoom: float
    notes: tuple[str, ...] = ()
    colour: bool = False
    digest: str | None = None


@dataclass(frozen=True)
class FieldRow:
    """What is told of one field in tables: plain values, so that a part file holds them.

    Attributes:
        number: As of its source.
        file: As the user named or found it.
        raw_image_id: Its name.
        plate: None where no name tells it.
        well: Likewise.
        field: Likewise.
        time: Likewise.
        height: Of the file's image, pixels.
        width: Likewise.
        pixel_size_um: Of the file; None where nothing tells it.
        zoom: As of its picture.
        share_of: What the dead share is of; None where the field failed.
        dead_share: None where there is nothing to take a share of, or the field failed.
        dead_share_low: With everything uncertain taken for living.
        dead_share_high: With everything uncertain taken for dead.
        pi_share: Dead share by PI, of the same things; None where PI was not looked at.
        n_cells: Predicted nuclei; None where the model counts none.
        n_patches: Whole patches of the field.
        n_empty: Those that the filter takes for ones without cells.
        n_uncertain: Those with cells that are too near to even.
        distance: To the training data, in units of the threshold: above 1 is unlike it; None where that is unknown.
        flags: Names of the reasons not to trust it.
        reasons: Each as a sentence.
        notes: What was done to its image.
        brightness: Mean of its image, in the file's counts; None where no name or file tells its time.
        sharpness: ``focus`` of ``image_quality.MEASURES``; likewise.
        failed: Why the field has no answer; None where it has.
    """

    number: int
    file: str
    raw_image_id: str
    plate: str | None
    well: str | None
    field: str | None
    time: str | None
    height: int | None = None
    width: int | None = None
    pixel_size_um: float | None = None
    zoom: float = 1.0
    share_of: ShareOf | None = None
    dead_share: float | None = None
    dead_share_low: float | None = None
    dead_share_high: float | None = None
    pi_share: float | None = None
    n_cells: int | None = None
    n_patches: int | None = None
    n_empty: int | None = None
    n_uncertain: int | None = None
    distance: float | None = None
    flags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    brightness: float | None = None
    sharpness: float | None = None
    failed: str | None = None


@dataclass(frozen=True)
class FieldAnswer:
    """Everything about one field, while it is in memory.

    Attributes:
        row: For the tables.
        bright_field: In 8 bits as the network took it, shape ``(height, width)``: ``row.zoom`` times the file's size.
        patches: ``PATCH_COLUMNS``, one row a patch.
        patch_size: Side of a patch in pixels of the file's image.
        place: Side of a place of the maps, in pixels of ``bright_field``.
        dead_map: Probability of death at each place, float32, shape ``(height, width)`` in places; NaN where there are
            no cells or no data.
        maps: What else is predicted of each place, by name, likewise.
        dead_nuclei: Middles of the nuclei that are counted as dead, y and x in pixels of ``bright_field``, shape
            ``(n, 2)``; None of a model that counts none.
    """

    row: FieldRow
    bright_field: NDArray[np.uint8]
    patches: pd.DataFrame
    patch_size: float
    place: int
    dead_map: NDArray[np.float32]
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    dead_nuclei: NDArray[np.float64] | None = None
