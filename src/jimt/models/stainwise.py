"""Maps of the stain of whole fields, and the scores of patches and fields that follow from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from jimt.curation.cell_area import cell_area
from jimt.data.fields import Fields
from jimt.data.stain_targets import MIN_VALID, places
from jimt.models.checkpoint import Input, StainScore
from jimt.models.devices import ready
from jimt.models.like_training import windows_of
from jimt.models.map_evidence import evidence_of, patch_means
from jimt.models.mapwise import maps_of_field
from jimt.models.stain_network import StainNetwork
from jimt.statistics.predicted_nuclei import nuclei_of_maps
from jimt.vocabulary import MULTIPLE, STRIDE

_CACHED: Final = 64 << 20  # bytes of maps that are kept: scores and shares of the same fields are asked for in turn
STAINED: Final = 1.5
"""Times the background: what is stained where positive pixels are not predicted."""


@dataclass(frozen=True)
class _Seen:
    """What is kept of a field that has passed: its maps, the mean features of its windows, its area of cells."""

    maps: NDArray[np.float32]
    windows: NDArray[np.float32]
    cells: NDArray[np.float64]


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
        self._kept: dict[int, _Seen] = {}
        self._kept_of: Fields | None = None

    def forget(self) -> None:
        """Keep no map: the network has changed."""
        self._kept_of, self._kept = None, {}

    def maps(self, fields: Fields, number: int) -> NDArray[np.float32]:
        """Maps of one field, shape ``(n_outputs, height, width)`` in places of ``STRIDE`` pixels.

        log(PI / background), and the probabilities of everything else, in the order of ``network.outputs``.
        """
        return self._seen(fields, number).maps

    def cells(self, fields: Fields, number: int) -> NDArray[np.float64]:
        """Share of each place of one field that is of cells, shape ``(height, width)``."""
        return self._seen(fields, number).cells

    def window_features(self, fields: Fields, number: int) -> NDArray[np.float32]:
        """Mean over each window of what the last layer is given, shape ``(n_windows, n_features)``, in the same pass.

        See ``like_training.windows_of``.
        """
        return self._seen(fields, number).windows

    def _seen(self, fields: Fields, number: int) -> _Seen:
        if self._kept_of is not fields:
            self._kept_of, self._kept = fields, {}
        if number not in self._kept:
            maps, features = self._pass(self.network.maps_and_features, fields, number)
            pixels, valid = fields.field(number), ~fields.no_data(number)
            height, width = (-(-side // STRIDE) for side in pixels.shape)
            rows = windows_of(fields, number, size=self._takes.patch_size)
            windows = self._mean_features(features, valid, rows).astype(np.float32)
            cells = places(cell_area(pixels, valid))
            self._kept[number] = _Seen(maps[:, :height, :width].copy(), windows, cells)
            while len(self._kept) > 1 and sum(seen.maps.nbytes for seen in self._kept.values()) > _CACHED:
                del self._kept[next(iter(self._kept))]
        return self._kept[number]

    def _pass(
        self, answer: Callable[[Tensor], Sequence[Tensor]], fields: Fields, number: int
    ) -> list[NDArray[np.float32]]:
        ready(self.network, self._device)
        return maps_of_field(
            answer,
            fields.field(number),
            takes=self._takes,
            orientations=self._orientations,
            multiple=MULTIPLE * self.network.reduction,
            device=self._device,
            precision=self._precision,
            reduction=self.network.reduction,
        )

    def logits(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Logits of patches, shape ``(n, 2)``; as ``Predictor.logits``."""
        assert self._score is not None
        live = self._score.offset + self.evidence(fields, rows) @ np.array(self._score.factors)
        return np.stack([-live / 2, live / 2], axis=1).astype(np.float32)

    def evidence(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float64]:
        """How much speaks for each patch being dead, shape ``(n, n_kinds)``, in the order of ``EVIDENCE``."""

        def of_field(number: int, valid: NDArray[np.bool_], rows: pd.DataFrame) -> NDArray[np.float64]:
            maps = np.concatenate([self.maps(fields, number), self.cells(fields, number)[None].astype(np.float32)])
            means = self._patch_means(maps, valid, rows, tile=STRIDE)
            return evidence_of(means[:, :-1], self.network.outputs, cells=means[:, -1])

        return self._by_field(fields, rows, of_field)

    def features(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Mean over each patch of what the last layer is given, shape ``(n, n_features)``."""

        def of_field(number: int, valid: NDArray[np.bool_], rows: pd.DataFrame) -> NDArray[np.float64]:
            (features,) = self._pass(lambda seen: self.network.maps_and_features(seen)[1:], fields, number)
            return self._mean_features(features, valid, rows)

        return self._by_field(fields, rows, of_field).astype(np.float32)

    def _by_field(
        self,
        fields: Fields,
        rows: pd.DataFrame,
        of_field: Callable[[int, NDArray[np.bool_], pd.DataFrame], NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        """What is known of the patches of each field, in the order of all of them."""
        found: dict[int, NDArray[np.float64]] = {}
        numbers = rows["field"].to_numpy()
        for number in np.unique(numbers).tolist():
            its = np.flatnonzero(numbers == number)
            values = of_field(number, ~fields.no_data(number), rows.iloc[its])
            found |= dict(zip(its.tolist(), values, strict=True))
        return np.stack([found[row] for row in range(len(rows))])

    def _mean_features(
        self, features: NDArray[np.float32], valid: NDArray[np.bool_], rows: pd.DataFrame
    ) -> NDArray[np.float64]:
        """Mean over patches of what the last layer is given, in its own resolution."""
        multiple = MULTIPLE * self.network.reduction
        tile = -(-valid.shape[0] // multiple) * multiple // features.shape[1]
        return self._patch_means(features, valid, rows, tile=tile)

    def _patch_means(
        self, maps: NDArray[np.float32], valid: NDArray[np.bool_], rows: pd.DataFrame, *, tile: int
    ) -> NDArray[np.float64]:
        y, x = (rows[axis].to_numpy(np.int64) for axis in ("y", "x"))
        return patch_means(maps, places(valid, tile=tile), y, x, size=self._takes.patch_size, tile=tile)

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
        cells = self.cells(fields, number)
        # of a network without positive pixels: as stained as what it was told to be as stained
        stained = maps["positive"] if "positive" in maps else maps["log_pi"] > np.log(STAINED)
        share = float((stained * cells).sum() / cells.sum()) if cells.any() else np.nan
        return {"share_of": "area", "predicted_share": share}
