import numpy as np
import pytest

from drawings import colour_of, legend_of, offsets, scattered
from jimt.figures.stained_areas import areas_by_condition
from jimt.figures.style import COLOURS, png
from jimt.statistics.condition_areas import compare_conditions

AREAS = np.array([0.10, 0.14, 0.12, 0.30, 0.34, 0.38, 0.11, 0.15, 0.60, 0.70])
CONDITIONS = ["untreated"] * 3 + ["doxo"] * 3 + ["untreated"] * 2 + ["doxo"] * 2
DAYS = [1.0] * 6 + [5.0] * 4
WELLS = ["A1", "A2", "A3", "B1", "B2", "B3", "A1", "A2", "B1", "B2"]


def rows(control: str = "untreated"):
    return compare_conditions(AREAS, CONDITIONS, DAYS, WELLS, control=control, confidence=0.95)


def drawn(found, control: str = "untreated"):
    return areas_by_condition(found, control=control, words="area, %", confidence=0.95)


def lines_of(axes) -> tuple[list[np.ndarray], list[float]]:
    """Intervals as pairs of ends, and means, in the order of the rows."""
    lines = [np.asarray(line.get_xdata(), float) for line in axes.lines if line.get_linestyle() == "-"]
    marked = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "D"]
    return [ends for ends in lines if len(ends) == 2 and set(ends) != {0, 1}], marked


def test_circles_are_wells_diamonds_their_means_and_lines_the_intervals_in_per_cent():
    found = rows()
    means, differences = drawn(found).axes
    wells = [sorted(offsets(points)[:, 0]) for points in scattered(means)]
    assert wells == [pytest.approx(each) for each in ([10, 12, 14], [30, 34, 38], [11, 15], [60, 70])]
    intervals, marked = lines_of(means)
    assert marked == pytest.approx([12, 34, 13, 65])
    assert np.array(intervals) == pytest.approx(np.array([[100 * end for end in row.interval] for row in found]))
    intervals, marked = lines_of(differences)
    assert marked == pytest.approx([22, 52])
    expected = [[100 * end for end in row.difference_interval] for row in found if row.condition == "doxo"]
    assert np.array(intervals) == pytest.approx(np.array(expected))


def test_rows_are_named_and_days_stand_beside_them():
    means, differences = drawn(rows()).axes
    assert [text.get_text() for text in means.get_yticklabels()] == ["untreated", "doxo"] * 2
    assert [text.get_text() for text in differences.texts] == ["day 1", "day 5"]
    places = means.get_yticks()
    assert (np.diff(places) < 0).all()
    assert [text.get_position()[1] for text in differences.texts] == pytest.approx(
        [places[:2].mean(), places[2:].mean()]
    )
    assert differences.get_xlabel() == "minus untreated\n(percentage points)"
    assert means.get_xlim()[0] == 0
    assert means.get_xlim()[1] <= 100


def test_a_condition_has_one_colour_on_every_day_and_none_looks_live_or_dead():
    figure = drawn(rows())
    colours = [colour_of(points.get_edgecolor()[0]) for points in scattered(figure.axes[0])]
    assert colours == ["#000000", colours[1]] * 2
    assert not set(colours) & set(COLOURS.values())
    assert legend_of(figure) == ["a well", "mean, 95 % interval"]


def test_without_days_or_another_condition_there_is_one_panel_and_no_day():
    found = compare_conditions(np.array([0.2, 0.3]), ["a"] * 2, [None] * 2, ["x", "y"], control="a", confidence=0.95)
    figure = drawn(found, "a")
    (axes,) = figure.axes
    assert list(axes.texts) == []
    assert len(png(figure)) > 1000


def test_wells_without_any_stain_and_a_single_well_are_drawn():
    found = compare_conditions(np.zeros(3), ["a", "a", "b"], [None] * 3, ["x", "y", "z"], control="a", confidence=0.95)
    figure = drawn(found, "a")
    assert lines_of(figure.axes[0]) == ([], [0, 0])
    assert figure.axes[0].get_xlim() == (0, 1)
    assert len(png(figure)) > 1000
