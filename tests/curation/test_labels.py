import re

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from conftest import composed_prepare
from jimt.curation.field_fluorescence import label_values
from jimt.curation.label_stage import _fit
from jimt.curation.labels import LabelThresholds, fit_label_thresholds, label_patches
from jimt.errors import InputError
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

# Table 1 and "Labelling": 10,464 live and 11,384 dead patches, 224.51 +- 34.46 and 550.44 +- 153.55
N_LIVE, N_DEAD = 10_464, 11_384
LIVE_MEAN, LIVE_SD, DEAD_MEAN, DEAD_SD = 224.51, 34.46, 550.44, 153.55


def paper_mixture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n_live = rng.binomial(N_LIVE + N_DEAD, N_LIVE / (N_LIVE + N_DEAD))
    return np.concatenate(
        [rng.normal(LIVE_MEAN, LIVE_SD, n_live), rng.normal(DEAD_MEAN, DEAD_SD, N_LIVE + N_DEAD - n_live)]
    )


def fit(values: np.ndarray, **changes: object) -> LabelThresholds:
    settings = {"n_sigma": 1.0, "n_init": 1, "tolerance": 1e-6, "min_patches": 50, "min_weight": 0.02}
    settings |= {"fit_range": None, "seed": 0}
    return fit_label_thresholds(values, **(settings | changes))


def two_classes(seed: int = 0, n: int = 1000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(200, 20, n), rng.normal(600, 80, n)])


# ---- the paper


def test_a_mixture_with_the_paper_s_parameters_gives_the_paper_s_cut_offs():
    fits = [fit(paper_mixture(seed)) for seed in range(8)]
    live_below = np.mean([thresholds.live_below for thresholds in fits])
    dead_above = np.mean([thresholds.dead_above for thresholds in fits])
    # Over 30 simulations the maximum-likelihood cut-offs scatter by 0.44 and 2.8 (the components overlap, and the dead
    # one's lower flank is hidden), so the mean of 8 by 0.16 and 1.0: four of these. An expectation-maximisation that
    # stops at scikit-learn's default tolerance is outside: it lands at 260.1 and 404.9.
    assert live_below == pytest.approx(258.97, abs=0.65)
    assert dead_above == pytest.approx(396.89, abs=4.0)


def test_the_fit_has_converged_to_the_likeliest_mixture():
    values = paper_mixture(3)
    thresholds = fit(values)
    oracle = GaussianMixture(2, tol=1e-9, max_iter=5000, random_state=1).fit(values[:, None])
    low, high = np.argsort(oracle.means_.ravel())
    sd = np.sqrt(oracle.covariances_.ravel())
    # a tenth of the thresholds' sampling error
    assert thresholds.live_below == pytest.approx(oracle.means_[low, 0] + sd[low], abs=0.05)
    assert thresholds.dead_above == pytest.approx(oracle.means_[high, 0] - sd[high], abs=0.3)
    assert thresholds.live_weight == pytest.approx(oracle.weights_[low], abs=0.003)
    assert thresholds.n_patches == len(values)


def test_the_components_are_those_that_were_mixed():
    thresholds = fit(np.concatenate([two_classes(n=3000), np.random.default_rng(9).normal(200, 20, 3000)]))
    assert thresholds.live_mean == pytest.approx(200, abs=2)
    assert thresholds.live_sd == pytest.approx(20, abs=2)
    assert thresholds.dead_mean == pytest.approx(600, abs=8)
    assert thresholds.dead_sd == pytest.approx(80, abs=8)
    assert thresholds.live_weight == pytest.approx(2 / 3, abs=0.01)
    assert thresholds.dead_weight == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize("n_sigma", [0.0, 0.5, 1.0, 2.0])
