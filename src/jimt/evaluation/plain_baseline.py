"""A baseline beside every cross-validation: what mean, contrast and focus of a patch tell, without any network."""

import dataclasses
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.manifest import Curated
from jimt.curation.store import cut_patches, places_of
from jimt.statistics.baselines import against_baseline, held_out, logistic_scores, patch_features
from jimt.statistics.metrics import METRICS, grouped_patches, resampled_metrics
from jimt.statistics.weighted_patches import Floats, Weights

NAME: Final = "logistic regression on mean, SD and focus of the patch"
_COMPARED: Final = ("auroc", "auroc_within_groups")
_C: Final = 1.0  # inverse of the penalty; of three standardised features it hardly matters
_AT_ONCE: Final = 512  # patches in memory


def plain_baseline(scored: pd.DataFrame, curated: Curated, *, confidence: float) -> dict[str, Any]:
    """Compare out-of-fold scores with those of a logistic regression on plain features, trained on the same folds.

    Args:
        scored: Labelled patches with out-of-fold ``score`` and ``fold``, of several groups.
        curated: The data set they are of.
        confidence: Coverage of the intervals over groups.

    Returns:
        By metric the values of model and baseline, their difference and its interval over groups; ``notes`` say where
        the model does not beat the baseline.
    """
    rows = scored.merge(
        curated.manifest[["raw_image_id", "y", "x", "field"]], on=["raw_image_id", "y", "x"], how="left", validate="1:1"
    )
    places, size = places_of(rows), int(curated.summary["patch_size"])
    parts = [places[start : start + _AT_ONCE] for start in range(0, len(places), _AT_ONCE)]
    features = np.concatenate([patch_features(cut_patches(curated.store.field, part, size=size)) for part in parts])
    labels, groups = rows["label"].to_numpy(np.int64), rows["group"].to_numpy(object)

    def predict(train: NDArray[np.bool_], test: NDArray[np.bool_]) -> Floats:
        return logistic_scores(features[train], labels[train], features[test], c=_C)

    baseline = held_out(predict, rows["fold"].to_numpy(np.int64))
    scores = (rows["score"].to_numpy(float), baseline)
    patches = [grouped_patches(labels, each, groups, None) for each in scores]
    found = {}
    for name in _COMPARED:
        model, plain = (lambda weights, part=part, name=name: _metric(part, name, weights) for part in patches)
        found[name] = against_baseline(
            model,
            plain,
            groups,
            higher_is_better=True,
            bounds=METRICS[name].bounds,
            confidence=confidence,
            metric=METRICS[name].words,
            name=NAME,
        )
    return {
        "name": NAME,
        **{name: dataclasses.asdict(each) for name, each in found.items()},
        "notes": [each.sentence for each in found.values() if each.sentence],
    }


def _metric(patches: Any, name: str, weights: Weights) -> Floats:
    return resampled_metrics(patches, [name], weights)[name]
