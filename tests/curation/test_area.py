"""The PI-positive area of a field, measured while it is read."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from rich.console import Console

from conftest import SMALL, composed_prepare
from jimt.curation.curate import curate
from jimt.curation.store import FIELDS
from plates import HEIGHT, PLATE, drawn, write_field

DRAWN = [0.0, 0.1, 0.25, 0.5, 0.85, 0.3, 0.6]


def areas(*overrides: str) -> pd.Series:
    """``pi_area`` by raw image."""
    folder = curate(*composed_prepare(*overrides), embed=None, console=Console(quiet=True))
    return pd.read_parquet(folder / FIELDS).set_index("raw_image_id")["pi_area"]


@pytest.mark.parametrize("layout", ["pairs", "stack"])
@pytest.mark.parametrize("scale", ["raw", "positive_area"])
def test_the_area_of_a_field_is_what_was_drawn_on_any_scale_of_the_labels(tmp_path, layout, scale):
    for number, share in enumerate(DRAWN):
        stem = tmp_path / "raw" / f"w{number}"
        write_field(stem, share, seed=number)
        if layout == "stack":
            pair = [stem.with_name(f"{stem.name}_{channel}.tif") for channel in ("BF", "PI")]
            tifffile.imwrite(
                f"{stem}.tif", np.stack([tifffile.imread(path) for path in pair]), photometric="minisblack"
            )
            for path in pair:
                path.unlink()
    name = "{well:w}_{channel}.tif" if layout == "pairs" else "{well:w}.tif"
    cut_offs = ["curation.label.live_below=0.3", "curation.label.dead_above=0.5"] if scale == "positive_area" else []
    given = [f"dataset.root={tmp_path / 'raw'}", f"dataset.pattern='{name}'", f"dataset.layout={layout}"]
    found = areas(*PLATE, *given, f"curation.label.scale={scale}", *cut_offs)
    assert found.dtype == np.float64
    assert found.to_dict() == {f"w{n}": round(share * HEIGHT) / HEIGHT for n, share in enumerate(DRAWN)}


def test_what_is_no_data_is_no_part_of_the_area(tmp_path):
    for number in range(6):
        stem = tmp_path / "raw" / f"w{number}"
        write_field(stem, 0.4, seed=number)
    for channel in ("BF", "PI"):  # of the last one the lower half, in which nothing is positive
        path = tmp_path / "raw" / f"w5_{channel}.tif"
        image = tifffile.imread(path)
        image[HEIGHT // 2 :] = 0
        tifffile.imwrite(path, image)
    found = areas(*PLATE, f"dataset.root={tmp_path / 'raw'}", "dataset.pattern='{well:w}_{channel}.tif'")
    assert found.to_dict() == {f"w{n}": 0.8 if n == 5 else 0.4 for n in range(6)}


def test_published_patches_have_no_area(tmp_path):
    for label in ("live", "dead"):
        for number in range(4):
            path = tmp_path / "raw" / label / f"p{number}{label}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path.with_suffix(".tif"), drawn(0.5, seed=number + 10 * (label == "dead"))[0][:64, :64])
    found = areas(
        *SMALL, "dataset=no_treatment", "dataset.layout=patches", "dataset.pattern=null",
        f"dataset.root={tmp_path / 'raw'}",
    )  # fmt: skip
    assert len(found) == 8
    assert found.isna().all()
