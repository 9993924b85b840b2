"""Hand-made fields in place of a curated data set, for what ``task=stain`` learns from."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from jimt.data.stain_targets import TargetSettings

POSITIVE = {"ratio": 1.5, "smoothing": 0.0, "radius": 40.0, "min_area": 20.0, "max_area": 2000.0}
ALL = TargetSettings(("log_pi", "positive", "dead", "live"), "cells", 8.0, 0.0)
PI = TargetSettings(("log_pi", "positive"), None, 8.0, 0.0)


class Fields:
    """Fields as ``FieldStore`` gives them, from arrays."""

    def __init__(self, brightfield, fluorescence, *, background: float = 100.0, no_data=None) -> None:
        self._brightfield, self._fluorescence, self._background = brightfield, fluorescence, background
        self._no_data = no_data if no_data is not None else [np.zeros(one.shape, bool) for one in fluorescence]

    def field(self, number):
        return self._brightfield[number]

    def fluorescence(self, number):
        return self._fluorescence[number]

    def no_data(self, number):
        return self._no_data[number]

    def background(self, number):
        return self._background


def made(folder: Path, fluorescence, *, brightfield=None, cells=None, nuclei=None, groups=None, **fields: Any):
    """What ``open_curated`` gives of such fields, all of them to train on; ``cells`` as rows of field, y, x, dead."""
    fluorescence = [np.asarray(one, np.uint16) for one in fluorescence]
    brightfield = brightfield or [np.full(one.shape, 128, np.uint8) for one in fluorescence]
    groups = groups or [f"W{n}" for n in range(len(fluorescence))]
    manifest = pd.DataFrame(
        {
            "field": range(len(fluorescence)),
            "raw_image_id": [f"image {n}" for n in range(len(fluorescence))],
            "group": groups,
            "y": 0,
            "x": 0,
            "label": 1,
            "excluded": None,
            "split": "train",
        }
    )
    label = {"positive": POSITIVE, "background_percentile": 5.0}
    config = {"dataset": {"layout": "pairs", "bit_depth": 12}, "curation": {"label": label}}
    cells, nuclei = (
        None if rows is None else pd.DataFrame(rows, columns=["field", "y", "x", "dead"]) for rows in (cells, nuclei)
    )
    return SimpleNamespace(
        folder=folder,
        manifest=manifest,
        store=Fields(brightfield, fluorescence, **fields),
        summary={"dataset": "made", "config": config},
        cells=lambda: cells,
        nuclei=lambda: nuclei,
    )
