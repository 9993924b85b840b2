import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from jimt.compare import compare, main
from jimt.errors import InputError

ASKED = {"n_resamples": 500, "confidence": 0.95, "seed": 0}


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
            "label": labels,
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
    assert "300 patches, 30 groups" in capsys.readouterr().out
    assert (tmp_path / "result.json").is_file()


def test_other_patches_or_labels_are_refused(tmp_path, capsys):
    table = write_scores(tmp_path / "one", noise=1.0)
    (tmp_path / "two").mkdir()
    table.iloc[:-5].to_csv(tmp_path / "two/scores.csv", index=False)
    with pytest.raises(InputError, match="not tested on the same patches .* .300 and 295 patches, 295"):
        compare(tmp_path / "one", tmp_path / "two", **ASKED)
    table.assign(label=1 - table["label"]).to_csv(tmp_path / "two/scores.csv", index=False)
    with pytest.raises(SystemExit, match="error: .* not tested on the same patches with the same labels"):
        main([str(tmp_path / "one"), str(tmp_path / "two")])
    with pytest.raises(InputError, match=r"holds neither test_scores.csv nor scores.csv: give a finished run"):
        compare(tmp_path / "one", tmp_path, **ASKED)


def test_without_groups_there_is_nothing_to_resample(tmp_path):
    for name in ("one", "two"):
        write_scores(tmp_path / name, noise=1.0).assign(group=None).to_csv(tmp_path / name / "scores.csv", index=False)
    with pytest.raises(InputError, match="there are no groups to resample"):
        compare(tmp_path / "one", tmp_path / "two", **ASKED)
