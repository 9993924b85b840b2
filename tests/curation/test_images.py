import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from jimt.curation.decoding import BadImageError
from jimt.curation.images import check_pair, read_channels, read_page


def grey(dtype: type = np.uint16, *, height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    """Noise over the whole range of the type, so that a lost bit or byte shows."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, (height, width)).astype(dtype)


def write(path: Path, image: np.ndarray, **options) -> Path:
    if path.suffix == ".png":
        cv2.imwrite(str(path), image)
    else:
        tifffile.imwrite(path, image, **options)
    return path


def reason(path: Path, *, indices: tuple[int, int] | None = None) -> str:
    """The sentence a user reads behind the file's name."""
    with pytest.raises(BadImageError) as caught:
        _ = read_page(path) if indices is None else read_channels(path, indices=indices)
    return str(caught.value)


@pytest.fixture
def no_noise(capfd, caplog):
    """A bad file is one sentence of ours: no line of tifffile's log, of OpenCV or of libpng beside it."""
    yield
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


# ---- one page


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_8_and_16_bit_images_keep_every_grey_value(tmp_path, name, dtype):
    image = grey(dtype)
    read = read_page(write(tmp_path / name, image))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzw", "rowsperstrip": 16},
        {"compression": "lzw", "predictor": True},
        {"compression": "zlib", "rowsperstrip": 16},
        {"tile": (32, 32), "compression": "zlib"},
        {"bigtiff": True},
        {"byteorder": ">"},  # ImageJ writes big-endian
        {"imagej": True},
        {"ome": True, "metadata": {"axes": "YX"}},
    ],
    ids=["lzw", "lzw-predictor", "deflate", "tiles", "bigtiff", "big-endian", "imagej", "ome"],
)
def test_every_way_to_write_a_tiff_gives_the_same_pixels(tmp_path, options):
    image = grey()
    np.testing.assert_array_equal(read_page(write(tmp_path / "a.tif", image, **options)), image)


