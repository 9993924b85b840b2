"""What is read of a source: channel, plane, grey, pixel size; what cannot be used is refused.

The oracles are arrays written by tifffile and Pillow, and arithmetic.
"""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from jimt.prediction.pictures import colour_spread
from pictures import GREY, GREY_8, RNG, read, refusal, smooth, write


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# ---- formats


@pytest.mark.parametrize("image", [GREY, GREY_8, GREY.astype(np.float32), GREY.astype(np.int16)])
def test_a_grey_image_is_read_as_it_stands(image):
    write(image)
    picture = read()
    np.testing.assert_array_equal(picture.pixels, image)
    assert picture.pixels.dtype == image.dtype
    assert (picture.shape, picture.zoom, picture.pixel_size, picture.colour) == ((80, 100), 1.0, None, False)


@pytest.mark.parametrize("mode", ["PNG", "JPEG"])
def test_png_and_jpeg_are_read_as_pillow_reads_them(mode):
    path = f"a.{mode.lower()}"
    Image.fromarray(GREY_8).save(path, mode)
    np.testing.assert_array_equal(read(path).pixels, np.asarray(Image.open(path)))


def test_a_damaged_jpeg_or_one_that_is_turned_is_refused():
    Image.fromarray(GREY_8).save("a.jpg")
    data = Path("a.jpg").read_bytes()
    for size in (1000, len(data) // 2, len(data) - 2, 2, 30):
        Path("b.jpg").write_bytes(data[:size])
        assert refusal("b.jpg") == "is cut off or damaged: copy or export it again"
    Path("b.jpg").write_bytes(b"GIF89a" + data)
    assert refusal("b.jpg") == "is not a JPEG, whatever its name says: export it again"
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(GREY_8).save("b.jpg", exif=exif)
    assert refusal("b.jpg") == "is stored turned or mirrored (its EXIF orientation): export it upright"
    Image.new("CMYK", (100, 80)).save("b.jpg")
    assert refusal("b.jpg") == "has 4 colours, as for a printer: export it as a grey image"


def test_a_file_that_has_gone_is_told():
    assert refusal("nowhere.tif") == "is missing: copy it there"


# ---- colours


@pytest.mark.parametrize("path", ["a.tif", "a.png", "a.jpg"])
def test_colour_is_converted_and_said_and_strong_colour_is_noted(path):
    shades = np.stack([GREY_8, np.roll(GREY_8, 7, 0), 255 - GREY_8], axis=-1)
    Image.fromarray(shades).save(path)
    picture = read(path)
    weights = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    expected = np.asarray(Image.open(path), float) @ weights
    assert np.abs(picture.pixels - expected).max() <= 1
    assert picture.colour
    assert picture.notes[0].startswith("converted from colour to grey; its colours differ by ")


@pytest.mark.parametrize("path", ["a.tif", "a.png"])
def test_three_equal_channels_are_grey(path):
    Image.fromarray(np.stack([GREY_8] * 3, axis=-1)).save(path)
    picture = read(path)
    np.testing.assert_array_equal(picture.pixels, GREY_8)
    assert not picture.colour
    assert not any("colour" in note for note in picture.notes)


def test_transparency_is_no_colour():
    Image.fromarray(np.stack([GREY_8, np.full_like(GREY_8, 255)], axis=-1), "LA").save("a.png")
    np.testing.assert_array_equal(read("a.png").pixels, GREY_8)
    write(np.stack([GREY_8, np.full_like(GREY_8, 255)], axis=-1), extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read().pixels, GREY_8)


def test_the_tint_of_a_lamp_and_noise_are_no_colour_and_stained_tissue_is():
    light = smooth(200, 200, low=120, high=180).astype(float)
    tinted = np.stack([light * 1.1, light, light * 0.6], axis=-1) + RNG.normal(0, 2, (200, 200, 3))
    assert colour_spread(np.clip(tinted, 0, 255).astype(np.uint8)) < 0.05
    nuclei = smooth(200, 200)[..., None] > 2000  # haematoxylin on eosin, as a scanner shows them
    stained = np.where(nuclei, [110, 70, 150], [230, 150, 190]) + RNG.normal(0, 2, (200, 200, 3))
    assert colour_spread(stained.astype(np.uint8)) > 0.15


# ---- channels, planes, times


def test_one_of_several_channels_must_be_chosen_by_number_or_name():
    stack = np.stack([GREY, GREY[::-1], GREY[:, ::-1]])
    write(stack, "a.ome.tif", metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "Trans", "PI"]}})
    assert refusal("a.ome.tif") == (
        "has 3 channels, 0 (DAPI), 1 (Trans), 2 (PI), and nothing says which is bright-field: give --channel NUMBER"
    )
    for channel in (1, "1", "Trans"):
        np.testing.assert_array_equal(read("a.ome.tif", channel=channel).pixels, stack[1])
    for channel in (3, "3", "trans", "-1"):
        assert refusal("a.ome.tif", channel=channel) == (
            f"has 3 channels, 0 (DAPI), 1 (Trans), 2 (PI), so no channel {channel}: give --channel NUMBER"
        )


