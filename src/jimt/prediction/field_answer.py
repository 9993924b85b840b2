"""What a model answers to one field: scores of patches, the dead share, and maps to look at."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.cell_area import cell_area
from jimt.data.fields import Fields
from jimt.data.stain_targets import places
from jimt.models.predictor import Predictor
from jimt.models.stainwise import STAINED
from jimt.prediction.answers import FieldAnswer, FieldRow, Picture, Source
from jimt.statistics.dead_share import share_of_field
from jimt.vocabulary import STRIDE

_PLACE: Final = 16
"""Pixels: side of a place of the map that overlapping patches are drawn as."""
_NUCLEUS: Final = 0.3
"""Probability of a nucleus from which on a place is drawn as one."""
_UNCERTAIN: Final = (0.25, 0.75)


def uncertain(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which."""
    low, high = _UNCERTAIN
    return (scores > low) & (scores < high)


def row_of(source: Source, **told: Any) -> FieldRow:
    """What is told of a field before anything is known of its image."""
    return FieldRow(
        source.number, str(source.path), source.name, source.plate, source.well, source.field, source.time, **told
    )


def answer_field(predictor: Predictor, source: Source, picture: Picture) -> FieldAnswer:
    """Ask a model about one field.

    Args:
        predictor: The model.
        source: Which field.
        picture: Its bright-field image, at the model's magnification.

    Raises:
        InputError: If the image cannot be turned into 8 bits as the training's were, or is smaller than a patch.
    """
    fields = predictor.fields_of([picture.pixels])
    rows = predictor.patches_of(fields, 0, stride=None, to_the_edges=True)
    scores, empty = predictor.live_scores(fields, rows), predictor.empty(fields, rows)
    occupied = np.ones(len(rows), np.bool_) if empty is None else ~empty
    patches = pd.DataFrame(
        {
            "y": _in_file(rows["y"], picture.zoom),
            "x": _in_file(rows["x"], picture.zoom),
            "score": scores,
            "empty": None if empty is None else empty,
            "uncertain": uncertain(scores) & occupied,
        }
    )
    asked = _of_maps if predictor.checkpoint.task == "stain" else _of_patches
    told = asked(predictor, fields, rows[occupied], scores[occupied])
    row = row_of(
        source,
        height=picture.shape[0],
        width=picture.shape[1],
        pixel_size_um=picture.pixel_size,
        zoom=picture.zoom,
        n_patches=len(rows),
        n_empty=None if empty is None else int(empty.sum()),
        n_uncertain=int(patches["uncertain"].sum()),
        notes=picture.notes,
        **told.share,
    )
    size = predictor.checkpoint.input.patch_size / picture.zoom
    return FieldAnswer(row, fields.field(0), patches, size, told.place, told.dead_map.astype(np.float32), told.maps)


@dataclass(frozen=True)
class _Told:
    """What a kind of model says of a whole field."""

    share: dict[str, Any]
    dead_map: NDArray[np.floating]
    place: int
    maps: dict[str, NDArray[np.float32]]


def _of_maps(predictor: Predictor, fields: Fields, rows: pd.DataFrame, scores: NDArray[np.float64]) -> _Told:
    maps = predictor.maps(fields, 0)
    (found,) = predictor.shares(fields, [0]).to_dict("records")
    share = {"share_of": found["share_of"], "dead_share": _or_none(found["predicted_share"])}
    known = places(~fields.no_data(0)) > 0
    if "dead" in maps:
        share["n_cells"] = len(predictor.nuclei(fields, 0))
        cells = known & (maps["dead"] + maps["live"] >= _NUCLEUS)
        dead_map = maps["dead"] / np.maximum(maps["dead"] + maps["live"], _NUCLEUS)
    else:
        cells = known & (places(cell_area(fields.field(0), ~fields.no_data(0))) >= 0.5)
        dead_map = maps["positive"] if "positive" in maps else (maps["log_pi"] > np.log(STAINED)).astype(np.float32)
    shown = {name: np.where(known, values, np.nan).astype(np.float32) for name, values in maps.items()}
    return _Told(share, np.where(cells, dead_map, np.nan), STRIDE, shown)


def _of_patches(predictor: Predictor, fields: Fields, rows: pd.DataFrame, scores: NDArray[np.float64]) -> _Told:
    size = predictor.checkpoint.input.patch_size
    height, width = fields.field(0).shape
    y, x = (rows[axis].to_numpy(np.int64) for axis in ("y", "x"))
    share = share_of_field(scores, y, x, height=height, width=width, size=size)
    dead_map = patch_map(scores, y, x, height=height, width=width, size=size)
    return _Told({"share_of": "patches", "dead_share": share}, dead_map, _PLACE, {})


def patch_map(
    scores: NDArray[np.float64], y: NDArray[np.int64], x: NDArray[np.int64], *, height: int, width: int, size: int
) -> NDArray[np.float64]:
    """Mean of 1 - P(live) of the patches that each place of ``_PLACE`` pixels lies in; NaN where it lies in none.

    Args:
        scores: P(live) of patches, shape ``(n_patches,)``.
        y: Top-left corners, pixels, likewise.
        x: Likewise.
        height: Of the field, pixels.
        width: Likewise.
        size: Side of a patch, pixels.
    """
    number, total = np.zeros((2, -(-height // _PLACE), -(-width // _PLACE)))
    for score, top, left in zip(scores, y, x, strict=True):
        # a place belongs to a patch where its middle does
        rows, columns = (slice(round(edge / _PLACE), round((edge + size) / _PLACE)) for edge in (top, left))
        number[rows, columns] += 1
        total[rows, columns] += 1 - score
    return np.asarray(np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0))


def _in_file(pixels: pd.Series, zoom: float) -> NDArray[Any]:
    """Places in the field, as places in the file's image."""
    return pixels.to_numpy() if zoom == 1 else (pixels.to_numpy() / zoom).round(1)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
