"""The pixel size of a data set: as its settings say, or all its files."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from rich.console import Console

from conftest import SMALL, composed_prepare
from jimt.curation.curate import curate
from jimt.curation.manifest import open_curated
from jimt.curation.pixel_size_stage import dataset_pixel_size

IMAGE = np.arange(600, dtype=np.uint16).reshape(20, 30)


def files(folder: Path, *sizes: float | None) -> list[Path]:
    paths = [folder / f"{n}.tif" for n in range(len(sizes))]
    for path, um in zip(paths, sizes, strict=True):
        tags = {} if um is None else {"resolution": (10_000 / um, 10_000 / um), "resolutionunit": "CENTIMETER"}
        tifffile.imwrite(path, IMAGE, photometric="minisblack", **tags)
    return paths


def test_what_all_files_say_is_taken_where_nothing_is_set(tmp_path):
    found = dataset_pixel_size(None, files(tmp_path, 0.32, 0.325, 0.33))
    assert found == {"um": pytest.approx(0.325, rel=1e-5), "told_by": "files", "warnings": []}


def test_files_that_say_nothing_leave_it_unknown(tmp_path):
    assert dataset_pixel_size(None, files(tmp_path, None, None)) == {"um": None, "told_by": None, "warnings": []}
    (tmp_path / "0.tif").write_bytes(b"no image")
    assert dataset_pixel_size(None, [tmp_path / "0.tif", tmp_path / "missing.png"])["um"] is None


def test_files_that_do_not_all_say_it_leave_it_unknown_and_this_is_told(tmp_path):
    found = dataset_pixel_size(None, files(tmp_path, 0.32, None, 0.32))
    assert (found["um"], found["warnings"]) == (
        None,
        [
            "2 of 3 bright-field files say that a pixel is 0.32 \u00b5m and the others nothing, so it is taken for "
            "unknown"
        ],
    )


def test_files_of_several_magnifications_leave_it_unknown_with_a_warning(tmp_path):
    found = dataset_pixel_size(None, files(tmp_path, 0.32, 0.64, 0.33))
    assert (found["um"], found["warnings"]) == (
        None,
        [
            "WARNING: bright-field files have pixels of 0.32 \u00b5m in 0.tif and 0.64 \u00b5m in 1.tif, so cells are "
            "of several sizes: curate each magnification as a data set of its own"
        ],
    )


def test_a_setting_wins_and_files_that_contradict_it_are_a_warning(tmp_path):
    paths = files(tmp_path, 0.32, 0.64, None)
    assert dataset_pixel_size(0.33, paths[:1]) == {"um": 0.33, "told_by": "setting", "warnings": []}
    assert dataset_pixel_size(0.33, paths) == {
        "um": 0.33,
        "told_by": "setting",
        "warnings": [
            "WARNING: dataset.pixel_size is 0.33 \u00b5m, and 1 bright-field file says otherwise, for example 0.64 "
            "\u00b5m in 1.tif: correct the setting if the files are right"
        ],
    }


def test_a_curation_keeps_it(small_pairs, tmp_path):
    out = f"curation.output_root={tmp_path / 'curated'}"
    given = ["dataset=no_treatment", f"dataset.root={small_pairs}", *SMALL, out]
    summary = open_curated(curate(*composed_prepare(*given), embed=None, console=Console(quiet=True))).summary
    assert summary["pixel_size"] == {"um": 0.3225, "told_by": "setting", "warnings": []}
    given += ["dataset.pixel_size=null"]
    other = open_curated(curate(*composed_prepare(*given), embed=None, console=Console(quiet=True))).summary
    assert other["pixel_size"] == {"um": None, "told_by": None, "warnings": []}
    assert other["fingerprint"] != summary["fingerprint"]
    assert other["counts"] == summary["counts"]
