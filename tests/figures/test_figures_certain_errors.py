"""The figure of risk against coverage shows the numbers that it is given."""

import numpy as np
from matplotlib.collections import PolyCollection

from drawings import legend_of
from jimt.figures.certain_errors import risk_coverage_curves
from jimt.statistics.risk_coverage import COVERAGES, RiskCoverage


def test_lines_are_the_error_rates_with_a_dot_where_uncertain_patches_are_left_out():
    one = RiskCoverage(COVERAGES**2 / 5, None, 0.07, None, (0.4, 0.03))
    other = RiskCoverage(COVERAGES / 4, np.stack([COVERAGES / 8, COVERAGES / 2]), 0.12, (0.1, 0.2), None)
    figure = risk_coverage_curves({"resnet18": (one, "area 0.070"), "inception": (other, "")})
    axes, beside = figure.axes
    first, random, dot, second, *_ = axes.lines
    np.testing.assert_array_equal(first.get_xydata(), np.stack([COVERAGES, one.errors], axis=1))
    np.testing.assert_array_equal(second.get_xydata(), np.stack([COVERAGES, other.errors], axis=1))
    assert set(random.get_ydata()) == {one.errors[-1]}
    assert dot.get_xydata().tolist() == [[0.4, 0.03]]
    (band,) = (each for each in axes.collections if isinstance(each, PolyCollection))
    assert band.get_paths()[0].vertices[:, 1].max() == 0.5
    assert legend_of(beside) == [
        "resnet18\narea 0.070",
        "inception",
        "uncertain patches left out",
        "left out at random",
    ]