def test_pages_of_which_nothing_says_what_they_are_count_as_channels():
    write(np.stack([GREY, GREY[::-1]]), metadata=None)
    assert refusal().startswith("has 2 channels, 0, 1, and nothing says which is bright-field")
    np.testing.assert_array_equal(read(channel=1).pixels, GREY[::-1])


@pytest.mark.parametrize(
    ("form", "axes"),
    [
        *[("ome", axes) for axes in ("TZCYX", "TCZYX", "CZYX", "ZCTYX")],
        *[(form, "TZCYX") for form in ("imagej", "imagej in one piece")],  # in which ImageJ has but one order
    ],
)
def test_any_channel_plane_and_time_is_the_one_that_was_written(form, axes):
    lengths = {"T": 2, "Z": 3, "C": 4, "Y": 70, "X": 75}
    shape = [lengths[axis] for axis in axes]
    stack = RNG.integers(1, 60000, shape).astype(np.uint16)
    options = {"ome": True} if form == "ome" else {"imagej": True, "photometric": "minisblack"}
    options |= {"truncate": True} if form == "imagej in one piece" else {}
    write(stack, metadata={"axes": axes}, **options)
    for c, z, t in [(0, 0, 0), (3, 2, 0), (1, 2, int("T" in axes)), (2, 1, 0)]:
        place = tuple({"C": c, "Z": z, "T": t}[axis] for axis in axes[:-2])
        picture = read(channel=c, z=z, time_index=t if "T" in axes else None)
        np.testing.assert_array_equal(picture.pixels, stack[place])
        assert f"plane {z} of 3 (counted from 0)" in picture.notes


def test_colours_that_stand_apart_and_copies_of_lower_resolution_are_understood():
    shades = RNG.integers(0, 256, (3, 80, 100)).astype(np.uint8)
    tifffile.imwrite("a.tif", shades, photometric="rgb", planarconfig="separate")
    expected = np.moveaxis(shades, 0, -1).astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(read().pixels - expected).max() <= 1
    with tifffile.TiffWriter("b.ome.tif") as tif:
        tif.write(GREY, subifds=1, photometric="minisblack")
        tif.write(GREY[::2, ::2], subfiletype=1, photometric="minisblack")
    np.testing.assert_array_equal(read("b.ome.tif").pixels, GREY)


def test_positions_are_read_each_by_its_number():
    images = [GREY, GREY[::-1], np.ascontiguousarray(GREY[:, :70])]
    with tifffile.TiffWriter("a.ome.tif", ome=True) as tif:
        for n, image in enumerate(images):
            size = {"PhysicalSizeX": 0.3 + n, "PhysicalSizeXUnit": "\u00b5m"}
            tif.write(image, photometric="minisblack", metadata={"axes": "YX", **size})
    for n, image in enumerate(images):
        picture = read("a.ome.tif", series=n)
        np.testing.assert_array_equal(picture.pixels, image)
        assert picture.pixel_size == pytest.approx(0.3 + n)


