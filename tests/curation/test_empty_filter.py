import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.metrics import f1_score, precision_score, recall_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from jimt.curation.empty_filter import (
    EmptyFilterReport,
    empty_scores,
    fit_empty_filter,
    save_empty_filter,
)
from jimt.errors import InputError


def labelled(
    n_images: int = 12, per_image: int = 10, *, share_empty: float = 0.4, distance: float = 1.5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, hand labels and raw images; the classes overlap, so no metric is trivially 1."""
    rng = np.random.default_rng(seed)
    n = n_images * per_image
    empty = rng.random(n) < share_empty
    features = rng.normal(0, 1, (n, 6)) * [1, 20, 1, 1, 1, 300] + [5, 0, 0, 0, 0, 1000]
    features[:, 0] += distance * empty
    return features.astype(np.float32), empty, np.array([f"i{i // per_image}" for i in range(n)], object)


def fit(features, empty, images, groups=None, **changes):
    settings = {"kernel": "linear", "regularisation": 1.0, "n_folds": 5, "seed": 0}
    return fit_empty_filter(features, empty, images, groups, **(settings | changes))


# ---- the measured quality


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_precision_recall_and_f1_are_those_of_an_independent_cross_validation(kernel):
    features, empty, images = labelled()
    _, report, held_out = fit(features, empty, images, kernel=kernel, regularisation=0.5, seed=3)
    predicted = np.zeros(len(empty), bool)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=3).split(features, empty, groups=images.astype(str))
    for train, test in folds:
        assert not set(images[train]) & set(images[test])
        mean, sd = features[train].mean(0, dtype=float), features[train].std(0, dtype=float)
        weight = {value: len(train) / (2 * (empty[train] == value).sum()) for value in (False, True)}
        machine = SVC(C=0.5, kernel=kernel, class_weight=weight).fit((features[train] - mean) / sd, empty[train])
        predicted[test] = machine.predict((features[test] - mean) / sd)
    assert ((held_out > 0) == predicted).all()
    assert report.precision == pytest.approx(precision_score(empty, predicted))
    assert report.recall == pytest.approx(recall_score(empty, predicted))
    assert report.f1 == pytest.approx(f1_score(empty, predicted))
    assert 0.5 < report.f1 < 1
    assert (report.n_labelled, report.n_empty, report.n_folds) == (120, int(empty.sum()), 5)


def test_folds_are_by_group_where_groups_are_known():
    features, empty, images = labelled()
    groups = np.array([f"e{int(image[1:]) // 2}" for image in images], object)  # two raw images an experiment
    _, report, held_out = fit(features, empty, images, groups, seed=3)
    predicted = np.zeros(len(empty), bool)
    for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=3).split(features, empty, groups=groups):
        scaler = StandardScaler().fit(features[train])
        machine = SVC(C=1.0, kernel="linear", class_weight="balanced").fit(
            scaler.transform(features[train]), empty[train]
        )
        predicted[test] = machine.predict(scaler.transform(features[test]))
    assert ((held_out > 0) == predicted).all()
    assert report.f1 == pytest.approx(f1_score(empty, predicted))
    assert (report.folds_by, fit(features, empty, images)[1].folds_by) == ("group", "raw image")


def test_features_that_tell_only_the_group_measure_as_nothing():
    # raw images of one experiment look alike: folds by raw image would call this filter perfect
    images = np.array([f"i{i // 5}" for i in range(100)], object)
    groups = np.array([f"e{i // 10}" for i in range(100)], object)
    features = np.eye(10)[np.arange(100) // 10].astype(np.float32)
    empty = np.arange(100) // 10 < 5
    assert fit(features, empty, images)[1].f1 > 0.85
    assert fit(features, empty, images, groups)[1].f1 < 0.7


def test_features_that_tell_only_the_raw_image_measure_as_nothing():
    # each image has its own feature: folds by patch would call this filter perfect
    images = np.array([f"i{i // 10}" for i in range(100)], object)
    features = np.eye(10)[np.arange(100) // 10].astype(np.float32)
    empty = np.arange(100) // 10 < 5
    report = fit(features, empty, images)[1]
    assert report.f1 is not None
    assert report.f1 < 0.7


@pytest.mark.parametrize(("n_images_of_empty", "n_folds"), [(1, 0), (2, 2), (3, 3), (8, 5)])
def test_folds_shrink_to_the_raw_images_that_hold_the_rarer_class(n_images_of_empty, n_folds):
    features, _, images = labelled()
    empty = np.isin(images, [f"i{i}" for i in range(n_images_of_empty)]) & (np.arange(len(images)) % 2 == 0)
    report = fit(features, empty, images)[1]
    assert report.n_folds == n_folds
    assert (report.f1 is None) == (n_folds == 0)


def test_hand_labels_of_one_raw_image_train_a_filter_that_is_not_measured():
    features, empty, images = labelled(distance=6.0)
    images[:] = "only"
    pipeline, report, held_out = fit(features, empty, images)
    assert report == EmptyFilterReport(120, int(empty.sum()), 0, "raw image", None, None, None)
    assert np.isnan(held_out).all()
    assert ((empty_scores(pipeline, features) > 0) == empty).mean() > 0.95


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("images", "empty"), [("000011122", "100000001"), ("000012222", "000011010")])
def test_few_hand_labels_are_not_measured_on_a_fold_that_leaves_one_class_to_train_on(images, empty, seed):
    # StratifiedGroupKFold may put all raw images of the rarer class into one fold
    labels = np.array([digit == "1" for digit in empty])
    features = np.random.default_rng(seed).normal(size=(len(labels), 3)).astype(np.float32)
    report = fit(features, labels, np.array(list(images), object), seed=seed)[1]
    assert report.n_folds in (0, 2)
    assert (report.f1 is None) == (report.n_folds == 0)


@pytest.mark.parametrize(("value", "word"), [(True, "without"), (False, "with")])
def test_hand_labels_of_one_class_are_refused(value, word):
    features, empty, images = labelled()
    with pytest.raises(InputError) as caught:
        fit(features, np.full_like(empty, value), images)
    assert str(caught.value) == (
        f"all 120 hand labels are of patches {word} cells: label both kinds, or give "
        "curation.empty_filter.enabled=false"
    )


def test_a_rare_class_is_found_because_classes_are_weighted():
    features, empty, images = labelled(40, 15, share_empty=1 / 16, distance=2.0)
    report = fit(features, empty, images)[1]
    scaled = StandardScaler().fit_transform(features)
    unweighted = SVC(C=1.0, kernel="linear").fit(scaled, empty).predict(scaled)  # even on what it was trained on
    assert report.recall is not None
    assert report.recall > recall_score(empty, unweighted) + 0.3


def test_the_unit_of_a_feature_does_not_matter():
    features, empty, images = labelled()
    scores = empty_scores(fit(features, empty, images)[0], features)
    units = np.array([1, 1e3, 1e-3, 1, 10, 1], np.float32)
    np.testing.assert_allclose(
        empty_scores(fit(features * units, empty, images)[0], features * units), scores, atol=2e-2
    )


# ---- on disk


def test_a_saved_filter_gives_the_same_scores(tmp_path):
    features, empty, images = labelled()
    pipeline, *_ = fit(features, empty, images, kernel="rbf")
    scores = empty_scores(pipeline, features)
    assert scores.dtype == np.float32
    assert scores.shape == (120,)
    save_empty_filter(pipeline, tmp_path / "filter.skops")
    np.testing.assert_array_equal(empty_scores(skops.io.load(tmp_path / "filter.skops", trusted=[]), features), scores)


class Trap:
    """What a pickle can do when it is read."""

    def __reduce__(self):
        return Path.touch, (Path("sprung"),)


def test_a_pickle_with_the_filter_s_name_is_refused_and_executes_nothing(tmp_path):
    path = tmp_path / "filter.skops"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(zipfile.BadZipFile):
        skops.io.load(path, trusted=[])
    assert not Path("sprung").exists()
    pickle.loads(path.read_bytes())
    assert Path("sprung").exists()  # it would have
