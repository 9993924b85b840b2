"""One empty filter for several data sets, trained on the hand labels of all (paper: 226 + 226 patches of two)."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
import tifffile
from rich.console import Console
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from conftest import MIXTURE, SMALL, composed_prepare, small_field, write_pair
from curations import embeds
from jimt.curation.curate import curate
from jimt.curation.hand_label_pool import HandLabelled, load_hand_labelled, pool, save_hand_labelled
from jimt.curation.hand_labels_only import keep_hand_labels_of
from jimt.curation.manifest import open_curated
from jimt.curation.summary import describe
from jimt.errors import InputError
from jimt.report.blocks import Drawing, Text
from jimt.report.sections.filter_section import empty_filter_blocks

pytestmark = pytest.mark.stack

BOTH = ["no_treatment", "doxo"]
CORNERS = [(y, x) for y in (0, 32, 96) for x in (0, 32, 96, 128)]
FILTER = ["curation.empty_filter.enabled=true", "curation.empty_filter.regularisation=1"]
WORDS = ["dataset.empty_word=bare", "dataset.not_empty_word=cells"]


def look(patches: np.ndarray) -> np.ndarray:
    """Two features of a patch: what its pixels and its columns spread."""
    return np.log(np.stack([patches.std((1, 2)), patches.mean(1).std(1)], axis=1) + 0.1).astype(np.float32)


def word(well: int, y: int, x: int) -> str:
    """A hand label; two of the wells have a wrong one."""
    return "bare" if (y <= 32 and x <= 32) or (well > 3 and (y, x) == (96, 32)) else "cells"


@pytest.fixture(scope="session")
def two_sets(tmp_path_factory) -> Path:
    """Raw pairs and hand labels of two data sets with wells of the same names."""
    folder = tmp_path_factory.mktemp("two")
    rng = np.random.default_rng(7)
    for name, spread in zip(BOTH, (5, 25), strict=True):
        rows = []
        for well in range(1, 6):
            raw_image_id = f"--W{well:05d}--P00001--Z00000--T00000"
            brightfield, fluorescence = small_field(rng)
            brightfield[:96, :96] = rng.normal(2000, spread, (96, 96))
            write_pair(folder / name, raw_image_id, (brightfield, fluorescence))
            rows += [(raw_image_id, y, x, word(well, y, x)) for y, x in CORNERS[well % 2 :]]
        labels = pd.DataFrame(rows, columns=["raw_image_id", "y", "x", "label"])
        labels.to_csv(folder / f"{name}.csv", index=False)
    return folder


def overrides(two_sets: Path, name: str, *changes: str, labelled: bool = True) -> list[str]:
    hand = [f"dataset.empty_labels={two_sets / name}.csv", *WORDS] if labelled else []
    root = [f"dataset={name}", f"dataset.root={two_sets / name}"]
    return [*root, *SMALL, *FILTER, *hand, *changes]


def keep(two_sets: Path, name: str, *changes: str) -> Path:
    config = composed_prepare(*overrides(two_sets, name, *changes))
    return keep_hand_labels_of(*config, embed=embeds(look, size=64), console=Console(quiet=True))


def run(two_sets: Path, name: str, *changes: str, labelled: bool = True) -> Path:
    config = composed_prepare(*overrides(two_sets, name, *changes, labelled=labelled))
    return curate(*config, embed=embeds(look, size=64), console=Console(quiet=True))


@pytest.fixture(scope="session")
def prepared(two_sets, tmp_path_factory) -> Path:
    """What three commands leave: hand labels of doxo, then no_treatment, then doxo."""
    folder = tmp_path_factory.mktemp("prepared")
    root = f"curation.output_root={folder}"
    keep(two_sets, "doxo", root)
    for name in BOTH:
        run(two_sets, name, root)
    return folder


def by_hand(two_sets: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, hand labels and groups of both data sets one after another, from their files."""
    features, empty, groups = [], [], []
    for name in BOTH:
        for row in pd.read_csv(two_sets / f"{name}.csv").sort_values(["raw_image_id", "y", "x"]).itertuples():
            raw = tifffile.imread(two_sets / name / f"{row.raw_image_id}--Trans.tif")
            patch = np.rint(raw / 4095 * 255)[row.y : row.y + 64, row.x : row.x + 64].astype(np.uint8)
            features.append(look(patch[None])[0])
            empty.append(row.label == "bare")
            groups.append(f"{name} {row.raw_image_id}")
    return np.array(features), np.array(empty), np.array(groups)


