"""What a file's tags and palette say of its pixels is honoured or refused, never passed over.

The oracle is the plain image, and Pillow, which jimt does not read with.
"""

import lzma
import struct
import uuid
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from rich.console import Console

from conftest import SMALL, composed_prepare, small_field, write_pair
from jimt.curation.curate import curate
from jimt.curation.decoding import BadImageError
from jimt.curation.images import read_channels, read_page
from jimt.errors import InputError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 65536, (60, 80)).astype(np.uint16)
GREY_8 = RNG.integers(0, 256, (60, 80)).astype(np.uint8)
STACK = RNG.integers(0, 65536, (2, 60, 80)).astype(np.uint16)
RAMP = np.arange(256, dtype=np.uint16) * 257


def reason(path: Path, *, stack: bool = False) -> str:
    with pytest.raises(BadImageError) as caught:
        _ = read_channels(path, indices=(0, 1)) if stack else read_page(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- white at zero


@pytest.mark.parametrize("image", [GREY, GREY_8], ids=["16-bit", "8-bit"])
def test_white_at_zero_is_refused(tmp_path, image):
    # ImageJ writes an inverted look-up table so, counts untouched; other programs negate the counts
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.iinfo(image.dtype).max - image, photometric="miniswhite")
    assert reason(path).startswith("has white at zero (MinIsWhite), which some programs invert and others do not")
    tifffile.imwrite(path, image, photometric="minisblack")  # the remedy
    np.testing.assert_array_equal(read_page(path), image)


@pytest.mark.parametrize("options", [{}, {"ome": True}, {"imagej": True}])
def test_white_at_zero_in_a_later_page_of_a_stack_is_refused(tmp_path, options):
    path = tmp_path / "a.tif"
    compression = None if "imagej" in options else "zlib"
    tifffile.imwrite(path, STACK, photometric="minisblack", compression=compression, **options)
    np.testing.assert_array_equal(read_channels(path, indices=(0, 1)), STACK)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[1].aspage().tags["PhotometricInterpretation"].overwrite(0)
    assert reason(path, stack=True)


def test_a_file_that_does_not_say_which_end_is_black_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, metadata=None)
    data = path.read_bytes()
    assert data.count(struct.pack("<HHI", 262, 3, 1)) == 1
    path.write_bytes(data.replace(struct.pack("<HHI", 262, 3, 1), struct.pack("<HHI", 263, 3, 1)))
    assert reason(path).startswith("does not say whether zero is black")


# ---- palettes


def write_palette(path: Path, numbers: np.ndarray, palette: np.ndarray) -> Path:
    """A palette image by tifffile or Pillow; ``palette`` has shape (3, 256), 16 bits."""
    if path.suffix == ".tif":
        tifffile.imwrite(path, numbers, photometric="palette", colormap=palette)
    else:
        image = Image.frombytes("P", numbers.shape[::-1], numbers.tobytes())
        image.putpalette((palette >> 8).astype(np.uint8).T.tobytes())
        image.save(path)
    return path


@pytest.mark.parametrize("suffix", [".tif", ".png"])
@pytest.mark.parametrize("step", [257, 256])
def test_a_palette_of_plain_grey_is_grey(tmp_path, suffix, step):
    palette = np.stack([np.arange(256) * step] * 3).astype(np.uint16)
    path = write_palette(tmp_path / f"a{suffix}", GREY_8, palette)
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image.convert("RGB"))[..., 1], GREY_8)
    np.testing.assert_array_equal(read_page(path), GREY_8)


