"""A model's scores of another data set as it is, and with its images matched to those of the training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.image_changes import Change
from jimt.curation.manifest import Curated
from jimt.data.fields import ChangedFields
from jimt.errors import InputError
from jimt.evaluation.image_differences import DENSITY, DENSITY_OF, Looks
from jimt.evaluation.image_matching import ORDER, as_dense, match
from jimt.evaluation.matching_gains import Variant, gains
from jimt.evaluation.share_errors import share_errors
from jimt.statistics.calibration import live_score
from jimt.statistics.dead_share import share_of_field

if TYPE_CHECKING:
    from jimt.models.predictor import Predictor

EVERYTHING: Final = "all of these"
MATCHED: Final = (*ORDER, EVERYTHING, DENSITY)
"""What is matched, one at a time; density by leaving out fields."""


@dataclass(frozen=True)
class Tested:
    """What a model is tested on.

    Attributes:
        predictor: The model.
        curated: The data set, its test split without what the model was trained on.
        table: As ``score_test_split`` gives it, of the images as they are.
        own: What was measured of the data set's images.
        target: What was measured of those of the training.
    """

    predictor: "Predictor"
    curated: Curated
    table: pd.DataFrame
    own: Looks
    target: Looks


def matched_rows(tested: Tested, *, confidence: float, seed: int) -> list[dict[str, Any]]:
    """What matching brings, a row for each of ``MATCHED`` after one for the images as they are.

    Args:
        tested: What is tested.
        confidence: Coverage of the intervals over groups.
        seed: Of noise that is added.

    Returns:
        As ``transfer.json`` has them, ``matching``.
    """
    as_it_is = Variant(tested.table["score"].to_numpy(np.float64), dead_shares(tested, None, None))
    common: dict[str, Any] = {"done": "", "reason": None, "reached": None, "target": None}
    told: list[dict[str, Any]] = []
    variants: list[Variant | None] = []
    for name in MATCHED:
        row = {"matched": name} | common
        try:
            variant, more = _variant(tested, name, as_it_is, seed=seed)
        except InputError as error:
            told.append(row | {"reason": str(error)})
            variants.append(None)
            continue
        told.append(row | more)
        variants.append(variant)
    truth = share_errors(tested.curated, tested.table, as_it_is.shares)
    of_all, *of_each = gains(tested.table, as_it_is, variants, truth, confidence=confidence)
    first = {"matched": "nothing", **common, **(of_all or {})}
    return [first, *({**row, **(found or {})} for row, found in zip(told, of_each, strict=True))]


def _variant(tested: Tested, name: str, as_it_is: Variant, *, seed: int) -> tuple[Variant, dict[str, Any]]:
    """Scores with one thing matched, and what was done."""
    curated, own, target = tested.curated, tested.own, tested.target
    if name == DENSITY:
        like, (low, high), density = as_dense(curated, own, target)
        kept = tested.table["field"].isin(like).to_numpy()
        done = f"{len(like)} of {len(own.fields)} fields, {_short(low)} to {_short(high)}"
        told: dict[str, Any] = {"done": done, "density": DENSITY_OF[density]}
        return Variant(as_it_is.scores, as_it_is.shares, kept), told
    if name == EVERYTHING:
        fields, done = _everything(tested, seed=seed)
        reached = wanted = None
    else:
        matched = match(name, curated, own, target, seed=seed, after=())
        fields, done, reached, wanted = matched.fields, matched.in_words, matched.reached, matched.target
    told = {"done": done, "reached": reached, "target": wanted}
    if not any(change.changes for change in fields.changes):
        return as_it_is, told
    scores = scores_of(tested.predictor, fields, tested.table)
    return Variant(scores, dead_shares(tested, fields, scores)), told


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _everything(tested: Tested, *, seed: int) -> tuple[ChangedFields, str]:
    """All that can be matched, one after the other."""
    changes: list[Change] = []
    left_out = []
    for name in ORDER:
        try:
            found = match(name, tested.curated, tested.own, tested.target, seed=seed, after=changes)
        except InputError:
            left_out.append(name.replace("_", " "))
            continue
        changes = list(found.fields.changes)
    done = ", ".join(change.in_words() for change in changes if change.changes) or "nothing to change"
    without = f"; not {' and '.join(left_out)}" if left_out else ""
    return ChangedFields(tested.curated.store, changes, seed=seed), done + without


def scores_of(predictor: "Predictor", fields: ChangedFields, rows: pd.DataFrame) -> NDArray[np.float64]:
    """P(live) of patches on changed fields, shape ``(n,)``, in the order of the rows.

    A patch that is smaller or larger in pixels than before is looked at through one window about its middle, or
    through as many windows as cover it, whose mean it is given.

    Args:
        predictor: The model.
        fields: The fields.
        rows: ``field``, ``y`` and ``x`` of the patches in the fields as they were before.

    Raises:
        InputError: If a field is smaller than a patch.
    """
    size, temperature = predictor.checkpoint.input.patch_size, predictor.checkpoint.output.temperature
    scores = np.full(len(rows), np.nan)
    for field, part in rows.groupby("field"):
        number = int(str(field))
        height, width = fields.field(number).shape
        if min(height, width) < size:
            raise InputError(f"a field is {width} x {height} px then, and a patch {size} x {size}")
        places = part[["y", "x"]].fillna(0).to_numpy(np.float64)
        windows = [
            (patch, y, x)
            for patch, corner in enumerate(places)
            for y in _windows(corner[0], height, size=size, zoom=fields.zoom)
            for x in _windows(corner[1], width, size=size, zoom=fields.zoom)
        ]
        patches, y, x = np.array(windows, np.int64).T
        asked = pd.DataFrame({"field": np.full(len(y), number, np.int32), "y": y, "x": x})
        live = live_score(predictor.logits(fields, asked), temperature=temperature)
        found = np.bincount(patches, weights=live) / np.bincount(patches)
        scores[rows.index.get_indexer(part.index)] = found
    return scores


def _windows(corner: float, length: int, *, size: int, zoom: float) -> list[int]:
    """Where the windows begin, along an axis, by which a patch is seen.

    >>> _windows(100, 600, size=100, zoom=1.0), _windows(100, 300, size=100, zoom=0.5)
    ([100], [25])
    >>> _windows(100, 1200, size=100, zoom=2.0)
    [200, 300]
    """
    first, side = corner * zoom, size * zoom
    n = max(1, int(np.ceil(side / size - 1e-9)))
    starts = np.linspace(first, first + side - size, n) if n > 1 else np.array([first + (side - size) / 2])
    return sorted(set(np.clip(np.rint(starts), 0, length - size).astype(int).tolist()))


def dead_shares(tested: Tested, fields: ChangedFields | None, scores: NDArray[np.float64] | None) -> pd.Series:
    """Dead share of each field by the model, by the number of the field.

    Args:
        tested: What is tested.
        fields: Changed fields; None for the images as they are.
        scores: P(live) of the patches on these; likewise.
    """
    table, predictor = tested.table, tested.predictor
    if predictor.checkpoint.task == "stain":
        if fields is None:
            return table.groupby("field")["predicted_share"].first()
        numbers: Sequence[int] = np.unique(table["field"]).tolist()
        return predictor.shares(fields, list(numbers)).set_index("field")["predicted_share"]
    scored = table.assign(score=table["score"] if scores is None else scores)
    size = int(tested.curated.summary["patch_size"])
    shares = {}
    for field, part in scored.groupby("field"):
        number = int(str(field))
        height, width = tested.curated.store.field(number).shape
        y, x = (part[axis].fillna(0).to_numpy(np.int64) for axis in ("y", "x"))
        live = part["score"].to_numpy(np.float64)
        shares[number] = share_of_field(live, y, x, height=height, width=width, size=size)
    return pd.Series(shares, dtype=float)
