import dataclasses
import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex

from drawings import legend_of, offsets, scattered, with_images
from jimt.figures import style
from jimt.figures.stain_maps import MarkedNuclei, StainField, draw_stain_fields
from jimt.vocabulary import DEAD, LIVE

STRIDE = 4
LIMITS = (0.0, 3.0)


def nuclei(rng: np.random.Generator, n: int, height: int, width: int) -> MarkedNuclei:
    return MarkedNuclei(rng.uniform(0, (height, width), (n, 2)), np.arange(n) % 3 == 0)


def field(seed: int = 0, *, height: int = 64, width: int = 80, marked: bool = True, **changes) -> StainField:
    rng = np.random.default_rng(seed)
    shape = (height // STRIDE, width // STRIDE)
    made = StainField(
        name=f"field {seed}",
        chosen_as=f"best of plate {seed}",
        brightfield=rng.integers(0, 256, (height, width)).astype(np.uint8),
        predicted=rng.uniform(*LIMITS, shape),
        true=rng.uniform(*LIMITS, shape),
        correlation=0.834,
        predicted_dead_share=0.42,
        true_dead_share=0.375,
        predicted_nuclei=nuclei(rng, 7, height, width) if marked else None,
        true_nuclei=nuclei(rng, 8, height, width) if marked else None,
    )
    return dataclasses.replace(made, **changes)


def drawn(*fields: StainField, pixel_size: float | None = None):
    return draw_stain_fields(fields, stride=STRIDE, limits=LIMITS, pixel_size=pixel_size)


def rows_of(figure, n: int) -> np.ndarray:
    return np.array(with_images(figure)).reshape(n, -1)


def words_of(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]


def test_each_row_is_a_field_with_its_predicted_and_measured_pi_on_one_scale():
    fields = [field(0), field(1)]
    figure = drawn(*fields)
    for row, each in zip(rows_of(figure, 2), fields, strict=True):
        brightfield, predicted, true, marked = (axes.images[0] for axes in row)
        for image in (brightfield, marked):
            np.testing.assert_array_equal(image.get_array(), each.brightfield)
            assert image.get_clim() == (0, 255)
        np.testing.assert_array_equal(predicted.get_array(), each.predicted)
        np.testing.assert_array_equal(true.get_array(), each.true)
        assert {image.get_clim() for image in (predicted, true)} == {LIMITS}
        assert predicted.get_cmap().name == true.get_cmap().name == "magma"
    assert words_of(figure)[:4] == ["bright-field", "predicted PI", "measured PI", "dead and live nuclei"]


def test_a_row_says_which_field_it_is_why_it_is_shown_and_how_well_it_was_predicted():
    named = field(0)
    unnamed = field(1, chosen_as="", correlation=np.nan, predicted_dead_share=np.nan)
    words = words_of(drawn(named, unnamed))
    assert "best of plate 0: field 0\nr 0.83; dead share 0.42 predicted, 0.38 true" in words
    assert "field 1\nr -; dead share - predicted, 0.38 true" in words


def test_a_pixel_of_a_map_lies_over_the_square_that_it_stands_for():
    each = field(height=66, width=83)  # two rows and three columns beyond the last whole square
    for axes in rows_of(drawn(each), 1)[0]:
        assert axes.get_xlim() == (-0.5, 82.5)
        assert axes.get_ylim() == (65.5, -0.5)
    for axes in rows_of(drawn(each), 1)[0, 1:3]:
        assert list(axes.images[0].get_extent()) == [-0.5, 79.5, 63.5, -0.5]


def test_what_is_no_data_is_hatched_and_named_where_there_is_any():
    holes = field().true.copy()
    holes[:, 2] = np.nan
    figure = drawn(field(true=holes))
    axes = rows_of(figure, 1)[0, 2]
    image = axes.images[0]
    np.testing.assert_array_equal(image.get_array().mask, np.isnan(holes))
    assert image.get_cmap()(np.ma.masked)[-1] == 0  # lets the hatching through
    assert axes.patch.get_visible()
    assert "/" in axes.patch.get_hatch()
    assert "no data" in legend_of(figure)
    assert "no data" not in legend_of(drawn(field()))


def test_nuclei_lie_where_they_are_dead_ones_of_another_shape_and_predicted_ones_filled():
    each = field()
    axes = rows_of(drawn(each), 1)[0, 3]
    kinds = scattered(axes)
    assert len(kinds) == 4
    for points, (given, label) in zip(
        kinds,
        [
            (each.true_nuclei, LIVE),
            (each.true_nuclei, DEAD),
            (each.predicted_nuclei, LIVE),
            (each.predicted_nuclei, DEAD),
        ],
        strict=True,
    ):
        expected = given.centres[given.dead == (label == DEAD)]
        np.testing.assert_allclose(offsets(points), expected[:, ::-1])
        colours = points.get_edgecolor() if given is each.true_nuclei else points.get_facecolor()
        assert to_hex(colours[0]).upper() == style.COLOURS[label]
    true_live, true_dead, predicted_live, predicted_dead = kinds
    corners = [len(points.get_paths()[0].vertices) for points in kinds]
    assert corners[0] == corners[2] != corners[1] == corners[3]
    for true, predicted in ((true_live, predicted_live), (true_dead, predicted_dead)):
        assert len(true.get_facecolor()) == 0  # hollow
        assert len(predicted.get_facecolor()) == 1
        assert true.get_sizes()[0] == 4 * predicted.get_sizes()[0]  # so that one can be seen within the other


def test_the_legend_names_marks_that_are_told_apart_without_colour():
    figure = drawn(field())
    assert legend_of(figure) == ["dead, true", "dead, predicted", "live, true", "live, predicted"]
    handles = figure.legends[0].legend_handles
    shapes = [(handle.get_marker(), handle.get_markerfacecolor() == "none") for handle in handles]
    assert len(set(shapes)) == 4


def test_without_nuclei_there_is_no_place_for_them_and_no_legend(tmp_path):
    figure = drawn(field(marked=False), field(1, marked=False))
    assert rows_of(figure, 2).shape == (2, 3)
    assert not figure.legends
    one_side = drawn(field(predicted_nuclei=None), field(1, marked=False))
    assert [len(scattered(row[3])) for row in rows_of(one_side, 2)] == [2, 0]
    none = MarkedNuclei(np.zeros((0, 2)), np.zeros(0, bool))
    style.save(drawn(field(predicted_nuclei=none, true_nuclei=none)), tmp_path, "maps")


def bar_of(axes) -> tuple[float, str]:
    (line,) = axes.lines
    return float(np.ptp(line.get_xdata())), next(text.get_text() for text in axes.texts)


@pytest.mark.parametrize(
    ("pixel_size", "said", "pixels"), [(None, "20 px", 20), (0.5, "10 µm", 20), (0.3, "5 µm", 5 / 0.3)]
)
def test_one_scale_bar_holds_for_fields_of_all_sizes(pixel_size, said, pixels):
    figure = drawn(field(width=60), field(1, height=128, width=168), pixel_size=pixel_size)
    for row in rows_of(figure, 2):
        length, words = bar_of(row[0])
        assert words == said
        assert length == pytest.approx(pixels)


def test_ticks_of_the_colour_bar_are_multiples_of_the_background_and_its_ends_say_what_lies_beyond():
    def bar(figure):
        (axes,) = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
        return axes

    within = bar(drawn(field()))
    assert within.get_ylabel() == "PI over background"
    assert [text.get_text() for text in within.get_yticklabels()] == ["1", "2", "4", "8"]
    assert within._colorbar.extend == "neither"
    bright = field().true + 1
    assert bar(drawn(field(true=bright)))._colorbar.extend == "max"
    assert bar(drawn(field(true=bright - 2, predicted=bright)))._colorbar.extend == "both"


def test_fields_of_all_shapes_and_long_names_overlap_nothing_and_keep_their_proportions():
    sizes = [(64, 64), (1024 // 8, 1344 // 8), (160, 40), (24, 160)]
    long = {"name": "plate_7__" + "a_very_long_name_of_a_field_" * 5, "chosen_as": "median of " + "an experiment " * 8}
    figure = drawn(*(field(n, height=height, width=width, **long) for n, (height, width) in enumerate(sizes)))
    figure.draw_without_rendering()
    panels = [[axes.get_window_extent() for axes in row] for row in rows_of(figure, len(sizes))]
    for row, (height, width) in zip(panels, sizes, strict=True):
        for panel, after in itertools.pairwise(row):
            assert panel.x1 <= after.x0 + 1e-6
            assert panel.width / panel.height == pytest.approx(width / height, rel=1e-3)
        assert len({round(panel.y0, 3) for panel in row}) == 1
    titles = [text for axes in figure.axes for text in axes.texts if "dead share" in text.get_text()]
    for n, title in enumerate(titles):
        box = title.get_window_extent()
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= panels[n][0].y1 - 2
        if n:
            assert box.y1 <= panels[n - 1][0].y0
