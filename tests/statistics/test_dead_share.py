import time

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize

from jimt.statistics.dead_share import ShareCalibration, fit_share_calibration, share_of_field, shares_of_groups


def painted(scores, y, x, *, height, width, size):
    """Pixel by pixel: the mean over the patches that hold it, then over the pixels that a patch holds."""
    values = []
    for row in range(height):
        for column in range(width):
            here = (y <= row) & (row < y + size) & (x <= column) & (column < x + size)
            if here.any():
                values.append((1 - scores[here]).mean())
    return np.mean(values)


@pytest.mark.parametrize("seed", range(6))
def test_the_share_of_a_field_is_that_of_its_pixels_painted_one_by_one(seed):
    rng = np.random.default_rng(seed)
    n, (height, width, size) = int(rng.integers(1, 30)), (int(side) for side in rng.integers((20, 30, 3), (40, 50, 15)))
    y, x = (rng.integers(0, length - size + 1, n) for length in (height, width))
    shape = {"height": height, "width": width, "size": size}
    scores = rng.random(n)
    assert share_of_field(scores, y, x, **shape) == pytest.approx(painted(scores, y, x, **shape), abs=1e-12)


def test_what_of_a_patch_lies_outside_the_field_counts_for_nothing():
    y, x, scores = np.array([-4, 12, 8]), np.array([3, 17, -9]), np.array([0.1, 0.7, 0.4])
    shape = {"height": 16, "width": 20, "size": 8}
    assert share_of_field(scores, y, x, **shape) == pytest.approx(painted(scores, y, x, **shape))
    assert share_of_field(scores, y + 100, x, **shape) is None
    assert share_of_field(scores[:0], y[:0], x[:0], **shape) is None


def test_the_order_of_patches_twins_of_them_and_live_for_dead_change_what_they_must():
    rng = np.random.default_rng(0)
    y, x, scores = rng.integers(0, 60, 40), rng.integers(0, 60, 40), rng.random(40)
    shape = {"height": 80, "width": 80, "size": 20}
    share = share_of_field(scores, y, x, **shape)
    order = rng.permutation(40)
    assert share_of_field(scores[order], y[order], x[order], **shape) == pytest.approx(share)
    assert share_of_field(np.tile(scores, 2), np.tile(y, 2), np.tile(x, 2), **shape) == pytest.approx(share)
    assert share_of_field(scores, x, y, **shape) == pytest.approx(share)  # the field turned over its diagonal
    assert share_of_field(1 - scores, y, x, **shape) == pytest.approx(1 - share)
    assert share_of_field(np.full(40, 0.3), y, x, **shape) == pytest.approx(0.7)


def test_a_dense_grid_on_a_large_field_takes_no_loop_over_pixels():
    y, x = (axis.ravel() for axis in np.mgrid[0:1825:16, 0:1825:16])
    scores = np.random.default_rng(0).random(len(y))
    begun = time.process_time()
    share = share_of_field(scores, y, x, height=2048, width=2048, size=224)
    assert time.process_time() - begun < 1  # 0.01 s; painting takes minutes
    assert share == pytest.approx(0.5, abs=0.02)


def test_a_group_s_share_is_that_of_its_cells():
    dead, cells = np.array([3, 0, 10, 0, 1]), np.array([10, 20, 10, 0, 4])
    groups = np.array(["E2", "E1", "E2", "E3", "E1"], object)
    with np.errstate(invalid="ignore"):
        shares, names = shares_of_groups(dead / cells, groups, cells.astype(float))
    assert names.tolist() == ["E1", "E2", "E3"]
    np.testing.assert_allclose(shares, [1 / 24, 13 / 20, np.nan])


def test_the_calibration_is_the_best_of_all_rising_functions():
    rng = np.random.default_rng(1)
    predicted = np.sort(rng.random(12))
    true, cells = np.clip(predicted + 0.3 * rng.normal(size=12), 0, 1), rng.integers(1, 50, 12).astype(float)
    rising = LinearConstraint(np.eye(12, k=1)[:-1] - np.eye(12)[:-1], 0, np.inf)
    best = minimize(
        lambda values: (cells * (values - true) ** 2).sum() / cells.sum(), np.full(12, 0.5), constraints=rising,
        bounds=[(0, 1)] * 12, method="SLSQP", options={"ftol": 1e-14, "maxiter": 1000},
    )  # fmt: skip
    fitted = fit_share_calibration(predicted, true, cells)
    np.testing.assert_allclose(fitted.apply(predicted), best.x, atol=2e-4)


