import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from conftest import SMALL, TINY_PROBE, composed_train
from jimt.errors import InputError
from jimt.evaluation.compare import compare, main

ASKED = {"confidence": 0.95}


def write_scores(folder, *, noise, name="scores.csv", n_groups=30, seed=0):
    rng = np.random.default_rng(seed)
    n = 10 * n_groups
    labels = np.tile([0, 1], n // 2)
    table = pd.DataFrame(
        {
            "raw_image_id": [f"image{i // 5}" for i in range(n)],
            "group": [f"group{i // 10}" for i in range(n)],
            "y": np.arange(n) % 5 * 112,
            "x": 0,
            "file": [f"image{i // 5}.tif" for i in range(n)],
            "label": labels,
            "mean_fluorescence": 300.0,
            "label_value": 300.0,
            "score": 1 / (1 + np.exp(-(2 * labels - 1 + rng.normal(0, noise, n)))),
        }
    )
    if name == "scores.csv":
        table["fold"] = np.arange(n) // 10 % 3
    folder.mkdir(exist_ok=True)
    table.to_csv(folder / name, index=False)
    return table


def test_differences_are_those_of_scikit_learn(tmp_path):
    one = write_scores(tmp_path / "one", noise=2.0)
    two = write_scores(tmp_path / "two", noise=0.5)
    result = compare(tmp_path / "one", tmp_path / "two", **ASKED)
    areas = [roc_auc_score(table["label"], table["score"]) for table in (one, two)]
    assert result["auroc"]["difference"] == pytest.approx(areas[1] - areas[0])
    of_folds = [
        np.mean([roc_auc_score(part["label"], part["score"]) for _, part in table.groupby("fold")])
        for table in (one, two)
    ]
    assert result["mean_fold_auroc"]["first"] == pytest.approx(of_folds[0])
    assert result["mean_fold_auroc"]["second"] == pytest.approx(of_folds[1])
    accuracies = [balanced_accuracy_score(table["label"], table["score"] > 0.5) for table in (one, two)]
    assert result["balanced_accuracy"]["difference"] == pytest.approx(accuracies[1] - accuracies[0])
    assert result["auroc"]["interval_groups"][0] > 0  # clearly better


def test_the_interval_of_two_equally_good_models_holds_zero(tmp_path):
    write_scores(tmp_path / "one", noise=1.0, seed=1)
    write_scores(tmp_path / "two", noise=1.0, seed=2)
    low, high = compare(tmp_path / "one", tmp_path / "two", **ASKED)["mean_fold_auroc"]["interval_groups"]
    assert low < 0 < high


def test_single_runs_are_compared_on_their_test_split(tmp_path, capsys):
    for name, noise in (("one", 2.0), ("two", 0.5)):
        write_scores(tmp_path / name, noise=noise, name="test_scores.csv")
    main([str(tmp_path / "one"), str(tmp_path / "two"), "--json", str(tmp_path / "result.json")])
    out = capsys.readouterr().out
    assert "300 patches, 30 groups" in out
    assert "mean AUROC of folds" not in out  # a run has no folds
    assert (tmp_path / "result.json").is_file()


def test_one_folder_given_twice_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="error: .*one is given twice, and differs in nothing from itself"):
        main([str(tmp_path / "one"), str(tmp_path / "x/../one")])


def test_other_patches_or_labels_are_refused(tmp_path, capsys):
    table = write_scores(tmp_path / "one", noise=1.0)
    (tmp_path / "two").mkdir()
    table.iloc[:-5].to_csv(tmp_path / "two/scores.csv", index=False)
    with pytest.raises(InputError, match="not tested on the same patches .300 and 295 patches, 295 in common"):
        compare(tmp_path / "one", tmp_path / "two", **ASKED)
    table.assign(label=1 - table["label"]).to_csv(tmp_path / "two/scores.csv", index=False)
    with pytest.raises(SystemExit, match="error: .* not tested on the same labels .300 of 300 patches differ"):
        main([str(tmp_path / "one"), str(tmp_path / "two")])
    with pytest.raises(InputError, match=r"holds neither test_scores.csv nor scores.csv: give a finished run"):
        compare(tmp_path / "one", tmp_path, **ASKED)


@pytest.mark.parametrize("confidence", ["95", "1.5", "1", "nan", "-1", "0"])
def test_a_coverage_that_no_interval_has_is_refused(tmp_path, confidence):
    for name in ("one", "two"):
        write_scores(tmp_path / name, noise=1.0)
    with pytest.raises(SystemExit) as told:
        main([str(tmp_path / "one"), str(tmp_path / "two"), "--confidence", confidence])
    assert told.value.code == f"error: confidence={float(confidence)} is not allowed: it takes 0.5 to below 1"


