import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr
from scipy.stats import t as student

from jimt.statistics.correlation import correlation_in_words, rank_agreement, score_fluorescence_correlation

SETTINGS = {"confidence": 0.95}


def scored_images(n_images: int = 30, per_image: int = 20, *, shared: float = 0.5, seed: int = 0):
    """Scores that fall with fluorescence; a share of either's spread belongs to the raw image."""
    rng = np.random.default_rng(seed)
    images = np.repeat([f"W{number:02}" for number in range(n_images)], per_image).astype(object)

    def spread() -> np.ndarray:
        of_image = np.repeat(rng.normal(size=n_images), per_image)
        return np.sqrt(shared) * of_image + np.sqrt(1 - shared) * rng.normal(size=len(images))

    dead = spread()
    return 1 / (1 + np.exp(dead + spread())), 300 + 100 * dead, images


def test_correlations_are_scipy_s_over_patches_and_over_means_of_raw_images():
    scores, fluorescence, images = scored_images()
    found = score_fluorescence_correlation(scores, fluorescence, images, images, **SETTINGS)
    r, p = pearsonr(scores, fluorescence)
    assert (found.patches.r, found.patches.p, found.patches.n) == (pytest.approx(r), pytest.approx(p), 600)
    means = pd.DataFrame({"image": images, "score": scores, "fluorescence": fluorescence}).groupby("image").mean()
    r, p = pearsonr(means["score"], means["fluorescence"])
    assert (found.raw_images.r, found.raw_images.p, found.raw_images.n) == (pytest.approx(r), pytest.approx(p), 30)
    assert found.patches.r < 0
    assert found.raw_images.interval_groups is None


def test_the_paper_s_p_belongs_to_no_number_of_values_and_least_to_its_1872_patches():
    for n, p in ((9, 0.0339), (10, 0.0228), (1872, 0.0)):
        of_t = 2 * student.sf(0.705 * np.sqrt((n - 2) / (1 - 0.705**2)), n - 2)
        assert of_t == pytest.approx(p, abs=5e-5)
        assert f"{of_t:.3f}" != "0.024"
        x = np.linspace(-1, 1, n)
        other = x**2 - np.mean(x**2)  # uncorrelated with x
        x, other = x / x.std(), other / other.std()
        y = -0.705 * x + np.sqrt(1 - 0.705**2) * other
        found = score_fluorescence_correlation(x, y, None, None, **SETTINGS).patches
        assert found.r == pytest.approx(-0.705)
        assert found.p == pytest.approx(of_t)
        assert found.n == n
    assert found.p < 1e-200


def test_raw_counts_of_two_backgrounds_tell_experiments_apart_and_the_labels_scale_does_not():
    # the ratio over the background decides on the score; the backgrounds are 100 and 5,000 counts
    rng = np.random.default_rng(0)
    ratio = rng.normal(size=400) * 0.2
    counts = np.exp(ratio) * np.tile([100.0, 5000.0], 200)
    scores = 1 / (1 + np.exp(4 * ratio + rng.normal(size=400)))
    on_scale, raw = (
        dataclasses.asdict(score_fluorescence_correlation(scores, values, None, None, **SETTINGS))
        for values in (ratio, counts)
    )
    told = correlation_in_words({"scale": "log_background_ratio", **on_scale, "raw": raw})
    assert [line.partition(":")[0] for line in told] == [
        "score against log(mean PI fluorescence / background)",
        "score against mean PI fluorescence (raw counts)",
    ]
    for line, values in zip(told, (ratio, counts), strict=True):
        r, p = pearsonr(scores, values)
        assert line.endswith(f": r {r:.3f}, p {p:.2g}, of 400 patches")
    assert on_scale["patches"]["r"] < -0.5 < raw["patches"]["r"]
    assert len(correlation_in_words({"scale": "raw", **raw, "raw": raw})) == 1  # said but once


def test_the_interval_over_groups_is_fisher_s_where_patches_are_independent_and_wider_where_not():
    def width(shared: float) -> float:
        scores, fluorescence, images = scored_images(60, 20, shared=shared)
        found = score_fluorescence_correlation(scores, fluorescence, images, images, **SETTINGS).patches
        low, high = found.interval_groups
        assert -1 < low < found.r < high < 1
        return np.arctanh(high) - np.arctanh(low)

    assert width(0) == pytest.approx(2 * 1.96 / np.sqrt(1200 - 3), rel=0.3)
    assert width(0.8) > 2.5 * width(0)


