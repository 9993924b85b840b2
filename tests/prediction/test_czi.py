"""A CZI as Zeiss's own library writes it; the oracle is the arrays that were written."""

import sys
from pathlib import Path

import numpy as np
import pytest
from pylibCZIrw import czi

from jimt.curation.decoding import BadImageError
from jimt.prediction.answers import Source
from jimt.prediction.inputs import find_sources
from jimt.prediction.pictures import read_picture

RNG = np.random.default_rng(0)
SCENES, TIMES, CHANNELS, PLANES = 2, 2, 2, 3
IMAGES = RNG.integers(1, 60_000, (SCENES, TIMES, CHANNELS, PLANES, 80, 100)).astype(np.uint16)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Two scenes far apart, each of two tiles side by side, with all planes."""
    path = tmp_path_factory.mktemp("czi") / "plate.czi"
    with czi.create_czi(str(path)) as document:
        for scene, time, channel, z in np.ndindex(IMAGES.shape[:4]):
            image = IMAGES[scene, time, channel, z][..., None]
            for n, tile in enumerate(np.split(image, 2, axis=1)):
                document.write(
                    data=np.ascontiguousarray(tile),
                    plane={"C": channel, "Z": z, "T": time},
                    location=(5000 * scene + 50 * n, 300 * scene),
                    scene=scene,
                )
        document.write_metadata(channel_names={0: "PI", 1: "Trans"}, scale_x=0.325e-6, scale_y=0.325e-6)
    return path


def read(path: Path, **options: object):
    given = {"channel": "Trans", "z": 0, "pixel_size": None, "model_pixel_size": None, "patch_size": 64}
    source = Source(0, path, "a", options.pop("series", 0), options.pop("time_index", None))
    return read_picture(source, **given | {"bit_depth": 16, "bit_shift": 0} | options)


def test_scenes_and_times_are_fields(path):
    found = find_sources([str(path.parent)], pattern=None, root=None, leave_out=None, channel=None, time=None)
    assert [source.name for source in found.sources] == [
        f"plate_s{scene}_t{time:03d}" for scene in range(SCENES) for time in range(TIMES)
    ]


def test_every_plane_is_the_one_that_was_written(path):
    for scene, time, channel, z in np.ndindex(IMAGES.shape[:4]):
        picture = read(path, series=scene, time_index=time, channel=channel, z=z)
        np.testing.assert_array_equal(picture.pixels, IMAGES[scene, time, channel, z])
    assert picture.pixel_size == pytest.approx(0.325)


def test_channels_have_their_names(path):
    np.testing.assert_array_equal(read(path).pixels, IMAGES[0, 0, 1, 0])
    with pytest.raises(BadImageError, match=r"has 2 channels, 0 \(PI\), 1 \(Trans\), and nothing says which"):
        read(path, channel=None)


def test_a_coloured_image_has_red_first(tmp_path):
    image = RNG.integers(0, 256, (80, 100, 3)).astype(np.uint8)
    with czi.create_czi(str(tmp_path / "a.czi")) as document:
        document.write(data=np.ascontiguousarray(image[..., ::-1]))  # Zeiss writes blue first
    expected = image.astype(float) @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    picture = read(tmp_path / "a.czi", channel=None)
    assert np.abs(picture.pixels - expected).max() <= 1


def test_a_damaged_file_is_refused(path, tmp_path):
    for data in (b"no image", path.read_bytes()[:3000]):
        (tmp_path / "a.czi").write_bytes(data)
        with pytest.raises(BadImageError) as caught:
            read(tmp_path / "a.czi")
        assert str(caught.value).startswith("is not a CZI, or damaged (")
        assert "\n" not in str(caught.value)


def test_without_the_package_it_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pylibCZIrw", None)
    found = find_sources([str(path)], pattern=None, root=None, leave_out=None, channel=None, time=None)
    ((_, reason),) = found.failed
    assert reason == (
        "is a file of Zeiss CZI, which is read by a package that is not installed: export it as OME-TIFF, or run pip "
        "install pylibCZIrw"
    )
