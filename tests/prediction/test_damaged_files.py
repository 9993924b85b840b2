"""Whatever is wrong with a file ends in one sentence about that file."""

import random
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from jimt.curation.decoding import BadImageError
from jimt.prediction.inputs import find_sources
from jimt.prediction.pictures import read_picture

STACK = np.random.default_rng(0).integers(1, 4000, (2, 3, 80, 90)).astype(np.uint16)


def write(path: Path) -> None:
    grey = (STACK[0, 0] >> 4).astype(np.uint8)
    if path.suffix in (".png", ".jpg"):
        Image.fromarray(grey).save(path)
    elif path.name == "a.ome.tif":
        tifffile.imwrite(path, STACK, metadata={"axes": "CZYX"}, photometric="minisblack")
    elif path.name == "imagej.tif":
        tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "ZCYX"}, photometric="minisblack")
    else:
        tifffile.imwrite(path, grey, compression="jpeg", photometric="minisblack")


def read(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The maximum of the first channel of each source, and what was told instead."""
    found = find_sources([str(path)], pattern=None, root=None, leave_out=None, channel=None, time=None)
    pixels, told = {}, [reason for _, reason in found.failed]
    options = {"pixel_size": None, "model_pixel_size": None, "patch_size": 32, "bit_depth": 16, "bit_shift": 0}
    for source in found.sources[:3]:
        try:
            pixels[source.name] = read_picture(source, channel=0, z="max", **options).pixels
        except BadImageError as error:
            told.append(str(error))
    return pixels, told


@pytest.mark.parametrize("name", ["a.ome.tif", "imagej.tif", "jpeg.tif", "a.png", "a.jpg"])
@pytest.mark.parametrize("way", ["cut off", "a header of other bytes", "other bytes anywhere"])
def test_a_damaged_file_is_read_or_told_in_a_sentence(name, way, tmp_path):
    path, rng = tmp_path / name, random.Random(name + way)
    write(path)
    whole, (expected, _) = path.read_bytes(), read(path)
    for _ in range(15):
        data = bytearray(whole[: rng.randrange(len(whole))] if way == "cut off" else whole)
        for _ in range(0 if way == "cut off" else 10):
            data[rng.randrange(600 if "header" in way else len(data))] = rng.randrange(256)
        path.write_bytes(bytes(data))
        pixels, told = read(path)
        assert pixels or told
        assert not [text for text in told if "\n" in text or len(text) < 10]
        if way == "cut off":  # what is asked of may lie before the cut
            for key, image in pixels.items():
                np.testing.assert_array_equal(image, expected[key])