def test_a_result_that_cannot_be_written_is_one_sentence(tmp_path, capsys):
    for name in ("one", "two"):
        write_scores(tmp_path / name, noise=1.0)
    (tmp_path / "afile").touch()
    for place, reason in ((tmp_path / "afile/x.json", "File exists"), (tmp_path, "Is a directory")):
        with pytest.raises(SystemExit) as told:
            main([str(tmp_path / "one"), str(tmp_path / "two"), "--json", str(place)])
        assert told.value.code == f"error: {place} cannot be written ({reason}): name another file"


def test_without_groups_there_is_no_interval(tmp_path):
    for name in ("one", "two"):
        write_scores(tmp_path / name, noise=1.0).assign(group=None).to_csv(tmp_path / name / "scores.csv", index=False)
    with pytest.raises(InputError, match="there are no groups to give an interval over: set dataset.pattern"):
        compare(tmp_path / "one", tmp_path / "two", **ASKED)


# ---- patches that were published, and have no origin


def published(folder, *, noise, seed=0, shuffled=False):
    """Scores of patches of which several are of one raw image, none with an origin."""
    rng = np.random.default_rng(seed)
    table = write_scores(folder, noise=noise, name="test_scores.csv", seed=seed)
    table = table.assign(y=None, x=None, file=[f"live/patch{i}.png" for i in range(len(table))])
    if shuffled:
        table = table.sample(frac=1, random_state=rng.integers(1000))
    table.to_csv(folder / "test_scores.csv", index=False)
    return table


def test_published_patches_are_paired_by_their_files(tmp_path):
    one = published(tmp_path / "one", noise=2.0)
    two = published(tmp_path / "two", noise=1.0, seed=1, shuffled=True)
    result = compare(tmp_path / "one", tmp_path / "two", **ASKED)
    assert result["patches"] == 300
    for table, which in ((one, "first"), (two, "second")):
        assert result["auroc"][which] == pytest.approx(roc_auc_score(table["label"], table["score"]))
    # drawn for both at once: of scores that are the same but for a shift, no draw tells a difference
    one.assign(score=one["score"] * 0.5).sample(frac=1).to_csv(tmp_path / "two/test_scores.csv", index=False)
    same = compare(tmp_path / "one", tmp_path / "two", **ASKED)["auroc"]
    assert same["difference"] == 0
    assert same["interval_groups"] is None


def test_two_trainings_on_published_patches_are_compared_by_the_command(tmp_path, capsys):
    import cv2

    from jimt.training.run import train

    rng = np.random.default_rng(0)
    for image in range(12):
        for label, spread in (("live", 30), ("dead", 50)):
            (tmp_path / "raw" / label).mkdir(parents=True, exist_ok=True)
            for patch in range(3):
                pixels = rng.normal(128, spread, (64, 64)).clip(0, 255).astype(np.uint8)
                cv2.imwrite(str(tmp_path / "raw" / label / f"image{image}_{patch}.png"), pixels)
    published = ["dataset=no_treatment", f"dataset.root={tmp_path / 'raw'}"]
    published += ["dataset.layout=patches", r"dataset.pattern='(?P<raw_image_id>image\d+)_'"]
    published += ["dataset.live_folder=live", "dataset.dead_folder=dead"]
    published += ["curation.split.val=5", "curation.split.test=5", *SMALL]
    for seed in (0, 1):
        own = [f"seed={seed}", f"run_dir={tmp_path / f'run{seed}'}"]
        train(composed_train(*published, *TINY_PROBE, *own))
    capsys.readouterr()
    main([str(tmp_path / "run0"), str(tmp_path / "run1")])
    table = pd.read_csv(tmp_path / "run0/test_scores.csv")
    assert table["file"].str.fullmatch(r"(live|dead)/image\d+_\d\.png").all()
    assert f"{len(table)} patches, {table['group'].nunique()} groups" in capsys.readouterr().out


def test_scores_that_name_no_file_are_refused_with_a_remedy(tmp_path):
    published(tmp_path / "one", noise=1.0)
    published(tmp_path / "two", noise=1.0).drop(columns="file").to_csv(tmp_path / "two/test_scores.csv", index=False)
    with pytest.raises(InputError, match="lacks the column file: run jimt evaluate .*two"):
        compare(tmp_path / "one", tmp_path / "two", **ASKED)


def test_published_and_cut_patches_have_none_in_common(tmp_path):
    published(tmp_path / "one", noise=1.0)
    write_scores(tmp_path / "two", noise=1.0)
    for pair in (("one", "two"), ("two", "one")):
        with pytest.raises(InputError, match="not tested on the same patches .300 and 300 patches, 0 in common"):
            compare(*(tmp_path / name for name in pair), **ASKED)


def test_a_patch_that_is_scored_twice_is_refused(tmp_path):
    table = published(tmp_path / "one", noise=1.0)
    published(tmp_path / "two", noise=1.0)
    pd.concat([table, table.iloc[:3]]).to_csv(tmp_path / "two/test_scores.csv", index=False)
    with pytest.raises(InputError, match="two holds the score of 3 patches twice: run jimt evaluate"):
        compare(tmp_path / "one", tmp_path / "two", **ASKED)


