"""Train, validation and test by group: no group is in two splits (paper: "Classifiers training", Table 1)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from jimt.errors import InputError
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE, Split

_SPLITS = (Split.TRAIN, Split.VAL, Split.TEST)
# Random orders tried: on 19 groups of very unequal size the best of 32 no longer improves; many groups need no luck.
_N_STARTS_FEW, _N_STARTS_MANY, _MANY_GROUPS = 32, 4, 200


def split_groups(
    groups: NDArray[np.object_], labels: NDArray[np.int8], *, ratio: tuple[float, float, float], seed: int
) -> dict[str, Split]:
    """Assign whole groups to train, validation and test, near ``ratio`` in patches of each class.

    Groups are placed one by one, largest first among random orders, where they bring both classes nearest to the
    ratio; then single groups move while that improves it. The best of several starts is taken.

    Args:
        groups: Group of each patch, shape ``(n_patches,)``.
        labels: Live (1) or dead (0), shape ``(n_patches,)``.
        ratio: Patches wanted in train, validation and test, in any unit.
        seed: Seed of the orders; the same seed gives the same splits.

    Raises:
        InputError: If there are fewer groups than splits, one class only, or no assignment that leaves both classes in
            validation and in test.
    """
    for label in (LIVE, DEAD):
        if not (labels == label).any():
            raise InputError(
                f"no patch is {LABEL_NAMES[label]}, and one class alone cannot be learned or tested",
                advice=("add raw images of the other class, or check the cut-offs and the scale of curation.label"),
            )
    codes, names = pd.factorize(groups, sort=True)
    if len(names) < len(_SPLITS):
        raise InputError(
            f"{len(names)} group{'s' * (len(names) != 1)} cannot fill train, val and test",
            advice=("add raw images of other wells or experiments, or let dataset.pattern group more finely"),
        )
    counts = np.zeros((len(names), 2))
    np.add.at(counts, (codes, labels.astype(int)), 1)
    target = counts.sum(0) * (np.asarray(ratio) / sum(ratio))[:, None]  # (3 splits, 2 classes)
    scale = 1.0 / target
    rng = np.random.default_rng(seed)
    best_cost, best = np.inf, np.zeros(len(names), int)
    for _ in range(_N_STARTS_FEW if len(names) <= _MANY_GROUPS else _N_STARTS_MANY):
        assignment = _place(counts, target, scale, rng)
        cost = _cost(_totals(counts, assignment), target, scale)
        if cost < best_cost:
            best_cost, best = cost, assignment
    totals = _totals(counts, best)
    if (totals[1:] == 0).any() or (totals[0] == 0).any():
        both = int(((counts > 0).sum(1) == 2).sum())
        raise InputError(
            f"no split by group leaves live and dead patches in train, val and test ({len(names)} groups, of which "
            f"{both} hold both classes)",
            advice="add groups, or let dataset.pattern group more finely",
        )
    return {str(name): _SPLITS[i] for name, i in zip(names, best, strict=True)}


def _totals(counts: NDArray[np.float64], assignment: NDArray[np.int_]) -> NDArray[np.float64]:
    totals = np.zeros((len(_SPLITS), 2))
    np.add.at(totals, assignment, counts)
    return totals


def _cost(totals: NDArray[np.float64], target: NDArray[np.float64], scale: NDArray[np.float64]) -> float:
    # a split without one of the classes is worse than any imbalance of the others
    relative = (totals - target) * scale
    return float((relative**2).sum() + 1e6 * (totals == 0).sum())


def _place(
    counts: NDArray[np.float64], target: NDArray[np.float64], scale: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int_]:
    sizes = counts.sum(1)
    order = np.argsort(-sizes * rng.uniform(0.5, 1.5, len(sizes)))
    assignment = np.zeros(len(sizes), int)
    totals = np.zeros_like(target)
    for group in order:
        costs = []
        for split in range(len(_SPLITS)):
            placed = totals.copy()
            placed[split] += counts[group]
            costs.append((((placed - target) * scale) ** 2).sum())
        assignment[group] = int(np.argmin(costs))
        totals[assignment[group]] += counts[group]
    cost = _cost(totals, target, scale)
    improved = True
    while improved:
        improved = False
        for group in order:
            for split in range(len(_SPLITS)):
                moved = totals.copy()
                moved[assignment[group]] -= counts[group]
                moved[split] += counts[group]
                moved_cost = _cost(moved, target, scale)
                if moved_cost < cost - 1e-9:
                    totals, cost, improved = moved, moved_cost, True
                    assignment[group] = split
    return assignment


def group_folds(groups: NDArray[np.object_], *, n_folds: int) -> NDArray[np.int16]:
    """Fold of each patch by scikit-learn's ``GroupKFold``: whole groups, folds of near equal size, no randomness.

    Raises:
        InputError: If there are fewer groups than folds.
    """
    codes, names = pd.factorize(groups, sort=True)
    n_groups = len(names)
    if n_groups < n_folds:
        raise InputError(
            f"{n_groups} groups cannot fill {n_folds} folds",
            advice="add groups",
            remedies=_fewer_folds("curation.split.n_folds", n_groups),
        )
    folds = np.zeros(len(groups), np.int16)
    for fold, (_, test) in enumerate(GroupKFold(n_folds).split(codes, groups=codes)):
        folds[test] = fold
    return folds


def _fewer_folds(setting: str, n_groups: int) -> tuple[str, ...]:
    return (f"{setting}={n_groups}",) if n_groups > 1 else ()


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
            remedies=_fewer_folds("crossval.n_folds", n_groups),
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
    split = np.full(len(manifest), None, object)
    split[folds >= 0] = Split.TRAIN.value
    split[folds == fold.test] = Split.TEST.value
    if fold.val is not None:
        split[folds == fold.val] = Split.VAL.value
    labels = manifest["label"].to_numpy()
    for part in (Split.TRAIN, Split.VAL) if fold.val is not None else (Split.TRAIN,):
        for label in (LIVE, DEAD):
            if not ((split == part.value) & (labels == label)).any():
                raise InputError(
                    f"fold {fold.test} leaves no {LABEL_NAMES[label]} patch in {part.value}",
                    remedies=(
                        "crossval.n_folds=NUMBER",
                        *("crossval.validation=false",) * (fold.val is not None),
                    ),
                )
    dtype = pd.CategoricalDtype([part.value for part in Split])
    return manifest.assign(split=pd.Categorical(split, dtype=dtype))


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


def check_no_leak(manifest: pd.DataFrame) -> None:
    """Refuse a manifest in which a raw image or a group is in two splits or two folds, whoever wrote it.

    Raises:
        InputError: If one is; the message names the first.
    """
    for what in ("raw_image_id", "group"):
        for part in ("split", "fold"):
            n_parts = manifest.dropna(subset=[what, part]).groupby(what, observed=True)[part].nunique()
            leaks = n_parts[n_parts > 1]
            if len(leaks):
                name = leaks.index[0]
                found = sorted({str(value) for value in manifest.loc[manifest[what] == name, part].dropna()})
                raise InputError(
                    f"{len(leaks)} {what}{'s' * (len(leaks) > 1)} in two {part}s, for example {name} in "
                    f"{' and '.join(found)}, so test scores would be of patches that were trained on",
                    advice="curate again",
                    remedies=("curation.split.keep_folders=false",),
                )