def test_an_ome_tiff_with_a_pyramid_is_read_at_full_size(tmp_path):
    image = grey()
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        tif.write(image, subifds=1, metadata={"axes": "YX"})
        tif.write(image[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(read_page(tmp_path / "a.ome.tif"), image)


@pytest.mark.parametrize("kind", ["png", "png-alpha", "contiguous", "planar", "alpha"])
def test_grey_stored_as_three_equal_colours_is_grey(tmp_path, kind):
    image = grey(seed=3)
    image[:, :40] = 7  # equal columns: colours that come first must not be taken for pixels
    opaque = np.full_like(image, 65535)
    if kind.startswith("png"):
        colours = [image] * 3 + [opaque] * (kind == "png-alpha")
        path = write(tmp_path / "a.png", np.stack(colours, axis=-1))
    elif kind == "planar":
        path = write(tmp_path / "a.tif", np.stack([image] * 3), photometric="rgb", planarconfig="separate")
    else:
        colours = [image] * 3 + [opaque] * (kind == "alpha")
        path = write(tmp_path / "a.tif", np.stack(colours, axis=-1), photometric="rgb")
    np.testing.assert_array_equal(read_page(path), image)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_true_colour_is_refused(tmp_path, suffix, planar):
    colours = np.stack([grey(seed=seed) for seed in range(3)], axis=0 if planar else -1)
    if suffix == ".png" and planar:
        colours = np.moveaxis(colours, 0, -1)
    options = {"photometric": "rgb", "planarconfig": "separate" if planar else "contig"} if suffix == ".tif" else {}
    path = write(tmp_path / f"a{suffix}", colours, **options)
    assert reason(path) == "has shape (60, 80, 3) where one grey page is expected: export it as a grey image"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_finite_floating_point_images_are_read_as_float32(tmp_path, dtype):
    image = (grey().astype(float) / 1000).astype(dtype)
    read = read_page(write(tmp_path / "a.tif", image))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, image.astype(np.float32))


@pytest.mark.parametrize(("dtype", "value"), [("f4", np.nan), ("f4", np.inf), ("f8", -np.inf), ("f8", 1e300)])
def test_one_pixel_that_is_no_float32_number_spoils_an_image(tmp_path, dtype, value):
    image = np.ones((40, 40), dtype)
    image[17, 3] = value
    assert reason(write(tmp_path / "a.tif", image)).startswith("holds NaN or infinite pixels: export it again")


@pytest.mark.parametrize("dtype", ["int32", "int8", "uint32", "complex64"])
def test_pixels_that_no_camera_counts_are_refused(tmp_path, dtype):
    image = (grey() % 2).astype(dtype)
    assert (
        reason(write(tmp_path / "a.tif", image, photometric="minisblack"))
        == f"has {dtype} pixels: export it as 8- or 16-bit unsigned integers"
    )


def test_several_pages_where_one_is_expected_are_refused(tmp_path):
    stack = np.stack([grey(seed=seed) for seed in range(3)])
    sentence = "has 3 pages where one is expected: export one page, or give dataset.layout=stack"
    assert reason(write(tmp_path / "a.tif", stack, photometric="minisblack")) == sentence


@pytest.mark.parametrize("indices", [None, (0, 1)])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_files_that_are_no_images_are_told_apart(tmp_path, suffix, indices, no_noise):
    path = tmp_path / f"a{suffix}"
    assert reason(path, indices=indices) == "is missing: copy it there"
    path.mkdir()
    assert reason(path, indices=indices) == "is missing: copy it there"
    path.rmdir()
    path.touch()
    assert reason(path, indices=indices) == "is empty (zero bytes): copy or export it again"
    path.write_text("no image at all\n" * 100)
    assert reason(path, indices=indices).startswith(f"is not a {'PNG' if suffix == '.png' else 'TIFF'}")
    path.write_bytes(bytes(5000))
    assert reason(path, indices=indices).startswith(f"is not a {'PNG' if suffix == '.png' else 'TIFF'}")


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_a_file_that_may_not_be_read_says_so(tmp_path, suffix, monkeypatch):
    path = write(tmp_path / f"a{suffix}", grey())

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(tifffile, "TiffFile", refuse)  # tests run as root, whom no permission stops
    assert reason(path) == "cannot be read (Permission denied): check the file and its permissions"


@pytest.mark.parametrize("content", ["jpeg", "tiff"])
def test_a_png_by_name_alone_is_refused(tmp_path, content):
    if content == "jpeg":  # lossy: its grey values are not the camera's
        (tmp_path / "a.png").write_bytes(cv2.imencode(".jpg", grey(np.uint8))[1].tobytes())
    else:  # might have more pages
        write(tmp_path / "a.tif", grey()).rename(tmp_path / "a.png")
    assert reason(tmp_path / "a.png").startswith("is not a PNG, whatever its name says")


TIFF_KINDS = {
    "uncompressed": {},
    "strips": {"rowsperstrip": 16},
    "lzw": {"compression": "lzw", "rowsperstrip": 16},
    "deflate": {"compression": "zlib", "rowsperstrip": 16},
    "tiles": {"tile": (32, 32), "compression": "zlib"},
    "bigtiff": {"bigtiff": True},
    "ome": {"ome": True, "metadata": {"axes": "YX"}, "compression": "zlib"},
}


@pytest.mark.parametrize("kind", TIFF_KINDS)
def test_a_tiff_cut_off_anywhere_in_its_pixels_or_header_is_refused(tmp_path, kind, no_noise):
    path = write(tmp_path / "a.tif", grey(), **TIFF_KINDS[kind])
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        end = max(offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True))
    header = range(1, 420, 7)
    for length in sorted({*header, end // 3, end // 2, end - 500, end - 100, end - 10, end - 2, end - 1}):
        path.write_bytes(whole[:length])
        for indices in (None, (0, 1)):
            sentence = reason(path, indices=indices)
            assert sentence.startswith(("is not a TIFF, or damaged (", "is damaged (", "is cut off ("))
            assert sentence.endswith("export it again")
            assert "\n" not in sentence


@pytest.mark.parametrize("compression", ["lzw", "zlib"])
def test_a_tiff_whose_directory_stands_at_its_end_is_refused_when_cut_off(tmp_path, compression, no_noise):
    # libtiff writes pixels first and the directory last: OpenCV writes through it
    path = tmp_path / "a.tif"
    flag = {"lzw": 5, "zlib": 8}[compression]
    cv2.imwrite(str(path), grey(), [cv2.IMWRITE_TIFF_COMPRESSION, flag])
    np.testing.assert_array_equal(read_page(path), grey())
    whole = path.read_bytes()
    for missing in (1, 2, 10, 40, 100, 150, 200, len(whole) // 2):
        path.write_bytes(whole[:-missing])
        assert "damaged" in reason(path)


@pytest.mark.parametrize("missing", ["offset", "count"])
def test_a_strip_that_was_never_written_is_no_black_stripe(tmp_path, missing, no_noise):
    # tifffile fills strips without bytes with zeros: the means of their patches would be wrong, with no sign of it
    path = write(tmp_path / "a.tif", grey(), compression="zlib", rowsperstrip=16)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tag = tif.pages[0].tags["StripOffsets" if missing == "offset" else "StripByteCounts"]
        tag.overwrite((*tag.value[:2], 0, *tag.value[3:]))
    if missing == "offset":
        assert tifffile.imread(path)[32:48].max() == 0
    assert reason(path) == "is damaged (it lacks some of its strips or tiles): copy or export it again"


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"metadata": None}])
def test_two_pages_cut_off_after_the_first_are_not_one_page(tmp_path, options, no_noise):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for seed in (0, 1):
            tif.write(grey(seed=seed), contiguous=False, **options)
    with tifffile.TiffFile(path) as tif:
        second = tif.pages[1].offset
    path.write_bytes(path.read_bytes()[:second])
    assert "2 pages where one is expected" in reason(path)
    assert "cut off (its last pages are missing)" in reason(path, indices=(0, 1))


