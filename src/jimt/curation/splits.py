"""Train, validation and test by group: no group is in two splits (paper: "Classifiers training", Table 1)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from jimt.curation.balancing import balanced_assignment
from jimt.errors import InputError
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE, Split

_SPLITS = (Split.TRAIN, Split.VAL, Split.TEST)


def split_groups(
    groups: NDArray[np.object_], labels: NDArray[np.int8], *, ratio: tuple[float, float, float], seed: int
) -> dict[str, Split]:
    """Assign whole groups to train, validation and test, near ``ratio`` in patches of each class.

    >>> groups, labels = np.array([*"aabbccdd"], object), np.array([1, 0] * 4, np.int8)
    >>> splits = split_groups(groups, labels, ratio=(2, 1, 1), seed=0)
    >>> sorted(str(split) for split in splits.values())
    ['test', 'train', 'train', 'val']

    Args:
        groups: Group of each patch, shape ``(n_patches,)``.
        labels: Live (1) or dead (0), shape ``(n_patches,)``.
        ratio: Patches wanted in train, validation and test, in any unit.
        seed: Of ``balanced_assignment``; the same seed gives the same splits.

    Raises:
        InputError: If there are fewer groups than splits, one class only, or no assignment that leaves both classes in
            validation and in test.
    """
    for label in (LIVE, DEAD):
        if not (labels == label).any():
            raise InputError(
                f"no patch is {LABEL_NAMES[label]}, and one class alone cannot be learned or tested",
                advice=("add raw images of the other class, or check the thresholds and the scale of curation.label"),
            )
    codes, names = pd.factorize(groups, sort=True)
    if len(names) < len(_SPLITS):
        raise InputError(
            f"{len(names)} group{'s' * (len(names) != 1)} cannot fill train, val and test",
            advice=("add raw images of other wells or experiments, or let dataset.pattern group more finely"),
        )
    counts = np.zeros((len(names), 2))
    np.add.at(counts, (codes, labels.astype(int)), 1)
    assignment = balanced_assignment(counts, ratio, seed=seed)
    if any((counts[assignment == split].sum(0) == 0).any() for split in range(len(_SPLITS))):
        both = int(((counts > 0).sum(1) == 2).sum())
        raise InputError(
            f"no split by group leaves live and dead patches in train, val and test ({len(names)} groups, of which "
            f"{both} hold both classes)",
            advice="add groups, or let dataset.pattern group more finely",
        )
    return {str(name): _SPLITS[i] for name, i in zip(names, assignment, strict=True)}


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
    val: int | None
    """The fold that chooses the checkpoint and fits the temperature; None to train on all others."""


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
            f"{n_groups} groups cannot fill {n_folds} folds",
            advice="add groups",
            remedies=(f"crossval.n_folds={n_groups}",) if n_groups > 1 else (),
        )
    folds = np.full(len(manifest), -1, np.int16)
    folds[used] = group_folds(groups.to_numpy(object), n_folds=n_folds)
    return folds


def split_by_fold(manifest: pd.DataFrame, fold: Fold) -> pd.DataFrame:
    """A manifest whose split is that of one fold: the held-out fold is test, another val or none, the rest train.

    Raises:
        InputError: As ``folds_of``, or if the rest or the validation fold lacks a class.
    """
    folds = folds_of(manifest, n_folds=fold.n_folds)
    lacking = _lacking_class(_counts_of_folds(manifest, folds, n_folds=fold.n_folds), fold)
    if lacking is not None:
        label, part = lacking
        remedies = _workable_settings(manifest, fold)
        raise InputError(
            f"fold {fold.test} leaves no {LABEL_NAMES[label]} patch in {part}",
            advice="" if remedies else f"add groups that hold {LABEL_NAMES[label]} patches",
            remedies=remedies,
        )
    split = np.full(len(manifest), None, object)
    split[folds >= 0] = Split.TRAIN.value
    split[folds == fold.test] = Split.TEST.value
    if fold.val is not None:
        split[folds == fold.val] = Split.VAL.value
    return manifest.assign(split=pd.Categorical(split, categories=[part.value for part in Split]))


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
    folds = [Fold(n_folds, test, (test + 1) % n_folds if validation else None) for test in range(n_folds)]
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
        held[Split.TRAIN] = held[Split.TRAIN] - counts[fold.val]
        held[Split.VAL] = counts[fold.val]
    for part, classes in held.items():
        for label in (LIVE, DEAD):
            if not classes[label]:
                return label, part
    return None


def check_both_classes(manifest: pd.DataFrame) -> None:
    """Refuse published splits of which one lacks a class.

    Raises:
        InputError: If one does.
    """
    for split in _SPLITS:
        for label in (LIVE, DEAD):
            if not ((manifest["split"] == split.value) & (manifest["label"] == label)).any():
                raise InputError(
                    f"the folder {split.value} holds no {LABEL_NAMES[label]} patch, so nothing can be "
                    "learned from it or tested on it",
                    advice="add some",
                    remedies=("curation.split.keep_folders=false",),
                )


def check_no_leak(manifest: pd.DataFrame, *, advice: str, remedies: tuple[str, ...]) -> None:
    """Refuse a manifest in which a raw image or a group is in two splits, whoever wrote it.

    Args:
        manifest: Of a data set.
        advice: What mends it where this manifest came from.
        remedies: Likewise, what to type.

    Raises:
        InputError: If one is; the message names the first.
    """
    for what in ("raw_image_id", "group"):
        n_splits = manifest.dropna(subset=[what, "split"]).groupby(what, observed=True)["split"].nunique()
        leaks = n_splits[n_splits > 1]
        if len(leaks):
            name = leaks.index[0]
            found = sorted({str(value) for value in manifest.loc[manifest[what] == name, "split"].dropna()})
            raise InputError(
                f"{len(leaks)} {what}{'s' * (len(leaks) > 1)} in two splits, for example {name} in "
                f"{' and '.join(found)}, so test scores would be of patches that were trained on",
                advice=advice,
                remedies=remedies,
            )
