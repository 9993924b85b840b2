"""What explains a figure is to be read whole, however few panels it has."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from jimt.figures.curves_over_groups import draw_adaptation
from jimt.figures.dose_curves import DosePanel, draw_dose_curves
from jimt.figures.time_curves import TimePanel, draw_time_curves


def adaptation(n: int) -> Figure:
    told = {"value": 0.1, "interval": (0.05, 0.2)}
    kinds = dict.fromkeys(("adapted", "before", "mean of the stained"), told)
    return draw_adaptation([{"truth": truth, "stained": 1, "groups": 6} | kinds for truth in ("pi", "counted")[:n]])


def doses(n: int) -> Figure:
    panel = DosePanel("doxo", "no curve", np.array([0.0, 1, 10]), np.array([0.1, 0.2, 0.3]), None)
    return draw_dose_curves([panel] * n, title="plate p", unit="µM", label="dead share", confidence=0.95)


def times(n: int) -> Figure:
    mean = [0, 6], [0.0, 0.0]
    panel = TimePanel("A01", "onset not within 6 h", (), mean, (None, None), None, (6, None), ([], []))
    return draw_time_curves([panel] * n, kind="wells", unit="h", label="dead share", threshold=0.5, confidence=0.95)


@pytest.mark.parametrize(
    ("draw", "n"), [(adaptation, 1), (adaptation, 2), *((draw, n) for draw in (doses, times) for n in range(1, 8))]
)
def test_a_legend_lies_within_its_figure(draw, n):
    figure = draw(n)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box, page = legend.get_window_extent(), figure.bbox
    assert page.x0 <= box.x0 < box.x1 <= page.x1
    assert page.y0 <= box.y0 < box.y1 <= page.y1


def test_the_interval_of_an_onset_hides_no_share_of_0_and_the_legend_names_it():
    axes = times(1).axes[0]
    (arrow,) = [line for line in axes.lines if line.get_marker() == ">"]
    assert axes.get_ylim()[0] < arrow.get_ydata()[0] < -0.05
    assert "its interval, open at an arrow" in [text.get_text() for text in times(1).legends[0].texts]
