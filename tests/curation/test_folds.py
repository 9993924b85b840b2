import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold

from jimt.curation.folds import Fold, cross_validation_folds, folds_of, group_folds, split_by_fold
from jimt.errors import InputError
from jimt.vocabulary import DEAD, LIVE


def of_uneven_size(n_groups: int) -> np.ndarray:
    """The group of each of some patches, in random order."""
    rng = np.random.default_rng(0)
    names = np.array([f"g{number:02d}" for number in range(n_groups)], object)
    return rng.permutation(np.repeat(names, rng.integers(40, 89, n_groups)))


@pytest.mark.parametrize("n_folds", [2, 5, 19])
def test_folds_are_those_of_scikit_learn(n_folds):
    groups = of_uneven_size(19)
    expected = np.full(len(groups), -1)
    for fold, (_, test) in enumerate(GroupKFold(n_folds).split(np.zeros(len(groups)), groups=groups.astype(str))):
        expected[test] = fold
    folds = group_folds(groups, n_folds=n_folds)
    np.testing.assert_array_equal(folds, expected)
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups))
    assert set(folds) == set(range(n_folds))


def test_every_group_can_be_a_fold_however_many_there_are():
    groups = np.array([f"g{i}" for i in range(200)], object)
    assert len(set(group_folds(groups, n_folds=200).tolist())) == 200


def test_more_folds_than_groups_are_refused():
    groups = of_uneven_size(4)
    with pytest.raises(InputError) as caught:
        folds_of(pd.DataFrame({"group": groups, "split": "train"}), n_folds=5)
    assert str(caught.value) == "4 groups cannot fill 5 folds: add groups, or give crossval.n_folds=4"


@pytest.mark.parametrize(
    ("classes", "n_folds", "validation", "way_out"),
    [
        ("lldd", 4, True, "give crossval.validation=false"),
        ("llldddbb", 8, True, "give crossval.n_folds=5, or crossval.validation=false"),
        ("bb", 2, True, "give crossval.validation=false"),
        ("llld", 4, False, "add groups that hold dead patches"),  # one fold holds all the dead, however many there are
        ("llld", 4, True, "add groups that hold dead patches"),
    ],
)
def test_folds_that_leave_one_class_alone_name_what_does_not(classes, n_folds, validation, way_out):
    held = {"l": [LIVE], "d": [DEAD], "b": [LIVE, DEAD]}
    rows = [(f"g{number}", label) for number, letter in enumerate(classes) for label in held[letter]]
    table = pd.DataFrame(rows, columns=["group", "label"]).assign(split="train")

    def split_all(n_folds: int, *, validation: bool) -> None:
        for test in range(n_folds):
            split_by_fold(table, Fold(n_folds, test, (test + 1) % n_folds if validation else None))

    with pytest.raises(InputError) as caught:
        split_all(n_folds, validation=validation)
    assert str(caught.value).endswith(f": {way_out}")
    for remedy in caught.value.remedies:
        given = dict(word.removeprefix("crossval.").split("=") for word in remedy.split())
        split_all(int(given.get("n_folds", n_folds)), validation=validation and "validation" not in given)


# ---- one group left out


def table_of(classes: str) -> pd.DataFrame:
    """A manifest of groups that hold live patches (l), dead ones (d) or both (b), the later the more."""
    held = {"l": [LIVE], "d": [DEAD], "b": [LIVE, DEAD]}
    rows = [
        (f"g{number:02d}", label)
        for number, letter in enumerate(classes)
        for label in held[letter]
        for _ in range(1 + number % 4)
    ]
    return pd.DataFrame(rows, columns=["group", "label"]).assign(split="train")


def splits_of(table: pd.DataFrame, *, validation: bool) -> dict[str, dict[str, frozenset[str]]]:
    """Groups of each split, by the group that is left out."""
    found = {}
    for fold in cross_validation_folds(table, n_folds=None, validation=validation):
        split = split_by_fold(table, fold)
        assert split["split"].notna().all()
        parts = {part: frozenset(split.loc[split["split"] == part, "group"]) for part in ("train", "val", "test")}
        (out,) = parts["test"]
        assert out not in found
        assert sum(map(len, parts.values())) == table["group"].nunique()
        found[out] = parts
    return found


@pytest.mark.parametrize("validation", [False, True])
@pytest.mark.parametrize("classes", ["bbb", "llddbbld", "lllddd", "b" * 40])
def test_every_group_is_left_out_once_and_alone_and_both_classes_remain(classes, validation):
    table = table_of(classes)
    splits = splits_of(table, validation=validation)
    assert set(splits) == set(table["group"])
    for parts in splits.values():
        for part in ("train", "val") if validation else ("train",):
            assert set(table.loc[table["group"].isin(parts[part]), "label"]) == {LIVE, DEAD}
        assert len(parts["val"]) <= (2 if validation else 0)


@pytest.mark.parametrize("validation", [False, True])
def test_names_of_groups_change_no_fold(validation):
    table = table_of("llddbbldbdl")
    names = sorted(set(table["group"]))
    new = dict(zip(names, np.random.default_rng(0).permutation([f"x{n}" for n in range(len(names))]), strict=True))
    before = splits_of(table, validation=validation)
    after = splits_of(table.assign(group=table["group"].map(new)), validation=validation)
    assert after == {
        new[out]: {part: frozenset(new[group] for group in groups) for part, groups in parts.items()}
        for out, parts in before.items()
    }


def test_one_group_left_out_is_as_many_folds_as_groups():
    table = table_of("llddbbld")
    assert cross_validation_folds(table, n_folds=None, validation=False) == cross_validation_folds(
        table, n_folds=8, validation=False
    )


@pytest.mark.parametrize(
    ("classes", "validation", "told"),
    [
        ("lldddd", True, r"fold \d \(g0[01]\) leaves no live patch in val: give crossval.validation=false$"),
        ("ldddd", True, "leaves no live patch in (train|val): add groups that hold live patches$"),
        ("ldddd", False, r"\(g00\) leaves no live patch in train: add groups that hold live patches$"),
        ("b", False, "^1 group cannot fill 2 folds: add groups$"),
    ],
)
def test_a_class_that_too_few_groups_hold_is_told_with_what_mends_it(classes, validation, told):
    table = table_of(classes)
    with pytest.raises(InputError, match=told) as caught:
        splits_of(table, validation=validation)
    if caught.value.remedies:
        splits_of(table, validation=False)
