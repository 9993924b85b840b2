"""Train, validation and test by group: no group is in two splits (paper: "Classifiers training", Table 1)."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
