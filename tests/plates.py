"""Fields whose PI-positive area is drawn, in wells of two conditions that are imaged on two days."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

HEIGHT, WIDTH = 160, 192

PLATE = [
    "dataset=no_treatment",
    "dataset.brightfield=BF",
    "dataset.fluorescence=PI",
    "dataset.empty_labels=null",
    "curation.patches.size=32",
    "curation.patches.stride=32",
    "curation.n_jobs=1",
    "curation.empty_filter.enabled=false",
    "curation.label.live_below=300",
    "curation.label.dead_above=450",
    "curation.label.positive.smoothing=0",  # what is drawn is measured to the pixel
    "curation.split.val=5",
    "curation.split.test=5",
]
"""Overrides that curate such fields, beside their root and their pattern."""

Share = float
SHARES: Mapping[tuple[str, int], list[Share]] = {
    ("untreated", 1): [0.10, 0.15, 0.11],
    ("untreated", 3): [0.15, 0.20, 0.19],
    ("doxo", 1): [0.20, 0.30, 0.22],
    ("doxo", 3): [0.60, 0.70, 0.80],
}
"""Of PI-positive pixels, by condition and day, a well each; the second field of a well has 0.05 more."""
NAME = "{condition}/d{day}/{well}_s{field}"
PATTERN = "dataset.pattern='{condition}/d{day:d}/{well:w}_s{field:d}_{channel}.tif'"


def drawn(share: Share, *, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Bright-field and PI of a field; whole rows from the top are positive, and their share of the field."""
    rng = np.random.default_rng(seed)
    rows = round(share * HEIGHT)
    positive = np.arange(HEIGHT)[:, None] < rows
    brightfield = rng.normal(2000, np.where(positive, 400, 60), (HEIGHT, WIDTH)).clip(1, 4095)
    fluorescence = rng.normal(np.where(positive, 2000, 200), 10, (HEIGHT, WIDTH))
    return brightfield.astype(np.uint16), fluorescence.astype(np.uint16), rows / HEIGHT


def write_field(stem: Path, share: Share, *, seed: int) -> float:
    """Write ``STEM_BF.tif`` and ``STEM_PI.tif``; returns the share that is positive."""
    brightfield, fluorescence, is_positive = drawn(share, seed=seed)
    stem.parent.mkdir(parents=True, exist_ok=True)
    for channel, image in (("BF", brightfield), ("PI", fluorescence)):
        tifffile.imwrite(stem.with_name(f"{stem.name}_{channel}.tif"), image)
    return is_positive


def write_plate(
    root: Path, shares: Mapping[tuple[str, int], list[Share]] = SHARES, *, name: str = NAME
) -> pd.DataFrame:
    """Write two fields of each well; the table of what was drawn, a row for each field."""
    rows = []
    for (condition, day), wells in shares.items():
        for number, share in enumerate(wells, 1):
            well = f"{'AB'[condition == 'doxo']}{number:02d}"
            for field in (1, 2):
                stem = root / name.format(condition=condition, day=day, well=well, field=field)
                area = write_field(stem, share + 0.05 * (field == 2), seed=len(rows))
                rows.append({"condition": condition, "day": day, "well": well, "area": area})
    return pd.DataFrame(rows)
