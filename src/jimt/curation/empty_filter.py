"""A support vector machine that drops patches without cells (paper: "Empty patches", Fig. 2b).

Features come from an ImageNet network that was never fine-tuned; they reach this file as arrays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from jimt.errors import InputError

Embed = Callable[[Callable[[int], NDArray[np.uint8]], NDArray[np.int64]], NDArray[np.float32]]
"""What gives a field in 8 bits by its number, and patches as ``store.places_of`` gives them, to features of shape
``(n, n_features)``."""


@dataclass(frozen=True)
class EmptyFilterReport:
    """How well the filter finds empty patches, measured on groups or raw images it was not trained on."""

    n_labelled: int
    n_empty: int
    n_folds: int
    """0 where the rarer class comes from fewer than two of them, so that nothing could be measured."""
    folds_by: str
    """What the folds keep together: ``group``, or ``raw image`` where groups are not known."""
    precision: float | None
    recall: float | None
    f1: float | None


def fit_empty_filter(
    features: NDArray[np.float32],
    empty: NDArray[np.bool_],
    raw_image_ids: NDArray[np.str_],
    groups: NDArray[np.str_] | None,
    *,
    kernel: str,
    regularisation: float,
    n_folds: int,
    seed: int,
) -> tuple[Pipeline, EmptyFilterReport, NDArray[np.float32]]:
    """Train the filter on hand-labelled patches and cross-validate it by group.

    Fields of one group, such as an experiment, look alike: by raw image the filter would be tested on what it knows.

    Args:
        features: Features of the labelled patches, shape ``(n_labelled, n_features)``.
        empty: Hand labels, shape ``(n_labelled,)``.
        raw_image_ids: Raw image of each, shape ``(n_labelled,)``; its patches stay in one fold.
        groups: Group of each, likewise; None where groups are not known.
        kernel: Kernel of the support vector machine, ``linear`` or ``rbf``.
        regularisation: C of the support vector machine.
        n_folds: Folds; fewer where the rarer class comes from fewer groups.
        seed: Seed of the folds.

    Returns:
        The filter, how well it does, and the decision value of each labelled patch by a filter that was not trained on
        its group, above 0 for empty; NaN where nothing could be cross-validated.

    Raises:
        InputError: If the labels hold one class only.
    """
    if empty.all() or not empty.any():
        raise InputError(
            f"all {len(empty)} hand labels are of patches {'without' if empty.all() else 'with'} cells",
            advice="label both kinds",
            remedies=("curation.empty_filter.enabled=false",),
        )
    # class-weighted: the hand labels of a data set can be 15 to 1
    pipeline = make_pipeline(StandardScaler(), SVC(C=regularisation, kernel=kernel, class_weight="balanced"))
    units = (raw_image_ids if groups is None else groups).astype(str)
    folds = _folds(empty, units, n_folds=n_folds, seed=seed)
    precision = recall = f1 = None
    held_out = np.full(len(empty), np.nan, np.float32)
    if folds:
        held_out = np.asarray(
            cross_val_predict(pipeline, features, empty, cv=folds, method="decision_function"), np.float32
        )
        scores = precision_recall_fscore_support(empty, held_out > 0, average="binary", zero_division=0.0)
        precision, recall, f1 = (float(score) for score in scores[:3])
    folds_by = "raw image" if groups is None else "group"
    report = EmptyFilterReport(len(empty), int(empty.sum()), len(folds), folds_by, precision, recall, f1)
    return pipeline.fit(features, empty), report, held_out


def _folds(
    empty: NDArray[np.bool_], units: NDArray[np.str_], *, n_folds: int, seed: int
) -> list[tuple[NDArray[np.int_], NDArray[np.int_]]]:
    """Folds of whole units: at most as many as hold the rarer class, none that would be trained on one class alone."""
    for number in range(min(n_folds, len(set(units[empty])), len(set(units[~empty]))), 1, -1):
        splitter = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
        folds = list(splitter.split(units, empty, groups=units))
        if all(0 < empty[train].sum() < len(train) for train, _ in folds):
            return folds
    return []


def empty_scores(pipeline: Pipeline, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Signed distance to the decision surface, shape ``(n_patches,)``; above 0 the patch is empty."""
    return np.asarray(pipeline.decision_function(features), np.float32)


def save_empty_filter(pipeline: Pipeline, path: Path) -> None:
    """Save without pickle, so that loading it executes nothing."""
    import skops.io  # late: it imports torch, seconds and memory that curation without the filter does not need

    skops.io.dump(pipeline, path)