def test_the_sharpest_plane_is_the_one_in_focus_whatever_the_light():
    from skimage.filters import gaussian

    planes = [gaussian(GREY.astype(float), sigma) for sigma in (4, 2, 0.5, 1, 3)]
    stack = np.stack([plane * light for plane, light in zip(planes, (1.5, 1.2, 1, 1.1, 1.3), strict=True)]).astype(
        np.uint16
    )
    write(stack, imagej=True, metadata={"axes": "ZYX"})
    picture = read()
    np.testing.assert_array_equal(picture.pixels, stack[2])
    assert picture.notes[0] == "plane 2 of 5 (counted from 0), the sharpest by Tenengrad"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_projections_are_those_of_numpy(dtype):
    stack = RNG.integers(1, 250, (3, 70, 80)).astype(dtype)
    write(stack, imagej=True, metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(read(z="max").pixels, stack.max(axis=0))
    mean = stack.mean(axis=0, dtype=float)
    expected = mean.astype(np.float32) if dtype is np.float32 else np.rint(mean).astype(dtype)
    np.testing.assert_array_equal(read(z="mean").pixels, expected)
    assert read(z="mean").notes[0] == "mean of 3 planes"


@pytest.mark.parametrize("z", ["sharpest", "max", "mean"])
def test_channels_that_a_file_calls_planes_are_refused_unless_one_is_chosen(z):
    write(np.stack([GREY * 10, GREY // 10]), imagej=True, metadata={"axes": "ZYX"})
    low, high = (GREY // 10).mean(), GREY.mean() * 10
    assert refusal(z=z) == (
        f"has planes of mean {low:.4g} to {high:.4g}, as channels differ and planes of one stack do not: "
        "give --z NUMBER"
    )
    np.testing.assert_array_equal(read(z=0).pixels, GREY * 10)


def test_a_plane_that_is_not_there_is_refused():
    write()
    assert refusal(z=3) == "has one plane, so no plane 3 (counted from 0): give --z NUMBER, or --z sharpest"
    np.testing.assert_array_equal(read(z=0).pixels, GREY)


def test_a_stack_that_is_cut_off_is_refused():
    write(np.stack([GREY] * 3), imagej=True, metadata={"axes": "ZYX"})
    data = Path("a.tif").read_bytes()
    for size in (len(data) - 100, len(data) - GREY.nbytes - 5000, 300):
        Path("a.tif").write_bytes(data[:size])
        assert "cut off" in refusal() or "damaged" in refusal()


# ---- what cannot be used


def test_an_image_smaller_than_a_patch_or_of_one_value_is_refused():
    write()
    assert refusal(patch_size=90) == "is 100 x 80 px, smaller than a patch of 90: give a larger image"
    write(np.full((80, 100), 7, np.uint16))
    assert refusal() == "is constant (every pixel 7): acquire or export it again"
    write(np.full((80, 100), np.nan, np.float32))
    assert refusal().startswith("holds NaN or infinite pixels")


def test_negative_pixels_are_refused():
    write(GREY.astype(np.int16) - 2000)
    assert refusal() == (
        "has signed pixels, some of them negative: export the camera's own counts, unsigned, with no background "
        "taken off"
    )
    write((GREY + 32768).view(np.int16))  # as a ScanR writes it
    assert read(bit_depth=12).pixels.dtype == np.int16


def test_counts_that_the_model_would_cut_off_are_refused():
    write(GREY * 4)
    assert refusal(bit_depth=12) == (
        "has counts of 14 bits, and the model was trained on images of 12: export the camera's own counts, or train a "
        "model on images of this camera"
    )
    write(GREY + 32768)  # as a ScanR writes it
    np.testing.assert_array_equal(read(bit_depth=12).pixels, GREY + 32768)
    write(GREY)
    assert refusal(bit_depth=4, bit_shift=12) == (
        "has no count in the 4 bits above 12 that the model goes by: export the camera's own counts"
    )
