"""Maps of a field: the picture to look at, the OME-TIFF and the outlines, by cv2, tifffile, shapely and arithmetic."""

import json
import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
import pytest
import shapely
import tifffile

from answered import HOSTILE, answer, row
from jimt.prediction.map_tiff import write_map_tiff
from jimt.prediction.outlines import dead_regions, write_outlines
from jimt.prediction.overlays import LARGEST, THUMBNAIL, overlay, write_picture, write_thumbnails

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


def outlined(of, tmp_path):
    write_outlines(of, tmp_path / "a.geojson", threshold=0.5)
    return json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))


# ---- outlines


def masks():
    yield np.zeros((5, 7), bool)
    yield np.ones((5, 7), bool)
    yield np.array([[1, 0], [0, 1]], bool)  # joined at a corner alone: two regions
    yield np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
    yield np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]], bool)  # two holes that touch
    yield np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)  # a hole that touches the outside
    yield np.array([[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 0, 1, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]], bool)
    rng = np.random.default_rng(0)
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        yield rng.random((24, 31)) < share
        yield cv2.GaussianBlur(rng.random((40, 30)).astype(np.float32), (0, 0), 2) > 0.5


@pytest.mark.parametrize("mask", list(masks()))
@pytest.mark.parametrize(("place", "zoom"), [(4, 1.0), (8, 2.0), (4, 0.8)])
def test_outlines_enclose_exactly_what_is_taken_for_dead(mask, place, zoom, tmp_path):
    height, width = (round(side * place / zoom) for side in mask.shape)
    of = answer(
        row(height=height, width=width, zoom=zoom, pixel_size_um=0.5), dead=np.where(mask, 0.5, 0.49), place=place
    )
    features = outlined(of, tmp_path)["features"]
    side = place / zoom
    n_regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] - 1
    assert len(features) == n_regions
    drawn = np.zeros(mask.shape, int)
    for feature in features:
        polygon = shapely.geometry.shape(feature["geometry"])
        assert shapely.is_valid_reason(polygon) == "Valid Geometry"
        assert polygon.exterior.is_ccw  # RFC 7946, 3.1.6: the right-hand rule
        assert not any(hole.is_ccw for hole in polygon.interiors)
        for ring in feature["geometry"]["coordinates"]:
            assert ring[0] == ring[-1]
            assert len(ring) >= 5
        assert feature["properties"]["measurements"]["area px^2"] == pytest.approx(polygon.area, rel=1e-3)
        assert feature["properties"]["measurements"]["area µm^2"] == pytest.approx(polygon.area / 4, rel=1e-3)
        y, x = np.indices(mask.shape) * side + side / 2
        drawn += shapely.contains_xy(polygon, x, y)
    assert (drawn == mask).all()
    total = sum(shapely.geometry.shape(feature["geometry"]).area for feature in features)
    assert total == pytest.approx(mask.sum() * side**2, rel=2e-3)


def test_outlines_stay_within_the_field_where_its_last_places_do_not():
    of = answer(row(height=10, width=7), dead=np.ones((3, 2)), place=4)
    region = dead_regions(of.dead_map, of.dead_map >= 0.5)
    assert [ring for one in region for ring in one.rings] == [[(2, 0), (2, 3), (0, 3), (0, 0)]]


def test_a_field_of_an_odd_size_is_outlined_to_its_edge(tmp_path):
    of = answer(row(height=10, width=7), dead=np.ones((3, 2)), place=4)
    (feature,) = outlined(of, tmp_path)["features"]
    assert shapely.geometry.shape(feature["geometry"]).bounds == (0, 0, 7, 10)
    assert feature["properties"]["measurements"]["area px^2"] == 70
    assert "area µm^2" not in feature["properties"]["measurements"]


def test_qupath_is_told_class_and_colour_and_no_region_is_where_nothing_is_known(tmp_path):
    dead = np.full((24, 32), np.nan)
    dead[2:4, 3:5] = 0.8
    dead[2, 3] = 0.6
    content = outlined(answer(dead=dead), tmp_path)
    assert content["type"] == "FeatureCollection"
    (feature,) = content["features"]
    assert feature["type"] == "Feature"
    assert feature["properties"]["objectType"] == "annotation"
    assert feature["properties"]["classification"] == {"name": "dead", "color": [213, 94, 0]}
    assert feature["properties"]["measurements"]["probability of death"] == 0.75
    assert feature["geometry"]["coordinates"] == [[[20, 8], [20, 16], [12, 16], [12, 8], [20, 8]]]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_leave_the_files_whole(name, tmp_path):
    of = answer(row(0, name), dead=np.zeros((24, 32)))
    assert outlined(of, tmp_path)["name"] == name.encode("utf-8", "backslashreplace").decode()
    write_map_tiff(of, tmp_path / "a.ome.tiff")
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as file:
        image = ElementTree.fromstring(file.ome_metadata).find(f"{OME}Image")
        assert image.get("Name") == "".join(
            letter if letter.isprintable() else "�" for letter in name.encode("utf-8", "backslashreplace").decode()
        )


# ---- the OME-TIFF


