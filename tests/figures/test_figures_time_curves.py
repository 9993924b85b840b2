"""Words in the panels of time courses keep to their panel, however many panels there are."""

import io

import pytest

from jimt.figures.time_curves import TimePanel, draw_time_curves

WORDS = ("not known: fewer than two times with a dead share that counts", "onset by time point 0, the first time")


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_words_of_an_onset_stay_within_their_panel(n):
    panels = [
        TimePanel(f"A{number}", WORDS[number % 2], [], ([0.0, 1.0], [0.4, 0.5]), [None, None], None, None, ([], []))
        for number in range(n)
    ]
    told = {
        "kind": "wells",
        "unit": "time point",
        "label": "dead share of patches with cells",
        "threshold": 0.3,
        "confidence": 0.95,
    }
    figure = draw_time_curves(panels, **told)
    figure.savefig(io.BytesIO())  # a layout that does not fit warns, which is an error in tests
    (legend,) = figure.legends
    assert figure._supylabel.get_window_extent().y1 <= legend.get_window_extent().y0
    drawn = [axes for axes in figure.axes if axes.get_visible() and axes.texts]
    assert len(drawn) == n
    for axes in drawn:
        (words,) = axes.texts
        panel, text = axes.get_window_extent(), words.get_window_extent()
        assert panel.width / figure.dpi > 1.2  # inches
        assert panel.x0 <= text.x0 < text.x1 <= panel.x1
        assert panel.y0 + 0.6 * panel.height <= text.y0
