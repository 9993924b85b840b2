"""How far predicted maps agree with what they predict, field by field: stain, nuclei, dead share (``task=stain``)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.manifest import Curated
from jimt.data.stain_targets import StainTargets, TargetSettings
from jimt.statistics.image_agreement import mean_similarity, pixel_correlation
from jimt.statistics.intervals import interval_over_groups
from jimt.statistics.nuclei_matching import Detection, detection, pooled
from jimt.statistics.resampling import jackknife
from jimt.statistics.share_agreement import share_agreement
from jimt.statistics.value_text import number_text, value_text
from jimt.statistics.weighted_patches import Floats

if TYPE_CHECKING:
    from jimt.models.predictor import Predictor

RADIUS: Final = 15.0
"""Pixels between the centres of a predicted nucleus and of the true one that it may be assigned to."""
_RANGE: Final = float(np.log(20))  # of log(PI / background), from background to the brightest nuclei: what SSIM is of
_WINDOW: Final = 7  # places, 28 pixels: a nucleus
_COUNTS: Final = ("predicted", "true", "matched")


def map_agreement(predictor: "Predictor", curated: Curated, fields: Sequence[int]) -> pd.DataFrame:
    """Agreement of the maps of some fields, which the model was not trained on.

    Args:
        predictor: Of ``task=stain``.
        curated: The data set, with fluorescence.
        fields: Numbers in its store.

    Returns:
        A row for each: ``field``, ``raw_image_id``, ``group``; ``correlation`` (Pearson) and ``similarity`` (SSIM) of
        predicted and true log(PI / background), or of positive pixels where the stain itself is not predicted, NaN
        where there is nothing to compare;
        ``share_of`` and ``predicted_share``; where nuclei are predicted ``predicted_nuclei`` and
        ``predicted_dead_nuclei``, and where they are known besides ``true_...`` and ``matched_...`` of both, NaN in
        fields without a known nucleus.
    """
    settings = predictor.checkpoint.record.settings
    outputs = predictor.checkpoint.network.outputs
    shown = next((name for name in ("log_pi", "positive") if name in outputs), None)
    targets = None
    if shown is not None:
        targets = StainTargets(curated, TargetSettings((shown,), None, 1.0, float(settings["stain.smoothing"])))
    known = curated.cells() if settings["stain.nuclei_of"] != "nuclei" else curated.nuclei()
    names = curated.manifest.drop_duplicates("field").set_index("field")
    rows = []
    for field in fields:
        maps = predictor.maps(curated.store, field)
        (share,) = predictor.shares(curated.store, [field]).to_dict("records")
        row: dict[str, Any] = {
            "field": field,
            **{name: names.loc[field, name] for name in ("raw_image_id", "group")},
            **{name: share[name] for name in ("share_of", "predicted_share")},
        }
        if targets is not None and shown is not None:
            # a field without a background has no multiples of it: a training refuses it, a test leaves it out
            lacking = shown == "log_pi" and not curated.store.background(field) > 0
            (true,) = [np.full(maps[shown].shape, np.nan)] if lacking else targets.compute(field)
            valid, whole = np.isfinite(true), _RANGE if shown == "log_pi" else 1.0
            row["correlation"] = pixel_correlation(maps[shown], true, valid)
            row["similarity"] = mean_similarity(maps[shown], true, valid, data_range=whole, window=_WINDOW)
        if "dead" in maps:
            row |= _nuclei(predictor.nuclei(curated.store, field), known, field)
        rows.append(row)
    return pd.DataFrame(rows)


def _nuclei(predicted: pd.DataFrame, known: pd.DataFrame | None, field: int) -> dict[str, float]:
    here = None if known is None else known[known["field"] == field]
    found: dict[str, float] = {}
    for kind in ("nuclei", "dead_nuclei"):
        tables = [table for table in (predicted, here) if table is not None]
        of_kind = [table if kind == "nuclei" else table[table["dead"]] for table in tables]
        found[f"predicted_{kind}"] = len(of_kind[0])
        if here is not None:
            counts = (np.nan, np.nan)
            if len(here):
                matched = detection(*(table[["y", "x"]].to_numpy(float) for table in of_kind), radius=RADIUS)
                counts = (matched.n_true, matched.n_matched)
            found[f"true_{kind}"], found[f"matched_{kind}"] = counts
    return found


def map_metrics(table: pd.DataFrame, *, confidence: float) -> dict[str, Any]:
    """What ``test_metrics.json`` and ``crossval.json`` say of maps, under ``maps``.

    Args:
        table: As ``map_agreement`` gives it, of one model or of several.
        confidence: Coverage of the intervals over groups.

    Returns:
        ``fields`` and ``groups``, how many; ``correlation`` and ``similarity``, each the mean over groups of the mean
        over their fields, with its interval; ``nuclei`` and ``dead_nuclei``, where they are predicted and known, with
        ``precision``, ``recall``, ``f1``, the counts that these are of, and ``spearman`` of predicted and true numbers
        of a field.
    """
    groups = table["group"].fillna(table["raw_image_id"]).to_numpy(object)
    result: dict[str, Any] = {"fields": len(table), "groups": len(set(groups.tolist()))}
    for name in ("correlation", "similarity"):
        if name in table:
            result[name] = _mean_over_groups(table[name].to_numpy(float), groups, confidence=confidence)
    for kind in ("nuclei", "dead_nuclei"):
        if f"true_{kind}" not in table:
            continue
        counted = table[table[f"true_{kind}"].notna()]
        predicted, true, matched = (counted[f"{what}_{kind}"].to_numpy(np.float64) for what in _COUNTS)
        of_all = pooled(Detection(*map(int, counts)) for counts in zip(predicted, true, matched, strict=True))
        numbers = share_agreement(predicted, true, groups[counted.index.to_numpy()], confidence=confidence)
        spearman = numbers.measures["spearman"]
        result[kind] = {
            **{name: _or_none(getattr(of_all, name)) for name in ("precision", "recall", "f1")},
            "predicted": of_all.n_predicted,
            "true": of_all.n_true,
            "matched": of_all.n_matched,
            "spearman": {"value": spearman.value, "interval_groups": spearman.interval_groups},
        }
    return result


def _mean_over_groups(values: Floats, groups: NDArray[np.object_], *, confidence: float) -> dict[str, Any]:
    means = pd.Series(values).groupby(groups).mean().dropna()
    of_groups = means.to_numpy(float)
    found = jackknife(lambda weights: {"mean": weights @ of_groups / weights.sum(axis=1)}, means.index.to_numpy(object))
    interval = None if found is None else interval_over_groups(found["mean"], confidence=confidence, bounds=(-1, 1))
    return {"value": float(of_groups.mean()) if len(means) else None, "interval_groups": interval}


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


def maps_in_words(metrics: dict[str, Any]) -> list[str]:
    """The agreement in lines for the terminal."""
    lines = []
    told = [
        f"{words} {value_text(metrics[name]['value'], metrics[name]['interval_groups'])}"
        for name, words in (("correlation", "pixel correlation"), ("similarity", "SSIM"))
        if name in metrics and metrics[name]["value"] is not None
    ]
    if told:
        n = metrics["groups"]
        lines.append(f"predicted stain against the true one, mean over {n} group{'s' * (n != 1)}: {', '.join(told)}")
    for kind, words in (("nuclei", "nuclei"), ("dead_nuclei", "dead nuclei")):
        if kind in metrics:
            of = metrics[kind]
            values = ", ".join(f"{name} {number_text(of[name])}" for name in ("precision", "recall", "f1"))
            counts = value_text(of["spearman"]["value"], of["spearman"]["interval_groups"])
            lines.append(
                f"{words} within {RADIUS:g} px of a known one: {values} ({of['predicted']:,} predicted, {of['true']:,} "
                f"known); number in a field, Spearman's rho {counts}"
            )
    return lines
