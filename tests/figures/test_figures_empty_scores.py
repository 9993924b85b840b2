import numpy as np
import pytest

from drawings import BRIGHTFIELD, frame_of, legend_of, offsets, points_of, scattered, title_of, with_images
from jimt.figures import empty_scores as empty_filter
from jimt.figures import style


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
