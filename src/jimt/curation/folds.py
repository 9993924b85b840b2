"""Folds of a cross-validation: whole groups, or each group alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from jimt.errors import InputError
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE, Split

_MOST_DRAWS: Final = 1000


def group_folds(groups: NDArray[np.object_], *, n_folds: int) -> NDArray[np.int16]:
    """Fold of each patch by scikit-learn's ``GroupKFold``: whole groups, folds of near equal size, no randomness.

    >>> group_folds(np.array(["a", "a", "b", "c", "a"], object), n_folds=2)
    array([0, 0, 1, 1, 0], dtype=int16)

    Args:
        groups: Group of each patch, shape ``(n_patches,)``; at least as many groups as folds.
        n_folds: Number of folds.
    """
    codes, _ = pd.factorize(groups, sort=True)
    folds = np.zeros(len(groups), np.int16)
    for fold, (_, test) in enumerate(GroupKFold(n_folds).split(codes, groups=codes)):
        folds[test] = fold
    return folds


@dataclass(frozen=True)
class Fold:
    """One fold of a cross-validation over groups."""

    n_folds: int
    test: int
    """The fold that is held out, from 0."""
    val: int | tuple[int, ...] | None
    """The fold that chooses the checkpoint and fits the temperature, or several; None to train on all others."""
    outer_folds: int | None = None
    """Of a fold within what another one trains on: how many of these there are; None of a fold of all groups."""
    outer_test: int | None = None
    """The one that is held out there, and takes no part here."""
    trained_on: tuple[str, ...] | None = None
    """Groups that are trained on, of those that are neither held out nor validate; None for all."""


def cross_validation_folds(manifest: pd.DataFrame, *, n_folds: int | None, validation: bool) -> list[Fold]:
    """The folds of a cross-validation, each held out once.

    Args:
        manifest: Of the data set.
        n_folds: Number of folds, of which the next one validates; None for a fold of each group, where as many of the
            groups next in the manifest validate as both classes take.
        validation: Whether patches are kept for validation.

    Raises:
        InputError: As ``folds_of``, where each group is a fold.
    """
    if n_folds is not None:
        return [Fold(n_folds, test, (test + 1) % n_folds if validation else None) for test in range(n_folds)]
    n_folds = max(manifest.loc[manifest["split"].notna(), "group"].nunique(), 2)
    folds = folds_of(manifest, n_folds=n_folds)
    counts = _counts_of_folds(manifest, folds, n_folds=n_folds)
    order = pd.unique(folds[folds >= 0]).tolist()  # not that of names: another name changes no training
    return [Fold(n_folds, test, _validating(counts, order, test) if validation else None) for test in range(n_folds)]


def _validating(counts: NDArray[np.int64], order: list[int], test: int) -> tuple[int, ...]:
    """The folds next to one in ``order`` that bring a class so far absent to validation and leave both to train on."""
    found: list[int] = []
    val, train = np.zeros(2, np.int64), counts.sum(0) - counts[test]
    after = order.index(test) + 1
    for fold in order[after:] + order[: after - 1]:
        if (counts[fold] > 0)[val == 0].any() and (train > counts[fold]).all():
            found.append(fold)
            val, train = val + counts[fold], train - counts[fold]
    return tuple(found)


def folds_of(manifest: pd.DataFrame, *, n_folds: int) -> NDArray[np.int16]:
    """Fold of each patch of a manifest by ``group_folds`` over those that are used, -1 for the others.

    Raises:
        InputError: If groups are unknown, or fewer than folds.
    """
    used = manifest["split"].notna().to_numpy()
    groups = manifest.loc[used, "group"]
    if groups.isna().any():
        raise InputError(
            "nothing tells which raw image a patch was cut from, so no fold can be kept apart",
            remedies=("dataset.pattern=PATTERN",),
        )
    n_groups = groups.nunique()
    if n_groups < n_folds:
        raise InputError(
            f"{n_groups} group{'s' * (n_groups != 1)} cannot fill {n_folds} folds",
            advice="add groups",
            remedies=(f"crossval.n_folds={n_groups}",) if n_groups > 1 else (),
        )
    folds = np.full(len(manifest), -1, np.int16)
    folds[used] = group_folds(groups.to_numpy(object), n_folds=n_folds)
    return folds


def without_fold(manifest: pd.DataFrame, *, n_folds: int, test: int) -> pd.DataFrame:
    """A manifest in which nothing of one fold is used: what there is to choose by, before that fold is looked at."""
    held_out = folds_of(manifest, n_folds=n_folds) == test
    return manifest.assign(split=manifest["split"].where(~held_out))


def split_by_fold(manifest: pd.DataFrame, fold: Fold) -> pd.DataFrame:
    """A manifest whose split is that of one fold: the held-out fold is test, another val or none, the rest train.

    Raises:
        InputError: As ``folds_of`` and ``check_folds``.
    """
    if fold.outer_folds is not None and fold.outer_test is not None:
        manifest = without_fold(manifest, n_folds=fold.outer_folds, test=fold.outer_test)
    folds = folds_of(manifest, n_folds=fold.n_folds)
    check_folds(manifest, folds, [fold])
    split = np.full(len(manifest), None, object)
    split[folds >= 0] = Split.TRAIN.value
    split[folds == fold.test] = Split.TEST.value
    if fold.val is not None:
        split[np.isin(folds, fold.val)] = Split.VAL.value
    if fold.trained_on is not None:
        split[(split == Split.TRAIN.value) & ~manifest["group"].isin(fold.trained_on).to_numpy()] = None
    return manifest.assign(split=pd.Categorical(split, categories=[part.value for part in Split]))


def check_folds(manifest: pd.DataFrame, folds: NDArray[np.int16], asked: Sequence[Fold]) -> None:
    """Refuse folds that leave one class alone to train on, or to validate on.

    Args:
        manifest: Of the data set.
        folds: Fold of each patch, as ``folds_of`` gives it.
        asked: Those that are to be trained.

    Raises:
        InputError: If one does; it names settings under which none does.
    """
    counts = _counts_of_folds(manifest, folds, n_folds=asked[0].n_folds)
    for fold in asked:
        lacking = _lacking_class(counts, fold)
        if lacking is not None:
            label, part = lacking
            remedies = _workable_settings(manifest, fold)
            held = manifest.loc[folds == fold.test, "group"].unique()
            named = f" ({held[0]})" * (len(held) == 1)
            raise InputError(
                f"fold {fold.test}{named} leaves no {LABEL_NAMES[label]} patch in {part}",
                advice="" if remedies else f"add groups that hold {LABEL_NAMES[label]} patches",
                remedies=remedies,
            )


def workable_folds(manifest: pd.DataFrame, *, at_most: int, validation: bool) -> int | None:
    """The largest number of folds of whole groups each of which leaves both classes to train on; None of none.

    Args:
        manifest: Of the data set, its groups known.
        at_most: Folds wanted.
        validation: Whether another fold is kept for validation, which needs both classes too.
    """
    n_groups = manifest.loc[manifest["split"].notna(), "group"].nunique()
    for n_folds in range(min(at_most, n_groups), 2 if validation else 1, -1):
        if _are_workable(manifest, n_folds=n_folds, validation=validation):
            return n_folds
    return None


def _are_workable(manifest: pd.DataFrame, *, n_folds: int, validation: bool) -> bool:
    counts = _counts_of_folds(manifest, folds_of(manifest, n_folds=n_folds), n_folds=n_folds)
    folds = cross_validation_folds(manifest, n_folds=n_folds, validation=validation)
    return all(_lacking_class(counts, fold) is None for fold in folds)


def _workable_settings(manifest: pd.DataFrame, fold: Fold) -> tuple[str, ...]:
    """Settings under which every fold leaves both classes to train on, and to validate on where it does."""
    settings = []
    fewer = workable_folds(manifest, at_most=fold.n_folds - 1, validation=fold.val is not None)
    if fewer is not None:
        settings.append(f"crossval.n_folds={fewer}")
    if fold.val is not None:
        unvalidated = workable_folds(manifest, at_most=fold.n_folds, validation=False)
        if unvalidated == fold.n_folds:
            settings.append("crossval.validation=false")
        elif unvalidated is not None:
            settings.append(f"crossval.n_folds={unvalidated} crossval.validation=false")
    return tuple(settings)


def _counts_of_folds(manifest: pd.DataFrame, folds: NDArray[np.int16], *, n_folds: int) -> NDArray[np.int64]:
    """Patches of each fold and class, shape ``(n_folds, 2)``, dead ones first."""
    counts = np.zeros((n_folds, 2), np.int64)
    labels = manifest["label"].to_numpy()
    for label in (LIVE, DEAD):
        counts[:, label] = np.bincount(folds[(folds >= 0) & (labels == label)], minlength=n_folds)
    return counts


def _lacking_class(counts: NDArray[np.int64], fold: Fold) -> tuple[int, Split] | None:
    """A class that one fold leaves no patch of, and where; None where both are everywhere."""
    held = {Split.TRAIN: counts.sum(0) - counts[fold.test]}
    if fold.val is not None:
        held[Split.VAL] = counts[np.atleast_1d(fold.val)].sum(0)
        held[Split.TRAIN] = held[Split.TRAIN] - held[Split.VAL]
    for part, classes in held.items():
        for label in (LIVE, DEAD):
            if not classes[label]:
                return label, part
    return None


def draw_training_groups(manifest: pd.DataFrame, fold: Fold, *, n_groups: int, seed: int) -> Fold | None:
    """A fold that is trained on so many of its groups, drawn at random from the draws that hold both classes.

    Args:
        manifest: Of the data set.
        fold: The whole fold.
        n_groups: How many are trained on.
        seed: Of the draw.

    Returns:
        None where the fold has not more groups than that.

    Raises:
        InputError: If no draw holds both classes.
    """
    split = split_by_fold(manifest, fold)
    trained = split[split["split"] == Split.TRAIN.value]
    names = np.array(sorted(trained["group"].unique()), object)
    if n_groups >= len(names):
        return None
    holds = {label: np.isin(names, trained.loc[trained["label"] == label, "group"].unique()) for label in (LIVE, DEAD)}
    rng = np.random.default_rng([seed, fold.test, n_groups])
    for _ in range(_MOST_DRAWS):
        drawn = rng.choice(len(names), n_groups, replace=False)
        if all(holds[label][drawn].any() for label in (LIVE, DEAD)):
            return replace(fold, trained_on=tuple(sorted(names[drawn].tolist())))
    raise InputError(
        f"fold {fold.test} has hardly any {n_groups} groups that hold both classes",
        advice="train on more groups at once",
    )
