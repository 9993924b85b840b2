from itertools import combinations, pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex
from scipy.stats import norm
from sklearn.metrics import confusion_matrix

from jimt.analysis.curves import Calibration, Curve, accuracy_by_unit
from jimt.analysis.figures import curation, empty_filter, features, maps, performance, style
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

RNG = np.random.default_rng(0)
BRIGHTFIELD = RNG.integers(0, 256, (12, 16, 16)).astype(np.uint8)
FLUORESCENCE = RNG.normal(500, 60, (12, 16, 16))
CURVE = Curve(np.array([0.0, 0.1, 1.0]), np.array([0.0, 0.8, 1.0]), None, None, None)


def title_of(axes) -> str:
    return axes.get_title(loc="left") or axes.get_title()


def offsets(points: PathCollection) -> np.ndarray:
    return np.asarray(points.get_offsets())


def scattered(axes) -> list[PathCollection]:
    """The kinds of points that are there."""
    return [each for each in axes.collections if isinstance(each, PathCollection) and len(offsets(each))]


def points_of(axes) -> list[tuple[str, np.ndarray]]:
    """The colour and the places of each kind of points."""
    return [(colour_of(points.get_facecolor()[0]), offsets(points)) for points in scattered(axes)]


def colour_of(colour) -> str:
    return to_hex(colour).upper()


def frame_of(axes) -> str:
    return colour_of(axes.spines["left"].get_edgecolor())


def legend_of(owner) -> list[str]:
    legend = owner.legends[0] if hasattr(owner, "legends") and owner.legends else owner.get_legend()
    return [text.get_text() for text in legend.get_texts()]


def with_images(figure) -> list:
    return [axes for axes in figure.axes if axes.images and axes.get_label() != "<colorbar>"]


# ---- style

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
    styles = [tuple(performance._model_style(number).values()) for number in range(36)]
    assert len(set(styles)) == 36
    assert not set(style.MODEL_COLOURS) & set(style.COLOURS.values())


def test_a_score_has_the_colour_of_its_class_and_one_half_nearly_none():
    assert colour_of(style.SCORE_COLOURS(0.0)) == style.COLOURS[DEAD]
    assert colour_of(style.SCORE_COLOURS(1.0)) == style.COLOURS[LIVE]
    assert min(style.SCORE_COLOURS(0.5)[:3]) > 0.9


