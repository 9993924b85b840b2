"""Figures of curves over groups show the numbers that they are given."""

import numpy as np

from jimt.figures.curves_over_groups import draw_adaptation, draw_learning


def estimate(value: float, half: float | None = 0.1) -> dict:
    return {"value": value, "interval": None if half is None else (value - half, value + half)}


def test_a_panel_for_each_truth_has_every_answer_with_its_interval():
    rows = [
        {
            "truth": truth,
            "stained": number,
            "groups": 12 - number,
            "adapted": estimate(0.3 / number),
            "before": estimate(0.3),
            "mean of the stained": estimate(0.2, None),
        }
        for truth in ("counted", "pi")
        for number in (1, 2)
    ]
    figure = draw_adaptation(rows)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["against counted cells", "against PI"]
    for axes in figure.axes:
        curves = [line for line in axes.lines if not line.get_label().startswith("_")]
        assert [line.get_ydata().tolist() for line in curves] == [[0.3, 0.15], [0.3, 0.3], [0.2, 0.2]]
        bars = [line.get_ydata() for line in axes.lines if line.get_label().startswith("_")]
        np.testing.assert_allclose(bars, [(0.2, 0.4), (0.05, 0.25), (0.2, 0.4), (0.2, 0.4)])
        assert [text.get_text() for text in axes.get_xticklabels()] == ["1\n11 groups", "2\n10 groups"]


def test_measures_are_drawn_by_the_number_of_groups_and_what_is_not_known_is_left_out():
    rows = [
        {"groups": 2, "auroc": {"value": None, "interval": None}, "share_error": estimate(0.3)},
        {"groups": 4, "auroc": estimate(0.7), "share_error": estimate(0.25)},
        {"groups": 15.2, "auroc": estimate(0.8), "share_error": estimate(0.2, None)},
    ]
    figure = draw_learning(rows, {"auroc": "AUROC", "share_error": "error"})
    area, error = figure.axes
    assert area.lines[0].get_xydata().tolist() == [[4, 0.7], [15.2, 0.8]]
    assert error.lines[0].get_xydata().tolist() == [[2, 0.3], [4, 0.25], [15.2, 0.2]]
    assert [text.get_text() for text in error.get_xticklabels()] == ["2", "4", "15.2"]
    assert error.get_ylim()[0] == 0