def test_the_interval_does_not_depend_on_the_units_of_fluorescence():
    scores, fluorescence, images = scored_images()
    plain = score_fluorescence_correlation(scores, fluorescence, images, images, **SETTINGS).patches
    shifted = score_fluorescence_correlation(scores, 1e7 + 1e-2 * fluorescence, images, images, **SETTINGS).patches
    assert shifted.interval_groups == pytest.approx(plain.interval_groups, rel=1e-4)


def test_patches_without_fluorescence_are_left_out():
    scores, fluorescence, images = scored_images()
    some = fluorescence.copy()
    some[:100] = np.nan
    found = score_fluorescence_correlation(scores, some, images, images, **SETTINGS)
    without = score_fluorescence_correlation(scores[100:], fluorescence[100:], images[100:], images[100:], **SETTINGS)
    assert found == without
    assert found.patches.n == 500
    assert found.raw_images.n == 25
    none = score_fluorescence_correlation(scores, np.full(600, np.nan), images, images, **SETTINGS)
    assert none.patches.reason == "0 values are too few for a correlation"
    assert none.patches.n == none.raw_images.n == 0


@pytest.mark.parametrize(
    ("scores", "fluorescence", "reason"),
    [
        ([0.1, 0.9], [500.0, 200], "2 values are too few for a correlation"),
        ([0.3, 0.3, 0.3, 0.3], [500.0, 200, 300, 400], "every score is the same"),
        ([0.1, 0.4, 0.2, 0.9], [258.97] * 4, "every mean fluorescence is the same"),
    ],
)
def test_too_few_or_constant_values_give_no_correlation_and_a_reason(scores, fluorescence, reason):
    names = np.array([f"W{number}" for number in range(len(scores))], object)
    found = score_fluorescence_correlation(np.array(scores), np.array(fluorescence), names, names, **SETTINGS)
    for correlation in (found.patches, found.raw_images):
        assert (correlation.r, correlation.p, correlation.interval_groups) == (None, None, None)
        assert correlation.n == len(scores)
        assert correlation.reason == reason


def test_two_raw_images_give_a_correlation_of_patches_alone():
    scores, fluorescence, images = scored_images(2, 30)
    found = score_fluorescence_correlation(scores, fluorescence, images, images, **SETTINGS)
    assert found.patches.r is not None
    assert found.patches.interval_groups is None
    assert found.raw_images.reason == "2 values are too few for a correlation"


def test_without_raw_images_patches_alone_are_correlated():
    scores, fluorescence, images = scored_images()
    unknown = images.copy()
    unknown[3] = None
    for ids in (None, unknown):
        found = score_fluorescence_correlation(scores, fluorescence, ids, None, **SETTINGS)
        assert found.patches.r is not None
        assert found.patches.interval_groups is None
        assert found.raw_images.reason == "nothing tells which raw image a patch was cut from"


@pytest.mark.parametrize("decimals", [8, 1])
def test_concordance_is_the_share_of_pairs_in_the_right_order(decimals):
    scores, fluorescence, _ = scored_images(6, 10)
    scores, fluorescence = np.round(scores, decimals), np.round(fluorescence / 100, decimals)
    right = n_pairs = 0.0
    for i in range(60):
        for j in range(60):
            if fluorescence[i] < fluorescence[j]:
                n_pairs += 1
                right += (scores[i] > scores[j]) + (scores[i] == scores[j]) / 2
    rho, concordance = rank_agreement(scores, fluorescence)
    assert concordance == pytest.approx(right / n_pairs)
    assert rho == pytest.approx(spearmanr(scores, fluorescence).statistic)
    assert rank_agreement(np.array([0.9, 0.5, 0.1]), np.array([1.0, 2, 3])) == pytest.approx((-1, 1))


def test_constants_have_no_order():
    assert rank_agreement(np.array([0.1, 0.2]), np.array([300.0, 300])) == (None, None)
    assert rank_agreement(np.array([0.1, 0.1]), np.array([300.0, 301])) == (None, 0.5)
