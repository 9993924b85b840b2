import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from jimt.errors import InputError
from jimt.evaluation.label_sensitivity import main, of_run

ASKED = {"confidence": 0.95}
THRESHOLDS = {
    "live_below": 259.0,
    "dead_above": 397.0,
    "live_mean": 224.5,
    "live_sd": 34.5,
    "dead_mean": 550.5,
    "dead_sd": 153.5,
}


@pytest.fixture
def run(tmp_path):
    rng = np.random.default_rng(0)
    value = np.r_[rng.normal(224, 34, 150), rng.normal(550, 153, 150)]
    table = pd.DataFrame(
        {
            "group": np.arange(300) % 25,
            "label": np.where(value < 259, 1, np.where(value > 397, 0, -1)),
            "label_value": value,
            "score": 1 / (1 + np.exp((value - 320 + rng.normal(0, 120, 300)) / 60)),
        }
    )
    table.to_csv(tmp_path / "test_scores_with_ambiguous.csv", index=False)
    (tmp_path / "test_metrics.json").write_text(json.dumps({"thresholds": THRESHOLDS}))
    return tmp_path, table


def test_at_one_sigma_the_result_is_that_of_the_curations_labels(run):
    folder, table = run
    result = of_run(folder, **ASKED)
    row = result.by_n_sigma.set_index("n_sigma").loc[1.0]
    used = table[table["label"] >= 0]
    assert row["live"] == (table["label"] == 1).sum()
    assert row["discarded"] == (table["label"] == -1).sum()
    assert row["auroc"] == pytest.approx(roc_auc_score(used["label"], used["score"]))


def test_the_band_is_included_at_the_midpoint(run):
    folder, table = run
    (row,) = of_run(folder, **ASKED).with_band.to_dict("records")
    labels = table["label_value"] < (259 + 397) / 2
    assert row["live"] + row["dead"] == 300
    assert row["auroc"] == pytest.approx(roc_auc_score(labels, table["score"]))


def test_the_command_writes_and_prints_the_tables(run, capsys):
    folder, _ = run
    main([str(folder)])
    out = capsys.readouterr().out
    assert "midway" in out
    assert "against the continuous fluorescence of all 300 patches" in out
    written = json.loads((folder / "label_sensitivity.json").read_text())
    assert len(written["by_n_sigma"]) == 11
    assert len(written["by_threshold"]) == 19
    markdown = (folder / "label_sensitivity.md").read_text().splitlines()
    assert markdown[0].startswith("| labels | live | dead |")
    assert len(markdown) == 2 + 11 + 1


def test_a_folder_without_scores_and_labels_from_folders_are_refused(tmp_path, run):
    folder, _ = run
    with pytest.raises(
        SystemExit, match="holds no test_scores_with_ambiguous.csv: give a finished run, or run jimt evaluate"
    ):
        main([str(tmp_path / "nothing")])
    (folder / "test_metrics.json").write_text(json.dumps({"thresholds": {"live_below": None}}))
    with pytest.raises(InputError, match="come from class folders, so there are no thresholds to move"):
        of_run(folder, **ASKED)


@pytest.mark.parametrize("confidence", ["95", "nan", "-1"])
def test_a_coverage_that_no_interval_has_is_refused(run, confidence):
    folder, _ = run
    with pytest.raises(SystemExit, match=f"confidence={float(confidence)} is not allowed: it takes 0.5 to below 1"):
        main([str(folder), "--confidence", confidence])
