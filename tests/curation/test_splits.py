import time

import numpy as np
import pandas as pd
import pytest

from jimt.curation.splits import check_no_leak, split_groups
from jimt.errors import InputError
from jimt.vocabulary import DEAD, LIVE, Split

RATIO = (10.0, 1.0, 1.0)


def patches(live: list[int], dead: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Groups and labels of patches: group ``i`` has ``live[i]`` live and ``dead[i]`` dead ones, shuffled."""
    groups = [f"g{i:04d}" for i, counts in enumerate(zip(live, dead, strict=True)) for _ in range(sum(counts))]
    labels = [label for n_live, n_dead in zip(live, dead, strict=True) for label in [LIVE] * n_live + [DEAD] * n_dead]
    order = np.random.default_rng(0).permutation(len(groups))
    return np.array(groups, object)[order], np.array(labels, np.int8)[order]


def mixed(n_groups: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Groups of about 64 patches, from nearly all live to nearly all dead, as the paper's raw images are."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(40, 89, n_groups)
    live = rng.binomial(sizes, rng.beta(0.7, 0.7, n_groups))
    return patches(live.tolist(), (sizes - live).tolist())


def shares(groups: np.ndarray, labels: np.ndarray, assignment: dict[str, Split], label: int) -> dict[Split, float]:
    of_label = np.array([assignment[group] for group in groups[labels == label]])
    return {split: float(np.mean(of_label == split)) for split in Split}


def test_as_many_groups_as_the_paper_has_split_10_to_1_to_1_in_each_class():
    groups, labels = mixed(339)
    assignment = split_groups(groups, labels, ratio=RATIO, seed=0)
    for label in (LIVE, DEAD):
        share = shares(groups, labels, assignment, label)
        assert share[Split.TRAIN] == pytest.approx(10 / 12, abs=0.01)
        assert share[Split.VAL] == pytest.approx(1 / 12, abs=0.01)
        assert share[Split.TEST] == pytest.approx(1 / 12, abs=0.01)


@pytest.mark.parametrize("ratio", [(6.0, 2.0, 2.0), (0.8, 0.1, 0.1), (1.0, 1.0, 2.0)])
def test_another_ratio_in_any_unit_is_met_as_well(ratio):
    groups, labels = mixed(60)
    assignment = split_groups(groups, labels, ratio=ratio, seed=0)
    for label in (LIVE, DEAD):
        share = shares(groups, labels, assignment, label)
        for split, part in zip(Split, ratio, strict=True):
            assert share[split] == pytest.approx(part / sum(ratio), abs=0.02)


def test_every_group_is_in_exactly_one_split():
    groups, labels = mixed(60)
    assignment = split_groups(groups, labels, ratio=RATIO, seed=0)
    assert set(assignment) == set(groups)
    assert set(assignment.values()) == set(Split)


@pytest.mark.parametrize("seed", range(5))
def test_19_awkward_experiments_leave_both_classes_in_each_split(seed):
    # as mcf7: 8 of 19 experiments hold one class, sizes from one field to a dozen
    live = [9, 0, 30, 0, 18, 40, 0, 7, 60, 0, 25, 12, 9, 33, 0, 20, 5, 14, 36]
    dead = [0, 9, 4, 27, 0, 11, 18, 2, 0, 45, 7, 60, 3, 9, 36, 20, 1, 6, 5]
    assert sum((a == 0) != (b == 0) for a, b in zip(live, dead, strict=True)) == 8
    groups, labels = patches(live, dead)
    assignment = split_groups(groups, labels, ratio=RATIO, seed=seed)
    for label in (LIVE, DEAD):
        assert all(share > 0 for share in shares(groups, labels, assignment, label).values())
        assert shares(groups, labels, assignment, label)[Split.TRAIN] > 0.6


def test_three_groups_that_hold_both_classes_are_enough():
    groups, labels = patches([5, 3, 9], [4, 8, 2])
    assert set(split_groups(groups, labels, ratio=RATIO, seed=0).values()) == set(Split)


def test_two_classes_in_separate_groups_are_brought_together():
    groups, labels = patches([10, 10, 10, 0, 0, 0], [0, 0, 0, 10, 10, 10])
    assignment = split_groups(groups, labels, ratio=RATIO, seed=0)
    for label in (LIVE, DEAD):
        assert list(shares(groups, labels, assignment, label).values()) == pytest.approx([1 / 3] * 3)


def test_a_seed_gives_one_split_and_another_seed_another():
    groups, labels = mixed(40)
    first = split_groups(groups, labels, ratio=RATIO, seed=0)
    np.random.seed(3)  # noqa: NPY002 - the global state is what must not matter
    assert split_groups(groups, labels, ratio=RATIO, seed=0) == first
    assert split_groups(groups, labels, ratio=RATIO, seed=1) != first


def test_the_order_of_the_patches_changes_no_split():
    groups, labels = mixed(40)
    order = np.random.default_rng(5).permutation(len(groups))
    first = split_groups(groups, labels, ratio=RATIO, seed=0)
    assert split_groups(groups[order], labels[order], ratio=RATIO, seed=0) == first


def test_a_thousand_groups_are_split_in_seconds():
    groups, labels = mixed(1000)
    start = time.process_time()  # not the wall: other processes share the cores
    split_groups(groups, labels, ratio=RATIO, seed=0)
    assert time.process_time() - start < 10  # 1 on an idle core; trying all pairs of groups would take minutes


@pytest.mark.parametrize(("absent", "word"), [(LIVE, "live"), (DEAD, "dead")])
def test_one_class_alone_is_refused(absent, word):
    groups, labels = mixed(20)
    kept = labels != absent
    with pytest.raises(InputError) as caught:
        split_groups(groups[kept], labels[kept], ratio=RATIO, seed=0)
    assert str(caught.value).startswith(f"no patch is {word}, and one class alone cannot be learned or tested: ")


@pytest.mark.parametrize(("n_groups", "words"), [(1, "1 group cannot"), (2, "2 groups cannot")])
def test_fewer_groups_than_splits_are_refused(n_groups, words):
    groups, labels = patches([20] * n_groups, [20] * n_groups)
    with pytest.raises(InputError) as caught:
        split_groups(groups, labels, ratio=RATIO, seed=0)
    assert str(caught.value) == (
        f"{words} fill train, val and test: add raw images of other wells or experiments, "
        "or let dataset.pattern group more finely"
    )


def test_groups_that_cannot_give_each_split_both_classes_are_refused():
    groups, labels = patches([10, 10, 10, 10, 3], [0, 0, 0, 0, 3])  # dead patches in one group only
    with pytest.raises(InputError) as caught:
        split_groups(groups, labels, ratio=RATIO, seed=0)
    assert str(caught.value) == (
        "no split by group leaves live and dead patches in train, val and test (5 groups, of which 1 hold both "
        "classes): add groups, or let dataset.pattern group more finely"
    )


# ---- leaks


def manifest(**changes: list[object]) -> pd.DataFrame:
    columns: dict[str, list[object]] = {
        "raw_image_id": ["a", "a", "b", "b", "c", "c"],
        "group": ["w1", "w1", "w1", "w1", "w2", "w2"],
        "split": ["train", None, "train", "train", "test", "test"],
    }
    return pd.DataFrame(columns | changes)


@pytest.mark.parametrize("as_category", [False, True])
def test_a_clean_manifest_passes(as_category):
    table = manifest()
    if as_category:  # as the parquet file is read
        table = table.astype({"raw_image_id": "category", "group": "category", "split": "category"})
    check_no_leak(table, advice="", remedies=())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"split": ["train", None, "val", "val", "test", "test"]},
            "1 group in two splits, for example w1 in train and val",
        ),
        (
            {"split": ["train", "test", "train", "train", "test", "test"], "group": [None] * 6},
            "1 raw_image_id in two splits, for example a in test and train",
        ),
        (
            {"group": ["w1", "w3", "w1", "w1", "w2", "w2"], "split": ["train", "val", "train", "train", "test", "val"]},
            "2 raw_image_ids in two splits, for example a in train and val",
        ),
    ],
    ids=["group", "raw image", "raw images"],
)
@pytest.mark.parametrize("as_category", [False, True])
def test_a_leak_is_refused_whoever_wrote_the_manifest(changes, sentence, as_category):
    table = manifest(**changes)
    if as_category:
        table = table.astype({"raw_image_id": "category", "group": "category", "split": "category"})
    with pytest.raises(InputError) as caught:
        check_no_leak(table, advice="curate again", remedies=("a=B",))
    told = ", so test scores would be of patches that were trained on: curate again, or give a=B"
    assert str(caught.value) == sentence + told


def test_patches_of_unknown_group_pass_and_unused_ones_do_not_count():
    check_no_leak(manifest(group=[None] * 6), advice="", remedies=())
    check_no_leak(manifest(split=[None] * 6), advice="", remedies=())