@pytest.mark.parametrize("suffix", [".tif", ".png"])
@pytest.mark.parametrize("palette", [RAMP[::-1], RAMP // 2, RAMP * 0 + 7], ids=["reversed", "darker", "constant"])
def test_a_palette_of_other_greys_is_refused(tmp_path, suffix, palette):
    path = write_palette(tmp_path / f"a{suffix}", GREY_8, np.stack([palette] * 3))
    assert reason(path).startswith("has a palette that is not the grey of its numbers")


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_a_palette_of_colours_is_refused(tmp_path, suffix):
    path = write_palette(tmp_path / f"a{suffix}", GREY_8, np.stack([RAMP, RAMP * 0, RAMP * 0]))  # ImageJ's red
    assert reason(path).startswith("has a palette that is not the grey of its numbers")


# ---- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_read_upright(tmp_path, orientation):
    path = tmp_path / "a.tif"
    # compressed: Pillow 13 mixes up the sides of uncompressed images that lie on their side
    tifffile.imwrite(path, GREY_8, compression="zlib", extratags=[(274, 3, 1, orientation, True)])
    with Image.open(path) as image:
        image.load()  # Pillow turns it
        upright = np.asarray(image)
    np.testing.assert_array_equal(read_page(path), upright)
    tifffile.imwrite(path, STACK, photometric="minisblack", extratags=[(274, 3, 1, orientation, False)])
    tifffile.imwrite(tmp_path / "one.tif", STACK[1], extratags=[(274, 3, 1, orientation, True)])
    np.testing.assert_array_equal(read_channels(path, indices=(0, 1))[1], read_page(tmp_path / "one.tif"))


def test_an_orientation_that_does_not_exist_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, extratags=[(274, 3, 1, 9, True)])
    assert reason(path).startswith("has the orientation 9, which does not exist")


def test_channels_stored_in_different_orientations_are_registered(tmp_path):
    dataset, curation = composed_prepare("dataset=no_treatment", f"dataset.root={tmp_path / 'raw'}", *SMALL)
    rng = np.random.default_rng(0)
    for well in range(1, 7):
        write_pair(tmp_path / "raw", f"--W{well:05d}--P00001--Z00000--T00000", small_field(rng, height=96))
    tables = []
    for _ in range(2):
        folder = curate(dataset, curation, embed=None, console=Console(quiet=True))
        tables.append((folder / "manifest.parquet").read_bytes())
        for path in (tmp_path / "raw").glob("*PI.tif"):  # a camera that is mounted turned
            tifffile.imwrite(path, np.rot90(tifffile.imread(path)), extratags=[(274, 3, 1, 6, True)])
    assert tables[0] == tables[1]


def test_a_turned_png_is_refused(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(GREY_8).save(tmp_path / "a.png", exif=exif)
    assert reason(tmp_path / "a.png").startswith("is stored turned or mirrored")
    exif[274] = 1
    Image.fromarray(GREY_8).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_page(tmp_path / "a.png"), GREY_8)


# ---- lower resolutions, and several images


@pytest.mark.parametrize("small_first", [False, True])
def test_pages_of_lower_resolution_are_passed_over(tmp_path, small_first):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for step in (4, 1) if small_first else (1, 2, 4):
            tif.write(GREY[::step, ::step], subfiletype=int(step > 1), metadata=None)
    np.testing.assert_array_equal(read_page(path), GREY)


def test_lower_resolutions_of_a_stack_are_passed_over(tmp_path):
    with tifffile.TiffWriter(tmp_path / "pages.tif") as tif:
        for step in (1, 2):
            for image in STACK:
                tif.write(image[::step, ::step], subfiletype=int(step > 1), metadata=None)
    with tifffile.TiffWriter(tmp_path / "pyramid.ome.tif", ome=True) as tif:
        tif.write(STACK, subifds=1, photometric="minisblack", metadata={"axes": "CYX"})
        tif.write(STACK[:, ::2, ::2], subfiletype=1, photometric="minisblack")
    for name in ("pages.tif", "pyramid.ome.tif"):
        np.testing.assert_array_equal(read_channels(tmp_path / name, indices=(1, 0)), STACK[::-1])


def test_a_copy_of_lower_resolution_alone_is_no_image(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, subfiletype=1)
    for stack in (False, True):
        assert reason(tmp_path / "a.tif", stack=stack).startswith("holds copies of lower resolution alone")


@pytest.mark.parametrize("options", [{"imagej": True}, {}], ids=["ImageJ", "tifffile"])
def test_planes_behind_one_page_are_counted(tmp_path, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", truncate=True, metadata={"axes": "CYX"}, **options)
    with Image.open(path) as image:
        assert image.n_frames == 1
    assert reason(path) == "has 2 pages where one is expected: export one page, or give dataset.layout=stack"
    np.testing.assert_array_equal(read_channels(path, indices=(0, 1)), STACK)  # the remedy
    path.write_bytes(path.read_bytes()[:-5000])
    for stack in (False, True):
        assert reason(path, stack=stack)


def test_an_animation_is_no_image(tmp_path):
    images = [Image.fromarray(GREY_8), Image.fromarray(GREY_8[::-1])]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:])
    assert reason(tmp_path / "a.png") == "is an animation of several images: export one"


def test_a_png_of_less_than_8_bits_is_refused(tmp_path):
    Image.fromarray(GREY_8).convert("1").save(tmp_path / "a.png")
    assert reason(tmp_path / "a.png") == "has 1 bits a pixel: export it with 8 or 16"


# ---- damage


@pytest.mark.parametrize(
    ("tag", "words"), [("SamplesPerPixel", "0 samples of 16"), ("BitsPerSample", "1 samples of 0")]
)
def test_pixels_of_nothing_are_refused(tmp_path, tag, words):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, compression="lzw")
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags[tag].overwrite(0)
    assert words in reason(path)


@pytest.mark.parametrize("compression", [2, 3, 4])
def test_grey_values_in_a_coding_of_black_and_white_are_refused(tmp_path, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags["Compression"].overwrite(compression)
    assert reason(path) == "is compressed as a fax, in black and white: export it again"


def test_a_tiff_of_less_than_8_bits_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY_8 >> 4, bitspersample=4)
    assert reason(tmp_path / "a.tif") == "has 1 samples of 4 bits a pixel: export one of 8 or 16"
    tifffile.imwrite(tmp_path / "a.tif", GREY_8 > 127)
    assert reason(tmp_path / "a.tif") == "has 1 samples of 1 bits a pixel: export one of 8 or 16"


