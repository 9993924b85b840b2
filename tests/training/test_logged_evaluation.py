"""The sample of test patches that loggers show."""

import numpy as np

from jimt.training.loggers.lightning_loggers import sample_patches


def test_a_sample_shows_both_errors_and_both_classes_evenly():
    rng = np.random.default_rng(0)
    labels = (np.arange(4000) % 2).astype(np.int64)
    scores = np.where(rng.uniform(size=4000) < 0.05, 1 - labels, labels).astype(np.float64)
    rows = sample_patches(labels, scores, n=64, seed=5)
    wrong = scores[rows] != labels[rows]
    assert len(set(rows)) == 64
    assert {(w, label): int(((wrong == w) & (labels[rows] == label)).sum()) for w in (0, 1) for label in (0, 1)} == {
        (w, label): 16 for w in (0, 1) for label in (0, 1)
    }
    assert list(wrong) == sorted(wrong, reverse=True)
    np.testing.assert_array_equal(rows, sample_patches(labels, scores, n=64, seed=5))
    assert set(rows) != set(sample_patches(labels, scores, n=64, seed=6))


def test_a_sample_of_a_faultless_or_small_test_split_is_filled_with_what_there_is():
    labels = np.array([0, 0, 0, 0, 0, 1], np.int64)
    assert sorted(sample_patches(labels, labels.astype(float), n=64, seed=0)) == list(range(6))
    assert len(sample_patches(labels, labels.astype(float), n=4, seed=0)) == 4
    assert 5 in sample_patches(labels, labels.astype(float), n=4, seed=0)
    assert len(sample_patches(labels, labels.astype(float), n=0, seed=0)) == 0
