from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest

from drawings import BRIGHTFIELD, CURVE, FLUORESCENCE, colour_of
from jimt.figures import curation, discrimination, features, style
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

# Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph. 15 (2009), severity 1.0, of linear RGB
SEEN_BY = {
    "trichromats": np.eye(3),
    "protanopes": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopes": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
XYZ_OF_RGB = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(colour: str, seen_by: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as some people see it."""
    encoded = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(XYZ_OF_RGB @ np.clip(seen_by @ linear, 0, 1) / [0.95047, 1, 1.08883])  # none is nearly black
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("people", SEEN_BY)
def test_live_dead_and_discarded_are_told_apart_also_without_colour_vision(people):
    assert set(style.COLOURS) == set(style.MARKERS) == {LIVE, DEAD, AMBIGUOUS}
    seen = {label: lab(colour, SEEN_BY[people]) for label, colour in style.COLOURS.items()}
    for one, other in combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 20
    assert len(set(style.MARKERS.values())) == 3  # and by their shape


def test_models_are_told_apart_by_colour_or_line():
    styles = [tuple(discrimination._model_style(number).values()) for number in range(36)]
    assert len(set(styles)) == 36
    assert not set(style.MODEL_COLOURS) & set(style.COLOURS.values())


def test_a_score_has_the_colour_of_its_class_and_one_half_nearly_none():
    assert colour_of(style.SCORE_COLOURS(0.0)) == style.COLOURS[DEAD]
    assert colour_of(style.SCORE_COLOURS(1.0)) == style.COLOURS[LIVE]
    assert min(style.SCORE_COLOURS(0.5)[:3]) > 0.9


@pytest.mark.parametrize(
    "draw",
    [
        lambda: discrimination.roc_curves({"resnet18": (CURVE, "AUROC 0.9")}),
        lambda: features.embedding(np.eye(4)[:, :2], np.array([1, 0, 1, 0]), np.full(4, 0.3), np.array(list("abca"))),
        lambda: curation.sample_patches(
            BRIGHTFIELD[:3], FLUORESCENCE[:3], np.array([1, 0, 0]), np.arange(3.0), unit="counts"
        ),
    ],
)
def test_a_figure_is_the_same_files_each_time_it_is_drawn(draw, tmp_path):
    for folder in ("first", "again"):
        style.save(draw(), tmp_path / folder / "deep", "one")
    first, again = (
        {path.name: path.read_bytes() for path in (tmp_path / folder / "deep").iterdir()}
        for folder in ("first", "again")
    )
    assert set(first) == {"one.png", "one.svg"}
    assert first == again
    assert first["one.png"].startswith(b"\x89PNG")


def test_a_figure_is_laid_out_once_so_it_is_the_same_files_when_it_is_saved_again(tmp_path):
    figure = discrimination.roc_curves({"a name that is long enough to move the axes": (CURVE, "AUROC 0.9")})
    for folder in ("first", "again"):
        style.save(figure, tmp_path / folder, "one")
    for name in ("one.png", "one.svg"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_text_stays_text_in_a_drawing_of_lines(tmp_path):
    style.save(discrimination.roc_curves({"resnet18": (CURVE, "AUROC 0.9")}), tmp_path, "roc")
    assert "AUROC 0.9</text>" in (tmp_path / "roc.svg").read_text()


def test_a_figure_does_not_depend_on_what_the_notebook_around_it_has_set():
    with mpl.rc_context({"font.size": 30, "axes.titlesize": 40, "image.cmap": "jet"}):
        figure = curation.sample_patches(
            BRIGHTFIELD[:1], FLUORESCENCE[:1], np.array([1]), np.array([500.0]), unit="counts"
        )
        assert mpl.rcParams["font.size"] == 30
    assert figure.axes[0].title.get_fontsize() == 9
    assert figure.axes[0].images[0].get_cmap().name == "gray"


def test_a_long_name_is_cut_in_its_middle():
    assert style.shortened("resnet18", length=8) == "resnet18"
    assert style.shortened("abcdefghij", length=7) == "abc…hij"
    assert style.shortened("abcdefghij", length=6) == "ab…hij"
    assert style.shortened("a" * 28) == "a" * 28
    for length in range(1, 30):
        assert len(style.shortened("abcdefghijklmnopqrstuvwxyz" * 2, length=length)) == length


def test_a_long_name_is_on_two_lines_at_most():
    assert style.wrapped("resnet18", width=10) == "resnet18"
    assert style.wrapped("", width=10) == ""
    assert style.wrapped("live and dead cells", width=13) == "live and dead\ncells"
    assert style.wrapped("one two three four five", width=7) == "one two\nthr…ive"
    assert style.wrapped("abcdefghij", width=5) == "abcde\nfghij"


def test_names_lose_the_end_that_all_share_where_something_is_left():
    assert style.told_apart(["well 1--P1.tif", "well 2--P1.tif"]) == ["well 1", "well 2"]
    assert style.told_apart(["a.tif", ".tif"]) == ["a.tif", ".tif"]  # nothing would be left of the second
    assert style.told_apart(["a", "b"]) == ["a", "b"]
    assert style.told_apart(["same", "same"]) == ["same", "same"]
    assert style.told_apart(["alone"]) == ["alone"]
    assert style.told_apart([]) == []


def test_pi_is_drawn_from_its_1st_percentile_to_its_99_7th_and_a_flat_image_too():
    assert style.fluorescence_range(np.arange(1001.0)) == pytest.approx((10, 997))
    for flat in (0.0, 500.0, -3e5):
        low, high = style.fluorescence_range(np.full((4, 4), flat))
        assert low == flat < high


def test_pixels_without_data_do_not_move_the_range_that_is_drawn():
    values = np.concatenate([np.arange(1001.0), np.full(500, np.nan)])
    assert style.fluorescence_range(values) == pytest.approx((10, 997))


def test_ticks_of_a_fluorescence_bar_are_at_even_distances():
    figure, ((axes,),) = style.new_axes(2, 2)
    drawn = style.draw_fluorescence(axes, FLUORESCENCE[0], (100, 1700))
    style.fluorescence_bar(figure, drawn, figure.axes, label="counts", shrink=1)
    bar = figure.axes[-1]
    assert [text.get_text() for text in bar.get_yticklabels()] == ["100", "200", "500", "1,000", "1,700"]
    assert np.asarray(drawn.norm(bar.get_yticks())) == pytest.approx([0, 0.25, 0.5, 0.75, 1])
