import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

from drawings import BRIGHTFIELD, FLUORESCENCE, colour_of, frame_of, legend_of, points_of, title_of, with_images
from jimt.figures import curation, labelling, style
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE


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
    assert legend_of(figure)[:-1] == ["dead", "discarded: between the thresholds", "discarded: empty"]


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


def labelled(
    values: np.ndarray, *, components=None, cuts=(300.0, 450.0), n_groups: int = 3
) -> labelling.LabelledValues:
    labels = np.where(values < 300, LIVE, np.where(values > 450, DEAD, AMBIGUOUS))
    groups = np.array([f"well {number % n_groups}" for number in range(len(values))], object)
    return labelling.LabelledValues(values, labels, groups, *cuts, components)


def mixture(n: int = 400) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(224, 15, n // 2), rng.normal(380, 30, n // 4), rng.normal(560, 40, n // 4)])


def test_the_bars_of_a_histogram_add_up_to_the_patches_and_its_cut_offs_are_dashed():
    of = labelled(mixture())
    (axes,) = labelling.fluorescence_histograms({"no treatment": of}, scale="counts").axes
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
    (axes,) = labelling.fluorescence_histograms({"no treatment": labelled(values)}, scale="counts").axes
    edges = [bar.get_x() for bar in axes.containers[0]] + [np.percentile(values, 99.7)]
    tops = np.max([[bar.get_y() + bar.get_height() for bar in bars] for bars in axes.containers], axis=0)
    expected = np.histogram(np.minimum(values, edges[-1]), [*edges[:-1], edges[-1] + 1])[0]
    assert tops.tolist() == expected.tolist()
    assert axes.get_xlabel() == "counts, last bin: and more"


def test_the_two_components_are_drawn_where_they_were_fitted_on_the_scale_of_the_bars():
    components = ((0.6, 224.0, 15.0), (0.4, 560.0, 40.0))
    fitted, other = labelling.fluorescence_histograms(
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
    (axes,) = labelling.fluorescence_histograms({"one": labelled(values, cuts=(None, None))}, scale="counts").axes
    assert sum(bar.get_height() for bars in axes.containers for bar in bars) == len(values)
    assert not axes.lines


def test_patches_stand_in_the_column_of_their_group_in_order_of_its_median():
    of = labelled(mixture())
    of.values[of.groups == "well 1"] += 100  # so the second well is the brightest, and not every label is right now
    (axes,) = labelling.labelled_patches({"no treatment": of}, scale="counts", seed=0).axes
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
    assert [tick.get_text() for tick in axes.get_xticklabels()] == sorted(median, key=median.get)


@pytest.mark.parametrize(("n_groups", "named"), [(2, True), (30, True), (31, False)])
def test_groups_along_the_axis_are_named_where_there_is_room(n_groups, named):
    of = labelled(mixture())
    groups = np.array([f"2023-05-0{i % n_groups}--Z00000" for i in range(len(of.values))], object)
    of = dataclasses.replace(of, groups=groups)
    (axes,) = labelling.labelled_patches({"a": of}, scale="counts", seed=0).axes
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert len(ticks) == (n_groups if named else 0)
    assert set(ticks) <= {name.removesuffix("--Z00000") for name in groups}


def test_patches_are_scattered_the_same_way_with_the_same_seed_alone():
    first, again, other = (
        points_of(labelling.labelled_patches({"a": labelled(mixture())}, scale="counts", seed=seed).axes[0])[0][1]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_one_patch_of_one_group_has_a_column():
    (axes,) = labelling.labelled_patches({"a": labelled(np.array([224.0]))}, scale="counts", seed=0).axes
    ((colour, at),) = points_of(axes)
    assert (colour, at[0, 1]) == (style.COLOURS[LIVE], 224)
    assert legend_of(axes) == ["live (1)", "discarded (0)", "dead (0)"]
