"""Maps of the stain of whole fields, and the scores of patches and fields that follow from them."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from jimt.curation.cell_area import cell_area
from jimt.curation.patches import tiles_of_patch
from jimt.data.fields import Fields
from jimt.data.stain_targets import MIN_VALID, places
from jimt.models.checkpoint import Input, StainScore
from jimt.models.like_training import windows_of
from jimt.models.mapwise import map_of_field
from jimt.models.stain_network import StainNetwork
from jimt.statistics.predicted_nuclei import nuclei_of_maps
from jimt.vocabulary import MULTIPLE, STRIDE

EVIDENCE: Final = {"log_pi": ("log_pi",), "positive": ("positive",), "nuclei": ("dead", "live")}
"""Kinds of evidence that a patch is dead, each with the maps it is taken from: the mean of the predicted stain; the
square root of the positive area over that of cells; the share of nuclei that are dead."""
BARE: Final = 0.1
"""Share of a patch that is added to its area of cells, so that debris in an empty one is no proof of death. With the
true PI of mcf7 as the map, the area over that of cells has an AUROC against counted nuclei of 0.948, within experiments
0.932; the area itself 0.938 and 0.921 (``benchmarks/cell_area.py``)."""
_CACHED: Final = 64 << 20  # bytes of maps that are kept: scores and shares of the same fields are asked for in turn
STAINED: Final = 1.5
"""Times the background: what is stained where positive pixels are not predicted."""
FEW: Final = 0.01
"""Share of a patch that is added to its area of nuclei, a fifth of it to that of dead ones: a share of few is noise."""


class StainPredictor:
    """Predicts maps, and scores patches by them: each field passes through the network once.

    Args:
        network: Its weights loaded.
        takes: What it takes.
        score: How evidence becomes logits; None where that is not fitted yet.
        orientations: How many of the eight an answer is the mean of.
        device: Where it runs.
        precision: Lightning's word for what it computes in.
    """

    def __init__(
        self,
        network: StainNetwork,
        takes: Input,
        score: StainScore | None,
        orientations: int,
        device: torch.device,
        precision: str,
    ) -> None:
        self.network, self._takes, self._score = network, takes, score
        self._orientations, self._device, self._precision = orientations, device, precision
        self._kept: dict[int, NDArray[np.float32]] = {}
        self._windows: dict[int, NDArray[np.float32]] = {}
        self._kept_of: Fields | None = None

    def forget(self) -> None:
        """Keep no map: the network has changed."""
        self._kept_of, self._kept, self._windows = None, {}, {}

    def maps(self, fields: Fields, number: int) -> NDArray[np.float32]:
        """Maps of one field, shape ``(n_outputs, height, width)`` in places of ``STRIDE`` pixels.

        log(PI / background), and the probabilities of everything else, in the order of ``network.outputs``.
        """
        if self._kept_of is not fields:
            self._kept_of, self._kept, self._windows = fields, {}, {}
        if number not in self._kept:
            found = self._map(self.network.maps_and_features, fields, number)
            n_maps = len(self.network.outputs)
            self._kept[number] = found[:n_maps].copy()
            rows = windows_of(fields, number, size=self._takes.patch_size)
            y, x = (rows[axis].to_numpy(np.int64) for axis in ("y", "x"))
            valid = places(~fields.no_data(number))
            means = patch_means(found[n_maps:], valid, y, x, size=self._takes.patch_size)
            self._windows[number] = means.astype(np.float32)
            while len(self._kept) > 1 and sum(maps.nbytes for maps in self._kept.values()) > _CACHED:
                del self._kept[next(iter(self._kept))]
        return self._kept[number]

    def window_features(self, fields: Fields, number: int) -> NDArray[np.float32]:
        """Mean over each window of what the last layer is given, shape ``(n_windows, n_features)``, in the same pass.

        See ``like_training.windows_of``.
        """
        if self._kept_of is not fields or number not in self._windows:
            self.maps(fields, number)
        return self._windows[number]

    def _map(self, answer: Callable[[Tensor], Tensor], fields: Fields, number: int) -> NDArray[np.float32]:
        self.network.eval().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return map_of_field(
            answer,
            fields.field(number),
            takes=self._takes,
            orientations=self._orientations,
            tile=STRIDE,
            multiple=MULTIPLE * self.network.reduction,
            device=self._device,
            precision=self._precision,
        )

    def logits(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Logits of patches, shape ``(n, 2)``; as ``Predictor.logits``."""
        assert self._score is not None
        live = self._score.offset + self.evidence(fields, rows) @ np.array(self._score.factors)
        return np.stack([-live / 2, live / 2], axis=1).astype(np.float32)

    def evidence(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float64]:
        """How much speaks for each patch being dead, shape ``(n, n_kinds)``, in the order of ``EVIDENCE``."""
        outputs = self.network.outputs

        def with_cells(fields: Fields, number: int) -> NDArray[np.float32]:
            cells = places(cell_area(fields.field(number), ~fields.no_data(number)))
            return np.concatenate([self.maps(fields, number), cells[None].astype(np.float32)])

        return self._means(
            fields, rows, with_cells, lambda means: evidence_of(means[:, :-1], outputs, cells=means[:, -1])
        )

    def features(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Mean over each patch of what the last layer is given, shape ``(n, n_features)``."""

        def feature_map(fields: Fields, number: int) -> NDArray[np.float32]:
            return self._map(self.network.feature_map, fields, number)

        return self._means(fields, rows, feature_map, lambda means: means).astype(np.float32)

    def _means(
        self,
        fields: Fields,
        rows: pd.DataFrame,
        maps_of: Callable[[Fields, int], NDArray[np.float32]],
        then: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        """What follows from the mean maps of each patch."""
        found: dict[int, NDArray[np.float64]] = {}
        numbers = rows["field"].to_numpy()
        y, x = (rows[axis].to_numpy(np.int64) for axis in ("y", "x"))
        for number in np.unique(numbers).tolist():
            valid = places(~fields.no_data(number))
            of_field = np.flatnonzero(numbers == number)
            means = patch_means(maps_of(fields, number), valid, y[of_field], x[of_field], size=self._takes.patch_size)
            found |= dict(zip(of_field.tolist(), then(means), strict=True))
        return np.stack([found[row] for row in range(len(rows))])

    def shares(self, fields: Fields, numbers: list[int]) -> pd.DataFrame:
        """What the maps of whole fields say of them.

        Returns:
            A row for each: ``field``; ``share_of``, ``nuclei`` where these are predicted, else ``area``;
            ``predicted_share`` of that which is dead: dead nuclei among all, or PI-positive area among that of cells;
            NaN where there is nothing to take a share of.
        """
        return pd.DataFrame([{"field": number, **self._share(fields, number)} for number in numbers])

    def _share(self, fields: Fields, number: int) -> dict[str, object]:
        maps = dict(zip(self.network.outputs, self.maps(fields, number), strict=True))
        valid = ~fields.no_data(number)
        if "dead" in maps:
            known = places(valid) >= MIN_VALID
            seen = [np.where(known, maps[name], 0) for name in ("dead", "live")]
            dead = nuclei_of_maps(*seen)["dead"].to_numpy(bool)
            return {"share_of": "nuclei", "predicted_share": float(dead.mean()) if len(dead) else np.nan}
        cells = places(cell_area(fields.field(number), valid))
        # of a network without positive pixels: as stained as what it was told to be as stained
        stained = maps["positive"] if "positive" in maps else maps["log_pi"] > np.log(STAINED)
        share = float((stained * cells).sum() / cells.sum()) if cells.any() else np.nan
        return {"share_of": "area", "predicted_share": share}


def patch_means(
    maps: NDArray[np.float32], valid: NDArray[np.float64], y: NDArray[np.int64], x: NDArray[np.int64], *, size: int
) -> NDArray[np.float64]:
    """Mean of maps over the valid part of patches, shape ``(n_patches, n_maps)``.

    Args:
        maps: Shape ``(n_maps, height, width)`` in places.
        valid: Share of each place that is data, shape ``(height, width)``.
        y: Upper edge of each patch, pixels, shape ``(n_patches,)``.
        x: Left edge, likewise.
        size: Side of a patch, pixels.
    """
    out = np.empty((len(y), len(maps)))
    for i, (top, left) in enumerate(zip(y.tolist(), x.tolist(), strict=True)):
        (rows, down), (columns, across) = (tiles_of_patch(edge, size=size, tile=STRIDE) for edge in (top, left))
        weights = np.outer(down, across) * valid[rows, columns]
        if not weights.any():
            weights = np.outer(down, across)
        out[i] = np.tensordot(maps[:, rows, columns], weights / weights.sum(), axes=2)
    return out


def evidence_of(
    means: NDArray[np.float64], outputs: tuple[str, ...], *, cells: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The kinds of evidence that mean maps give, shape ``(n_patches, n_kinds)``.

    >>> evidence_of(np.array([[0.25, 0.3, 0.09]]), ("positive", "dead", "live"), cells=np.array([0.9])).round(3)
    array([[0.5  , 0.755]])

    Args:
        means: Of each map over each patch, shape ``(n_patches, n_outputs)``.
        outputs: What the maps show.
        cells: Share of each patch that is of cells, shape ``(n_patches,)``.
    """
    of = dict(zip(outputs, means.T, strict=True))
    kinds = []
    if "log_pi" in of:
        kinds.append(of["log_pi"])
    if "positive" in of:
        kinds.append(np.sqrt(of["positive"] / (cells + BARE)))
    if "dead" in of:
        kinds.append((of["dead"] + FEW / 5) / (of["dead"] + of["live"] + FEW))
    return np.stack(kinds, axis=1)
