"""``jimt predict`` in this process, and a plate for it."""

from pathlib import Path

import numpy as np
import tifffile

from conftest import uneven_field
from jimt.prediction.predict import main

PATTERN = ("--pattern", "{plate}/{well}_s{field}_{channel}.tif", "--channel", "BF")


def write_plate(folder: Path, *, n_wells: int = 4, n_fields: int = 2, seed: int = 7) -> Path:
    """Fields of two channels, as an instrument may call them; wells are more and more dead."""
    rng = np.random.default_rng(seed)
    (folder / "P1").mkdir(parents=True)
    for well in range(n_wells):
        for field in range(n_fields):
            for channel, image in zip(("BF", "PI"), uneven_field(rng), strict=True):
                tifffile.imwrite(folder / f"P1/A{well + 1}_s{field}_{channel}.tif", image)
    return folder


def predicts(*words: object) -> int:
    """The exit status of the command in this process."""
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".csv", ".geojson", ".png", ".jpg")
    }
