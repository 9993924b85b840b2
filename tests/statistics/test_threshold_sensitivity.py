import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from jimt.errors import InputError
from jimt.statistics.estimates import estimates
from jimt.statistics.threshold_sensitivity import N_SIGMAS, QUANTILES, label_sensitivity, labels_by_thresholds

PAPER = {"live_mean": 224.51, "live_sd": 34.46, "dead_mean": 550.44, "dead_sd": 153.55}
CUT_OFFS = {"live_below": 258.97, "dead_above": 396.89}
GRID = {"n_sigmas": N_SIGMAS, "quantiles": QUANTILES}
SETTINGS = {"confidence": 0.95}


def scored_patches(n: int = 1200, *, seed: int = 0):
    """Patches of the paper's mixture, half live, and scores that fall with fluorescence, the less surely the nearer."""
    rng = np.random.default_rng(seed)
    value = np.where(rng.random(n) < 0.5, rng.normal(224.51, 34.46, n), rng.normal(550.44, 153.55, n))
    scores = 1 / (1 + np.exp((value - 330) / 60 + rng.normal(size=n)))
    return scores, value, (np.arange(n) // 30).astype(object)


@pytest.fixture(scope="module")
def sensitivity():
    return label_sensitivity(*scored_patches(), **PAPER, **CUT_OFFS, **GRID, **SETTINGS)


def test_the_grid_is_from_half_to_one_and_a_half_standard_deviations():
    assert N_SIGMAS == (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5)
    assert len(QUANTILES) == 19
    assert (QUANTILES[0], QUANTILES[-1]) == (0.05, 0.95)


def test_one_standard_deviation_gives_the_paper_s_cut_offs(sensitivity):
    row = sensitivity.by_n_sigma.set_index("n_sigma").loc[1.0]
    assert (row["live_below"], row["dead_above"]) == pytest.approx((258.97, 396.89))


def test_each_row_is_the_metrics_of_what_its_cut_offs_leave(sensitivity):
    scores, value, groups = scored_patches()
    for row in sensitivity.by_n_sigma.to_dict("records"):
        live = value < 224.51 + row["n_sigma"] * 34.46
        kept = live | (value > 550.44 - row["n_sigma"] * 153.55)
        assert (row["live"], row["dead"]) == (live.sum(), (kept & ~live).sum())
        assert row["discarded"] == 1200 - kept.sum()
        assert row["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(live[kept], scores[kept] > 0.5))
        assert row["auroc"] == pytest.approx(roc_auc_score(live[kept], scores[kept]))
        found = estimates(live[kept].astype(np.int64), scores[kept], groups[kept], names=["auroc"], seed=0, **SETTINGS)[
            "auroc"
        ]
        assert (row["auroc_low"], row["auroc_high"]) == pytest.approx(found.interval_groups)
        assert row["balanced_accuracy_low"] < row["balanced_accuracy"] < row["balanced_accuracy_high"]
        assert row["reason"] is None
    assert sensitivity.by_n_sigma["discarded"].is_monotonic_decreasing
    assert sensitivity.by_n_sigma["auroc"].iloc[0] > sensitivity.by_n_sigma["auroc"].iloc[-1]  # fewer easy patches


def test_with_the_band_every_patch_has_a_label_and_the_test_is_harder(sensitivity):
    scores, value, _ = scored_patches()
    (row,) = sensitivity.with_band.to_dict("records")
    midway = (258.97 + 396.89) / 2
    assert row["live_below"] == row["dead_above"] == midway == pytest.approx(327.93)
    assert (row["live"], row["dead"], row["discarded"]) == ((value < midway).sum(), (value >= midway).sum(), 0)
    assert row["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(value < midway, scores > 0.5))
    assert row["auroc"] == pytest.approx(roc_auc_score(value < midway, scores))
    at_one = sensitivity.by_n_sigma.set_index("n_sigma").loc[1.0]
    assert row["auroc"] < at_one["auroc"]


def test_thresholds_cut_the_fluorescence_itself(sensitivity):
    scores, value, _ = scored_patches()
    assert sensitivity.by_threshold["quantile"].tolist() == list(QUANTILES)
    for row in sensitivity.by_threshold.to_dict("records"):
        assert row["threshold"] == pytest.approx(np.quantile(value, row["quantile"]))
        assert (row["below"], row["not_below"]) == (
            (value < row["threshold"]).sum(),
            (value >= row["threshold"]).sum(),
        )
        assert row["auroc"] == pytest.approx(roc_auc_score(value < row["threshold"], scores))
    assert sensitivity.spearman_rho < 0
    assert 0.5 < sensitivity.concordance < 1


def test_cut_offs_that_cross_are_marked_and_give_no_metrics():
    near = PAPER | {"dead_mean": 400.0, "dead_sd": 100.0}  # they meet at (400 - 224.51) / 134.46 = 1.305
    table = label_sensitivity(*scored_patches(), **near, **CUT_OFFS, **GRID, **SETTINGS).by_n_sigma
    crossed = table["n_sigma"] >= 1.4
    assert (table["reason"] == "the thresholds cross").tolist() == crossed.tolist()
    assert table.loc[crossed, ["live", "dead", "discarded", "auroc", "auroc_low"]].isna().all(axis=None)
    assert table.loc[~crossed, ["live", "dead", "discarded", "auroc", "auroc_low"]].notna().all(axis=None)


def test_cut_offs_that_were_given_have_no_standard_deviations_to_try():
    given = dict.fromkeys(PAPER)
    found = label_sensitivity(*scored_patches(), **given, **CUT_OFFS, **GRID, **SETTINGS)
    assert len(found.by_n_sigma) == 0
    assert found.with_band["auroc"].notna().all()


def test_patches_are_labelled_as_the_curation_labels_them():
    value = np.array([258.96, 258.97, 300.0, 396.89, 396.90])
    assert labels_by_thresholds(value, **CUT_OFFS).tolist() == [1, -1, -1, -1, 0]
    assert labels_by_thresholds(value, live_below=300, dead_above=300).tolist() == [1, 1, 0, 0, 0]


def test_one_class_or_few_groups_leave_gaps_and_a_reason():
    scores, value, _ = scored_patches(60)
    of_two = np.repeat(["A", "B"], 30).astype(object)
    row = label_sensitivity(scores, value, of_two, **PAPER, **CUT_OFFS, **GRID, **SETTINGS).with_band.iloc[0]
    assert np.isfinite(row["auroc"])
    assert np.isnan(row["auroc_low"])
    assert row["reason"] == "2 groups: too few for an interval"
    found = label_sensitivity(scores, 200 - scores, None, **PAPER, **CUT_OFFS, **GRID, **SETTINGS)
    assert found.with_band["auroc"].isna().all()
    assert found.with_band["reason"].tolist() == ["a class it needs is absent"]
    assert found.by_threshold["auroc"].eq(1).all()
    same = label_sensitivity(scores, np.full(60, 300.0), None, **PAPER, **CUT_OFFS, **GRID, **SETTINGS)
    assert same.by_threshold["below"].eq(0).all()
    assert same.by_threshold["auroc"].isna().all()
    assert same.spearman_rho is None


def test_patches_without_a_label_value_are_left_out():
    scores, value, groups = scored_patches()
    some = np.where(np.arange(1200) < 300, np.nan, value)
    found = label_sensitivity(scores, some, groups, **PAPER, **CUT_OFFS, **GRID, **SETTINGS)
    assert found.n_patches == 900
    without = label_sensitivity(scores[300:], value[300:], groups[300:], **PAPER, **CUT_OFFS, **GRID, **SETTINGS)
    pd.testing.assert_frame_equal(found.by_n_sigma, without.by_n_sigma)
    with pytest.raises(InputError, match="no patch has a mean fluorescence"):
        label_sensitivity(scores, np.full(1200, np.nan), groups, **PAPER, **CUT_OFFS, **GRID, **SETTINGS)


def test_it_is_written_as_plain_json_and_csv():
    crossing = PAPER | {"dead_mean": 300.0}
    found = label_sensitivity(*scored_patches(300), **crossing, **CUT_OFFS, **GRID, **SETTINGS)
    read = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert read["n_patches"] == 300
    assert read["by_n_sigma"][-1]["auroc"] is None
    assert read["by_n_sigma"][-1]["reason"] == "the thresholds cross"
    assert isinstance(read["with_band"][0]["live"], int)
    assert read["by_threshold"][3]["auroc"] == found.by_threshold["auroc"][3]
    assert found.with_band.to_csv(index=False).splitlines()[0].startswith("live_below,dead_above,live,dead,discarded")
