import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from sklearn.metrics import confusion_matrix

from drawings import CURVE, colour_of, legend_of, points_of, title_of, with_images
from jimt.figures import discrimination, performance, style
from jimt.statistics.curves import Calibration, Curve, accuracy_by_unit
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE


def test_the_line_of_a_roc_curve_is_the_curve_and_guessing_is_the_diagonal():
    other = Curve(CURVE.x, CURVE.y**2, np.array([[0.4], [0.6]]).repeat(101, axis=1), 0)
    fold = Curve(np.array([0.0, 1]), np.array([0.2, 1]), None, 0)
    figure = discrimination.roc_curves({"resnet18": (CURVE, "AUROC 0.9"), "inception": (other, "")}, folds=[fold])
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


def test_chance_has_the_precision_of_the_share_of_live_patches():
    figure = discrimination.precision_recall_curves({"resnet18": (CURVE, "")}, share_live=0.095)
    curve, chance = figure.axes[0].lines
    np.testing.assert_array_equal(curve.get_xydata(), np.stack([CURVE.x, CURVE.y], axis=1))
    assert set(chance.get_ydata()) == {0.095}
    assert legend_of(figure.axes[1]) == ["resnet18", "chance (0.095)"]


def test_a_confusion_matrix_holds_counts_and_the_shares_of_each_true_class():
    true, predicted = np.repeat([0, 0, 1, 1], [4271, 12, 0, 6]), np.repeat([0, 1, 0, 1], [4271, 12, 0, 6])
    counts = confusion_matrix(true, predicted)
    figure = discrimination.confusion_matrices({"resnet18": counts, "no live": np.array([[3, 1], [0, 0]])})
    first, second = figure.axes
    words = {text.get_position(): text.get_text() for text in first.texts}  # across: predicted, down: true
    assert words == {(0, 0): "99.7 %\n4,271", (1, 0): "0.3 %\n12", (0, 1): "0.0 %\n0", (1, 1): "100.0 %\n6"}
    np.testing.assert_allclose(first.images[0].get_array(), counts / counts.sum(1, keepdims=True))
    assert [text.get_text() for text in first.get_xticklabels()] == ["dead", "live"]
    assert [text.get_text() for text in first.get_yticklabels()] == ["dead", "live"]
    assert [text.get_text() for text in second.texts] == ["75.0 %\n3", "25.0 %\n1", "-\n0", "-\n0"]


def test_text_on_a_dark_square_is_white():
    (axes,) = discrimination.confusion_matrices({"resnet18": np.array([[9, 1], [5, 5]])}).axes
    assert [text.get_color() for text in axes.texts] == ["white", "black", "black", "black"]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_each_model_has_a_matrix_and_no_empty_one_is_left_visible(n):
    figure = discrimination.confusion_matrices({f"model {number}": np.eye(2, dtype=int) for number in range(n)})
    assert [title_of(axes) for axes in with_images(figure)] == [f"model {number}" for number in range(n)]
    assert sum(axes.axison for axes in figure.axes) == n


def test_reliability_is_the_share_live_by_the_mean_score_with_its_interval_and_counts_below():
    of = Calibration(
        np.array([0.05, 0.9]), np.array([0.1, 1.0]), np.array([0.02, 0.7]), np.array([0.3, 1.0]), np.array([40, 7])
    )
    figure = discrimination.reliability({"resnet18": (of, "calibration error 0.05"), "other": (of, "")})
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
    of = performance.FluorescencePanel("resnet18", scores, values, labels, "PI (counts)", False, "r -0.9")
    ratio = dataclasses.replace(of, fluorescence=np.log(values / 200), scale="log(PI / background)", words="r -0.95")
    axes, beside = performance.score_against_fluorescence([of, ratio]).axes
    assert beside.get_xlabel() == "log(PI / background)"
    assert title_of(beside) == "resnet18\nr -0.95"
    np.testing.assert_allclose(points_of(beside)[1][1][:, 0], np.log([3, 3.5]))
    live, dead = points_of(axes)
    assert (live[0], live[1].tolist()) == (style.COLOURS[LIVE], [[210, 0.9]])
    assert (dead[0], dead[1].tolist()) == (style.COLOURS[DEAD], [[600, 0.2], [700, 0.4]])
    assert axes.get_xlabel() == "PI (counts)"
    assert title_of(axes) == "resnet18\nr -0.9"


@pytest.mark.parametrize(
    ("values", "scale"),
    [([200.0, 7000], "log"), ([200.0, 700], "linear"), ([0.0, 7000], "linear"), ([np.nan] * 2, "linear")],
)
def test_fluorescence_over_more_than_a_decade_and_a_half_has_a_logarithmic_axis(values, scale):
    arrays = np.array([0.9, 0.1]), np.array(values), np.array([1, 0])
    (axes,) = performance.score_against_fluorescence(
        [performance.FluorescencePanel("a", *arrays, "PI", False, "")]
    ).axes
    assert axes.get_xscale() == scale
    (axes,) = performance.score_against_fluorescence(
        [performance.FluorescencePanel("a", *arrays, "log", True, "")]
    ).axes
    assert axes.get_xscale() == "linear"  # a logarithm is not taken twice


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