# ---- one filter for both


def test_both_data_sets_are_filtered_by_the_same_machine_trained_on_all_hand_labels(two_sets, prepared):
    features, empty, _ = by_hand(two_sets)
    scaler = StandardScaler().fit(features)
    machine = SVC(C=1.0, kernel="linear", class_weight="balanced").fit(scaler.transform(features), empty)
    grid = np.random.default_rng(0).uniform(-2, 4, (200, 2)).astype(np.float32)
    one, other = (
        skops.io.load(prepared / name / "empty_filter.skops", trusted=[]).decision_function(grid) for name in BOTH
    )
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one, machine.decision_function(scaler.transform(grid)), atol=1e-6)


def test_the_filter_is_measured_over_the_pool_and_groups_of_one_name_stay_apart(two_sets, prepared):
    features, empty, groups = by_hand(two_sets)
    predicted = np.zeros(len(empty), bool)
    for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(features, empty, groups=groups):
        scaler = StandardScaler().fit(features[train])
        machine = SVC(C=1.0, kernel="linear", class_weight="balanced")
        machine.fit(scaler.transform(features[train]), empty[train])
        predicted[test] = machine.predict(scaler.transform(features[test]))
    for name in BOTH:
        report = open_curated(prepared / name).summary["empty_filter"]
        assert report["f1"] == pytest.approx(f1_score(empty, predicted))
        assert 0.5 < report["f1"] < 1
        assert (report["n_labelled"], report["n_empty"]) == (len(empty), empty.sum())
        assert report["n_labelled_of"] == {
            "no_treatment": 57,
            "doxo": 57,
        }  # five wells: two of 12 hand labels, three of 11
        assert report["folds_by"] == "group"


def test_what_one_data_set_keeps_for_others_is_the_same_however_it_was_made(two_sets, prepared, tmp_path):
    alone = keep(two_sets, "doxo", f"curation.output_root={tmp_path / 'alone'}")
    assert [path.name for path in (tmp_path / "alone").iterdir()] == ["doxo.hand_labels.npz"]  # nothing is curated
    assert alone.read_bytes() == (prepared / "doxo.hand_labels.npz").read_bytes()  # of the whole curation


def test_figures_show_patches_of_this_data_set_and_a_map_of_all(prepared):
    curated = open_curated(prepared / "doxo")
    with np.load(prepared / "doxo/empty_filter_labels.npz") as labelled:
        assert (labelled["field"] == -1).tolist() == [True] * 57 + [False] * 57
    blocks = list(empty_filter_blocks(curated))
    assert [block.name for block in blocks] == ["empty_filter_barcodes", "empty_filter_map", "empty_filter_hardest"]
    assert "114 hand labels (57 of no_treatment, 57 of doxo)" in blocks[1].caption
    assert "among those of this data set" in blocks[0].caption


def test_a_filter_trained_on_another_data_set_alone_has_no_own_patches_to_show(two_sets, prepared, tmp_path):
    shutil.copy(prepared / "doxo.hand_labels.npz", tmp_path)
    folder = run(two_sets, "no_treatment", f"curation.output_root={tmp_path}", "curation.empty_filter.fit_on=[doxo]")
    curated = open_curated(folder)
    assert curated.summary["empty_filter"]["n_labelled_of"] == {"doxo": 57}
    assert not (tmp_path / "no_treatment.hand_labels.npz").exists()
    assert [type(block) for block in empty_filter_blocks(curated)] == [Text, Drawing, Drawing]


