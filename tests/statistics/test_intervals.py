import numpy as np
import pytest
from scipy.stats import norm, sem
from scipy.stats import t as student

from jimt.statistics.intervals import (
    FEW_GROUPS,
    FEW_OF_A_CLASS,
    calibration_interval,
    degrees_of_freedom,
    interval_notes,
    interval_of_mean,
    interval_over_groups,
    interval_over_patches,
    mixed_groups_notes,
    standard_error,
)
from jimt.statistics.resampling import Jackknife


def statistic(value: float, *, sd: float, n_groups: int = 12) -> Jackknife:
    """A statistic whose groups pull as a normal variable does and give it this standard error."""
    pull = norm.ppf((np.arange(n_groups) + 0.5) / n_groups)
    return Jackknife(value, value + sd * pull / np.sqrt((n_groups - 1) / n_groups * (pull**2).sum()))


@pytest.mark.parametrize(
    ("balanced_accuracy", "n_live", "n_dead", "printed"),
    [(0.866, 893, 979, (0.851, 0.881)), (0.923, 449, 4271, (0.916, 0.930))],
)
def test_the_intervals_printed_in_the_paper_come_out(balanced_accuracy, n_live, n_dead, printed):
    low, high = interval_over_patches(balanced_accuracy, n_live + n_dead, confidence=0.95)
    half = 1.96 * np.sqrt(balanced_accuracy * (1 - balanced_accuracy) / (n_live + n_dead))  # 0.01543 and 0.00761
    assert (low, high) == pytest.approx((balanced_accuracy - half, balanced_accuracy + half), abs=1e-6)
    # the paper cuts half widths to three digits, 0.015 and 0.007: rounded, the second would be 0.915 to 0.931
    cut = np.floor(1000 * (high - balanced_accuracy)) / 1000
    assert (balanced_accuracy - cut, balanced_accuracy + cut) == pytest.approx(printed, abs=1e-9)


def test_the_interval_printed_for_no_treatment_is_the_rounded_one():
    assert np.round(interval_over_patches(0.866, 893 + 979, confidence=0.95), 3).tolist() == [0.851, 0.881]


def test_the_paper_s_interval_grows_with_the_confidence_asked_for():
    # by the tables of the normal distribution: 1.6449, 1.9600, 2.5758
    for confidence, z in ((0.90, 1.6449), (0.95, 1.9600), (0.99, 2.5758)):
        low, high = interval_over_patches(0.8, 400, confidence=confidence)
        assert (low, high) == pytest.approx((0.8 - z * 0.02, 0.8 + z * 0.02), abs=1e-6)


def test_a_mean_over_patches_has_its_textbook_interval():
    # mean 0.25, sd 0.1291 with n - 1 below, over the root of 4
    values = np.array([0.1, 0.2, 0.3, 0.4])
    assert interval_of_mean(values, confidence=0.95) == pytest.approx((0.25 - 0.12651, 0.25 + 0.12651), abs=1e-5)
    assert interval_of_mean(np.array([0.0, 0.1]), confidence=0.95)[0] == 0
    assert interval_of_mean(values[:1], confidence=0.95) is None


def test_an_interval_over_groups_is_the_standard_error_times_student_s_t_on_the_logit_scale():
    low, high = interval_over_groups(statistic(0.8, sd=0.04), confidence=0.95, bounds=(0, 1))
    half = (
        2.201 * 0.04 / (0.8 * 0.2)
    )  # t of 11 degrees of freedom from a table; the logit's derivative is 1 / p (1 - p)
    odds = 4 * np.exp([-half, half])
    assert (low, high) == pytest.approx(odds / (1 + odds), abs=1e-4)
    assert 0.8 - low > high - 0.8  # more room below than above
    narrow = interval_over_groups(statistic(0.5, sd=1e-4), confidence=0.95, bounds=(0, 1))
    assert narrow == pytest.approx((0.5 - 2.201e-4, 0.5 + 2.201e-4), abs=1e-7)


@pytest.mark.parametrize("value", [0.001, 0.5, 0.999])
def test_an_interval_stays_within_what_a_metric_can_be(value):
    low, high = interval_over_groups(statistic(value, sd=0.2), confidence=0.95, bounds=(0, 1))
    assert 0 <= low < value < high <= 1


def test_a_correlation_s_interval_is_about_that_of_fisher_s_transform():
    # artanh r +- z sd / (1 - r^2): the logit of (1 + r) / 2 is twice the artanh of r
    low, high = interval_over_groups(statistic(-0.7, sd=0.05), confidence=0.95, bounds=(-1, 1))
    expected = np.tanh(np.arctanh(-0.7) + np.array([-1, 1]) * 2.201 * 0.05 / (1 - 0.49))
    assert (low, high) == pytest.approx(expected, abs=1e-4)


def test_a_standard_error_over_groups_is_that_of_a_mean_where_the_statistic_is_one():
    values = np.random.default_rng(0).gamma(2, size=15)
    left_out = (values.sum() - values) / 14
    assert standard_error(left_out) == pytest.approx(sem(values), rel=1e-12)


