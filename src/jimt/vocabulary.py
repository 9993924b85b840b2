"""The words every other file uses: labels, splits and the columns of the manifest."""

from enum import StrEnum
from typing import Final, Literal

LIVE: Final = 1
DEAD: Final = 0
AMBIGUOUS: Final = -1
"""Mean fluorescence between the two thresholds: neither live nor dead, so neither trained nor tested on."""

LABEL_NAMES: Final = {LIVE: "live", DEAD: "dead", AMBIGUOUS: "ambiguous"}

SCALES: Final = {
    "raw": "mean PI fluorescence (raw counts)",
    "background_subtracted": "mean PI fluorescence above background (raw counts)",
    "log_background_ratio": "log(mean PI fluorescence / background)",
    "positive_area": "square root of the share of PI-positive area",
    "positive_nuclei": "square root of the number of PI-positive nuclei",
    "nuclei": "share of all nuclei that are PI-positive",
    "cells": "share of dead cells, counted",
}
"""What labels are cut on, ``curation.label.scale``, in words."""

POSITIVE_SCALES: Final = ("positive_area", "positive_nuclei")
"""Scales of what stands out of the background, in place of a mean."""
COUNTING_SCALES: Final = (*POSITIVE_SCALES, "nuclei", "cells")
"""Scales that fit no mixture of means: what is counted or stands out."""

CHANNELS: Final = {
    "brightfield": "bright-field",
    "fluorescence": "fluorescence",
    "nuclei": "nuclear stain",
    "live_stain": "live stain",
}
"""Channels of a raw image by the settings that name them, in words."""
FURTHER_CHANNELS: Final = ("nuclei", "live_stain")
"""Those that a data set may do without."""

ShareOf = Literal["nuclei", "area", "patches"]
"""What a dead share is a share of: predicted nuclei, the area of cells, or patches that hold cells."""

STRIDE: Final = 4
"""Pixels from one place of a predicted map to the next."""
MULTIPLE: Final = 32
"""Pixels: the reduction of every backbone in use, to a multiple of which whole fields are padded."""
OUTPUTS: Final = {
    "log_pi": "log(PI / background)",
    "positive": "PI-positive",
    "dead": "dead nuclei",
    "live": "living nuclei",
}
"""What a network may predict of each place of a field, in words."""


class Split(StrEnum):
    """What a patch is used for."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Excluded(StrEnum):
    """Why a patch is not used; its row stays in the manifest."""

    NO_DATA = "no_data"
    EMPTY = "empty"
    AMBIGUOUS = "ambiguous"
    COPY = "copy"
    """Holds the pixels of a raw image that another split may hold."""


MANIFEST_COLUMNS: Final = (
    "field",  # index into the field store
    "raw_image_id",
    "group",
    "y",
    "x",
    "no_data",  # share of the patch's pixels that are no data
    "mean_fluorescence",  # raw camera units
    "positive",  # share of PI-positive pixels, or number of PI-positive nuclei, where labels are of one of them
    "n_cells",  # counted, where the data set has a table of cells
    "n_dead",
    "label_value",  # fluorescence on the scale the thresholds are on
    "empty_score",  # SVM decision value, > 0 is empty
    "empty",
    "label",
    "excluded",
    "split",
)
FURTHER_COLUMNS: Final = ("n_nuclei", "n_positive_nuclei")
"""Columns of a data set with a stain of all nuclei: those whose centre lies in the patch."""
