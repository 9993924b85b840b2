from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import IsotonicRegression

from jimt.evaluation.field_shares import field_shares, share_in_words, share_metrics

SIZE, HEIGHT, WIDTH = 32, 48, 64
ORIGINS = [(y, x) for y in (0, 16) for x in (0, 16, 32)]
N_GROUPS, N_FOLDS = 12, 4


def experiment(*, knows: float = 1.0, seed: int = 0) -> tuple[pd.DataFrame, SimpleNamespace]:
    """Two fields a group, and out-of-fold scores that know their dead share, or nothing of it."""
    rng = np.random.default_rng(seed)
    rows, cells, images = [], {}, []
    for number in range(2 * N_GROUPS):
        name, group = f"E{number // 2:02}-{number % 2}", f"E{number // 2:02}"
        n_cells = int(rng.integers(6, 60))
        cells[name] = (n_cells, int(rng.binomial(n_cells, rng.beta(0.6, 1.2))))
        share = cells[name][1] / n_cells
        images.append(rng.integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8))
        for y, x in ORIGINS:
            signal = knows * (0.5 - share) + rng.normal(0, 0.4)
            score = 1 / (1 + np.exp(-3 * signal))
            label = int(rng.random() > share) if rng.random() > 0.1 else -1
            rows.append((name, group, number, y, x, label, score, (number // 2) % N_FOLDS))
    table = pd.DataFrame(rows, columns=["raw_image_id", "group", "field", "y", "x", "label", "score", "fold"])
    curated = SimpleNamespace(
        manifest=table[["raw_image_id", "field", "y", "x"]],
        summary={"cells": {"by_field": cells}, "patch_size": SIZE},
        store=SimpleNamespace(field=images.__getitem__),
    )
    return table.drop(columns="field"), curated


def painted_share(part: pd.DataFrame) -> float:
    """Of a field, pixel by pixel."""
    total, n = np.zeros((HEIGHT, WIDTH)), np.zeros((HEIGHT, WIDTH))
    for row in part.itertuples():
        total[row.y : row.y + SIZE, row.x : row.x + SIZE] += 1 - row.score
        n[row.y : row.y + SIZE, row.x : row.x + SIZE] += 1
    return (total[n > 0] / n[n > 0]).mean()


def test_a_field_s_share_is_calibrated_on_the_fields_of_other_folds_alone():
    table, curated = experiment()
    fields = field_shares(table, curated)
    assert len(fields) == 2 * N_GROUPS
    for row in fields.itertuples():
        assert row.uncalibrated == pytest.approx(painted_share(table[table["raw_image_id"] == row.raw_image_id]))
        assert row.true == row.n_dead / row.n_cells
        others = fields[fields["fold"] != row.fold]
        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        fitted.fit(others["uncalibrated"], others["true"], sample_weight=others["n_cells"])
        assert row.calibrated == pytest.approx(fitted.predict([row.uncalibrated])[0])
        assert row.constant == pytest.approx(others["true"].median())


def test_the_cells_of_a_fold_change_nothing_that_is_predicted_for_it():
    table, curated = experiment()
    expected = field_shares(table, curated)
    for name, (n_cells, n_dead) in curated.summary["cells"]["by_field"].items():
        if expected.set_index("raw_image_id").loc[name, "fold"] == 0:
            curated.summary["cells"]["by_field"][name] = (n_cells, n_cells - n_dead)
    found = field_shares(table, curated)
    here = expected["fold"] == 0
    for column in ("calibrated", "constant"):
        assert found.loc[here, column].tolist() == expected.loc[here, column].tolist()
        assert found.loc[~here, column].tolist() != expected.loc[~here, column].tolist()


def test_a_model_that_knows_the_share_beats_a_constant_and_one_that_does_not_is_told_so():
    good, bad = (share_metrics(field_shares(*experiment(knows=knows)), confidence=0.95) for knows in (3.0, 0.0))
    assert good["note"] == ""
    assert good["calibrated"]["mae"]["value"] < good["constant"]["mae"]["value"] < bad["uncalibrated"]["mae"]["value"]
    assert bad["note"].startswith("the model ")
    assert (
        "a constant, the median share of the other groups' fields: mean absolute error of the dead share" in bad["note"]
    )
    assert share_in_words(good).startswith("dead share of 24 fields of 5 counted cells or more, mean absolute error: ")


def test_fields_of_few_cells_take_no_part_and_without_counted_cells_there_is_nothing():
    table, curated = experiment()
    cells = curated.summary["cells"]["by_field"]
    cells["E00-0"] = (4, 4)
    del cells["E01-1"]
    fields = field_shares(table, curated)
    assert set(cells) - set(fields["raw_image_id"]) == {"E00-0"}
    assert len(fields) == 2 * N_GROUPS - 2
    curated.summary["cells"]["by_field"] = {"E00-0": (4, 4)}
    assert field_shares(table, curated) is None
    curated.summary["cells"] = None
    assert field_shares(table, curated) is None


def test_one_fold_alone_has_nothing_to_calibrate_by():
    table, curated = experiment()
    fields = field_shares(table[table["fold"] == 1], curated)
    assert fields["calibrated"].isna().all()
    metrics = share_metrics(fields, confidence=0.95)
    assert metrics["note"] == "no fields but those that are tested were scored: nothing to calibrate dead shares by"
    assert metrics["calibrated"]["mae"]["value"] is None
    assert metrics["uncalibrated"]["mae"]["value"] == pytest.approx(
        (fields["uncalibrated"] - fields["true"]).abs().mean()
    )
