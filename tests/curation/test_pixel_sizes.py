"""The pixel size that a file's metadata tell; the oracle is the length that was written, by tifffile or Pillow."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from jimt.curation.images import png_chunks
from jimt.curation.pixel_sizes import PixelSize, differ, pixel_size_of_png, pixel_size_of_tiff

IMAGE = np.arange(600, dtype=np.uint16).reshape(20, 30)


def of_tiff(path: Path, *, series: int = 0, **options: object) -> PixelSize:
    tifffile.imwrite(path, IMAGE, photometric="minisblack", **options)
    return read(path, series=series)


def read(path: Path, *, series: int = 0) -> PixelSize:
    with tifffile.TiffFile(path) as tif:
        return pixel_size_of_tiff(tif, series=series)


@pytest.mark.parametrize(
    ("length", "unit"),
    [
        (0.3225, "\u00b5m"),
        (0.3225, "\u03bcm"),
        (322.5, "nm"),
        (0.0003225, "mm"),
        (3.225e-5, "cm"),
        (3.225e-7, "m"),
        (322_500, "pm"),
        (3225, "\u00c5"),
        (3225, "\u212b"),  # the sign of the unit, not the letter
    ],
)
def test_ome_metadata_tell_it_in_any_unit(tmp_path, length, unit):
    size = {"PhysicalSizeX": length, "PhysicalSizeXUnit": unit, "PhysicalSizeY": length, "PhysicalSizeYUnit": unit}
    found = of_tiff(tmp_path / "a.ome.tif", metadata={"axes": "YX", **size})
    assert found.um == pytest.approx(0.3225)


def test_ome_metadata_without_a_unit_are_micrometres_and_their_other_side_may_be_missing(tmp_path):
    assert of_tiff(tmp_path / "a.ome.tif", metadata={"axes": "YX", "PhysicalSizeX": 0.5}).um == 0.5


def test_ome_metadata_without_a_size_leave_it_to_the_resolution(tmp_path):
    resolution = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    assert of_tiff(tmp_path / "a.ome.tif", metadata={"axes": "YX"}, **resolution).um == 0.5
    told = {"axes": "YX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}
    assert of_tiff(tmp_path / "b.ome.tif", metadata=told, **resolution).um == 0.65


def test_a_unit_that_is_no_length_tells_nothing(tmp_path):
    told = {"axes": "YX", "PhysicalSizeX": 1.0, "PhysicalSizeXUnit": "pixel"}
    assert of_tiff(tmp_path / "a.ome.tif", metadata=told) == PixelSize()


@pytest.mark.parametrize(
    ("unit", "per_unit"),
    [
        ("um", 3.1),
        ("micron", 3.1),
        ("\\u00B5m", 3.1),
        ("microns", 3.1),
        ("nm", 0.0031),
        ("mm", 3100),
        ("cm", 31_000),
        ("inch", 3.1 * 25_400),
    ],
)
def test_imagej_tells_it_in_its_own_unit(tmp_path, unit, per_unit):
    found = of_tiff(tmp_path / "a.tif", imagej=True, resolution=(per_unit, per_unit), metadata={"unit": unit})
    assert found.um == pytest.approx(1 / 3.1, rel=1e-4)


@pytest.mark.parametrize("metadata", [{"unit": "pixel"}, {}])
def test_imagej_without_a_length_tells_nothing(tmp_path, metadata):
    assert of_tiff(tmp_path / "a.tif", imagej=True, resolution=(1, 1), metadata=metadata) == PixelSize()


@pytest.mark.parametrize(
    ("per_unit", "unit", "um"),
    [(31_000, "CENTIMETER", 10_000 / 31_000), (78_740, "INCH", 25_400 / 78_740), (10, "NONE", None)],
)
def test_the_resolution_tells_it_where_it_can_be_that_of_a_microscope(tmp_path, per_unit, unit, um):
    found = of_tiff(tmp_path / "a.tif", resolution=(per_unit, per_unit), resolutionunit=unit)
    assert found.um == (None if um is None else pytest.approx(um, rel=1e-4))
    assert found.doubt == ""


@pytest.mark.parametrize("dpi", [1, 72, 96, 150, 300, 600, 1200])
def test_the_resolution_of_a_screen_or_printer_is_no_pixel_size(tmp_path, dpi):
    doubt = f"its resolution ({dpi} dpi) is that of a screen or printer, and tells no pixel size"
    assert of_tiff(tmp_path / "a.tif", resolution=(dpi, dpi), resolutionunit="INCH") == PixelSize(doubt=doubt)
    data = io.BytesIO()
    Image.fromarray(IMAGE).save(data, "PNG", dpi=(dpi, dpi))
    assert pixel_size_of_png(dict(png_chunks(data.getvalue()))[b"pHYs"]) == PixelSize(doubt=doubt)


def test_what_no_microscope_has_is_doubted(tmp_path):
    told = {"axes": "YX", "PhysicalSizeX": 0.3225, "PhysicalSizeXUnit": "mm"}
    assert of_tiff(tmp_path / "a.ome.tif", metadata=told) == PixelSize(
        doubt="its OME metadata would be 322.5 \u00b5m a pixel, which no microscope has"
    )


def test_pixels_that_are_no_squares_are_told(tmp_path):
    found = of_tiff(tmp_path / "a.tif", resolution=(20_000, 40_000), resolutionunit="CENTIMETER")
    assert found == PixelSize(uneven=(0.5, 0.25))
    found = of_tiff(tmp_path / "a.tif", resolution=(20_000, 20_100), resolutionunit="CENTIMETER")
    assert found.um == pytest.approx(0.5, rel=0.01)


def test_each_position_of_a_file_has_its_own(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        for um in (0.3, 0.6):
            tif.write(IMAGE, photometric="minisblack", metadata={"axes": "YX", "PhysicalSizeX": um})
    assert [read(tmp_path / "a.ome.tif", series=series).um for series in (0, 1)] == [0.3, 0.6]


def test_a_png_tells_it_per_metre():
    data = io.BytesIO()
    Image.fromarray(IMAGE).save(data, "PNG", dpi=(78_740, 78_740))
    found = pixel_size_of_png(dict(png_chunks(data.getvalue()))[b"pHYs"])
    assert found.um == pytest.approx(25_400 / 78_740, rel=1e-5)
    assert pixel_size_of_png(b"") == PixelSize()
    assert pixel_size_of_png(bytes(7) + b"\x01\x00") == PixelSize()  # a proportion alone


def test_five_percent_are_no_difference():
    assert not differ(1.0, 1.05)
    assert not differ(1.05, 1.0)
    assert differ(1.0, 1.0501)
    assert differ(1.0501, 1.0)
