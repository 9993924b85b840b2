"""Error rates of the most certain patches, and shares that uncertain ones leave open, by arithmetic."""

import numpy as np
import pytest

from jimt.statistics.dead_share import share_of_field
from jimt.statistics.risk_coverage import COVERAGES, risk_coverage
from jimt.statistics.uncertainty import range_of_area, range_of_patches, uncertain

HOW = {"n_resamples": 200, "confidence": 0.95, "seed": 0}


def scored(n, seed=0):
    """Patches whose scores are the probabilities that they are live, of 15 groups."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(size=n)
    groups = np.array([f"G{number}" for number in rng.integers(0, 15, n)], object)
    return (rng.uniform(size=n) < scores).astype(np.int64), scores, groups


def test_errors_of_the_most_certain_patches_are_those_counted_one_by_one():
    labels, scores, groups = scored(400)
    found = risk_coverage(labels, scores, groups, **HOW)
    order = np.argsort(-np.abs(scores - 0.5))
    wrong = ((scores > 0.5) != (labels == 1))[order]
    for coverage, error in zip(COVERAGES, found.errors, strict=True):
        n = round(400 * coverage)
        assert error == pytest.approx(wrong[:n].mean())
    assert found.area == pytest.approx(found.errors.mean())
    assert ((found.band[0] <= found.errors) & (found.errors <= found.band[1])).mean() > 0.9
    assert found.area_interval[0] < found.area < found.area_interval[1]


def test_uncertain_patches_of_calibrated_scores_are_wrong_more_than_once_in_four():
    labels, scores, _ = scored(40_000)
    wrong = (scores > 0.5) != (labels == 1)
    unclear = uncertain(scores)
    assert wrong[unclear].mean() == pytest.approx(0.375, abs=0.01)  # mean of 0.25 to 0.5
    assert wrong[~unclear].mean() == pytest.approx(0.125, abs=0.01)


def test_scores_that_are_all_as_certain_have_the_same_error_at_any_coverage():
    labels, _, groups = scored(300)
    found = risk_coverage(labels, np.full(300, 0.9), groups, **HOW)
    assert found.errors == pytest.approx(np.full(50, (labels == 0).mean()))


def test_neither_renamed_classes_nor_the_order_of_patches_matter():
    labels, scores, groups = scored(300)
    found, order = risk_coverage(labels, scores, groups, **HOW), np.random.default_rng(1).permutation(300)
    for other in (
        risk_coverage(1 - labels, 1 - scores, groups, **HOW),
        risk_coverage(labels[order], scores[order], groups[order], **HOW),
    ):
        assert other.errors == pytest.approx(found.errors)
        assert other.band == pytest.approx(found.band)


def test_of_few_groups_or_uncertain_patches_alone_nothing_more_is_told():
    labels, scores, groups = scored(50)
    few = risk_coverage(labels, scores, np.full(50, "A", object), **HOW)
    assert (few.band, few.area_interval) == (None, None)
    assert risk_coverage(labels, np.full(50, 0.6), groups, **HOW).certain is None


def test_the_range_of_a_dead_share_holds_it():
    rng = np.random.default_rng(0)
    y, x = (axis.ravel() for axis in np.meshgrid([0, 4, 8], [0, 4, 8], indexing="ij"))
    for _ in range(20):
        scores = rng.uniform(size=9)
        how = {"height": 16, "width": 16, "size": 8}
        low, high = range_of_patches(scores, y, x, **how)
        assert low <= share_of_field(scores, y, x, **how) <= high
        dead, cells = rng.uniform(size=(2, 5, 7))
        low, high = range_of_area(dead, cells)
        assert low <= np.average(dead, weights=cells) <= high


def test_nothing_has_no_range():
    none = np.zeros(0, np.int64)
    assert range_of_patches(np.zeros(0), none, none, height=9, width=9, size=4) is None
    assert range_of_area(np.zeros((2, 2)), np.zeros((2, 2))) is None
