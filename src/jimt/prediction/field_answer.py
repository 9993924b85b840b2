"""What a model answers to one field: scores of patches, the dead share, and maps to look at."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.patches import window_means
from jimt.data.fields import Fields
from jimt.data.stain_targets import MIN_VALID, places
from jimt.errors import InputError
from jimt.models.predictor import Predictor
from jimt.models.stainwise import STAINED
from jimt.prediction.answers import FieldAnswer, FieldRow, Picture, Source
from jimt.statistics.dead_share import share_of_field
from jimt.statistics.image_quality import MEASURES, measure_image
from jimt.statistics.uncertainty import range_of_area, range_of_nuclei, range_of_patches, uncertain
from jimt.vocabulary import STRIDE

_PLACE: Final = 16
"""Pixels: side of a place of the map that overlapping patches are drawn as."""
_MAX_NO_DATA: Final = 0.5
"""Share of a patch: of one that holds less of the specimen nothing is said."""
_NUCLEUS: Final = 0.3
"""Probability of a nucleus from which on a place is drawn as one."""


def row_of(source: Source, **told: Any) -> FieldRow:
    """What is told of a field before anything is known of its image."""
    return FieldRow(
        source.number, str(source.path), source.name, source.plate, source.well, source.field, source.time, **told
    )


def patches_with_data(predictor: Predictor, fields: Fields) -> pd.DataFrame:
    """The patches that a field is asked about: to its edges, without those that an alignment has filled with zeros.

    Args:
        predictor: The model.
        fields: The field alone.

    Raises:
        InputError: If the field is smaller than a patch, or none of its patches holds data.
    """
    rows, no_data = predictor.patches_of(fields, 0, stride=None, to_the_edges=True), fields.no_data(0)
    y, x = (rows[axis].to_numpy(np.int32) for axis in ("y", "x"))
    _, shares = window_means(fields.field(0), no_data, y, x, size=predictor.checkpoint.input.patch_size)
    kept = rows[shares <= _MAX_NO_DATA].reset_index(drop=True)
    if not len(kept):
        raise InputError("holds no patch that is not mostly black edge", advice="export the image again")
    return kept


def answer_field(predictor: Predictor, fields: Fields, source: Source, picture: Picture) -> FieldAnswer:
    """Ask a model about one field.

    Args:
        predictor: The model.
        fields: The field alone, as the model takes it.
        source: Which field.
        picture: Its bright-field image, at the model's magnification.

    Raises:
        InputError: If the image cannot be turned into 8 bits as the training's were, or no patch of it holds data.
    """
    rows = patches_with_data(predictor, fields)
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
    like = predictor.familiarity(fields, 0, colour=picture.colour, pixel_size=picture.pixel_size, zoom=picture.zoom)
    row = row_of(
        source,
        height=picture.shape[0],
        width=picture.shape[1],
        pixel_size_um=picture.pixel_size,
        zoom=picture.zoom,
        n_patches=len(rows),
        n_empty=None if empty is None else int(empty.sum()),
        n_uncertain=int(patches["uncertain"].sum()),
        distance=like.distance,
        flags=tuple(flag.name for flag in like.flags),
        reasons=tuple(flag.reason for flag in like.flags),
        notes=picture.notes,
        **told.share,
        **(_measured(fields, picture) if source.time is not None else {}),
    )
    size = predictor.checkpoint.input.patch_size / picture.zoom
    dead_map = told.dead_map.astype(np.float32)
    return FieldAnswer(row, fields.field(0), patches, size, told.place, dead_map, told.maps, told.dead_nuclei)


def _measured(fields: Fields, picture: Picture) -> dict[str, float | None]:
    """What may drift from one time to the next: light and focus."""
    valid = ~fields.no_data(0)
    sharpness = float(np.exp(measure_image(fields.field(0), valid)[list(MEASURES).index("focus")]))
    return {"brightness": _or_none(picture.pixels[valid].mean()), "sharpness": _or_none(sharpness)}


@dataclass(frozen=True)
class _Told:
    """What a kind of model says of a whole field."""

    share: dict[str, Any]
    dead_map: NDArray[np.floating]
    place: int
    maps: dict[str, NDArray[np.float32]]
    dead_nuclei: NDArray[np.float64] | None = None


def _of_maps(predictor: Predictor, fields: Fields, rows: pd.DataFrame, scores: NDArray[np.float64]) -> _Told:
    maps, dead_nuclei = predictor.maps(fields, 0), None
    known = places(~fields.no_data(0)) >= MIN_VALID  # as nuclei are counted, so that maps give their number
    if "dead" in maps:
        nuclei = predictor.nuclei(fields, 0)  # those of the range and the number, so of the share too
        dead_nuclei = nuclei.loc[nuclei["dead"], ["y", "x"]].to_numpy(np.float64)
        ends = range_of_nuclei(nuclei, maps["dead"], maps["live"])
        share = _share("nuclei", _or_none(nuclei["dead"].mean()), ends) | {"n_cells": len(nuclei)}
        cells = known & (maps["dead"] + maps["live"] >= _NUCLEUS)
        dead_map = maps["dead"] / np.maximum(maps["dead"] + maps["live"], _NUCLEUS)
    else:
        of_cells = predictor.cells(fields, 0)
        cells = known & (of_cells >= 0.5)
        (found,) = predictor.shares(fields, [0]).to_dict("records")
        dead_map = maps["positive"] if "positive" in maps else (maps["log_pi"] > np.log(STAINED)).astype(np.float32)
        share = _share("area", _or_none(found["predicted_share"]), range_of_area(dead_map.astype(float), of_cells))
    shown = {name: np.where(known, values, np.nan).astype(np.float32) for name, values in maps.items()}
    return _Told(share, np.where(cells, dead_map, np.nan), STRIDE, shown, dead_nuclei)


def _of_patches(predictor: Predictor, fields: Fields, rows: pd.DataFrame, scores: NDArray[np.float64]) -> _Told:
    size = predictor.checkpoint.input.patch_size
    height, width = fields.field(0).shape
    y, x = (rows[axis].to_numpy(np.int64) for axis in ("y", "x"))
    share = share_of_field(scores, y, x, height=height, width=width, size=size)
    ends = range_of_patches(scores, y, x, height=height, width=width, size=size)
    dead_map, place = patch_map(scores, y, x, height=height, width=width, size=size), _PLACE
    tiles = predictor.live_tiles(fields, 0)
    if tiles is not None:  # finer than patches, where some patch holds cells
        place = predictor.checkpoint.output.tile or _PLACE
        rows, columns = (
            np.minimum(np.arange(n) * place // _PLACE, most - 1)
            for n, most in zip(tiles.shape, dead_map.shape, strict=True)
        )
        dead_map = np.where(np.isnan(dead_map[np.ix_(rows, columns)]), np.nan, 1 - tiles)
    dead_map[~_any_of_places(~fields.no_data(0), place)] = np.nan
    return _Told(_share("patches", share, ends), dead_map, place, {})


def _any_of_places(pixels: NDArray[np.bool_], place: int) -> NDArray[np.bool_]:
    """Whether any pixel of each square place is true."""
    for axis in (0, 1):
        pixels = np.logical_or.reduceat(pixels, np.arange(0, pixels.shape[axis], place), axis=axis)
    return pixels


def _share(share_of: str, share: float | None, ends: tuple[float, float] | None) -> dict[str, Any]:
    """A dead share and its range, as a row has them."""
    low, high = (None, None) if share is None or ends is None else (min(ends[0], share), max(ends[1], share))
    return {"share_of": share_of, "dead_share": share, "dead_share_low": low, "dead_share_high": high}


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

    def places_of(edge: int, length: int) -> slice:
        """Those whose middle lies in a patch, and what is cut off by the edge of the field."""
        first, end = ((place + _PLACE // 2 - 1) // _PLACE for place in (edge, edge + size))
        return slice(first, end + (edge + size == length))

    for score, top, left in zip(scores, y.tolist(), x.tolist(), strict=True):
        rows, columns = places_of(top, height), places_of(left, width)
        number[rows, columns] += 1
        total[rows, columns] += 1 - score
    return np.asarray(np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0))


def _in_file(pixels: pd.Series, zoom: float) -> NDArray[Any]:
    """Places in the field, as places in the file's image."""
    return pixels.to_numpy() if zoom == 1 else (pixels.to_numpy() / zoom).round(1)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
