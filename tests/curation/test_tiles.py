import numpy as np
import pytest
import tifffile
from rich.console import Console

from conftest import small_field, write_pair
from jimt.curation.curate import curate
from jimt.curation.manifest import open_curated
from jimt.curation.rereading import fluorescence_patches
from jimt.curation.tiles import fluorescence_cells
from jimt.errors import InputError

NAME = "--W00001--P00001--Z00000--T00000"


def overrides(root, *more):
    return ["dataset=no_treatment", f"dataset.root={root}", *more]


def test_a_cell_is_the_mean_of_its_own_pixels(tmp_path, prepare_config):
    rng = np.random.default_rng(0)
    pair = small_field(rng)
    write_pair(tmp_path / "raw", NAME, pair)
    dataset, curation = prepare_config(*overrides(tmp_path / "raw"))
    cells = fluorescence_cells(dataset, curation, [NAME], cell=16)[NAME]
    assert cells.label_value.shape == (160 // 16, 192 // 16)
    assert cells.label_value[3, 5] == pytest.approx(pair[1][48:64, 80:96].mean())
    assert (cells.valid == 1).all()


def test_cells_of_a_ratio_are_over_the_background_of_their_field(tmp_path, prepare_config):
    pair = small_field(np.random.default_rng(0))
    write_pair(tmp_path / "raw", NAME, pair)
    dataset, curation = prepare_config(*overrides(tmp_path / "raw", "curation.label.scale=log_background_ratio"))
    cells = fluorescence_cells(dataset, curation, [NAME], cell=32)[NAME]
    background = np.percentile(pair[1], 10)
    assert cells.label_value[0, 0] == pytest.approx(np.log(pair[1][:32, :32].mean() / background), abs=0.01)


def test_pixels_without_data_count_for_nothing(tmp_path, prepare_config):
    brightfield, fluorescence = small_field(np.random.default_rng(0))
    brightfield[:, :40], fluorescence[:, :40] = 0, 0  # the border of an aligned field
    write_pair(tmp_path / "raw", NAME, (brightfield, fluorescence))
    dataset, curation = prepare_config(*overrides(tmp_path / "raw"))
    cells = fluorescence_cells(dataset, curation, [NAME], cell=16)[NAME]
    assert cells.valid[0, 1] == 0
    assert cells.valid[0, 2] == pytest.approx(0.5)
    assert cells.label_value[0, 2] == pytest.approx(fluorescence[:16, 40:48].mean())


@pytest.mark.parametrize(
    ("scale", "cut_offs", "in_unit"),
    [
        ("raw", (300, 450), lambda pi, background: pi),
        ("background_subtracted", (80, 250), lambda pi, background: pi - background),
        ("log_background_ratio", (0.4, 0.8), lambda pi, background: pi / background),
    ],
)
def test_fluorescence_that_is_drawn_has_no_value_where_there_is_no_data(
    small, small_pairs, prepare_config, scale, cut_offs, in_unit
):
    brightfield, fluorescence = small_field(np.random.default_rng(0))
    brightfield[:, :40] = 0  # padding of bright-field alone
    write_pair(small_pairs, NAME, (brightfield, fluorescence))
    both = [f"curation.label.{name}={at}" for name, at in zip(("live_below", "dead_above"), cut_offs, strict=True)]
    config = prepare_config(*small, f"curation.label.scale={scale}", *both)
    curated = open_curated(curate(*config, embed=None, console=Console(quiet=True)))
    rows = curated.manifest[(curated.manifest["raw_image_id"] == NAME) & (curated.manifest["y"] == 32)]
    found = fluorescence_patches(curated, rows, needed_by="this")
    background = np.percentile(fluorescence[:, 40:], 10)
    expected = in_unit(fluorescence.astype(float), background)
    expected[:, :40] = np.nan
    for row, pixels in zip(rows.itertuples(), found, strict=True):
        np.testing.assert_allclose(pixels, expected[32:96, row.x : row.x + 64], rtol=1e-5)


def test_a_raw_image_that_is_gone_is_named(tmp_path, prepare_config):
    write_pair(tmp_path / "raw", NAME, small_field(np.random.default_rng(0)))
    dataset, curation = prepare_config(*overrides(tmp_path / "raw"))
    with pytest.raises(InputError, match=r"1 raw images of no_treatment, for example gone, are no longer in .*raw"):
        fluorescence_cells(dataset, curation, [NAME, "gone"], cell=16)


def test_published_patches_have_no_cells(tmp_path, prepare_config):
    dataset, curation = prepare_config(*overrides(tmp_path))
    dataset.layout = "patches"
    with pytest.raises(InputError, match="probe.tile needs fluorescence images, and no_treatment holds publ"):
        fluorescence_cells(dataset, curation, [NAME], cell=16)


def test_channels_of_a_stack_are_read_by_their_index(tmp_path, prepare_config):
    brightfield, fluorescence = small_field(np.random.default_rng(0))
    (tmp_path / "raw").mkdir()
    tifffile.imwrite(tmp_path / "raw" / "W1_a.tif", np.stack([fluorescence, brightfield]))
    dataset, curation = prepare_config(
        "dataset=no_treatment",
        f"dataset.root={tmp_path / 'raw'}",
        "dataset.layout=stack",
        "dataset.pattern='^(?P<raw_image_id>(?P<group>W\\d)_.*)\\.tif$'",
        "dataset.brightfield_index=1",
        "dataset.fluorescence_index=0",
    )
    cells = fluorescence_cells(dataset, curation, ["W1_a"], cell=16)["W1_a"]
    assert cells.label_value[0, 0] == pytest.approx(fluorescence[:16, :16].mean())