def test_no_interval_is_given_where_groups_do_not_tell():
    perfect = Jackknife(1.0, np.ones(12))
    assert interval_over_groups(perfect, confidence=0.95, bounds=(0, 1)) is None
    the_same = Jackknife(0.8, np.full(12, 0.8))
    assert interval_over_groups(the_same, confidence=0.95, bounds=(0, 1)) is None
    unknown = Jackknife(0.8, np.where(np.arange(12) == 3, np.nan, np.linspace(0.79, 0.81, 12)))
    assert interval_over_groups(unknown, confidence=0.95, bounds=(0, 1)) is None


def test_n_groups_that_pull_normally_leave_n_less_1_degrees_of_freedom():
    rng = np.random.default_rng(0)
    assert degrees_of_freedom(rng.normal(size=5000)) == pytest.approx(4999, rel=0.05)
    assert degrees_of_freedom(np.array([1.0, 2, 3, 4, 5])) == 4  # flatter than normal: no gain


def test_few_groups_that_pull_hard_leave_few_degrees_of_freedom():
    left_out = np.zeros(40)
    left_out[:4] = [1, -1, 1.2, -1.2]  # the others hold no patch of the class
    assert 3 < degrees_of_freedom(left_out) < 10
    assert degrees_of_freedom(np.array([0.0, 1])) == 1
    assert degrees_of_freedom(np.zeros(5)) == 1


def test_a_calibration_error_within_what_chance_gives_may_be_none():
    noise = np.abs(np.random.default_rng(0).normal(size=500)) * 0.02
    error = statistic(0.03, sd=0.01)
    low, high = calibration_interval(error, noise, confidence=0.95)
    assert low == 0
    assert high == interval_over_groups(error, confidence=0.95, bounds=(0, 1))[1]


def test_a_calibration_error_beyond_chance_is_rid_of_it_in_its_lower_limit():
    noise = np.abs(np.random.default_rng(0).normal(size=500)) * 0.02
    error = statistic(0.1, sd=0.01)
    low, high = calibration_interval(error, noise, confidence=0.95)
    plain = interval_over_groups(error, confidence=0.95, bounds=(0, 1))
    corrected = np.sqrt(0.1**2 - noise.mean() ** 2)
    odds = corrected / (1 - corrected) * np.exp(-student.ppf(0.975, 11) * 0.01 / (corrected * (1 - corrected)))
    assert high == plain[1]
    assert low == pytest.approx(odds / (1 + odds))
    assert 0 < low < plain[0]
    assert calibration_interval(Jackknife(0.0, np.zeros(12)), noise, confidence=0.95) is None


@pytest.mark.parametrize(
    ("n_groups", "note"),
    [
        (0, "0 groups: too few for an interval"),
        (1, "1 group: too few for an interval"),
        (2, "2 groups: too few for an interval"),
        (3, "3 groups: an interval over so few is too narrow"),
        (FEW_GROUPS - 1, f"{FEW_GROUPS - 1} groups: an interval over so few is too narrow"),
        (FEW_GROUPS, None),
    ],
)
@pytest.mark.parametrize("sample", ["the test split", "the data set"])
def test_few_groups_are_named_beside_their_interval(n_groups, note, sample):
    groups = np.repeat(np.arange(n_groups), 2).astype(object)
    labels = np.tile([0, 1], n_groups)
    assert interval_notes(labels, groups, sample=sample) == ([] if note is None else [f"{sample} holds {note}"])


def test_few_groups_of_a_class_are_named_too():
    def notes(n_live: int, n_dead: int, n_mixed: int = 0) -> list[str]:
        labels = np.repeat([1, 0, 1, 0], [n_live, n_dead, n_mixed, n_mixed])
        mixed = np.arange(n_mixed) + 1000
        groups = np.concatenate([np.arange(n_live + n_dead), mixed, mixed]).astype(object)
        return interval_notes(labels, groups, sample="the test split")

    assert notes(FEW_OF_A_CLASS, FEW_OF_A_CLASS) == []
    assert notes(0, 0, FEW_GROUPS) == []
    assert notes(FEW_OF_A_CLASS - 1, 40) == [
        "the test split holds 9 groups with live patches: an interval over so few is too narrow"
    ]
    assert notes(40, 1, 1) == ["the test split holds 2 groups with dead patches: too few for an interval"]
    assert notes(0, 40) == ["the test split holds 0 groups with live patches: too few for an interval"]
    assert notes(2, 4) == [
        "the test split holds 6 groups: an interval over so few is too narrow",
        "the test split holds 2 groups with live patches: too few for an interval",
        "the test split holds 4 groups with dead patches: an interval over so few is too narrow",
    ]
    assert notes(0, 0, 5) == ["the test split holds 5 groups: an interval over so few is too narrow"]
    assert notes(1, 1) == ["the test split holds 2 groups: too few for an interval"]


@pytest.mark.parametrize(
    ("n_groups", "n_mixed", "note"),
    [
        (30, 0, None),  # no value either
        (30, 1, "1 group with live and dead patches: too few for an interval of a metric within groups"),
        (30, 9, "9 groups with live and dead patches: an interval of a metric within groups over so few is too narrow"),
        (30, 10, None),
        (6, 6, None),  # said of all metrics
        (6, 3, "3 groups with live and dead patches: an interval of a metric within groups over so few is too narrow"),
    ],
)
def test_few_groups_of_both_classes_are_told(n_groups, n_mixed, note):
    found = mixed_groups_notes(n_groups, n_mixed, sample="the data set")
    assert found == ([] if note is None else [f"the data set holds {note}"])
