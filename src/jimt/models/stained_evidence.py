"""What a model and PI say of one stained field: bright-field and PI, and no counted cell."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.cell_area import cell_area
from jimt.data.fields import Fields
from jimt.data.stain_targets import places
from jimt.errors import InputError
from jimt.models.mapwise import MapPredictor
from jimt.models.pi_truth import PiSettings, pi_labels, pi_share
from jimt.models.predictor import Predictor
from jimt.models.stainwise import STAINED
from jimt.statistics.dead_share import share_weights
from jimt.statistics.last_layer import LastLayer
from jimt.statistics.stained_calibration import Calibrates, OfShare, logit_of
from jimt.statistics.weighted_patches import Floats
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE, STRIDE, ShareOf

What = Literal["calibration", "last-layer"]
"""What is fitted: how logits become probabilities, or also the last layer of the network."""
_CERTAIN: Final = 1e-6  # of a probability, beyond which its logit says nothing more
_NO_PATCHES: Final = pd.DataFrame({"y": [], "x": []})
_NO_LABELS: Final = np.zeros(0, np.int8)


@dataclass(frozen=True)
class Evidence:
    """What a model and PI say of one stained field.

    Attributes:
        patches: Of its patches with cells, for the calibration of scores.
        shares: Of a model that predicts maps, what shares are taken of by the map they are taken from, that of the dead
            share last; none of other models.
        pi_share: Dead share by PI, of the same things as the model's.
        features: Of the patches, what the last layer is given, shape ``(n, n_features)``; None unless asked for.
        margins_by: Margins of the patches under another last layer, by what is added to it; likewise.
    """

    patches: Calibrates
    shares: dict[str, OfShare]
    pi_share: float
    features: Floats | None = None
    margins_by: Callable[[LastLayer], Floats] | None = None

    @property
    def share_of(self) -> ShareOf:
        """What the model's dead share is a share of."""
        if not self.shares:
            return "patches"
        return "nuclei" if "dead" in self.shares else "area"


def evidence_of(
    predictor: Predictor,
    fields: Fields,
    number: int,
    rows: pd.DataFrame,
    fluorescence: NDArray[Any],
    settings: PiSettings,
    *,
    what: What,
) -> Evidence:
    """Ask a model about one stained field.

    Args:
        predictor: The model.
        fields: Where the field is.
        number: Of the field.
        rows: Its patches with cells, ``field``, ``y`` and ``x``.
        fluorescence: PI in counts, of the shape of the field.
        settings: How PI tells dead from living.
        what: What is to be fitted.

    Raises:
        InputError: If the field shows no cells that a share could be taken of, or PI tells nothing.
    """
    valid, size = ~fields.no_data(number), predictor.checkpoint.input.patch_size
    if not len(rows):
        raise InputError("no patch of it holds cells", advice="stain another field")
    y, x = (rows[axis].to_numpy(np.int64) for axis in ("y", "x"))
    height, width = valid.shape
    labels = pi_labels(fluorescence, valid, rows, settings, size=size)
    logits = predictor.logits(fields, rows)
    patches = Calibrates(
        (logits[:, 1] - logits[:, 0]).astype(np.float64),
        np.select([labels == LIVE, labels == DEAD, labels == AMBIGUOUS], [1.0, 0.0, 0.5]),
        share_weights(y, x, height=height, width=width, size=size),
    )
    if predictor.checkpoint.task == "stain":
        shares = _of_maps(predictor, fields, number, fluorescence, settings)
        return Evidence(patches, shares, list(shares.values())[-1].share)
    pi = float(patches.weights @ (1 - patches.targets))
    if what == "calibration":
        return Evidence(patches, {}, pi)
    features = predictor.features(fields, rows).astype(np.float64)
    margins_by = _margins_by(predictor, fields, number, rows, patches.margins, features)
    return Evidence(patches, {}, pi, features, margins_by)


def _of_maps(
    predictor: Predictor, fields: Fields, number: int, fluorescence: NDArray[Any], settings: PiSettings
) -> dict[str, OfShare]:
    """What shares of area, and of nuclei, are taken of."""
    maps, bright_field, valid = predictor.maps(fields, number), fields.field(number), ~fields.no_data(number)
    of_pi = partial(
        pi_share, fluorescence, bright_field, valid, settings, patches=_NO_PATCHES, labels=_NO_LABELS, size=0
    )
    found: dict[str, OfShare] = {}
    cells = places(cell_area(bright_field, valid)).ravel()
    area = of_pi(share_of="area", nuclei=None)
    if area is not None:
        name = "positive" if "positive" in maps else "log_pi"
        values = maps[name].ravel()[cells > 0].astype(np.float64)
        dead = values - np.log(STAINED) if name == "log_pi" else logit_of(values)
        found[name] = OfShare(dead, cells[cells > 0] / cells.sum(), area)
    if "dead" in maps:
        nuclei = predictor.nuclei(fields, number)
        share = of_pi(share_of="nuclei", nuclei=nuclei)
        if share is None:
            raise InputError("no nucleus is predicted in it", advice="stain another field")
        seen = tuple((nuclei[axis].to_numpy() // STRIDE).astype(int) for axis in ("y", "x"))
        dead, live = (np.maximum(maps[name][seen].astype(np.float64), _CERTAIN) for name in ("dead", "live"))
        found["dead"] = OfShare(np.log(dead / live), np.full(len(nuclei), 1 / len(nuclei)), share)
    if not found:
        raise InputError("no cells are seen in it", advice="stain another field")
    return found


def _margins_by(
    predictor: Predictor, fields: Fields, number: int, rows: pd.DataFrame, margins: Floats, features: Floats
) -> Callable[[LastLayer], Floats]:
    if not isinstance(predictor.scorer, MapPredictor):
        return lambda change: margins + features @ change.weight + change.bias
    of_tiles = predictor.scorer.margins_by(fields, number, rows)
    offset = predictor.checkpoint.output.offset
    return lambda change: of_tiles(change.weight, change.bias) + offset
