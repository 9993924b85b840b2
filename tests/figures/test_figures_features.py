from itertools import combinations

import numpy as np
import pytest

from drawings import BRIGHTFIELD, colour_of, legend_of, offsets, points_of, title_of
from jimt.figures import features, style
from jimt.vocabulary import DEAD, LIVE


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
