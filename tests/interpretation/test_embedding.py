import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from jimt.errors import InputError
from jimt.interpretation.embedding import MIN_POINTS, tsne


@pytest.fixture(autouse=True)
def _one_thread():
    """Threads that wait for one another on busy cores turn half a second into a minute."""
    with threadpool_limits(1):
        yield


def two_clusters(n: int = 120, *, n_features: int = 32, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features about two centres, ten standard deviations apart, in turn; and which."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return rng.normal(10 / np.sqrt(n_features) * labels[:, None], 1, (n, n_features)).astype(np.float32), labels


def share_with_neighbour_of_same_label(coordinates: np.ndarray, labels: np.ndarray) -> float:
    distance = np.linalg.norm(coordinates[:, None] - coordinates, axis=-1)
    np.fill_diagonal(distance, np.inf)
    return float(np.mean(labels[distance.argmin(1)] == labels))


def test_patches_that_differ_in_their_features_stay_apart():
    features, labels = two_clusters()
    assert share_with_neighbour_of_same_label(tsne(features, seed=0), labels) > 0.95
    mixed = np.random.default_rng(1).permutation(labels)
    assert share_with_neighbour_of_same_label(tsne(features, seed=0), mixed) < 0.7


def test_the_same_seed_gives_the_same_coordinates_and_another_seed_keeps_what_is_near():
    features, labels = two_clusters(60, n_features=100)  # more features than patches
    first, again = tsne(features, seed=0), tsne(features.copy(), seed=0)
    np.testing.assert_array_equal(first, again)
    assert share_with_neighbour_of_same_label(tsne(features, seed=1), labels) > 0.95


def test_the_features_are_left_as_they_were_and_the_order_is_theirs():
    features, labels = two_clusters(40)
    before = features.copy()
    coordinates = tsne(features, seed=0)
    np.testing.assert_array_equal(features, before)
    middles = np.stack([coordinates[labels == label].mean(0) for label in (0, 1)])
    nearer = np.linalg.norm(coordinates[:, None] - middles, axis=-1).argmin(1)
    assert nearer.tolist() == labels.tolist()


@pytest.mark.parametrize(("n", "n_features"), [(5, 4), (6, 3), (20, 2), (20, 64), (100, 2048), (5, 2048), (200, 60)])
def test_every_patch_has_two_coordinates_however_few_or_many_features(n, n_features):
    features = np.random.default_rng(n).normal(size=(n, n_features)).astype(np.float32)
    coordinates = tsne(features, seed=0)
    assert coordinates.shape == (n, 2)
    assert coordinates.dtype == np.float32
    assert np.isfinite(coordinates).all()
    assert len(np.unique(coordinates, axis=0)) == n


def test_patches_of_two_kinds_with_the_same_features_each_can_be_laid_out():
    labels = np.arange(30) % 2
    coordinates = tsne(np.repeat(labels[:, None], 8, axis=1).astype(np.float32), seed=0)
    assert np.isfinite(coordinates).all()
    assert share_with_neighbour_of_same_label(coordinates, labels) == 1


@pytest.mark.parametrize(("n", "words"), [(0, "0 patches"), (1, "1 patch"), (4, "4 patches")])
def test_too_few_patches_have_no_neighbourhoods(n, words):
    assert MIN_POINTS == 5
    with pytest.raises(InputError, match=f"^{words} cannot be laid out by t-SNE: it needs 5$"):
        tsne(np.random.default_rng(0).normal(size=(n, 8)), seed=0)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_that_are_all_the_same_are_refused_with_the_remedy(value, dtype):
    with pytest.raises(InputError, match="every patch has the same features, .*: train the network first$"):
        tsne(np.full((100, 16), value, dtype), seed=0)