def test_a_calibration_rises_stays_between_0_and_1_and_clips_beyond_its_knots():
    rng = np.random.default_rng(2)
    predicted, true = rng.uniform(0.2, 0.8, 60), rng.random(60)
    fitted = fit_share_calibration(predicted, true, None)
    mapped = fitted.apply(np.linspace(0, 1, 201))
    assert (np.diff(mapped) >= 0).all()
    assert 0 <= mapped.min() <= mapped.max() <= 1
    assert fitted.apply(np.array([-5.0, 0.0, 0.1])).tolist() == [fitted.true[0]] * 3
    assert fitted.apply(np.array([0.9, 5.0])).tolist() == [fitted.true[-1]] * 2
    assert np.isnan(fitted.apply(np.array([np.nan]))).all()
    assert all(type(knot) is float for knot in fitted.predicted + fitted.true)  # as a checkpoint takes them


def test_a_field_of_n_cells_weighs_as_n_fields():
    predicted, true, cells = np.array([0.1, 0.5, 0.6, 0.9]), np.array([0.2, 0.8, 0.1, 0.7]), np.array([3, 1, 4, 2])
    weighted = fit_share_calibration(predicted, true, cells.astype(float))
    repeated = fit_share_calibration(np.repeat(predicted, cells), np.repeat(true, cells), None)
    np.testing.assert_allclose(weighted.apply(predicted), repeated.apply(predicted))
    alike = fit_share_calibration(predicted, true, np.full(4, 7.0))
    np.testing.assert_allclose(alike.apply(predicted), fit_share_calibration(predicted, true, None).apply(predicted))


def test_shares_that_are_right_already_stay_as_they_are():
    shares = np.linspace(0, 1, 11)
    np.testing.assert_allclose(fit_share_calibration(shares, shares, None).apply(shares), shares)


def test_the_order_of_fields_and_those_without_truth_or_cells_change_nothing():
    rng = np.random.default_rng(3)
    predicted, true, cells = rng.random(20), rng.random(20), rng.integers(1, 9, 20).astype(float)
    order = rng.permutation(20)
    fitted = fit_share_calibration(predicted, true, cells)
    mixed = fit_share_calibration(predicted[order], true[order], cells[order])
    np.testing.assert_allclose(mixed.apply(predicted), fitted.apply(predicted))
    more = [np.append(values, extra) for values, extra in zip(
        (predicted, true, cells), ([0.5, np.nan, 0.1], [np.nan, 0.3, 0.2], [5, 5, 0]), strict=True
    )]  # fmt: skip
    assert fit_share_calibration(*more) == fitted


@pytest.mark.parametrize(
    ("predicted", "true", "constant"),
    [([0.4], [0.7], 0.7), ([0.1, 0.5, 0.9], [0.2, 0.2, 0.2], 0.2), ([0.1, 0.9], [0.8, 0.2], 0.5),
     ([0.3, 0.3, 0.3], [0.0, 0.3, 0.9], 0.4)],
)  # fmt: skip
def test_one_field_one_truth_or_a_wrong_order_gives_a_constant(predicted, true, constant):
    fitted = fit_share_calibration(np.array(predicted), np.array(true), None)
    np.testing.assert_allclose(fitted.apply(np.array([0.0, 0.45, 1.0])), constant)


def test_without_a_field_whose_truth_is_known_there_is_no_calibration():
    assert fit_share_calibration(np.array([0.2, 0.5]), np.array([np.nan, np.nan]), None) is None


def test_a_calibration_is_told_by_its_knots():
    assert ShareCalibration((0.5,), (0.25,)).apply(np.array([[0.0, 1.0]])).tolist() == [[0.25, 0.25]]
