import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jimt.errors import InputError
from jimt.statistics.estimates import estimates
from jimt.statistics.metrics import METRICS, resampled_metrics
from jimt.statistics.resampling import group_numbers
from jimt.statistics.weighted_patches import ScoredPatches
from jimt.statistics.within import pair_counts

WITHIN = [name for name, metric in METRICS.items() if metric.within is not None]
SETTINGS = {"names": WITHIN, "confidence": 0.95, "seed": 0}


def experiments(seed: int = 0, n_groups: int = 12, per_group: int = 20):
    """Labels, scores with ties, groups of two raw images each: some of one class, and some nearly so."""
    rng = np.random.default_rng(seed)
    share = np.concatenate([[0, 1], rng.random(n_groups - 2)])
    groups = np.repeat([f"E{number:02}" for number in range(n_groups)], per_group).astype(object)
    images = groups + np.tile(np.repeat(["-1", "-2"], per_group // 2), n_groups).astype(object)
    labels = (rng.random(len(groups)) < np.repeat(share, per_group)).astype(np.int64)
    scores = np.round(1 / (1 + np.exp(-rng.normal(labels + np.repeat(4 * share, per_group), 1.5))), 2)
    order = rng.permutation(len(groups))
    return labels[order], scores[order], groups[order], images[order]


def share_of_pairs_won(labels, scores, strata, times=None):
    """By comparing every live patch with every dead one of its stratum."""
    won = n = 0.0
    for live in np.flatnonzero(labels == 1):
        for dead in np.flatnonzero((labels == 0) & (strata == strata[live])):
            count = 1 if times is None else times[strata[live]]
            won += count * ((scores[live] > scores[dead]) + (scores[live] == scores[dead]) / 2)
            n += count
    return won / n


def areas_of(labels, scores, groups):
    both = [name for name in np.unique(groups.astype(str)) if 0 < labels[groups == name].mean() < 1]
    return {name: roc_auc_score(labels[groups == name], scores[groups == name]) for name in both}


def values(labels, scores, groups, images):
    return {name: METRICS[name].value(labels, scores, groups, images) for name in WITHIN}


@pytest.mark.parametrize("seed", range(3))
def test_every_pair_of_one_group_counts_once_and_ties_one_half(seed):
    labels, scores, groups, images = experiments(seed)
    found = values(labels, scores, groups, images)
    assert found["auroc_within_groups"] == pytest.approx(share_of_pairs_won(labels, scores, groups))
    assert found["auroc_within_raw_images"] == pytest.approx(share_of_pairs_won(labels, scores, images))
    areas = areas_of(labels, scores, groups)
    assert len(areas) < len(set(groups))
    assert found["mean_auroc_of_groups"] == pytest.approx(np.mean(list(areas.values())))


def test_a_model_that_gives_each_group_a_constant_tells_no_cells_whatever_its_pooled_area():
    labels, _, groups, images = experiments()
    share = {name: labels[groups == name].mean() for name in set(groups)}
    scores = np.array([share[name] for name in groups])
    assert METRICS["auroc"].value(labels, scores) > 0.8
    assert set(values(labels, scores, groups, images).values()) == {0.5}


def test_a_change_of_each_group_that_keeps_its_order_changes_nothing():
    labels, scores, groups, images = experiments()
    rng = np.random.default_rng(1)
    changed = scores.copy()
    for name in set(groups):
        here = groups == name
        changed[here] = 1 / (1 + np.exp(-(rng.uniform(0.5, 2) * scores[here] + rng.normal(0, 3))))
    assert values(labels, changed, groups, images) == values(labels, scores, groups, images)
    assert METRICS["auroc"].value(labels, changed) != pytest.approx(METRICS["auroc"].value(labels, scores), abs=0.01)


def test_the_order_of_patches_the_names_of_groups_and_which_class_is_called_live_change_nothing():
    labels, scores, groups, images = experiments()
    order = np.random.default_rng(2).permutation(len(labels))
    names = {name: f"{number * 7 % 12}" for number, name in enumerate(sorted(set(groups)))}
    renamed = np.array([names[name] for name in groups], object)
    expected = values(labels, scores, groups, images)
    assert values(labels[order], scores[order], groups[order], images[order]) == pytest.approx(expected)
    assert values(labels, scores, renamed, images) == pytest.approx(expected)
    assert values(1 - labels, 1 - scores, groups, images) == pytest.approx(expected)


@pytest.mark.parametrize("name", WITHIN)
def test_a_group_that_is_resampled_twice_counts_as_two_groups(name):
    labels, scores, groups, images = experiments()
    numbers = group_numbers(groups)
    times = np.random.default_rng(3).integers(0, 3, (5, 12)).astype(float)
    patches = ScoredPatches(labels, scores, numbers, group_numbers(images))
    found = resampled_metrics(patches, [name], times)[name]
    for row, value in zip(times, found, strict=True):
        copies = [np.flatnonzero(numbers == group) for group in range(12) for _ in range(int(row[group]))]
        rows = np.concatenate(copies)
        copy = np.repeat(np.arange(len(copies)), [len(part) for part in copies]).astype(str)
        of_copy = np.char.add(copy, images[rows].astype(str)).astype(object)
        expected = METRICS[name].value(labels[rows], scores[rows], copy.astype(object), of_copy)
        assert value == pytest.approx(expected)


def test_counts_name_what_the_comparison_rests_on():
    labels, _, groups, images = experiments()
    pairs = {name: (labels[groups == name] == 1).sum() * (labels[groups == name] == 0).sum() for name in set(groups)}
    counts = pair_counts(labels, groups, images)
    assert counts["groups_of_both"] == sum(n > 0 for n in pairs.values())
    assert counts["pairs_within_groups"] == sum(pairs.values())
    assert counts["largest_share_of_pairs"] == pytest.approx(max(pairs.values()) / sum(pairs.values()))
    assert counts["raw_images_of_both"] == len(areas_of(labels, np.zeros(len(labels)), images))


def test_intervals_are_over_groups():
    labels, scores, groups, images = experiments(n_groups=30)
    for name, found in estimates(labels, scores, groups, images, **SETTINGS).items():
        low, high = found.interval_groups
        assert low < found.value < high, name
        assert found.note is None
        assert found.interval_patches is None


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (["E00", "E01"], "no group holds both classes"),
        (["E00", "E01", "E05"], "1 group with live and dead patches: too few for an interval"),
    ],
)
def test_what_cannot_be_compared_is_said(kept, reason):
    labels, scores, groups, images = experiments()
    labels[groups == "E05"] = np.arange(20) % 2
    here = np.isin(groups, kept)
    found = estimates(labels[here], scores[here], groups[here], images[here], **SETTINGS)["auroc_within_groups"]
    assert found.interval_groups is None
    assert found.note == reason
    assert np.isnan(found.value) == (len(kept) == 2)


def test_published_patches_without_groups_are_not_compared():
    labels, scores, _, _ = experiments()
    for found in estimates(labels, scores, None, None, **SETTINGS).values():
        assert np.isnan(found.value)
        assert found.note == "nothing tells which group a patch is of"


def test_a_score_that_is_no_number_wins_nothing_and_is_refused():
    labels, scores, groups, images = experiments()
    scores[3] = np.nan
    for name in METRICS:
        with pytest.raises(
            InputError, match="the scores of 1 of 240 patches are no numbers, so nothing can be measured"
        ):
            METRICS[name].value(labels, scores, groups, images)
