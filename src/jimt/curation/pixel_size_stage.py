"""How large a pixel of a data set is: as its settings say, or else its files, where all agree."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from jimt.curation.decoding import BadImageError, decoding
from jimt.curation.images import png_chunks
from jimt.curation.pixel_sizes import differ, pixel_size_of_png, pixel_size_of_tiff
from jimt.curation.tiff import open_tiff
from jimt.errors import ways_out


def pixel_size_of_file(path: Path) -> float | None:
    """Micrometres, as the metadata of a file say; None where they do not, or the file cannot be read."""
    try:
        if path.suffix.lower() == ".png":
            with decoding("PNG"):
                return pixel_size_of_png(dict(png_chunks(path.read_bytes())).get(b"pHYs", b"")).um
        with open_tiff(path) as tif:
            return pixel_size_of_tiff(tif, series=0).um
    except BadImageError:  # the reading tells it
        return None


def dataset_pixel_size(setting: float | None, files: Iterable[Path]) -> dict[str, Any]:
    """What ``summary.json`` says of the pixel size: ``um``, ``told_by`` (``setting``, ``files`` or null), ``warnings``.

    Args:
        setting: As ``dataset.pixel_size`` says, micrometres.
        files: Of bright-field.
    """
    sizes = {path: pixel_size_of_file(path) for path in files}
    told = {path: size for path, size in sizes.items() if size is not None}
    if setting is not None:
        others = {path: size for path, size in told.items() if differ(size, setting)}
        return {"um": setting, "told_by": "setting", "warnings": [_contradiction(setting, others)] if others else []}
    if not told:
        return {"um": None, "told_by": None, "warnings": []}
    low, high = min(told.values()), max(told.values())
    if differ(low, high):
        listed = " and ".join(f"{size:.4g} \u00b5m in {_first(told, size)}" for size in (low, high))
        ways = ways_out(advice="curate each magnification as a data set of its own")
        line = f"WARNING: bright-field files have pixels of {listed}, so cells are of several sizes: {ways}"
        return {"um": None, "told_by": None, "warnings": [line]}
    if len(told) < len(sizes):
        line = (
            f"{len(told)} of {len(sizes)} bright-field files say that a pixel is {low:.4g} \u00b5m and the others "
            "nothing, so it is taken for unknown"
        )
        return {"um": None, "told_by": None, "warnings": [line]}
    return {"um": float(np.median(list(told.values()))), "told_by": "files", "warnings": []}


def _contradiction(setting: float, others: dict[Path, float]) -> str:
    path, size = next(iter(others.items()))
    many = f"{len(others)} bright-field file{'s say' if len(others) > 1 else ' says'} otherwise"
    return (
        f"WARNING: dataset.pixel_size is {setting:.4g} \u00b5m, and {many}, for example {size:.4g} \u00b5m in "
        f"{path.name}: {ways_out(advice='correct the setting if the files are right')}"
    )


def _first(sizes: dict[Path, float], wanted: float) -> str:
    return next(path.name for path, size in sizes.items() if size == wanted)
