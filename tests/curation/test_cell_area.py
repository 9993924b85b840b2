"""Cells are where bright-field has a texture, whatever lamp and camera are, and however a field lies."""

import numpy as np
import pytest

from jimt.curation.cell_area import cell_area


def islands(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A field with two islands of cells, and where these are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :200]
    cells = ((y - 50) ** 2 + (x - 60) ** 2 < 35**2) | ((y - 110) ** 2 + (x - 150) ** 2 < 30**2)
    return rng.normal(120, np.where(cells, 25, 1.5)).clip(0, 255).astype(np.uint8), cells


WHOLE = np.ones((160, 200), bool)


def test_the_area_is_that_of_the_islands_but_for_a_margin():
    pixels, cells = islands()
    area = cell_area(pixels, WHOLE)
    assert area[cells].mean() > 0.98
    assert area[~cells].mean() < 0.25  # within two widths of the Gaussian of an island's edge
    far = ~cells & (np.hypot(*np.indices(cells.shape)) > 0)
    far &= cell_distance(cells) > 15
    assert not area[far].any()


def cell_distance(cells):
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(~cells)


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0), (1.0, 60), (1.8, -80)])
def test_neither_gain_nor_offset_changes_it(gain, offset):
    pixels, _ = islands()
    pixels = (100 + (pixels.astype(float) - 100) / 2).round()  # room on either side
    other = (pixels * gain + offset).round()
    assert 0 <= other.min() <= other.max() <= 255
    same = cell_area(pixels.astype(np.uint8), WHOLE) == cell_area(other.astype(np.uint8), WHOLE)
    assert same.mean() > 0.97


def test_the_area_of_a_turned_field_is_turned():
    pixels, _ = islands(1)
    area = cell_area(pixels, WHOLE)
    for quarter in range(4):
        for mirrored in (False, True):
            turned = [np.rot90(one, quarter) for one in (pixels, WHOLE, area)]
            image, valid, expected = (np.ascontiguousarray(np.fliplr(one) if mirrored else one) for one in turned)
            assert (cell_area(image, valid) == expected).mean() > 0.999


def test_pixels_without_data_are_of_no_cell_and_make_none_beside_them():
    pixels, cells = islands()
    valid = WHOLE.copy()
    valid[:, :20] = valid[:8] = False
    areas = []
    for filled in (0, 255):
        areas.append(cell_area(np.where(valid, pixels, filled).astype(np.uint8), valid))
    np.testing.assert_array_equal(*areas)
    assert not areas[0][~valid].any()
    beside = valid & (cell_distance(cells) > 20)
    assert areas[0][beside].mean() < 0.02
    assert not cell_area(pixels, ~WHOLE).any()