def test_each_cut_off_lies_n_sigma_inside_its_component(n_sigma):
    thresholds = fit(two_classes(), n_sigma=n_sigma)
    assert None not in (thresholds.live_mean, thresholds.live_sd, thresholds.dead_mean, thresholds.dead_sd)
    assert thresholds.live_below == pytest.approx(thresholds.live_mean + n_sigma * thresholds.live_sd)
    assert thresholds.dead_above == pytest.approx(thresholds.dead_mean - n_sigma * thresholds.dead_sd)


@pytest.mark.parametrize("unit", [1.0, 1 / 4095, 1 / 65535, 1000.0])
def test_the_cut_offs_follow_the_unit_of_the_camera(unit):
    values = two_classes()
    thresholds = fit(values * unit)
    assert thresholds.live_below / unit == pytest.approx(fit(values).live_below, rel=1e-3)
    assert thresholds.dead_above / unit == pytest.approx(fit(values).dead_above, rel=1e-3)


def test_the_same_seed_gives_the_same_cut_offs_whatever_numpy_s_global_state():
    values = paper_mixture(0)[::10]
    np.random.seed(1)  # noqa: NPY002 - the global state is what must not matter
    first = fit(values, n_init=3, seed=0)
    np.random.seed(2)  # noqa: NPY002
    assert fit(values, n_init=3, seed=0) == first


# ---- errors


def test_too_few_patches_are_refused_with_the_number_needed():
    with pytest.raises(InputError) as caught:
        fit(two_classes(n=20), min_patches=50)
    assert str(caught.value) == (
        "only 40 patches hold cells, and a mixture needs 50 (curation.label.min_patches): add raw images, "
        "or give curation.label.live_below=NUMBER curation.label.dead_above=NUMBER"
    )
    assert fit(two_classes(n=25), min_patches=50).n_patches == 50


def test_patches_that_are_all_equal_point_at_the_channel():
    with pytest.raises(InputError, match=r"whether that is the PI channel"):
        fit(np.full(100, 123.0))


def test_crossing_cut_offs_name_n_sigma_and_the_background():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(300, 60, 2000), rng.normal(420, 60, 2000)])
    with pytest.raises(InputError) as caught:
        fit(values, n_sigma=2.0)
    sentence = str(caught.value)
    assert sentence.startswith("the thresholds cross (live below ")
    # they meet at (420 - 300) / (60 + 60) standard deviations, less what the overlap hides
    assert sentence.endswith("give curation.label.scale=log_background_ratio, or curation.label.n_sigma=0.94")
    assert fit(values, n_sigma=0.0).live_below < fit(values, n_sigma=0.0).dead_above


def test_a_component_on_a_handful_of_patches_has_collapsed():
    values = np.concatenate([np.random.default_rng(0).normal(300, 30, 2000), [5000.0] * 5])
    with pytest.raises(InputError) as caught:
        fit(values, min_weight=0.02)
    assert str(caught.value).startswith("the mixture collapsed (live ")
    assert "dead 5000 +- " in str(caught.value)
    assert "give curation.label.fit_on=NAME" in str(caught.value)


@pytest.mark.parametrize("repeated", [0.0, 100.0, 65535.0])
def test_a_component_on_one_repeated_value_has_collapsed(repeated):
    values = np.concatenate([np.full(500, repeated), np.random.default_rng(0).normal(500, 100, 500)])
    with pytest.raises(InputError, match="the mixture collapsed"):
        fit(values)


# ---- outliers


def plainly(values: np.ndarray) -> tuple[float, float]:
    """Cut-offs by scikit-learn's mixture of all values, started and stopped as ours is."""
    scaled = (values[:, None] - values.mean()) / values.std()
    mixture = GaussianMixture(2, tol=1e-6, max_iter=2000, reg_covar=1e-8, random_state=0).fit(scaled)
    low, high = np.argsort(mixture.means_.ravel())
    mean, sd = mixture.means_.ravel(), np.sqrt(mixture.covariances_.ravel())
    return tuple(values.mean() + values.std() * np.array([mean[low] + sd[low], mean[high] - sd[high]]))


def cut_offs(thresholds: LabelThresholds) -> tuple[float, float]:
    return thresholds.live_below, thresholds.dead_above


