"""The same cells before another microscope: what differs is what was asked for, and the truth moves with the image."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from jimt.config.hydra_dataset import dataset_of_name
from jimt.curation.pixel_size_stage import pixel_size_of_file
from jimt.errors import InputError
from jimt.synthetic import Microscope, simulate_dataset

SIZE = 0.3225
ONE = {
    "n_wells": 1,
    "fields_per_well": 1,
    "height": 240,
    "width": 300,
    "dead_fraction": 0.5,
    "difficulty": 0.5,
    "seed": 5,
    "patch_size": 112,
    "stride": 56,
    "n_jobs": 1,
}
NAME = "W00001--P00001--Z00000--T00000--{}.tif"


def imaged(folder, microscope: Microscope | None, **how) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Bright-field, PI and cells of one field."""
    simulate_dataset(folder, **(ONE | how), microscope=microscope)
    images = (tifffile.imread(folder / NAME.format(channel)).astype(float) for channel in ("Trans", "PI"))
    return (*images, pd.read_csv(folder / "cells.csv"))


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return imaged(tmp_path_factory.mktemp("usual") / "raw", None)


def test_the_usual_microscope_spelt_out_gives_the_same_images(usual, tmp_path):
    same = imaged(tmp_path / "raw", Microscope(SIZE, light=1.0, contrast=1.0))
    np.testing.assert_array_equal(same[0], usual[0])
    np.testing.assert_array_equal(same[1], usual[1])


def test_less_light_darkens_bright_field_and_leaves_pi(usual, tmp_path):
    bright_field, pi, cells = imaged(tmp_path / "raw", Microscope(SIZE, light=0.25, contrast=1.0))
    assert np.mean(bright_field - 100) / np.mean(usual[0] - 100) == pytest.approx(0.25, rel=0.01)
    np.testing.assert_array_equal(pi, usual[1])
    pd.testing.assert_frame_equal(cells, usual[2])


def test_contrast_is_a_factor_of_what_cells_do_to_the_light(usual, tmp_path):
    bright_field, _, _ = imaged(tmp_path / "raw", Microscope(SIZE, light=1.0, contrast=2.0))
    none, _, _ = imaged(tmp_path / "none", Microscope(SIZE, light=1.0, contrast=1e-6))
    inner = np.s_[8:-8, 8:-8]
    slope = np.polyfit((usual[0] - none)[inner].ravel(), (bright_field - none)[inner].ravel(), 1)[0]
    assert slope == pytest.approx(2.0, rel=0.05)


def test_larger_pixels_see_more_cells_and_files_say_so(usual, tmp_path):
    bright_field, pi, cells = imaged(tmp_path / "raw", Microscope(2 * SIZE, light=1.0, contrast=1.0))
    assert bright_field.shape == pi.shape == (240, 300)
    assert len(cells) > 3 * len(usual[2])  # on four times the area
    assert cells["y"].max() < 240
    assert cells["x"].max() < 300
    assert pixel_size_of_file(tmp_path / "raw" / NAME.format("Trans")) == pytest.approx(2 * SIZE)
    # where dead cells are counted, PI is brighter: the truth lies where the image has it
    at = [pi[int(cell.y), int(cell.x)] for cell in cells.itertuples() if cell.dead]
    assert np.mean(at) > 1.5 * np.median(pi)


def test_another_microscope_is_another_simulation(tmp_path):
    other = Microscope(0.5, light=0.2, contrast=1.0)
    assert simulate_dataset(tmp_path / "raw", **ONE, microscope=other)
    assert not simulate_dataset(tmp_path / "raw", **ONE, microscope=other)
    with pytest.raises(InputError, match="holds another simulation: delete it or choose another folder"):
        simulate_dataset(tmp_path / "raw", **ONE)


def test_the_second_camera_is_a_data_set():
    camera = dataset_of_name("synthetic_camera")
    found = camera.simulation.microscope
    assert (camera.pixel_size, found.pixel_size, found.light, found.contrast) == (0.5, 0.5, 0.2, 1.0)
    assert dataset_of_name("synthetic").simulation.microscope is None


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("dataset.pixel_size=5", "dataset.simulation.microscope.pixel_size=5.0 is not allowed: it takes 0.1 to 1.3"),
        ("dataset.simulation.microscope.light=0", "microscope.light=0.0 is not allowed: it takes more than 0"),
        ("dataset.simulation.microscope.contrast=-1", "contrast=-1.0 is not allowed: it takes more than 0"),
    ],
)
def test_a_microscope_that_there_is_not_is_refused(override, said, prepare_config):
    with pytest.raises(InputError) as caught:
        prepare_config("dataset=synthetic_camera", override)
    assert said in str(caught.value)