def test_maps_come_back_with_their_names_and_sizes(tmp_path):
    of = answer(row(pixel_size_um=0.65, zoom=2.0, height=48, width=64), live=np.full((24, 32), 0.25))
    write_map_tiff(of, tmp_path / "a.ome.tiff")
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as file:
        assert file.is_ome
        series = file.series[0]
        assert (series.axes, series.shape, series.dtype) == ("CYX", (2, 24, 32), np.float32)
        np.testing.assert_array_equal(series.asarray(), np.stack([of.dead_map, of.maps["live"]]))
        pixels = ElementTree.fromstring(file.ome_metadata).find(f"{OME}Image/{OME}Pixels")
        side = 0.65 * 4 / 2  # a place of four of the network's pixels, two of which are one of the file's
        assert [float(pixels.get(f"PhysicalSize{axis}")) for axis in "XY"] == pytest.approx([side, side])
        assert {pixels.get(f"PhysicalSize{axis}Unit") for axis in "XY"} == {"µm"}
        names = [channel.get("Name") for channel in pixels.findall(f"{OME}Channel")]
        assert names == ["probability of death", "live"]
        numerator, denominator = file.pages[0].tags["XResolution"].value
        assert denominator / numerator * 1e4 == pytest.approx(side)  # of a centimetre, for ImageJ
        assert "DateTime" not in file.pages[0].tags
        assert "AcquisitionDate" not in file.ome_metadata


def test_no_pixel_size_is_made_up(tmp_path):
    write_map_tiff(answer(), tmp_path / "a.ome.tiff")
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as file:
        assert "PhysicalSize" not in file.ome_metadata
        assert np.isnan(file.asarray()).any()


def test_the_same_answer_is_the_same_file_each_time(tmp_path):
    of = answer(row(pixel_size_um=0.5))
    for name in ("a", "b"):
        write_map_tiff(of, tmp_path / f"{name}.ome.tiff")
        write_outlines(of, tmp_path / f"{name}.geojson", threshold=0.5)
        write_picture(of, tmp_path / f"{name}.png", threshold=0.5)
        write_thumbnails(of, tmp_path / f"{name}_field.jpg", tmp_path / f"{name}_map.jpg", threshold=0.5)
    for kind in (".ome.tiff", ".geojson", ".png", "_field.jpg", "_map.jpg"):
        assert (tmp_path / f"a{kind}").read_bytes() == (tmp_path / f"b{kind}").read_bytes()
    write_map_tiff(answer(row(pixel_size_um=0.5), dead=np.zeros((24, 32))), tmp_path / "c.ome.tiff")
    identities = {tifffile.tiffcomment(tmp_path / f"{name}.ome.tiff").split("UUID")[1] for name in "abc"}
    assert len(identities) == 2


# ---- pictures


@pytest.mark.parametrize(("height", "width"), [(96, 128), (1500, 2048), (2600, 300), (64, 1500)])
def test_a_picture_fits_a_screen_and_its_legend_does_too(height, width, tmp_path):
    of = answer(row(height=height, width=width, pixel_size_um=0.3))
    write_picture(of, tmp_path / "a.png", threshold=0.5)
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert max(picture.shape[:2]) <= LARGEST + 60
    assert (picture[-40:, -6:] == 255).all()  # the words end before the edge


def test_dead_places_are_orange_living_ones_blue_and_unknown_ones_as_they_were():
    dead = np.full((24, 32), np.nan)
    dead[:, :10], dead[:, 10:20] = 1.0, 0.0
    of = answer(dead=dead)
    picture = overlay(of, factor=1.0, threshold=0.5, line=1).astype(int)
    blue, red = picture[..., 0], picture[..., 2]
    assert (red[4:-4, 4:36] > blue[4:-4, 4:36] + 30).all()
    assert (blue[:, 44:80] > red[:, 44:80] + 30).all()
    np.testing.assert_array_equal(picture[:, 80:, 1], of.bright_field[:, 80:])
    np.testing.assert_array_equal(blue[:, 80:], red[:, 80:])


def test_small_pictures_show_the_same_field(tmp_path):
    of = answer()
    write_thumbnails(of, tmp_path / "field.jpg", tmp_path / "map.jpg", threshold=0.5)
    field, mapped = (cv2.imread(str(tmp_path / f"{name}.jpg")) for name in ("field", "map"))
    assert field.shape == mapped.shape == (THUMBNAIL * 96 // 128, THUMBNAIL, 3)
    assert np.ptp(field.astype(int), axis=2).max() < 12  # grey
    assert np.ptp(mapped.astype(int), axis=2).max() > 60
    expected = cv2.resize(of.bright_field, (THUMBNAIL, 180), interpolation=cv2.INTER_CUBIC).astype(float)
    assert np.abs(field[..., 1] - expected).mean() < 4


def test_no_scale_bar_without_a_pixel_size(tmp_path):
    for name, size in (("with", 0.3), ("without", None)):
        write_picture(answer(row(pixel_size_um=size)), tmp_path / f"{name}.png", threshold=0.5)
    with_bar, without = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("with", "without"))
    differ = np.argwhere((with_bar != without).any(axis=2))
    factor = without.shape[1] / 128
    # 10 µm of 0.3 µm each, the longest round length within a third of the width
    bar = (with_bar[differ[:, 0].max() - 16] == 255).all(axis=1).sum()
    assert bar == pytest.approx(10 / 0.3 * factor, abs=2)