@pytest.mark.parametrize("seed", range(3))
def test_without_outliers_the_fit_is_that_of_all_patches(seed):
    rng = np.random.default_rng(seed)
    for values in (
        paper_mixture(seed),
        np.concatenate([rng.normal(100, 10, 950), rng.normal(2000, 300, 50)]),  # few dead, far from the live
        np.concatenate([rng.normal(0.1, 0.05, 260), rng.normal(0.7, 0.4, 400)]),  # as on a logarithm, few patches
        np.concatenate([rng.normal(224.51, 34.46, 4600), rng.normal(550.44, 153.55, 400)]),
    ):
        thresholds = fit(values)
        assert cut_offs(thresholds) == pytest.approx(plainly(values), rel=1e-9)
        assert (thresholds.n_patches, thresholds.n_left_out) == (len(values), 0)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.019])
@pytest.mark.parametrize(("at", "sd"), [(20_000, 3_000), (65_535, 0), (3_000, 300)])
def test_a_few_patches_of_debris_leave_the_cut_offs_as_they_were(share, at, sd):
    clean = paper_mixture(1)
    n = round(share * len(clean))
    thresholds = fit(np.concatenate([clean, np.random.default_rng(0).normal(at, sd, n)]))
    assert cut_offs(thresholds) == pytest.approx(plainly(clean), rel=1e-9)
    assert (thresholds.n_left_out, thresholds.n_patches) == (n, len(clean))
    assert (thresholds.fitted_from, thresholds.fitted_to) == (clean.min(), clean.max())


@pytest.mark.parametrize(("share", "at", "sd"), [(0.03, 20_000, 3_000), (0.08, 5_000, 500), (0.08, 1_500, 150)])
def test_more_debris_is_refused_with_a_range_for_either_reading(share, at, sd):
    clean = paper_mixture(1)
    debris = np.random.default_rng(0).normal(at, sd, round(share * len(clean)))
    values = np.concatenate([clean, debris])
    with pytest.raises(InputError, match="the thresholds cannot be trusted, since they hang on ") as caught:
        fit(values)
    without, of_all = (
        tuple(float(end) for end in found.split(","))
        for found in re.findall(r"curation\.label\.fit_range=\[(.*?)\]", str(caught.value))
    )
    told = [float(value) for value in re.findall(r"(?:live below|dead above) ([\d.e+]+)", str(caught.value))]
    # the remedies do what they say
    thresholds = fit(values, fit_range=without)
    assert cut_offs(thresholds) == pytest.approx(plainly(clean), rel=0.02)
    assert cut_offs(thresholds) == pytest.approx(told[:2], rel=1e-3)
    assert thresholds.n_left_out == pytest.approx(len(debris), abs=0.02 * len(debris))
    assert cut_offs(fit(values, fit_range=of_all)) == pytest.approx(plainly(values), rel=1e-9)
    assert cut_offs(fit(values, fit_range=of_all)) == pytest.approx(told[2:], rel=1e-3)


@pytest.mark.parametrize("n", [300, 2000])
@pytest.mark.parametrize("dead", [0.03, 0.06])
@pytest.mark.parametrize(("share", "at", "sd"), [(0.03, 20_000, 3000), (0.05, 5, 2), (0.01, 20_000, 3000)])
def test_a_rare_class_is_not_lost_to_debris_or_dark_patches(n, dead, share, at, sd):
    """Two components are the debris and all others, unless somebody looks: then no dead patch would be dead."""
    rng = np.random.default_rng(1)
    n_dead = int(n * dead)
    cells = np.concatenate([rng.normal(230, 20, n - n_dead), rng.normal(480, 60, n_dead)])
    far = np.abs(rng.normal(at, sd, int(share * n)))
    right = cut_offs(fit(cells))
    try:
        found = cut_offs(fit(np.concatenate([cells, far])))
    except InputError as refused:  # with a range that leaves the far ones out
        low, high = map(float, refused.remedies[0].partition("=")[2].strip("[]").split(","))
        assert low < cells.min() < cells.max() < high
        assert not ((far > low) & (far < high)).any()
        return
    labels, truth = (label_patches(cells, live_below=live, dead_above=dead) for live, dead in (found, right))
    for label in (LIVE, DEAD):  # at most widened
        assert (labels[truth == label] == label).mean() > 0.9