def test_other_hand_labels_of_another_data_set_are_another_curation(two_sets, prepared, tmp_path):
    root = f"curation.output_root={shutil.copytree(prepared, tmp_path / 'copy')}"
    before = open_curated(run(two_sets, "no_treatment", root)).summary["fingerprint"]
    assert before == open_curated(prepared / "no_treatment").summary["fingerprint"]  # was up to date
    fewer = pd.read_csv(two_sets / "doxo.csv").iloc[5:]
    fewer.to_csv(tmp_path / "fewer.csv", index=False)
    keep(two_sets, "doxo", root, f"dataset.empty_labels={tmp_path / 'fewer.csv'}")
    summary = open_curated(run(two_sets, "no_treatment", root)).summary
    assert summary["fingerprint"] != before
    assert summary["empty_filter"]["n_labelled_of"] == {"no_treatment": 57, "doxo": 52}


# ---- what cannot be pooled


def test_missing_hand_labels_of_another_data_set_name_the_command_that_helps(two_sets, tmp_path):
    with pytest.raises(InputError) as told:
        run(two_sets, "no_treatment")
    path = Path("data/curated/doxo.hand_labels.npz")
    assert str(told.value) == f"{path} is missing: run jimt prepare dataset=doxo hand_labels_only=true"
    assert not list(tmp_path.rglob("*.npz"))
    assert keep(two_sets, "doxo") == path  # the remedy
    assert open_curated(run(two_sets, "no_treatment")).summary["empty_filter"]["status"] == "trained"


def test_without_any_hand_labels_every_patch_passes_as_before(two_sets):
    folder = run(two_sets, "no_treatment", labelled=False)
    assert open_curated(folder).summary["empty_filter"] == {"status": "no labels"}


def test_a_data_set_without_hand_labels_among_others_with_some_is_refused(two_sets, prepared, tmp_path):
    shutil.copy(prepared / "doxo.hand_labels.npz", tmp_path)
    root = f"curation.output_root={tmp_path}"
    with pytest.raises(InputError) as told:
        run(two_sets, "no_treatment", root, labelled=False)
    remedy = "curation.empty_filter.fit_on=[doxo]"
    assert str(told.value) == (
        "the empty filter of no_treatment is trained on the hand labels of no_treatment, doxo, and "
        f"dataset.empty_labels names none of no_treatment: give dataset.empty_labels=FILE, or {remedy}"
    )
    summary = open_curated(run(two_sets, "no_treatment", root, remedy, labelled=False)).summary
    assert summary["empty_filter"]["n_labelled_of"] == {"doxo": 57}


def test_hand_labels_of_others_alone_are_asked_for_even_without_own_ones(two_sets):
    with pytest.raises(InputError, match=r"doxo.hand_labels.npz is missing: run jimt prepare dataset=doxo hand"):
        run(two_sets, "no_treatment", "curation.empty_filter.fit_on=[doxo]", labelled=False)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("curation.empty_filter.backbone=another", "backbone=resnet18.tv_in1k, not another"),
        ("curation.empty_filter.weights=random", "weights=hub, not random"),
        ("curation.empty_filter.features=field", "features=patches, not field"),
        ("curation.empty_filter.precision=bf16-mixed", "precision=32-true, not bf16-mixed"),
        ("curation.patches.size=32", "curation.patches.size=64, not 32"),
    ],
)
def test_features_that_were_made_otherwise_are_refused(two_sets, prepared, tmp_path, change, sentence):
    shutil.copy(prepared / "doxo.hand_labels.npz", tmp_path)
    with pytest.raises(InputError, match=f"{sentence}: give .*, or run jimt prepare dataset=doxo"):
        run(two_sets, "no_treatment", f"curation.output_root={tmp_path}", change)


def test_another_file_of_weights_under_the_same_name_is_refused(two_sets, tmp_path):
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"one")
    keep(two_sets, "doxo", f"curation.empty_filter.weights={weights}")
    weights.write_bytes(b"two")
    with pytest.raises(InputError, match=r"weights \(SHA-256\)=\w+, not \w+: run jimt prepare dataset=doxo"):
        run(two_sets, "no_treatment", f"curation.empty_filter.weights={weights}")