def test_random_damage_to_a_tiff_is_a_bad_image_or_an_image_never_another_error(tmp_path, no_noise):
    rng = np.random.default_rng(0)
    path = write(tmp_path / "a.tif", grey(), compression="lzw", rowsperstrip=16)
    whole = path.read_bytes()
    n_bad = 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[rng.integers(0, 300)] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            assert read_page(path).size < 2**24
        except BadImageError:
            n_bad += 1
    assert n_bad > 30


def test_a_png_cut_off_anywhere_is_refused(tmp_path, no_noise):
    path = write(tmp_path / "a.png", grey())
    whole = path.read_bytes()
    for length in (1, 4, 7, 8, 11, 20, 33, 40, 100, len(whole) // 2, len(whole) - 20, len(whole) - 12, len(whole) - 1):
        path.write_bytes(whole[:length])
        sentence = reason(path)
        assert sentence.startswith("is not a PNG" if length < 8 else f"is cut off after {length} bytes")
        assert sentence.endswith("export it again")


def test_a_png_with_one_wrong_byte_is_refused(tmp_path, no_noise):
    path = write(tmp_path / "a.png", grey())
    whole = path.read_bytes()
    for position in (17, 35, 60, len(whole) // 2, len(whole) - 14):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        assert reason(path).startswith(("is damaged (a checksum is wrong)", "is cut off"))


def test_a_png_that_holds_no_picture_is_refused(tmp_path):
    header = b"IHDR" + (0).to_bytes(4, "big") * 2 + bytes([16, 0, 0, 0, 0])
    chunks = [header, b"IEND"]
    packed = [(len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") for chunk in chunks]
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    assert reason(path) == "is not a PNG, or damaged: export it again"


# ---- stacks of channels


def channels(n: int = 2) -> np.ndarray:
    return np.stack([grey(seed=seed) for seed in range(n)])


@pytest.mark.parametrize(
    ("options", "axis"),
    [
        ({"photometric": "minisblack"}, 0),
        ({"photometric": "minisblack", "metadata": None}, 0),
        ({"photometric": "minisblack", "metadata": {"axes": "CYX"}}, 0),
        ({"photometric": "minisblack", "metadata": {"axes": "CYX"}, "ome": True}, 0),
        ({"photometric": "minisblack", "metadata": {"axes": "CYX"}, "ome": True, "compression": "lzw"}, 0),
        ({"imagej": True, "metadata": {"axes": "CYX"}}, 0),
        ({"imagej": True, "metadata": {"axes": "ZYX"}}, 0),  # ImageJ's "Images to Stack" calls channels slices
        ({"photometric": "minisblack", "planarconfig": "contig"}, -1),
        ({"photometric": "minisblack", "planarconfig": "separate"}, 0),
    ],
    ids=["pages", "bare pages", "CYX", "OME", "OME lzw", "ImageJ", "ImageJ slices", "channel last", "planar"],
)
def test_two_channels_are_read_in_the_order_asked_for(tmp_path, options, axis):
    stack = channels(3)
    path = write(tmp_path / "a.tif", np.ascontiguousarray(np.moveaxis(stack, 0, axis)), **options)
    for indices in ((0, 1), (2, 0)):
        read = read_channels(path, indices=indices)
        for image, index in zip(read, indices, strict=True):
            np.testing.assert_array_equal(image, stack[index])


def test_channels_of_a_colour_png_are_counted_from_red(tmp_path):
    stack = channels(3)
    cv2.imwrite(str(tmp_path / "a.png"), np.moveaxis(stack, 0, -1)[..., ::-1])  # OpenCV takes blue first
    read = read_channels(tmp_path / "a.png", indices=(0, 2))
    np.testing.assert_array_equal(read, stack[[0, 2]])


def test_a_stack_of_one_time_is_a_stack_of_channels(tmp_path):
    path = write(tmp_path / "a.tif", channels()[None], ome=True, photometric="minisblack", metadata={"axes": "TCYX"})
    np.testing.assert_array_equal(read_channels(path, indices=(1, 0)), channels()[::-1])


@pytest.mark.parametrize(("axes", "shape"), [("TCYX", (2, 2, 60, 80)), ("ZCYX", (3, 2, 60, 80)), ("TYX", (2, 60, 80))])
def test_times_and_planes_are_not_taken_for_channels(tmp_path, axes, shape):
    images = np.random.default_rng(0).integers(0, 4096, shape).astype(np.uint16)
    path = write(tmp_path / "a.tif", images, ome=True, photometric="minisblack", metadata={"axes": axes})
    sentence = f"holds {axes} of shape {shape}: export one time and one plane, channels only"
    assert reason(path, indices=(0, 1)) == sentence


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_channel_that_a_file_lacks_names_the_keys_to_set(tmp_path, name):
    one = write(tmp_path / name, grey())
    remedy = "give dataset.brightfield_index=NUMBER dataset.fluorescence_index=NUMBER"
    assert reason(one, indices=(0, 1)) == f"has 1 channel, so no channel 1 (counted from 0): {remedy}"
    two = write(tmp_path / "two.tif", channels(), photometric="minisblack")
    assert reason(two, indices=(0, 2)) == f"has 2 channels, so no channel 2 (counted from 0): {remedy}"
    with tifffile.TiffWriter(tmp_path / "series.tif") as tif:
        tif.write(grey())
        tif.write(grey(height=30))
    assert reason(tmp_path / "series.tif", indices=(0, 1)).startswith(
        "has 1 channel in the first of its 2 image series, so no channel 1"
    )


def test_channels_in_another_file_that_is_gone_are_not_read_as_zeros(tmp_path):
    path = write(tmp_path / "a.ome.tif", channels(), ome=True, photometric="minisblack", metadata={"axes": "CYX"})
    with tifffile.TiffFile(path) as tif:
        description = tif.ome_metadata
    assert description is not None
    second = '<TiffData IFD="1" FirstC="1" PlaneCount="1"><UUID FileName="gone.ome.tif">urn:uuid:2</UUID></TiffData>'
    first = '<TiffData IFD="0" FirstC="0" PlaneCount="1"></TiffData>'
    start, end = description.index("<TiffData"), description.index("</Pixels>")
    described = description[:start] + first + second + description[end:]
    tifffile.imwrite(path, grey(), description=described.encode(), metadata=None)
    assert reason(path, indices=(0, 1)) == "lacks a plane that its metadata names: export it again as one file"


# ---- pairs


def test_a_pair_of_unequal_size_is_refused():
    with pytest.raises(BadImageError) as caught:
        check_pair(grey(height=64, width=80), grey(height=80, width=64), patch_size=32)
    assert str(caught.value) == "bright-field is 80 x 64 px and fluorescence 64 x 80: export both at one size"


@pytest.mark.parametrize(("height", "width"), [(223, 300), (300, 223)])
def test_an_image_smaller_than_a_patch_is_refused(height, width):
    image = grey(height=height, width=width)
    with pytest.raises(BadImageError) as caught:
        check_pair(image, image, patch_size=224)
    assert str(caught.value) == (
        f"is {width} x {height} px, smaller than a patch of 224: remove it, or give curation.patches.size=NUMBER"
    )


def test_an_image_of_the_size_of_a_patch_is_not_refused():
    image = grey(height=224, width=224)
    check_pair(image, image, patch_size=224)
    check_pair(image, None, patch_size=224)


@pytest.mark.parametrize("which", ["bright-field", "fluorescence"])
@pytest.mark.parametrize("value", [0, 4095])
def test_a_constant_image_is_refused(which, value):
    images = {"bright-field": grey(), "fluorescence": grey(seed=1)}
    images[which] = np.full_like(images[which], value)
    with pytest.raises(BadImageError) as caught:
        check_pair(images["bright-field"], images["fluorescence"], patch_size=32)
    assert str(caught.value) == f"{which} is constant (every pixel {value}): acquire or export it again"
