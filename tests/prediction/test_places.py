"""Where the dead of a field lie, and how many they are, as every file tells it: in pixels of the user's image.

The network stands aside for one whose answer can be drawn by hand: dark discs are dead nuclei, bright ones living.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import shapely
import tifffile
from scipy.ndimage import gaussian_filter, label, maximum_filter

import jimt
from jimt.models.stainwise import StainPredictor
from jimt.prediction.predict import main
from jimt.prediction.results import FINE, UNLIKE_TRAINING
from stain_runs import stain_run

MODEL_SIZE = 0.3225
"""Micrometres, a pixel of the training."""
RADIUS = 3.0
DEAD = np.array([[12.0, 10.0], [40.0, 55.0], [14.0, 48.0]])
LIVE = np.array([[38.0, 20.0], [26.0, 33.0], [11.0, 28.0], [41.0, 39.0]])
"""Middles of nuclei, y and x in micrometres; turned or mirrored, no other field looks the same."""
EXTENT = (51.6, 61.92)
"""Of the field, micrometres."""


def drawn(pixel_size: float) -> np.ndarray:
    """Discs on grey, each pixel's value the share of it that a disc covers."""
    fine = 4
    height, width = (round(side / pixel_size) for side in EXTENT)
    y, x = (np.indices((height * fine, width * fine)) + 0.5) * pixel_size / fine
    grey = np.full(y.shape, 2000.0)
    for middles, value in ((DEAD, 200), (LIVE, 3800)):
        for middle in middles:
            grey[np.hypot(y - middle[0], x - middle[1]) < RADIUS] = value
    return grey.reshape(height, fine, width, fine).mean((1, 3)).round().astype(np.uint16)


