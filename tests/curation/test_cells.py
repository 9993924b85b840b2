import numpy as np
import pytest
import tifffile

from conftest import small_field, write_pair
from jimt.curation.cells import fluorescence_cells
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


def test_a_raw_image_that_is_gone_is_named(tmp_path, prepare_config):
    write_pair(tmp_path / "raw", NAME, small_field(np.random.default_rng(0)))
    dataset, curation = prepare_config(*overrides(tmp_path / "raw"))
    with pytest.raises(InputError, match=r"1 raw images of no_treatment, for example gone, are no longer in .*raw"):
        fluorescence_cells(dataset, curation, [NAME, "gone"], cell=16)


def test_published_patches_have_no_cells(tmp_path, prepare_config):
    dataset, curation = prepare_config(*overrides(tmp_path))
    dataset.layout = "patches"
    with pytest.raises(InputError, match="probe.cell needs fluorescence images, and no_treatment holds publ"):
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