def test_strips_shorter_than_the_image_are_not_read_on_behind_their_end(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags["StripByteCounts"].overwrite(9000)
    assert reason(path) == "is damaged (its strips hold 9000 bytes of 9600): copy or export it again"


def test_a_png_larger_than_opencv_takes_is_one_sentence(tmp_path):
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0), b"IDAT" + zlib.compress(b""), b"IEND"]
    packed = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + packed)
    assert reason(tmp_path / "a.png").startswith("is not a PNG, or damaged (")


class OddError(Exception):
    """As no decoder has documented."""


@pytest.mark.parametrize(
    "error", [cv2.error("odd"), zlib.error("odd"), lzma.LZMAError("odd"), SyntaxError("odd"), OddError()]
)
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_whatever_a_decoder_raises_is_one_line_with_the_name_of_the_file(tmp_path, monkeypatch, suffix, error):
    dataset, curation = composed_prepare("dataset=no_treatment", f"dataset.root={tmp_path / 'raw'}", *SMALL)
    (tmp_path / "raw").mkdir()
    for well in "123":  # fewer groups are refused before
        for channel in ("Trans", "PI"):
            cv2.imwrite(str(tmp_path / f"raw/--W0000{well}--P00001--Z00000--T00000--{channel}{suffix}"), GREY)
    dataset.pattern = dataset.pattern.replace("tiff?", "tiff?|png")

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(cv2, "imdecode", fail)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", fail)
    with pytest.raises(InputError) as told:
        curate(dataset, curation, embed=None, console=Console(quiet=True))
    first, line, *others = str(told.value).splitlines()
    assert len(others) == 2
    assert first == "3 of 3 raw images cannot be used: mend or remove them"
    words = "odd" if str(error) else "OddError"
    assert line.split(": ", 1) == [
        f"  --W00001--P00001--Z00000--T00000--Trans{suffix}",
        f"is not a {suffix[1:].upper().replace('TIF', 'TIFF')}, or damaged ({words}): export it again",
    ]


# ---- OME metadata of several files


def write_ome(path: Path, planes: np.ndarray, images: list[list[tuple[str, int]]]) -> None:
    """A TIFF whose OME metadata name images of two channels; of each channel the file it lies in, and where there."""
    height, width = planes.shape[1:]
    size = f'SizeX="{width}" SizeY="{height}" SizeC="2" SizeZ="1" SizeT="1" DimensionOrder="XYCZT" Type="uint16"'
    channels = '<Channel SamplesPerPixel="1"/>' * 2
    body = ""
    for number, places in enumerate(images):
        data = "".join(
            f'<TiffData IFD="{ifd}" FirstC="{c}" FirstZ="0" FirstT="0" PlaneCount="1">'
            f'<UUID FileName="{file}">urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, file)}</UUID></TiffData>'
            for c, (file, ifd) in enumerate(places)
        )
        body += f'<Image ID="Image:{number}"><Pixels ID="Pixels:{number}" {size}>{channels}{data}</Pixels></Image>'
    of_file = f'UUID="urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, path.name)}"'
    space = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    with tifffile.TiffWriter(path, ome=False) as tif:
        for number, plane in enumerate(planes):
            text = f'<?xml version="1.0" encoding="UTF-8"?><OME {space} {of_file}>{body}</OME>' if not number else None
            tif.write(plane, description=text, metadata=None, photometric="minisblack")


def test_a_file_of_an_acquisition_in_several_files_gives_its_own_planes(tmp_path):
    """As Micro-Manager writes a file a position, each of which names all."""
    names = [f"s{number}.ome.tif" for number in range(3)]
    stacks = RNG.integers(0, 65536, (3, 2, 60, 80)).astype(np.uint16)
    for name, stack in zip(names, stacks, strict=True):
        write_ome(tmp_path / name, stack, [[(other, 0), (other, 1)] for other in names])
    for name, stack in zip(names, stacks, strict=True):
        for read, plane in zip(read_channels(tmp_path / name, indices=(0, 1)), stack, strict=True):
            np.testing.assert_array_equal(read, plane)


def test_an_image_whose_channels_lie_in_two_files_is_refused(tmp_path):
    names = ["bf.ome.tif", "pi.ome.tif"]
    for name, plane in zip(names, STACK, strict=True):
        write_ome(tmp_path / name, plane[None], [[("bf.ome.tif", 0), ("pi.ome.tif", 0)]])
    for name in names:
        assert reason(tmp_path / name, stack=True).startswith(
            "is one of several files that hold the planes of one image"
        )
        tifffile.imwrite(tmp_path / f"one {name}", STACK, photometric="minisblack")  # the remedy
        assert len(read_channels(tmp_path / f"one {name}", indices=(0, 1))) == 2