def squares(pixels: np.ndarray) -> np.ndarray:
    """Mean of each four by four pixels, those beyond the field continued."""
    height, width = (-(-side // 4) * 4 for side in pixels.shape)
    full = np.pad(pixels, ((0, height - pixels.shape[0]), (0, width - pixels.shape[1])), mode="edge")
    return full.reshape(height // 4, 4, width // 4, 4).mean((1, 3))


def of_discs(self, answer, fields, number):
    grey = fields.field(number).astype(float)
    dead, live = squares(grey < 60) * 0.9, squares(grey > 200) * 0.9
    y, x = np.int64(LIVE[0] // (4 * MODEL_SIZE))
    dead[y, x + 3], live[y, x + 3] = 0.4, 0.1  # beside a living nucleus, more dead than alive
    return [np.stack([dead, dead, dead, live]).astype(np.float32), no_features(self, fields, number)]


def no_features(predictor, fields, number):
    side = 32 * predictor.network.reduction
    return np.zeros((1, *(-(-length // side) for length in fields.field(number).shape)), np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return stain_run(tmp_path_factory)


def predicted(run: Path, image: np.ndarray, tmp_path: Path, *words: str) -> tuple[Path, pd.Series]:
    tifffile.imwrite(tmp_path / "a.tif", image)
    status = FINE
    try:
        main([str(run), str(tmp_path / "a.tif"), "--out", str(tmp_path / "out"), "--include-flagged", *words])
    except SystemExit as end:
        status = int(end.code or 0)
    assert status in (FINE, UNLIKE_TRAINING)
    return tmp_path / "out", pd.read_csv(tmp_path / "out/fields.csv").iloc[0]


def middles_of(mask: np.ndarray) -> np.ndarray:
    """Middle of each connected part, y and x with the edge of the first pixel at 0."""
    numbers, n = label(mask)
    return np.array([np.argwhere(numbers == number).mean(axis=0) + 0.5 for number in range(1, n + 1)])


def farthest(found: np.ndarray, true: np.ndarray) -> float:
    """How far any true place is from one found, and the other way round."""
    apart = np.hypot(*(found[:, None] - true[None]).transpose(2, 0, 1))
    return float(max(apart.min(axis=0).max(), apart.min(axis=1).max()))


@pytest.mark.parametrize("magnified", [0.5, 0.8, 1.0, 1.5, 2.0, 3.1])
def test_every_file_tells_the_same_places_whatever_the_pixel_size(magnified, run, tmp_path, monkeypatch):
    monkeypatch.setattr(StainPredictor, "_pass", of_discs)
    pixel_size = MODEL_SIZE / magnified
    image = drawn(pixel_size)
    out, row = predicted(run, image, tmp_path, "--pixel-size", str(pixel_size))
    close = 0.8  # micrometres; a place of the map is 1.3 wide
    # QuPath: pixels of the user's image
    features = json.loads((out / "outlines/a.geojson").read_text())["features"]
    polygons = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    centres = np.array([[polygon.centroid.y, polygon.centroid.x] for polygon in polygons])
    assert len(polygons) == len(DEAD)
    assert farthest(centres * pixel_size, DEAD) < close
    for polygon, feature in zip(polygons, features, strict=True):
        assert polygon.area * pixel_size**2 == pytest.approx(np.pi * RADIUS**2, rel=0.35)
        measured = feature["properties"]["measurements"]
        assert measured["dead nuclei"] == 1
        assert measured["area px^2"] == pytest.approx(polygon.area, rel=1e-3)
        assert measured["area µm^2"] == pytest.approx(polygon.area * pixel_size**2, rel=1e-3)
    # ImageJ and napari: micrometres by the size in the file
    with tifffile.TiffFile(out / "maps/a.ome.tiff") as file:
        of_maps = dict(zip(("death", "log_pi", "positive", "dead", "live"), file.asarray(), strict=True))
        numerator, denominator = file.pages[0].tags["XResolution"].value
        side = 1e4 * denominator / numerator
        assert f'PhysicalSizeX="{side:.6g}'[:20] in file.ome_metadata
    assert side == pytest.approx(4 * MODEL_SIZE, rel=0.05 if magnified != 1 else 1e-6)
    for axis in (0, 1):
        assert 0 <= of_maps["dead"].shape[axis] * side - EXTENT[axis] < side * 1.1
    assert farthest(middles_of(of_maps["dead"] > 0.45) * side, DEAD) < close
    assert farthest(middles_of(of_maps["live"] > 0.45) * side, LIVE) < close
    # what is looked at
    for name, below in (("maps/a.png", 46), ("thumbnails/a_map.jpg", 0)):
        picture = cv2.imread(str(out / name)).astype(int)
        picture = picture[: len(picture) - below]
        blue, red = picture[..., 0], picture[..., 2]
        scale = EXTENT[1] / picture.shape[1]
        for middles, shown, other in ((DEAD, red, blue), (LIVE, blue, red)):
            y, x = (middles / scale).astype(int).T
            assert (shown[y, x] > other[y, x] + 20).all()
    # and numbers
    assert row["n_cells"] == len(DEAD) + len(LIVE)
    assert row["dead_share"] == pytest.approx(len(DEAD) / (len(DEAD) + len(LIVE)), abs=1e-6)
    assert row[["height", "width"]].tolist() == list(image.shape)
    patches = pd.read_csv(out / "patches.csv")
    assert (patches[["y", "x"]].max() + 64 * magnified).tolist() == pytest.approx(image.shape, abs=magnified + 0.1)


def peaks(dead: np.ndarray, live: np.ndarray) -> tuple[int, int]:
    """Nuclei of two maps, and the dead ones, as the guide defines them: by the definition, and not by the model."""
    either = np.nan_to_num(dead) + np.nan_to_num(live)
    top = (either == maximum_filter(either, 7, mode="constant")) & (either >= 0.3)
    return int(top.sum()), int((top & (np.nan_to_num(dead) > np.nan_to_num(live))).sum())


@pytest.mark.parametrize(("seed", "edge"), [(0, 0), (1, 0), (2, 37), (3, 70)])
def test_the_share_of_nuclei_is_counted_again_from_the_maps_that_are_written(seed, edge, run, tmp_path, monkeypatch):
    rng = np.random.default_rng(seed)
    image = rng.integers(1000, 3000, (161, 190)).astype(np.uint16)
    image[:edge] = 0
    shape = tuple(-(-side // 4) for side in image.shape)
    smooth = [gaussian_filter(rng.normal(size=shape), 1.5) for _ in range(2)]
    dead, live = (0.5 / (1 + np.exp(-4 * one / one.std())) for one in smooth)
    maps = np.stack([dead, dead, dead, live]).astype(np.float32)
    monkeypatch.setattr(
        StainPredictor, "_pass", lambda self, answer, fields, number: [maps, no_features(self, fields, number)]
    )
    out, row = predicted(run, image, tmp_path)
    _, _, _, *of_nuclei = tifffile.imread(out / "maps/a.ome.tiff")
    n, n_dead = peaks(*of_nuclei)
    assert n > 10
    assert (row["n_cells"], row["dead_share"]) == (n, pytest.approx(n_dead / n, abs=1e-6))
    assert row["dead_share_low"] <= row["dead_share"] <= row["dead_share_high"]
    (shares,) = jimt.load(run).shares(jimt.load(run).fields_of([image]), [0])["predicted_share"]
    assert shares == pytest.approx(row["dead_share"], abs=1e-6)