def test_debris_among_patches_of_one_kind_is_no_second_kind():
    values = np.concatenate([np.random.default_rng(0).normal(300, 30, 2000), np.full(20, 60_000.0)])
    with pytest.raises(InputError, match=r"collapsed .*debris takes part in the fit: .*curation\.label\.fit_range="):
        fit(values)


def test_too_few_patches_in_the_range_are_refused():
    with pytest.raises(InputError, match=r"only 0 patches hold cells with values in .*fit_range=\[5000, 6000\]"):
        fit(paper_mixture(0), fit_range=(5000, 6000))


# ---- labels


def test_labels_are_strict_at_the_cut_offs():
    values = np.array([0, np.nextafter(258.97, 0), 258.97, 300, 396.89, np.nextafter(396.89, 1000), 9999])
    labels = label_patches(values, live_below=258.97, dead_above=396.89)
    assert labels.tolist() == [LIVE, LIVE, AMBIGUOUS, AMBIGUOUS, AMBIGUOUS, DEAD, DEAD]


def test_equal_cut_offs_leave_only_the_value_itself_ambiguous():
    assert label_patches(np.array([1.0, 2.0, 3.0]), live_below=2, dead_above=2).tolist() == [LIVE, AMBIGUOUS, DEAD]


# ---- scales

MEANS, BACKGROUND = np.array([200.0, 400.0, 8000.0]), np.array([100.0, 400.0, 4000.0])


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("raw", [200, 400, 8000]),
        ("background_subtracted", [100, 0, 4000]),
        ("log_background_ratio", [0.6931471805599453, 0, 0.6931471805599453]),  # ln 2, ln 1, ln 2
    ],
)
def test_the_three_scales_by_hand(scale, expected):
    np.testing.assert_allclose(label_values(MEANS, BACKGROUND, scale=scale), expected, atol=1e-12)


def test_the_log_scale_does_not_change_with_gain_and_the_difference_not_with_offset():
    by_log = label_values(MEANS, BACKGROUND, scale="log_background_ratio")
    np.testing.assert_allclose(label_values(7 * MEANS, 7 * BACKGROUND, scale="log_background_ratio"), by_log)
    by_difference = label_values(MEANS, BACKGROUND, scale="background_subtracted")
    np.testing.assert_allclose(label_values(MEANS + 50, BACKGROUND + 50, scale="background_subtracted"), by_difference)


@pytest.mark.parametrize(
    ("mean", "background", "said"),
    [
        (100.0, 0.0, "a field's fluorescence background is 0 at curation.label.background_percentile"),
        (5.0, -1.0, "a field's fluorescence background is 0 at curation.label.background_percentile"),
        (0.0, 10.0, "the mean fluorescence of a patch is 0, so no logarithm can be taken"),
    ],
)
def test_no_logarithm_is_taken_of_nothing(mean, background, said):
    with pytest.raises(InputError) as caught:
        label_values(np.array([mean]), np.array([background]), scale="log_background_ratio")
    assert str(caught.value).startswith(said)
    assert "give curation.label.scale=background_subtracted" in str(caught.value)
    label_values(np.array([mean]), np.array([background]), scale="background_subtracted")


def test_a_remedy_that_is_taken_already_is_not_named_again():
    _, curation = composed_prepare("dataset=no_treatment", "curation.label.scale=log_background_ratio")
    noise = np.random.default_rng(0).normal(0.0128, 1e-4, 400)
    with pytest.raises(InputError) as refused:
        _fit(curation, noise)
    assert "curation.label.scale=log_background_ratio" not in str(refused.value)
