"""What simpler models reach on the same folds, beside every result: a score counts for what it adds to them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.table import Table

from jimt.curation.manifest import Curated
from jimt.curation.store import cut_patches, places_of
from jimt.errors import InputError
from jimt.statistics.baselines import AgainstBaseline, against_baseline, held_out, logistic_scores, patch_features
from jimt.statistics.metrics import METRICS, grouped_patches, resampled_metrics
from jimt.statistics.value_text import number_text, value_text
from jimt.statistics.weighted_patches import Floats, Weights
from jimt.system.screen import table_of
from jimt.vocabulary import AMBIGUOUS

if TYPE_CHECKING:
    from jimt.models.predictor import Predictor

PLAIN: Final = "logistic regression on mean, SD and focus of the patch"
CELLS: Final = "logistic regression on the number of counted cells in the patch"
FROZEN: Final = "logistic regression on the frozen network"
COMPARED: Final = ("auroc", "auroc_within_groups")
"""Metrics that baselines are held against."""
_C: Final = 1.0  # inverse of the penalty; of few standardised features it hardly matters
_C_FROZEN: Final = 1e-3  # of hundreds of features; as conf/probe/pooled.yaml
_AT_ONCE: Final = 512  # patches in memory


@dataclasses.dataclass(frozen=True)
class Features:
    """What a baseline is given of each patch.

    Attributes:
        name: Of the baseline, in words.
        values: Shape ``(n_patches, n_features)``.
        c: Inverse of the penalty of its logistic regression.
    """

    name: str
    values: Floats
    c: float


def used_rows(curated: Curated) -> NDArray[np.bool_]:
    """Which rows of the manifest are labelled and in no way left out: all that baselines learn from."""
    return curated.manifest["split"].notna().to_numpy()


def plain_features(curated: Curated) -> list[Features]:
    """Of the rows that are used: mean, contrast and focus, and the number of cells where they were counted in all."""
    rows = curated.manifest[used_rows(curated)]
    places, size = places_of(rows), int(curated.summary["patch_size"])
    parts = [places[start : start + _AT_ONCE] for start in range(0, len(places), _AT_ONCE)]
    plain = np.concatenate([patch_features(cut_patches(curated.store.field, part, size=size)) for part in parts])
    found = [Features(PLAIN, plain, _C)]
    if curated.summary["cells"] is not None and rows["n_cells"].notna().all():
        found.append(Features(CELLS, np.log1p(rows[["n_cells"]].to_numpy(float)), _C))
    return found


def frozen_features(predictor: "Predictor", curated: Curated) -> Features | str | None:
    """Pooled features of the model's backbone as it was before it was trained here, of the rows that are used.

    Args:
        predictor: The model.
        curated: The data set it was trained on.

    Returns:
        The features; a sentence where the weights cannot be had here; None where the model is this baseline itself, or
        started from random weights.
    """
    try:
        values = predictor.frozen_features(curated.store, curated.manifest[used_rows(curated)])
    except InputError as error:
        return f"{FROZEN} is not compared with: {error.cause}"
    return None if values is None else Features(FROZEN, values.astype(np.float64), _C_FROZEN)


def against_baselines(
    scored: pd.DataFrame,
    curated: Curated,
    folds: NDArray[np.integer],
    baselines: Sequence[Features],
    *,
    confidence: float,
) -> dict[str, Any]:
    """Compare scores of patches that were held out with those of simpler models, trained on all other patches.

    Args:
        scored: ``field``, ``y``, ``x``, ``label``, ``group`` and ``score`` of patches; those between the thresholds
            take no part.
        curated: The data set they are of, its groups known.
        folds: Fold of each row of the manifest, shape ``(n_rows,)``; each baseline is trained anew for every fold that
            holds a scored patch, on the used patches of all other folds.
        baselines: What each is given of the rows that are used.
        confidence: Coverage of the intervals over groups.

    Returns:
        ``models``: of each baseline its ``name`` and by metric the values of model and baseline, their difference and
        its interval over groups; ``notes``: sentences on those that the model does not beat.
    """
    used = used_rows(curated)
    rows, folds = curated.manifest[used], folds[used]
    places = _keys(rows)
    scored = scored[scored["label"] != AMBIGUOUS]
    where = places.get_indexer(_keys(scored))
    labels, groups = scored["label"].to_numpy(np.int64), scored["group"].to_numpy(object)
    all_labels = rows["label"].to_numpy(np.int64)
    model = grouped_patches(labels, scored["score"].to_numpy(float), groups, None)
    found: dict[str, dict[str, AgainstBaseline]] = {}
    for baseline in baselines:

        def predict(train: NDArray[np.bool_], test: NDArray[np.bool_], baseline: Features = baseline) -> Floats:
            return logistic_scores(baseline.values[train], all_labels[train], baseline.values[test], c=baseline.c)

        scores = held_out(predict, folds, only=np.unique(folds[where]))
        simple = grouped_patches(labels, scores[where], groups, None)
        found[baseline.name] = {}
        for metric in COMPARED:
            of_model, of_baseline = (
                lambda weights, part=part, metric=metric: _metric(part, metric, weights) for part in (model, simple)
            )
            found[baseline.name][metric] = against_baseline(
                of_model,
                of_baseline,
                groups,
                higher_is_better=True,
                bounds=METRICS[metric].bounds,
                confidence=confidence,
                metric=METRICS[metric].words,
                name=baseline.name,
            )
    return {
        "models": [
            {"name": name, **{metric: dataclasses.asdict(each) for metric, each in by_metric.items()}}
            for name, by_metric in found.items()
        ],
        "notes": _notes(found),
    }


def _keys(rows: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays(list(places_of(rows).T))


def _metric(patches: Any, name: str, weights: Weights) -> Floats:
    return resampled_metrics(patches, [name], weights)[name]


def _notes(found: Mapping[str, Mapping[str, AgainstBaseline]]) -> list[str]:
    """A sentence for each baseline that is not beaten, and one for all where nothing can be told."""
    notes: list[str] = []
    untold: dict[tuple[str, str], list[str]] = {}
    for by_metric in found.values():
        notes += [each.sentence for each in by_metric.values() if each.beats is False]
    for metric in COMPARED:
        whys: dict[str, list[str]] = {}
        for name, by_metric in found.items():
            if by_metric[metric].beats is None:
                whys.setdefault(by_metric[metric].why, []).append(name)
        for why, names in whys.items():
            untold.setdefault((_one_of(names), why), []).append(METRICS[metric].words)
    notes += [
        f"{_one_of(metrics)} cannot tell whether the model beats {names}: {why}"
        for (names, why), metrics in untold.items()
    ]
    return notes


def _one_of(names: Sequence[str]) -> str:
    """Names as a sentence has them.

    >>> _one_of(["AUROC"]), _one_of(["AUROC", "kappa"]), _one_of(["AUROC", "kappa", "F1"])
    ('AUROC', 'AUROC or kappa', 'AUROC, kappa or F1')
    """
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def baseline_rows(models: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table of the baselines.

    Args:
        models: As ``against_baselines`` gives them.
    """
    header = ["baseline", *(word for name in COMPARED for word in (METRICS[name].words, "model less baseline"))]
    rows = []
    for model in models:
        cells = [model["name"]]
        for metric in COMPARED:
            values = model[metric]
            difference = value_text(values["difference"], values["interval_groups"], signed=True)
            cells += [number_text(values["baseline"]), difference]
        rows.append(cells)
    return header, rows


def baselines_table(models: Sequence[Mapping[str, Any]]) -> Table:
    """The baselines, to be printed."""
    header, rows = baseline_rows(models)
    return table_of("Simpler models, trained and tested on the same patches", header, rows, n_left=1)
