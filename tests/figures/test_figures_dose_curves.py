"""Dose-response curves as they are drawn: wells, a place for dose 0, and open ends."""

import functools

import numpy as np
import pytest

from drawings import offsets, scattered
from jimt.figures.dose_curves import DosePanel, draw_dose_curves
from jimt.statistics.dose_response import fit_dose_response

DOSES = np.repeat([0.0, 0.1, 1, 10, 100], 3)
SHAPES = {
    "number": 0.1 + 0.8 * DOSES / (DOSES + 3),
    "above": 0.1 + 0.8 * DOSES / (DOSES + 400),
    "below": np.where(DOSES > 0, 0.9, 0.1),
    "flat": np.full(15, 0.3),
}


@functools.cache
def panel(shape: str) -> DosePanel:
    shares = SHAPES[shape] + 0.01 * np.tile([-1, 0, 1], 5) * (shape != "flat")
    fit = fit_dose_response(DOSES, shares, confidence=0.95, significance=0.01, n_shuffles=199, seed=0)
    return DosePanel(f"{shape} <b>$x$", "words", DOSES, shares, fit)


def drawn(*panels: DosePanel):
    return draw_dose_curves(panels, title=None, unit="µM", label="dead share", confidence=0.95)


def test_a_circle_is_a_well_at_its_decade_and_dose_0_has_a_place_left_of_a_break():
    (axes,) = drawn(panel("number")).axes
    (points,) = scattered(axes)
    places = offsets(points)[:, 0]
    assert places[DOSES > 0] == pytest.approx(np.log10(DOSES[DOSES > 0]))
    assert len(set(places[DOSES == 0])) == 1
    assert places[0] < -1.5
    labels = {tick: label.get_text() for tick, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)}
    assert labels[places[0]] == "0"
    assert [label for tick, label in labels.items() if tick >= -1] == ["0.1", "1", "10", "100"]
    assert axes.get_xlabel() == "dose (µM)"


def test_a_figure_of_one_of_several_times_says_which():
    figure = draw_dose_curves(
        [panel("number")], title="plate p, time 6h", unit=None, label="dead share", confidence=0.95
    )
    assert figure.get_suptitle() == "plate p, time 6h"
    assert drawn(panel("number")).get_suptitle() == ""


def test_an_open_end_is_an_arrow_and_no_effect_a_broken_line():
    figure = drawn(*map(panel, SHAPES))
    arrows = [
        {line.get_marker() for line in axes.lines} & {"<", ">"} for axes in figure.axes if axes.get_title(loc="left")
    ]
    assert arrows == [set(), {">"}, {"<"}, set()]
    flat = figure.axes[3]
    assert [line.get_ydata()[0] for line in flat.lines if line.get_linestyle() == "--"] == [pytest.approx(0.3)]


def test_twelve_compounds_stand_on_one_figure_and_one_without_a_curve_too():
    without = DosePanel("none", "no curve", np.array([0.0, 1]), np.array([0.1, 0.2]), None)
    nothing = DosePanel("nothing", "no curve", np.array([]), np.array([]), None)
    figure = drawn(*[panel("number")] * 10, without, nothing)
    assert len([axes for axes in figure.axes if axes.get_title(loc="left")]) == 12
