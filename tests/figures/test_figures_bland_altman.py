import numpy as np
import pytest

from drawings import legend_of, offsets, points_of, scattered, title_of
from jimt.figures.bland_altman import agreement_of_shares
from jimt.figures.style import COLOURS, GROUP_COLOURS, png

TRUE, PREDICTED = np.array([0.0, 0.2, 0.5, 0.9]), np.array([0.1, 0.2, 0.7, 0.8])
GROUPS = np.array(["E1", "E2", "E1", "E3"], object)


def test_points_are_the_shares_and_their_differences_against_their_means():
    against, apart = agreement_of_shares(PREDICTED, TRUE, None, words="4 fields").axes
    np.testing.assert_allclose(offsets(*scattered(against)), np.stack([TRUE, PREDICTED], axis=1))
    np.testing.assert_allclose(offsets(*scattered(apart)), [[0.05, 0.1], [0.2, 0], [0.6, 0.2], [0.85, -0.1]])
    (identity,) = against.lines
    assert identity.get_xydata().tolist() == [[0, 0], [1, 1]]


def test_lines_are_zero_the_bias_and_the_limits_of_agreement():
    apart = agreement_of_shares(PREDICTED, TRUE, None, words="").axes[1]
    sd = np.sqrt((0.05**2 + 0.05**2 + 0.15**2 + 0.15**2) / 3)  # of 0.1, 0, 0.2, -0.1 about 0.05
    expected = [0, 0.05, 0.05 - 1.96 * sd, 0.05 + 1.96 * sd]
    assert [line.get_ydata()[0] for line in apart.lines] == pytest.approx(expected)
    assert title_of(apart) == f"line: bias +0.050\ndashed: ±1.96 SD, {expected[2]:+.3f} to {expected[3]:+.3f}"
    low, high = apart.get_ylim()
    assert low == -high < min(expected) < max(expected) < high


def test_few_groups_are_told_apart_and_none_looks_live_or_dead():
    figure = agreement_of_shares(PREDICTED, TRUE, GROUPS, words="")
    found = points_of(figure.axes[0])
    assert [colour for colour, _ in found] == list(GROUP_COLOURS[:3])
    assert [len(places) for _, places in found] == [2, 1, 1]
    assert len({tuple(points.get_paths()[0].vertices.ravel()) for points in scattered(figure.axes[0])}) == 3
    assert legend_of(figure) == ["E1", "E2", "E3"]
    assert not {colour for colour, _ in found} & set(COLOURS.values())


def test_many_groups_or_one_need_no_legend():
    rng = np.random.default_rng(0)
    for n_groups in (1, 7):
        groups = np.array([f"E{number % n_groups}" for number in range(20)], object)
        figure = agreement_of_shares(rng.random(20), rng.random(20), groups, words="")
        assert len(scattered(figure.axes[0])) == 1
        assert figure.legends == []


@pytest.mark.parametrize("n", [0, 1])
def test_without_two_shares_there_are_no_limits_and_still_a_figure(n):
    predicted = np.append(PREDICTED[:n], np.nan)
    figure = agreement_of_shares(predicted, TRUE[: n + 1], None, words="none")
    assert len(figure.axes[1].lines) == 1
    assert len(png(figure)) > 1000
