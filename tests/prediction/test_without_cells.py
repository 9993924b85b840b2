"""Fields whose patches the empty filter takes for ones without cells: no share is made up, and nothing falls over."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from conftest import TINY, composed_train, uneven_field
from jimt.models.predictor import Predictor
from jimt.prediction.predict import main
from jimt.training.run import train

WITHOUT = 224
"""Width of images that the filter takes for bare."""


def empty(self, fields, rows):
    """In place of the filter: every patch of wide images, the lower half of high ones, none of others."""
    height, width = fields.field(0).shape
    if width == WITHOUT:
        return np.ones(len(rows), np.bool_)
    return (rows["y"] >= height / 2).to_numpy() if height == 160 else np.zeros(len(rows), np.bool_)


@pytest.fixture(scope="module")
def run(uneven, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("predicting") / "run"
    train(composed_train(*uneven, *TINY, "trainer.max_epochs=1", f"run_dir={folder}"))
    return folder


def predicted(run: Path, shapes: dict[str, tuple[int, int]], tmp_path: Path, capsys) -> tuple[int, str]:
    rng = np.random.default_rng(3)
    for well, shape in shapes.items():
        for channel, image in zip(("BF", "PI"), uneven_field(rng), strict=True):
            pixels = np.tile(image, (2, 2))[: shape[0], : shape[1]]
            tifffile.imwrite(tmp_path / f"{well}_{channel}.tif", pixels)
    words = "--pattern", "{well}_{channel}.tif", "--channel", "BF", "--check", "PI", "--include-flagged", "--excel"
    try:
        main([str(run), str(tmp_path), *words, "--out", str(tmp_path / "out")])
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    return status, capsys.readouterr().out


def test_a_well_without_cells_has_no_share_and_the_others_have_theirs(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Predictor, "empty", empty)
    status, told = predicted(run, {"A1": (128, 192), "A2": (128, WITHOUT), "A3": (160, 192)}, tmp_path, capsys)
    assert status in (0, 4)
    fields = pd.read_csv(tmp_path / "out/fields.csv").set_index("well")
    assert fields["dead_share"].isna().tolist() == [False, True, False]
    assert fields["pi_share"].isna().tolist() == [False, True, False]
    assert fields["counted"].tolist() == [True, False, True]
    assert fields.loc["A02", "n_empty"] == fields.loc["A02", "n_patches"] == fields["n_empty"].max()
    assert fields.loc["A02", "n_uncertain"] == 0
    wells = pd.read_csv(tmp_path / "out/wells.csv").set_index("well")
    assert wells["n_counted"].tolist() == [1, 0, 1]
    assert wells["dead_share"].isna().tolist() == [False, True, False]
    assert "of 2 fields" in told
    # counted again from the scores of patches with cells
    patches = pd.read_csv(tmp_path / "out/patches.csv")
    assert patches.groupby("raw_image_id")["empty"].sum().tolist() == fields["n_empty"].tolist()
    total, n = np.zeros((2, 160, 192))
    for y, x, score in patches[patches["file"].str.endswith("A3_BF.tif") & ~patches["empty"]][
        ["y", "x", "score"]
    ].values:
        total[int(y) : int(y) + 64, int(x) : int(x) + 64] += 1 - score
        n[int(y) : int(y) + 64, int(x) : int(x) + 64] += 1
    assert fields.loc["A03", "dead_share"] == pytest.approx((total[n > 0] / n[n > 0]).mean(), abs=1e-5)
    of_map = tifffile.imread(tmp_path / "out/maps/A2.ome.tiff")
    assert np.isnan(of_map).all()
    assert '"features":[]' in (tmp_path / "out/outlines/A2.geojson").read_text()


def test_of_fields_that_are_all_without_cells_no_mean_is_told(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Predictor, "empty", empty)
    status, told = predicted(run, {"A1": (128, WITHOUT), "A2": (160, WITHOUT)}, tmp_path, capsys)
    assert status in (0, 4)
    assert "No field has cells that a dead share could be taken of" in told
    assert "Held against PI: unknown: no field has both a predicted share and one by PI" in told
    assert "nan" not in told.casefold()
    page = (tmp_path / "out/index.html").read_text("utf-8")
    assert '"share":null' in page
    for name in ("index.html", "METHODS.md", "check.json", "fields.csv", "wells.csv"):
        assert "nan" not in (tmp_path / "out" / name).read_text("utf-8-sig").casefold().replace("nano", "")
