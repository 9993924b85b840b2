"""The pixel size of an image, and what is read of it at that of a model; the oracle is arithmetic."""

import numpy as np
import pytest

from jimt.curation.decoding import BadImageError
from jimt.curation.no_data import no_data_mask
from jimt.errors import InputError
from pictures import GREY, read, refusal, smooth, write


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_an_image_at_the_model_s_pixel_size_is_left_as_it_is():
    write(resolution=(10_000 / 0.3225, 10_000 / 0.3225), resolutionunit="CENTIMETER")
    picture = read(model_pixel_size=0.3112)  # 3.6 % less
    np.testing.assert_array_equal(picture.pixels, GREY)
    assert (picture.zoom, picture.notes) == (1.0, ())
    assert picture.pixel_size == pytest.approx(0.3225, rel=1e-6)


@pytest.mark.parametrize(("pixel_size", "zoom"), [(0.65, 2.0), (0.1625, 0.5), (0.13, 0.4), (0.45, 0.45 / 0.325)])
def test_an_image_is_resampled_to_the_model_s_pixel_size_and_looks_the_same_there(pixel_size, zoom):
    height, width = 300, 260
    write(smooth(height, width))
    picture = read(pixel_size=pixel_size, model_pixel_size=0.325)
    assert picture.zoom == pytest.approx(zoom)
    assert (picture.shape, picture.pixel_size) == ((height, width), pixel_size)
    assert picture.pixels.shape == (round(height * zoom), round(width * zoom))
    assert picture.pixels.dtype == np.uint16
    # the wave at the place that each pixel's middle has in the file
    y, x = np.mgrid[: picture.pixels.shape[0], : picture.pixels.shape[1]]
    y, x = ((grid + 0.5) / zoom - 0.5 for grid in (y, x))
    expected = 1000 + 1000 * (np.sin(y / 9) * np.sin(x / 11) + 1)
    inside = slice(8, -8)
    assert np.abs(picture.pixels - expected)[inside, inside].max() < 40  # of 2,000
    (note,) = picture.notes
    assert note == (
        f"resampled from {pixel_size:.4g} \u00b5m a pixel to the model's 0.325 \u00b5m, from {width} x {height} to "
        f"{round(width * zoom)} x {round(height * zoom)} px"
    )


@pytest.mark.parametrize("offset", [0, 32768], ids=["plain", "ScanR"])
@pytest.mark.parametrize("pixel_size", [0.65, 0.2])
def test_black_edges_of_an_alignment_stay_black_and_darken_nothing(offset, pixel_size):
    image = smooth(300, 300, low=2000, high=2200)
    image[:, :40] = 0
    image[-30:] = 0
    write(image + offset)
    picture = read(pixel_size=pixel_size, model_pixel_size=0.325, bit_depth=12)
    counts = picture.pixels & 0xFFF
    zoom = pixel_size / 0.325
    expected = np.zeros(counts.shape, bool)
    expected[:, : round(40 * zoom)] = True
    expected[round(270 * zoom) :] = True
    differs = (counts == 0) != expected
    assert differs.mean() < 0.01  # no more than half a pixel at the edge
    assert (no_data_mask(counts, counts) == (counts == 0)).all()
    data = counts[counts > 0]
    assert data.min() >= 2000
    assert data.max() <= 2200


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("pixel_size", [0.65, 0.5, 0.2])
def test_no_count_turns_over_the_end_of_its_range(dtype, pixel_size):
    top = 1.0 if dtype is np.float32 else np.iinfo(dtype).max
    image = np.full((200, 200), top, dtype)
    image[50:100, 50:100] = 1 if dtype is not np.float32 else 0.25
    write(image)
    pixels = read(pixel_size=pixel_size, model_pixel_size=0.325).pixels
    assert pixels.dtype == dtype
    assert pixels.min() == image.min()
    assert pixels.max() == top
    at_ends = np.isclose(pixels, image.min()) | np.isclose(pixels, top)
    assert at_ends.mean() > 0.9  # edges alone lie between


def test_an_image_that_is_too_small_at_the_model_s_pixel_size_is_refused():
    write()
    assert refusal(pixel_size=0.16, model_pixel_size=0.32) == (
        "is 50 x 40 px at the model's pixel size (100 x 80 px in the file), smaller than a patch of 64: give a larger "
        "image"
    )
    assert refusal(pixel_size=6.5, model_pixel_size=0.325) == (
        "would have to be enlarged 20 times along each side to be of the model's pixel size: image it at a "
        "magnification near that of the model's training"
    )
    assert refusal(pixel_size=0.02, model_pixel_size=20).startswith("has nothing left when it is made 1e+03 times")


@pytest.mark.parametrize("size", [0, -0.3, float("nan"), float("inf"), 300, 0.001])
def test_an_absurd_pixel_size_is_refused(size):
    write()
    with pytest.raises(InputError) as caught:
        read(pixel_size=size)
    assert str(caught.value) == f"--pixel-size={size} is not allowed: it takes micrometres, 0.02 to 20"
    assert not isinstance(caught.value, BadImageError)


@pytest.mark.parametrize(
    ("resolution", "unit", "model", "notes"),
    [
        (None, None, None, ("nothing tells its pixel size; nor is the model's known",)),
        (None, None, 0.32, ("nothing tells its pixel size, which is taken for the model's, 0.32 \u00b5m",)),
        (
            (72, 72),
            "INCH",
            0.32,
            (
                "its resolution (72 dpi) is that of a screen or printer, and tells no pixel size, which is taken for "
                "the model's, 0.32 \u00b5m",
            ),
        ),
        (
            (20_000, 20_000),
            "CENTIMETER",
            None,
            ("its pixel size is 0.5 \u00b5m, and the model's is not known, so it was not resampled",),
        ),
    ],
)
def test_an_unknown_pixel_size_is_said(resolution, unit, model, notes):
    write(resolution=resolution, resolutionunit=unit)
    assert read(model_pixel_size=model).notes == notes


def test_the_size_that_was_given_wins_over_the_file_s_and_says_so_where_they_differ():
    write(resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
    picture = read(pixel_size=0.32, model_pixel_size=0.32)
    assert (picture.pixel_size, picture.zoom) == (0.32, 1.0)
    assert picture.notes == (
        "its file says 0.5 \u00b5m a pixel, and 0.32 \u00b5m were taken, as --pixel-size or the data set says",
    )
    assert read(pixel_size=0.51, model_pixel_size=0.51).notes == ()


def test_pixels_that_are_no_squares_are_refused_unless_their_size_is_given():
    write(resolution=(20_000, 40_000), resolutionunit="CENTIMETER")
    assert refusal() == (
        "has pixels of 0.5 x 0.25 \u00b5m, which are no squares: export it with square ones, or give "
        "--pixel-size NUMBER"
    )
    assert read(pixel_size=0.5).pixel_size == 0.5