@pytest.mark.parametrize("damage", ["nothing", "half", "other", "flipped"])
def test_a_damaged_file_says_how_to_make_it_anew(prepared, tmp_path, damage):
    path = tmp_path / "doxo.hand_labels.npz"
    whole = (prepared / path.name).read_bytes()
    middle = len(whole) // 3
    flipped = whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 99]) + whole[middle + 99 :]
    path.write_bytes({"nothing": b"", "half": whole[: len(whole) // 2], "other": b"PNG?", "flipped": flipped}[damage])
    with pytest.raises(InputError) as told:
        load_hand_labelled(path, "doxo", made_with={})
    assert str(told.value) == f"{path} is damaged: run jimt prepare dataset=doxo hand_labels_only=true"


def test_a_file_of_another_data_set_under_this_name_is_refused(prepared, tmp_path):
    path = Path(shutil.copy(prepared / "no_treatment.hand_labels.npz", tmp_path / "doxo.hand_labels.npz"))
    with pytest.raises(InputError, match="holds hand labels of no_treatment: run jimt prepare dataset=doxo hand"):
        load_hand_labelled(path, "doxo", made_with={})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("dataset.empty_labels=null", "doxo has no hand labels to keep: give dataset.empty_labels=FILE"),
        ("curation.empty_filter.enabled=false", "hand_labels_only=true is without effect for doxo"),
    ],
)
def test_where_there_is_nothing_to_keep_it_is_said(two_sets, change, sentence):
    with pytest.raises(InputError, match=sentence):
        keep(two_sets, "doxo", change)


# ---- the pool itself


def test_groups_are_known_where_all_data_sets_know_theirs(tmp_path):
    at = np.zeros(2, np.int32)
    names = np.array(["W1", "W2"])
    features = np.ones((2, 3), np.float32)
    one = HandLabelled("a", {"size": 1}, features, np.array([True, False]), names, names, at, at)
    other = HandLabelled("b.c", {"size": 1}, 2 * features, np.array([False, False]), names, None, at, at)
    assert pool([one, one]).groups.tolist() == ["a/W1", "a/W2"] * 2
    both = pool([other, one])
    assert both.groups is None
    assert both.raw_image_ids.tolist() == ["b.c/W1", "b.c/W2", "a/W1", "a/W2"]
    assert both.features[:, 0].tolist() == [2, 2, 1, 1]
    save_hand_labelled(tmp_path / "kept.npz", other)
    kept, _ = load_hand_labelled(tmp_path / "kept.npz", "b.c", made_with={"size": 1})
    assert kept.groups is None
    np.testing.assert_array_equal(kept.features, other.features)


# ---- thresholds of another data set


@pytest.mark.parametrize(
    ("of_one", "of_other", "warned"),
    [
        (True, False, "behind an empty filter, and doxo is curated without an empty filter: with one curation"),
        (False, True, "without an empty filter, and doxo is curated behind an empty filter: with one curation"),
        (True, True, None),
        (False, False, None),
    ],
)
def test_thresholds_that_were_fitted_to_what_a_filter_left_are_told_where_there_is_none(
    two_sets, prepared, tmp_path, of_one, of_other, warned
):
    for name in BOTH:
        shutil.copy(prepared / f"{name}.hand_labels.npz", tmp_path)
    own = [*MIXTURE, f"curation.output_root={tmp_path}", "curation.label.fit_on=no_treatment"]
    own.append("curation.label.scale=log_background_ratio")  # each field has both classes, whatever its gain
    for name, with_filter in zip(BOTH, (of_one, of_other), strict=True):
        folder = run(two_sets, name, *own, f"curation.empty_filter.enabled={str(with_filter).lower()}")
    curated = open_curated(folder)
    assert curated.thresholds["behind_empty_filter"] == of_one
    told = [line for line in describe(curated.summary, curated.thresholds) if "WARNING: the thresholds were" in line]
    assert [f"fitted on no_treatment {warned}" in line for line in told] == [True] * (warned is not None)