@pytest.mark.parametrize(
    "draw",
    [
        lambda: performance.roc_curves({"resnet18": (CURVE, "AUROC 0.9")}),
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
    figure = performance.roc_curves({"a name that is long enough to move the axes": (CURVE, "AUROC 0.9")})
    for folder in ("first", "again"):
        style.save(figure, tmp_path / folder, "one")
    for name in ("one.png", "one.svg"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_text_stays_text_in_a_drawing_of_lines(tmp_path):
    style.save(performance.roc_curves({"resnet18": (CURVE, "AUROC 0.9")}), tmp_path, "roc")
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


def test_ticks_of_a_fluorescence_bar_are_at_even_distances():
    figure = style.new_figure(2, 2)
    drawn = style.draw_fluorescence(figure.add_subplot(), FLUORESCENCE[0], (100, 1700))
    style.fluorescence_bar(figure, drawn, figure.axes, label="counts", shrink=1)
    bar = figure.axes[-1]
    assert [text.get_text() for text in bar.get_yticklabels()] == ["100", "200", "500", "1,000", "1,700"]
    assert np.asarray(drawn.norm(bar.get_yticks())) == pytest.approx([0, 0.25, 0.5, 0.75, 1])


# ---- curation


def field(n: int, outcomes: list[str], *, seed: int = 0) -> curation.FieldView:
    """A field of n by n patches of 16 px, each half over its neighbour."""
    rng = np.random.default_rng(seed)
    y, x = (8 * of.ravel() for of in np.mgrid[:n, :n])
    side = 8 * (n - 1) + 16
    pictures = rng.integers(0, 256, (side, side)).astype(np.uint8), rng.normal(500, 60, (side, side))
    return curation.FieldView(f"--W{seed}", *pictures, y, x, np.array(outcomes, object))


def test_each_patch_of_a_raw_image_is_marked_at_its_centre_in_the_colour_of_its_label():
    outcomes = ["live", "live", "dead", "ambiguous", "empty", "no_data", "live", "dead", "live"]
    fields = [field(3, outcomes), field(3, ["dead"] * 9, seed=1)]
    figure = curation.raw_pairs(fields, patch_size=16, unit="counts")
    top, second, bottom, last = with_images(figure)
    found = dict(points_of(top))
    assert {tuple(at) for at in found[style.COLOURS[LIVE]]} == {(8, 8), (16, 8), (8, 24), (24, 24)}
    assert {tuple(at) for at in found[style.COLOURS[DEAD]]} == {(24, 8), (16, 24)}
    assert {tuple(at) for at in found[style.COLOURS[AMBIGUOUS]]} == {(8, 16)}
    assert sum(len(at) for at in found.values()) == 9
    assert [len(at) for _, at in points_of(second)] == [9]
    np.testing.assert_array_equal(top.images[0].get_array(), fields[0].brightfield)
    np.testing.assert_array_equal(last.images[0].get_array(), fields[1].fluorescence)
    assert bottom.images[0].get_clim() == last.images[0].get_clim()  # all on one scale
    assert [title_of(axes) for axes in (top, second)] == ["--W0", "--W1"]


def test_the_frames_of_a_patch_and_its_neighbour_overlap_as_patches_do():
    figure = curation.raw_pairs([field(3, ["live"] * 9)], patch_size=16, unit="counts")
    for axes in with_images(figure):
        assert [(of.get_xy(), of.get_width(), of.get_height()) for of in axes.patches] == [
            ((0, 0), 16, 16),
            ((8, 0), 16, 16),
        ]
    figure = curation.raw_pairs([field(1, ["live"])], patch_size=16, unit="counts")
    assert [len(axes.patches) for axes in with_images(figure)] == [1, 1]


def test_the_legend_names_the_outcomes_that_are_there():
    figure = curation.raw_pairs([field(2, ["empty", "dead", "dead", "ambiguous"])], patch_size=16, unit="counts")
    assert legend_of(figure)[:-1] == ["dead", "discarded: between the cut-offs", "discarded: empty"]


def test_sample_patches_stand_above_their_fluorescence_live_left_and_dead_right():
    labels, values = np.array([0, 1, 0, 1, 0]), np.array([600.0, 224.0, 551.25, 230.0, 12345.6])
    figure = curation.sample_patches(BRIGHTFIELD[:5], FLUORESCENCE[:5], labels, values, unit="counts")
    shown = with_images(figure)
    order = [1, 3, 0, 2, 4]
    for axes, index in zip(shown[:5], order, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), BRIGHTFIELD[index])
    for axes, index in zip(shown[5:], order, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), FLUORESCENCE[index])
    assert [frame_of(axes) for axes in shown] == 2 * (2 * [style.COLOURS[LIVE]] + 3 * [style.COLOURS[DEAD]])
    assert [axes.get_xlabel() for axes in shown[5:]] == ["224", "230", "600", "551.2", "1.235e+04"]
    assert [title_of(axes) for axes in shown[:5]] == ["live patches", "", "dead patches", "", ""]
    assert len({axes.images[0].get_clim() for axes in shown[5:]}) == 1


@pytest.mark.parametrize("label", [LIVE, DEAD])
def test_sample_patches_of_one_class_or_one_patch_can_be_drawn(label):
    figure = curation.sample_patches(
        BRIGHTFIELD[:1], FLUORESCENCE[:1], np.array([label]), np.array([500.0]), unit="counts"
    )
    assert [frame_of(axes) for axes in with_images(figure)] == [style.COLOURS[label]] * 2


def labelled(values: np.ndarray, *, components=None, cuts=(300.0, 450.0), n_groups: int = 3) -> curation.LabelledValues:
    labels = np.where(values < 300, LIVE, np.where(values > 450, DEAD, AMBIGUOUS))
    groups = np.array([f"well {number % n_groups}" for number in range(len(values))], object)
    return curation.LabelledValues(values, labels, groups, *cuts, components)


def mixture(n: int = 400) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(224, 15, n // 2), rng.normal(380, 30, n // 4), rng.normal(560, 40, n // 4)])


def test_the_bars_of_a_histogram_add_up_to_the_patches_and_its_cut_offs_are_dashed():
    of = labelled(mixture())
    (axes,) = curation.fluorescence_histograms({"no treatment": of}, scale="counts").axes
    bars = {colour_of(bars[0].get_facecolor()): sum(bar.get_height() for bar in bars) for bars in axes.containers}
    n = {label: int((of.labels == label).sum()) for label in (LIVE, AMBIGUOUS, DEAD)}
    assert bars == {style.COLOURS[label]: n[label] for label in n}
    assert sum(bars.values()) == 400
    dashed = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    assert dashed == [300, 450]
    words = {f"live ({n[LIVE]})", f"discarded ({n[AMBIGUOUS]})", f"dead ({n[DEAD]})"}
    assert set(legend_of(axes)) == words | {"live below 300", "dead above 450"}


def test_bars_stand_on_one_another_and_the_brightest_patches_are_in_the_last():
    values = np.append(mixture(), 4000.0)
    (axes,) = curation.fluorescence_histograms({"no treatment": labelled(values)}, scale="counts").axes
    edges = [bar.get_x() for bar in axes.containers[0]] + [np.percentile(values, 99.7)]
    tops = np.max([[bar.get_y() + bar.get_height() for bar in bars] for bars in axes.containers], axis=0)
    expected = np.histogram(np.minimum(values, edges[-1]), [*edges[:-1], edges[-1] + 1])[0]
    assert tops.tolist() == expected.tolist()
    assert axes.get_xlabel() == "counts, last bin: and more"


def test_the_two_components_are_drawn_where_they_were_fitted_on_the_scale_of_the_bars():
    components = ((0.6, 224.0, 15.0), (0.4, 560.0, 40.0))
    fitted, other = curation.fluorescence_histograms(
        {"no treatment": labelled(mixture(), components=components), "other": labelled(mixture(40))}, scale="counts"
    ).axes
    width = fitted.containers[0][0].get_width()
    curves = [line for line in fitted.lines if line.get_linestyle() == "-" and line.get_color() != "white"]
    for line, (weight, mean, sd) in zip(curves, components, strict=True):
        x = line.get_xdata()
        np.testing.assert_allclose(line.get_ydata(), 400 * width * weight * norm.pdf(x, mean, sd), rtol=1e-4, atol=1e-9)
    assert [line.get_linestyle() for line in other.lines] == ["--", "--"]
    assert [title_of(axes) for axes in (fitted, other)] == ["no treatment, mixture fitted here", "other"]


@pytest.mark.parametrize("values", [np.array([224.0]), np.full(20, 224.0)])
def test_a_histogram_of_one_value_holds_all_patches(values):
    (axes,) = curation.fluorescence_histograms({"one": labelled(values, cuts=(None, None))}, scale="counts").axes
    assert sum(bar.get_height() for bars in axes.containers for bar in bars) == len(values)
    assert not axes.lines


def test_patches_stand_in_the_column_of_their_group_in_order_of_its_median():
    of = labelled(mixture())
    of.values[of.groups == "well 1"] += 100  # so the second well is the brightest, and not every label is right now
    (axes,) = curation.labelled_patches({"no treatment": of}, scale="counts", seed=0).axes
    median = {name: np.median(of.values[of.groups == name]) for name in np.unique(of.groups)}
    column = {name: rank for rank, name in enumerate(sorted(median, key=median.get))}
    expected = {style.COLOURS[label]: of.labels == label for label in (LIVE, AMBIGUOUS, DEAD)}
    for colour, at in points_of(axes):
        rows = expected.pop(colour)
        np.testing.assert_allclose(at[:, 1], of.values[rows])
        assert np.round(at[:, 0]).tolist() == [column[name] for name in of.groups[rows]]
    assert not expected
    assert [line.get_ydata()[0] for line in axes.lines] == [300, 450]
    assert axes.get_xlabel() == "3 groups, by median"


def test_patches_are_scattered_the_same_way_with_the_same_seed_alone():
    first, again, other = (
        points_of(curation.labelled_patches({"a": labelled(mixture())}, scale="counts", seed=seed).axes[0])[0][1]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_one_patch_of_one_group_has_a_column():
    (axes,) = curation.labelled_patches({"a": labelled(np.array([224.0]))}, scale="counts", seed=0).axes
    ((colour, at),) = points_of(axes)
    assert (colour, at[0, 1]) == (style.COLOURS[LIVE], 224)
    assert legend_of(axes) == ["live (1)", "discarded (0)", "dead (0)"]


# ---- the empty filter


def test_hand_labelled_patches_stand_beside_their_features_those_with_cells_first():
    vectors = np.array([[0.0, 5, 7], [2.0, 5, 8], [4.0, 5, 11]])
    empty = np.array([True, False, True])
    shown = with_images(empty_filter.feature_barcodes(BRIGHTFIELD[:3], vectors, empty))
    by_hand = np.array([[0, 0, 0], [0.5, 0, 0.25], [1, 0, 1]])  # a feature that is the same in all tells nothing
    for row, index in enumerate([1, 0, 2]):
        picture, stripes = shown[2 * row : 2 * row + 2]
        np.testing.assert_array_equal(picture.images[0].get_array(), BRIGHTFIELD[index])
        assert stripes.images[0].get_array().tolist() == [by_hand[index].tolist()]
        assert frame_of(picture) == (empty_filter.EMPTY if empty[index] else empty_filter.WITH_CELLS)
    assert [title_of(axes) for axes in shown[1::2]] == ["with cells", "without cells (empty)", ""]
    assert shown[-1].get_xlabel().startswith("3 features")


def map_of(n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Places and a decision value that is the place along x, but for the sign of the first two."""
    coordinates = np.random.default_rng(0).uniform(-1, 1, (n, 2))
    return coordinates, coordinates[:, 0].copy()


def test_the_map_of_the_filter_shows_each_hand_label_and_circles_those_on_the_wrong_side():
    coordinates, decision = map_of()
    empty = decision > 0
    empty[:2] = ~empty[:2]
    figure = empty_filter.decision_map(coordinates, empty, decision)
    kinds = [offsets(points) for points in scattered(figure.axes[0])]
    np.testing.assert_allclose(kinds[0], coordinates[~empty])
    np.testing.assert_allclose(kinds[1], coordinates[empty])
    np.testing.assert_allclose(kinds[2], coordinates[:2])
    assert legend_of(figure) == [
        f"with cells ({int((~empty).sum())})",
        f"empty ({int(empty.sum())})",
        "on the wrong side (2)",
    ]


def test_the_line_between_empty_and_not_is_where_the_decision_value_changes_its_sign():
    coordinates, decision = map_of(400)
    axes = empty_filter.decision_map(coordinates, decision > 0, decision).axes[0]
    (line,) = (each for each in axes.collections if getattr(each, "levels", None) is not None and len(each.levels) == 1)
    vertices = np.concatenate([path.vertices for path in line.get_paths()])
    assert np.abs(vertices[:, 0]).max() < 0.25
    assert np.ptp(vertices[:, 1]) > 1.5  # from below to above
    assert len(scattered(axes)) == 2  # none is circled


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_map_of_few_patches_of_one_kind_can_be_drawn(n, sign, tmp_path):
    coordinates, _ = map_of(n)
    figure = empty_filter.decision_map(coordinates, np.full(n, sign > 0), sign * np.linspace(0.5, 1, n))
    style.save(figure, tmp_path, "map")
    assert sum(len(at) for _, at in points_of(figure.axes[0])) == n


def test_patches_nearest_to_the_decision_surface_come_first_kept_above_and_dropped_below():
    decision = np.array([0.9, -0.5, 0.02, -0.01, 0.3])
    by_hand = np.array([None, True, False, None, True], object)
    shown = with_images(empty_filter.hardest_patches(BRIGHTFIELD[:5], decision, by_hand))
    for axes, index in zip(shown, [3, 1, 2, 4, 0], strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), BRIGHTFIELD[index])
        assert frame_of(axes) == (empty_filter.EMPTY if decision[index] > 0 else empty_filter.WITH_CELLS)
    words = ["-0.01", "-0.50\nhand: empty", "+0.02\nhand: cells", "+0.30\nhand: empty", "+0.90"]
    assert [axes.get_xlabel() for axes in shown] == words
    assert [title_of(axes) for axes in shown] == ["kept", "", "dropped", "", ""]


@pytest.mark.parametrize(("decision", "missing"), [(0.2, "no patch was kept"), (-0.2, "no patch was dropped")])
def test_a_side_without_patches_is_said_to_have_none(decision, missing):
    figure = empty_filter.hardest_patches(BRIGHTFIELD[:1], np.array([decision]), np.array([None], object))
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == [missing]


# ---- how good


def test_the_line_of_a_roc_curve_is_the_curve_and_guessing_is_the_diagonal():
    other = Curve(CURVE.x, CURVE.y**2, np.linspace(0, 1, 101), np.full(101, 0.4), np.full(101, 0.6))
    fold = Curve(np.array([0.0, 1]), np.array([0.2, 1]), None, None, None)
    figure = performance.roc_curves({"resnet18": (CURVE, "AUROC 0.9"), "inception": (other, "")}, folds=[fold])
    axes, beside = figure.axes
    of_fold, first, second, guessing, _ = axes.lines
    for line, curve in ((of_fold, fold), (first, CURVE), (second, other)):
        np.testing.assert_array_equal(line.get_xydata(), np.stack([curve.x, curve.y], axis=1))
    assert guessing.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert first.get_color() != second.get_color()
    assert legend_of(beside) == ["resnet18\nAUROC 0.9", "inception", "single folds"]
    (band,) = (each for each in axes.collections if isinstance(each, PolyCollection))  # the first has none
    vertices = band.get_paths()[0].vertices
    assert set(np.unique(vertices[:, 1])) == {0.4, 0.6}
    assert colour_of(band.get_facecolor()[0]) == colour_of(second.get_color())


def test_guessing_has_the_precision_of_the_share_of_live_patches():
    figure = performance.precision_recall_curves({"resnet18": (CURVE, "")}, share_live=0.095)
    curve, guessing = figure.axes[0].lines
    np.testing.assert_array_equal(curve.get_xydata(), np.stack([CURVE.x, CURVE.y], axis=1))
    assert set(guessing.get_ydata()) == {0.095}
    assert legend_of(figure.axes[1]) == ["resnet18", "guessing (0.095)"]


def test_a_confusion_matrix_holds_counts_and_the_shares_of_each_true_class():
    true, predicted = np.repeat([0, 0, 1, 1], [4271, 12, 0, 6]), np.repeat([0, 1, 0, 1], [4271, 12, 0, 6])
    counts = confusion_matrix(true, predicted)
    figure = performance.confusion_matrices({"resnet18": counts, "no live": np.array([[3, 1], [0, 0]])})
    first, second = figure.axes
    words = {text.get_position(): text.get_text() for text in first.texts}  # across: predicted, down: true
    assert words == {(0, 0): "99.7%\n4,271", (1, 0): "0.3%\n12", (0, 1): "0.0%\n0", (1, 1): "100.0%\n6"}
    np.testing.assert_allclose(first.images[0].get_array(), counts / counts.sum(1, keepdims=True))
    assert [text.get_text() for text in first.get_xticklabels()] == ["dead", "live"]
    assert [text.get_text() for text in first.get_yticklabels()] == ["dead", "live"]
    assert [text.get_text() for text in second.texts] == ["75.0%\n3", "25.0%\n1", "-\n0", "-\n0"]


def test_text_on_a_dark_square_is_white():
    (axes,) = performance.confusion_matrices({"resnet18": np.array([[9, 1], [5, 5]])}).axes
    assert [text.get_color() for text in axes.texts] == ["white", "black", "black", "black"]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_each_model_has_a_matrix_and_no_empty_one_is_left_visible(n):
    figure = performance.confusion_matrices({f"model {number}": np.eye(2, dtype=int) for number in range(n)})
    assert [title_of(axes) for axes in with_images(figure)] == [f"model {number}" for number in range(n)]
    assert sum(axes.axison for axes in figure.axes) == n


def test_reliability_is_the_share_live_by_the_mean_score_with_its_interval_and_counts_below():
    of = Calibration(
        np.array([0.05, 0.9]), np.array([0.1, 1.0]), np.array([0.02, 0.7]), np.array([0.3, 1.0]), np.array([40, 7])
    )
    figure = performance.reliability({"resnet18": (of, "calibration error 0.05"), "other": (of, "")})
    top, _, bottom, _ = (axes for axes in figure.axes if axes.axison)
    points, _, (bars,) = top.containers[0]
    assert points.get_xydata().tolist() == [[0.05, 0.1], [0.9, 1.0]]
    assert np.array(bars.get_segments()) == pytest.approx(
        np.array([[[0.05, 0.02], [0.05, 0.3]], [[0.9, 0.7], [0.9, 1]]])
    )
    assert [bar.get_height() for bar in bottom.patches] == [40, 7]
    assert [bar.get_x() + bar.get_width() / 2 for bar in bottom.patches] == pytest.approx([0.05, 0.9])
    assert title_of(top) == "resnet18\ncalibration error 0.05"


def test_scores_stand_over_the_fluorescence_of_their_patch():
    scores, values, labels = np.array([0.9, 0.2, 0.4]), np.array([210.0, 600.0, 700.0]), np.array([1, 0, 0])
    figure = performance.score_against_fluorescence({"resnet18": (scores, values, labels, "r -0.9")}, unit="counts")
    (axes,) = figure.axes
    live, dead = points_of(axes)
    assert (live[0], live[1].tolist()) == (style.COLOURS[LIVE], [[210, 0.9]])
    assert (dead[0], dead[1].tolist()) == (style.COLOURS[DEAD], [[600, 0.2], [700, 0.4]])
    assert axes.get_xlabel() == "mean PI fluorescence (counts)"
    assert title_of(axes) == "resnet18\nr -0.9"


@pytest.mark.parametrize(
    ("values", "scale"),
    [([200.0, 7000], "log"), ([200.0, 700], "linear"), ([0.0, 7000], "linear"), ([np.nan] * 2, "linear")],
)
def test_fluorescence_over_more_than_a_decade_and_a_half_has_a_logarithmic_axis(values, scale):
    arrays = np.array([0.9, 0.1]), np.array(values), np.array([1, 0])
    (axes,) = performance.score_against_fluorescence({"resnet18": (*arrays, "")}, unit="counts").axes
    assert axes.get_xscale() == scale


def test_classes_are_named_in_a_legend_in_their_colours_and_shapes():
    handles = performance.class_handles((LIVE, DEAD, AMBIGUOUS))
    assert [handle.get_label() for handle in handles] == ["live", "dead", "discarded"]
    assert [handle.get_color() for handle in handles] == [style.COLOURS[label] for label in (LIVE, DEAD, AMBIGUOUS)]
    assert [handle.get_marker() for handle in handles] == [style.MARKERS[label] for label in (LIVE, DEAD, AMBIGUOUS)]


def units(n: int) -> pd.DataFrame:
    """Units of six patches, the first of live ones alone, the second of dead ones alone."""
    rng = np.random.default_rng(0)
    labels, of = np.tile([1, 0], 3 * n), np.repeat(np.arange(n), 6)
    labels[:6], labels[6:12] = 1, 0
    scores = np.clip(0.5 + 0.3 * (labels - 0.5) + rng.normal(0, 0.2, 6 * n), 0, 1)
    return accuracy_by_unit(labels, scores, np.array([f"well {u:03d}" for u in of], object), confidence=0.95)


def test_a_forest_has_a_marker_at_each_unit_s_accuracy_the_worst_on_top():
    table = units(8)
    (axes,) = performance.forest(table, what="group", overall=0.81).axes
    found = {}
    for container in axes.containers:
        line, _, (bars,) = container
        for (x, y), segment in zip(line.get_xydata(), bars.get_segments(), strict=True):
            found[y] = (x, segment[0][0], segment[1][0], colour_of(line.get_color()))
    kinds = np.where(
        table["dead"] == 0, style.COLOURS[LIVE], np.where(table["live"] == 0, style.COLOURS[DEAD], "#000000")
    )
    for row, y in enumerate(range(7, -1, -1)):
        assert found[y][:3] == pytest.approx(table.loc[row, ["accuracy", "low", "high"]].tolist())
        assert found[y][3] == kinds[row]
    ticks = dict(zip(axes.get_yticks(), (text.get_text() for text in axes.get_yticklabels()), strict=True))
    assert ticks[7] == "{}  ({}/{})".format(*table.loc[0, ["unit", "live", "dead"]])
    assert [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() in ("--", ":")] == [0.5, 0.81]
    assert title_of(axes) == "each group (live/dead patches)"


def test_a_long_forest_leaves_out_the_best():
    table = units(75)
    (axes,) = performance.forest(table, what="raw image", overall=None).axes
    shown = np.concatenate([container[0].get_xdata() for container in axes.containers])
    assert sorted(shown) == pytest.approx(sorted(table["accuracy"])[:60])
    assert title_of(axes) == "each raw image (live/dead patches), the 15 best left out"


def test_a_forest_of_one_unit_can_be_drawn():
    figure = performance.forest(units(8).head(1), what="group", overall=None)
    assert len(figure.axes[0].containers) == 1


def test_training_curves_count_epochs_from_1_and_leave_out_those_not_validated():
    metrics = pd.DataFrame(
        {
            "epoch": [0, 1, 2, 3],
            "train/loss": [0.7, 0.6, 0.5, 0.4],
            "val/loss": [np.nan, 0.65, np.nan, 0.6],
            "val/auroc": [np.nan, 0.3, np.nan, 0.8],
        }
    )
    left, right = performance.training_curves(metrics).axes
    train, val = left.lines
    assert train.get_xydata().tolist() == [[1, 0.7], [2, 0.6], [3, 0.5], [4, 0.4]]
    assert val.get_xydata().tolist() == [[2, 0.65], [4, 0.6]]
    assert right.lines[0].get_xydata().tolist() == [[2, 0.3], [4, 0.8]]
    assert (legend_of(left), legend_of(right)) == (["train/loss", "val/loss"], ["val/auroc"])
    assert right.get_ylim()[0] < 0.3  # below chance is shown too


# ---- what was learned


def embedded(n: int = 90, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)), np.where(np.arange(n) % 3 == 0, LIVE, DEAD), rng.random(n)


def test_an_embedding_has_a_point_for_each_patch_by_truth_prediction_and_group():
    coordinates, labels, scores = embedded()
    groups = np.array([f"well {number % 4}" for number in range(90)], object)
    truth, prediction, group = features.embedding(coordinates, labels, scores, groups).axes[:3]
    for (colour, at), label in zip(points_of(truth), (LIVE, DEAD), strict=True):
        assert colour == style.COLOURS[label]
        np.testing.assert_allclose(at, coordinates[labels == label])
    for kind, label in zip(prediction.collections, (LIVE, DEAD), strict=True):
        np.testing.assert_allclose(offsets(kind), coordinates[labels == label])
        np.testing.assert_array_equal(kind.get_array(), scores[labels == label])
        assert kind.get_clim() == (0, 1)
    assert [len(at) for _, at in points_of(group)] == [23, 23, 22, 22]
    assert len({colour for colour, _ in points_of(group)}) == 4
    assert legend_of(group) == [f"well {number}" for number in range(4)]
    assert title_of(group) == "group (4)"


def test_of_many_groups_the_largest_are_named_and_all_are_drawn():
    coordinates, labels, scores = embedded(90)
    numbers = np.concatenate([np.arange(30), np.repeat(np.arange(12, 30), 10)[:60]])  # six wells hold eleven patches
    groups = np.array([f"well {number:02d}" for number in numbers], object)
    axes = features.embedding(coordinates, labels, scores, groups).axes[2]
    assert title_of(axes) == "group (30, the 18 largest named)"
    assert len(legend_of(axes)) == 18
    assert {f"well {number}" for number in range(12, 18)} <= set(legend_of(axes))
    assert sum(len(at) for _, at in points_of(axes)) == 90


@pytest.mark.parametrize("label", [LIVE, DEAD])
@pytest.mark.parametrize("n", [1, 5])
def test_an_embedding_of_one_class_or_one_patch_without_groups_can_be_drawn(label, n, tmp_path):
    coordinates, _, scores = embedded(n)
    figure = features.embedding(coordinates, np.full(n, label), scores, None)
    style.save(figure, tmp_path, "embedding")
    (only,) = points_of(figure.axes[0])
    assert (only[0], len(only[1])) == (style.COLOURS[label], n)
    assert [title_of(axes) for axes in figure.axes[:2]] == ["truth", "prediction"]


def test_embeddings_of_models_stand_side_by_side_truth_above_prediction():
    models = {name: embedded(seed=seed) for seed, name in enumerate(("resnet18", "inception", "squeezenet"))}
    axes = features.embeddings(models).axes
    for column, (name, (coordinates, labels, scores)) in enumerate(models.items()):
        above, below = axes[column], axes[3 + column]
        assert title_of(above) == name
        for label, kind, (colour, at) in zip((LIVE, DEAD), below.collections, points_of(above), strict=True):
            assert colour == style.COLOURS[label]
            np.testing.assert_allclose(at, coordinates[labels == label])
            np.testing.assert_array_equal(kind.get_array(), scores[labels == label])


def test_no_two_thumbnails_share_a_place_and_each_is_framed_in_its_label_s_colour():
    coordinates, labels, _ = embedded(300)
    thumbnails = np.random.default_rng(0).integers(0, 256, (300, 4, 4)).astype(np.uint8)
    (axes,) = features.embedding_thumbnails(coordinates, thumbnails, labels).axes
    extents = np.array([image.get_extent() for image in axes.images])
    for (left, right, low, high), (x0, x1, y0, y1) in combinations(extents.tolist(), 2):
        assert right <= x0 or x1 <= left or high <= y0 or y1 <= low
    assert 50 < len(extents) < 300
    assert title_of(axes).startswith(f"{len(extents)} of 300 patches")
    step = np.ptp(coordinates, axis=0).max() / 25
    for image, frame in zip(axes.images, axes.lines, strict=True):
        (index,) = (i for i, each in enumerate(thumbnails) if np.array_equal(each, image.get_array()))
        assert colour_of(frame.get_color()) == style.COLOURS[labels[index]]
        left, right, low, high = image.get_extent()
        at = coordinates.min(0) + step * np.array([(left + right) / 2, (low + high) / 2])
        assert np.abs(coordinates[index] - at).max() <= step / 2 + 1e-9  # it stands where its point is
    limits = [*axes.get_xlim(), *axes.get_ylim()]
    assert limits[0] < extents[:, 0].min()
    assert limits[1] > extents[:, 1].max()
    assert limits[2] < extents[:, 2].min()
    assert limits[3] > extents[:, 3].max()


def test_of_patches_on_one_spot_the_one_nearest_to_its_middle_is_shown():
    coordinates = np.array([[0.0, 0], [100.0, 100], [49.0, 48], [48.1, 48.0], [47.0, 48]])  # places are 4 apart
    thumbnails = np.arange(5, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    (axes,) = features.embedding_thumbnails(coordinates, thumbnails, np.ones(5, int)).axes
    assert sorted(int(image.get_array().max()) for image in axes.images) == [0, 1, 3]


def test_one_thumbnail_can_be_drawn(tmp_path):
    figure = features.embedding_thumbnails(np.zeros((1, 2)), BRIGHTFIELD[:1], np.array([DEAD]))
    style.save(figure, tmp_path, "thumbnails")
    assert len(figure.axes[0].images) == 1


# ---- what is looked at


def mapped(
    index: int, *, label: int = LIVE, score: float = 0.83, pi: bool = True, seen: bool = True
) -> maps.MappedPatch:
    rng = np.random.default_rng(index)
    positive = np.zeros((16, 16), bool)
    positive[4:9, 4:9] = True
    return maps.MappedPatch(
        BRIGHTFIELD[index],
        {LIVE: rng.random((16, 16)), DEAD: rng.random((16, 16))},
        score,
        label,
        FLUORESCENCE[index] if pi else None,
        positive if seen else None,
    )


def test_a_patch_stands_beside_its_maps_of_live_and_dead_with_their_probabilities_and_its_pi():
    patch = mapped(0)
    figure = maps.activation_maps({"most certain": [patch]}, unit="counts")
    picture, live, dead, pi = with_images(figure)
    np.testing.assert_array_equal(picture.images[0].get_array(), patch.brightfield)
    for axes, label in ((live, LIVE), (dead, DEAD)):
        np.testing.assert_array_equal(axes.images[0].get_array(), patch.brightfield)
        np.testing.assert_array_equal(axes.images[1].get_array(), patch.maps[label])
        assert axes.images[1].get_clim() == (0, 1)
        assert axes.xaxis.label.get_color() == style.COLOURS[label]
    np.testing.assert_array_equal(pi.images[0].get_array(), patch.fluorescence)
    assert [axes.get_xlabel() for axes in (live, dead, pi)] == ["live 0.83", "dead 0.17", "PI"]
    assert title_of(picture) == "most certain"
    outline = np.concatenate([path.vertices for path in pi.collections[0].get_paths()])
    assert (outline.min(), outline.max()) == (3.5, 8.5)  # around what is positive


def test_blocks_of_patches_stand_side_by_side_and_one_without_patches_says_so():
    blocks = {"certain": [mapped(0), mapped(1)], "wrong": [mapped(2, label=DEAD)], "unsure": []}
    figure = maps.activation_maps(blocks, unit="counts")
    shown = with_images(figure)
    assert len(shown) == 3 * 4
    frames = [frame_of(axes) for axes in shown if len(axes.images) == 1 and not axes.get_xlabel()]
    assert frames == [style.COLOURS[LIVE], style.COLOURS[DEAD], style.COLOURS[LIVE]]
    assert [title_of(axes) for axes in figure.axes if title_of(axes)] == ["certain", "wrong", "unsure: none"]
    assert len({axes.images[0].get_clim() for axes in shown if axes.get_xlabel() == "PI"}) == 1
    assert "counts; cyan" in figure.get_supxlabel()


def test_maps_without_pi_have_none_beside_them(tmp_path):
    figure = maps.activation_maps({"all": [mapped(0, pi=False, seen=False)]}, unit="")
    style.save(figure, tmp_path, "maps")
    assert len(with_images(figure)) == 3
    assert figure.get_supxlabel() == ""
    nothing = maps.activation_maps({"all": []}, unit="")
    assert [title_of(axes) for axes in nothing.axes if title_of(axes)] == ["all: none"]


def test_maps_of_several_models_stand_beside_the_patch_they_are_of():
    patches = [mapped(0), mapped(1, label=DEAD)]
    models = {
        "resnet18": [mapped(2, score=0.9), mapped(3, score=0.2)],
        "inception": [mapped(4, score=0.5), mapped(5, score=0.0)],
    }
    figure = maps.maps_of_models(patches, models, unit="counts")
    shown = np.array(figure.axes).reshape(2, 4)
    for row, patch in enumerate(patches):
        np.testing.assert_array_equal(shown[row, 0].images[0].get_array(), patch.brightfield)
        np.testing.assert_array_equal(shown[row, 1].images[0].get_array(), patch.fluorescence)
        for column, of in enumerate(models.values(), 2):
            np.testing.assert_array_equal(shown[row, column].images[1].get_array(), of[row].maps[DEAD])
    assert [axes.get_xlabel() for axes in shown[:, 2:].flat] == ["dead 0.10", "dead 0.50", "dead 0.80", "dead 1.00"]
    assert [axes.get_title() for axes in shown[0]] == ["patch", "PI\n(counts)", "resnet18", "inception"]
    assert [frame_of(axes) for axes in shown[:, 0]] == [style.COLOURS[LIVE], style.COLOURS[DEAD]]


def entries(n: int, *, pi: bool = True) -> list[maps.Entry]:
    return [(BRIGHTFIELD[i], FLUORESCENCE[i] if pi else None, (DEAD, LIVE)[i % 2], 0.1 * i, f"y {i}") for i in range(n)]


def place_of(axes) -> tuple[int, int]:
    at = axes.get_subplotspec()
    return at.rowspan.start, at.colspan.start


@pytest.mark.parametrize("sizes", [[3, 3, 1, 7, 2, 2, 2, 1, 1], [7] * 6, [1], [8, 1], [3, 4], [3, 5], [1, 1, 1, 1, 1]])
def test_small_groups_of_a_gallery_stand_side_by_side_and_never_overlap(sizes):
    groups = {f"group {number}": entries(size) for number, size in enumerate(sizes)}
    figure = maps.gallery(groups, unit="counts")
    places = {place_of(axes): axes for axes in with_images(figure)}
    assert all(len(axes.images) == 1 for axes in places.values())
    assert len(places) == 2 * sum(sizes)  # each patch above its PI
    starts = [place_of(axes) for axes in figure.axes if title_of(axes)]
    taken = set()
    for (row, start), size, name in zip(starts, sizes, groups, strict=True):
        assert title_of(places[row, start]) == name
        for offset, (patch, pi, label, *_) in enumerate(groups[name]):
            above, below = places[row, start + offset], places[row + 1, start + offset]
            np.testing.assert_array_equal(above.images[0].get_array(), patch)
            np.testing.assert_array_equal(below.images[0].get_array(), pi)
            assert frame_of(above) == style.COLOURS[label]
            taken.add((row, start + offset))
        assert size <= 8 - start
    assert len(taken) == sum(sizes)
    for (row, start), (next_row, next_start), size in zip(starts[:-1], starts[1:], sizes[:-1], strict=True):
        if next_row == row:
            assert next_start == start + size + 1  # a column stays free between them
        else:
            assert (next_row, next_start) == (row + 2, 0)
    for one, other in pairwise(range(len(sizes))):  # a new row is begun where the next group has no room
        if starts[other][0] > starts[one][0]:
            assert starts[one][1] + sizes[one] + 1 + sizes[other] > 8


def test_each_patch_of_a_gallery_has_its_label_score_and_place_below_its_pi():
    figure = maps.gallery({"well 1": entries(2)}, unit="counts")
    words = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    assert words == ["dead, P(live) 0.00\ny 0", "live, P(live) 0.10\ny 1"]
    assert figure.get_supxlabel().startswith("PI: ")
    without = maps.gallery({"well 1": entries(2, pi=False)}, unit="")
    assert [axes.get_xlabel() for axes in with_images(without)] == words
    assert without.get_supxlabel() == ""


def test_a_long_name_of_a_small_group_does_not_reach_into_the_next():
    name = "--W00012--P00004--Z00000: 1 of 20 patches wrong"
    figure = maps.gallery({name: entries(1), f"{name}!": entries(3)}, unit="counts")
    titles = [title_of(axes) for axes in figure.axes if title_of(axes)]
    assert [len(title) for title in titles] == [17, 48]


def test_fluorescence_over_orders_of_magnitude_has_readable_ticks():
    fluorescence = np.geomspace(100, 20_000, 30)
    models = {"one": (np.linspace(1, 0, 30), fluorescence, np.arange(30) % 2, "30 patches: r -0.9")}
    figure = performance.score_against_fluorescence(models, unit="raw counts")
    figure.canvas.draw()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert "1,000" in labels
    assert not any("$" in label for label in labels)
