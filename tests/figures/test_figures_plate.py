"""Plates as they are drawn: where wells lie, what stands in them, and what is told without colour."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from jimt.figures.plate import SHARE_COLOURS, PlateWell, draw_plate, ink_on, plate_shape, row_name, well_place
from jimt.figures.style import png


def wells_of(rows, columns):
    return [f"{row_name(row)}{column + 1:02d}" for row in range(rows) for column in range(columns)]


def luminance(colour):
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def squares(figure):
    found = {}
    for patch in figure.axes[0].patches:
        if isinstance(patch, Rectangle):
            found[round(patch.get_y() + 0.46), round(patch.get_x() + 0.46)] = patch
    return found


@pytest.mark.parametrize("shape", [(2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48)])
def test_a_whole_plate_is_known_by_its_wells(shape):
    assert plate_shape(wells_of(*shape)) == shape
    assert [well_place(name) for name in wells_of(*shape)] == [*np.ndindex(*shape)]


@pytest.mark.parametrize(
    ("names", "shape"),
    [
        ([], (8, 12)),
        (["B02", "C03"], (8, 12)),
        (wells_of(2, 3)[:-1], (8, 12)),  # five of the wells of a plate of six could be of any
        (["A13"], (16, 24)),
        (["I01"], (16, 24)),
        (["A25"], (32, 48)),
        (["Q01"], (32, 48)),
        (["no well", "A01"], (8, 12)),
    ],
)
def test_some_wells_are_drawn_on_the_smallest_usual_plate_from_96_on(names, shape):
    assert plate_shape(names) == shape


def test_a_well_tells_its_share_its_fields_and_its_flags_without_colour():
    wells = [
        PlateWell("B03", 0.42, 4, 0, has_flags=False),
        PlateWell("C05", 0.9, 2, 1, has_flags=True),
        PlateWell("H12", None, 0, 3, has_flags=True),
        PlateWell("nowhere", 0.1, 1, 0, has_flags=False),
    ]
    figure = draw_plate(wells, title="<b>$x$ p7", label="mean dead share of nuclei")
    drawn = squares(figure)
    assert len(drawn) == 96
    assert drawn[1, 2].get_facecolor() == pytest.approx(SHARE_COLOURS(0.42))
    assert {place for place, square in drawn.items() if square.get_hatch()} == {(7, 11)}
    axes = figure.axes[0]
    texts = {(round(text.get_position()[1]), round(text.get_position()[0])): [] for text in axes.texts}
    for text in axes.texts:
        texts[round(text.get_position()[1]), round(text.get_position()[0])].append(text.get_text())
    assert texts == {(1, 2): ["42", "n 4"], (2, 4): ["90", "n 2"]}
    flagged = {(round(line.get_ydata()[0]), round(line.get_xdata()[0])) for line in axes.lines}
    assert flagged == {(2, 4), (7, 11)}
    assert axes.get_title(loc="left") == "<b>$x$ p7"
    assert [text.get_text() for text in figure.legends[0].texts][1:] == ["has flagged fields", "no field counts"]
    assert [label.get_text() for label in axes.get_yticklabels()] == list("ABCDEFGH")
    assert png(figure) == png(draw_plate(wells, title="<b>$x$ p7", label="mean dead share of nuclei"))


def test_shares_are_ever_darker_and_numbers_on_them_can_be_read():
    shares = np.linspace(0, 1, 101)
    grey = [luminance(SHARE_COLOURS(share)) for share in shares]
    assert (np.diff(grey) < 0).all()
    for share, behind in zip(shares, grey, strict=True):
        ink = luminance(ink_on(share))
        assert (max(ink, behind) + 0.05) / (min(ink, behind) + 0.05) > 4.5  # WCAG 2, AA
