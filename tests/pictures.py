"""Images that are written and read as pictures of a prediction."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from jimt.curation.decoding import BadImageError
from jimt.prediction.answers import Picture, Source
from jimt.prediction.pictures import read_picture

RNG = np.random.default_rng(0)
GREY = RNG.integers(1, 4096, (80, 100)).astype(np.uint16)
GREY_8 = (GREY >> 4).astype(np.uint8)


def read(path: str = "a.tif", *, series: int = 0, time_index: int | None = None, **options: object) -> Picture:
    given = {"channel": None, "z": "sharpest", "pixel_size": None, "model_pixel_size": None, "patch_size": 64}
    given |= {"bit_depth": 16, "bit_shift": 0} | options
    return read_picture(Source(0, Path(path), "a", series, time_index), **given)


def refusal(path: str = "a.tif", **options: object) -> str:
    with pytest.raises(BadImageError) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(image: np.ndarray = GREY, name: str = "a.tif", **options: object) -> None:
    tifffile.imwrite(name, image, **{"photometric": "minisblack"} | options)


def smooth(height: int, width: int, *, low: int = 1000, high: int = 3000) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    wave = np.sin(y / 9) * np.sin(x / 11)
    return np.rint(low + (high - low) * (wave + 1) / 2).astype(np.uint16)