# ---- folds


def scored(folder, scores, folds, *, groups=None, labels=None):
    """A cross-validation of eight patches of eight raw images."""
    folder.mkdir()
    table = pd.DataFrame(
        {
            "raw_image_id": [f"image{i}" for i in range(8)],
            "group": groups or [f"group{i}" for i in range(8)],
            "file": [f"image{i}.tif" for i in range(8)],
            "y": 0,
            "x": 0,
            "label": labels or [0, 1] * 4,
            "mean_fluorescence": 300.0,
            "label_value": 300.0,
            "score": scores,
            "fold": folds,
        }
    )
    table.to_csv(folder / "scores.csv", index=False)


def test_means_over_folds_are_of_each_ones_own_folds_and_are_not_subtracted_where_these_differ(tmp_path, capsys):
    # each ranks every fold of its own right, and not the other's
    scored(tmp_path / "one", [0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1, 0, 0, 1, 1])
    scored(tmp_path / "two", [0.1, 0.2, 0.1, 0.2, 0.3, 0.4, 0.3, 0.4], [0, 0, 0, 0, 1, 1, 1, 1])
    main([str(tmp_path / "one"), str(tmp_path / "two"), "--json", str(tmp_path / "deep/result.json")])
    row = json.loads((tmp_path / "deep/result.json").read_text())["mean_fold_auroc"]
    assert row == {"first": 1.0, "second": 1.0, "difference": None, "interval_groups": None}
    out = capsys.readouterr().out
    assert "the two have different folds (2 and 2), so their means over folds are each of its own" in out
    (line,) = [line for line in out.splitlines() if "mean AUROC of folds" in line]
    assert line.count("1.000") == 2
    assert line.count("-") == 2


def test_folds_that_are_only_numbered_otherwise_are_the_same_folds(tmp_path):
    scores = [0.1, 0.2, 0.3, 0.25, 0.1, 0.2, 0.3, 0.4]
    scored(tmp_path / "one", scores, [0, 0, 1, 1, 0, 0, 1, 1])
    scored(tmp_path / "two", scores, [5, 5, 2, 2, 5, 5, 2, 2])
    result = compare(tmp_path / "one", tmp_path / "two", **ASKED)
    assert result["mean_fold_auroc"]["difference"] == 0
    assert not any("folds" in note for note in result["notes"])


def test_a_difference_over_few_groups_is_noted_and_over_two_of_a_class_has_no_interval(tmp_path):
    """As the metrics of each one are."""
    labels = [1, 1, 0, 0, 0, 0, 0, 0]
    for name, seed in (("one", 0), ("two", 1)):
        scored(tmp_path / name, np.random.default_rng(seed).uniform(size=8), [0] * 8, labels=labels)
    result = compare(tmp_path / "one", tmp_path / "two", **ASKED)
    assert result["auroc"]["difference"] != 0
    assert result["auroc"]["interval_groups"] is None
    assert result["notes"] == [
        "the test split holds 8 groups: an interval over so few is too narrow",
        "the test split holds 2 groups with live patches: too few for an interval",
        "the test split holds 6 groups with dead patches: an interval over so few is too narrow",
    ]


def test_notes_on_cross_validations_are_of_the_data_set(tmp_path):
    for name, seed in (("one", 0), ("two", 1)):
        scored(tmp_path / name, np.random.default_rng(seed).uniform(size=8), [0, 0, 0, 0, 1, 1, 1, 1])
    result = compare(tmp_path / "one", tmp_path / "two", **ASKED)
    assert result["notes"][0] == "the data set holds 8 groups: an interval over so few is too narrow"


def test_patches_in_other_groups_are_refused(tmp_path):
    scores, folds = np.linspace(0, 1, 8), [0] * 8
    scored(tmp_path / "one", scores, folds)
    scored(tmp_path / "two", scores, folds, groups=list("aabbccdd"))
    with pytest.raises(InputError, match="patches in different groups, .* curate both with the same dataset.pat"):
        compare(tmp_path / "one", tmp_path / "two", **ASKED)
    scored(tmp_path / "three", scores, folds, groups=[f"well {i}" for i in range(8)])  # called otherwise
    assert compare(tmp_path / "one", tmp_path / "three", **ASKED)["groups"] == 8


def test_of_one_class_alone_no_metric_is_made_up(tmp_path, capsys):
    for name in ("one", "two"):
        scored(tmp_path / name, np.linspace(0, 1, 8), [0] * 8, labels=[1] * 8)
    main([str(tmp_path / "one"), str(tmp_path / "two"), "--json", str(tmp_path / "result.json")])
    assert "no patch is dead, and one class alone has none of these metrics" in capsys.readouterr().out
    assert json.loads((tmp_path / "result.json").read_text())["auroc"]["first"] is None
