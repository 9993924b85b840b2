from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from jimt.evaluation.counted import counted_in_words, counted_metrics

CURATED = SimpleNamespace(summary={"config": {"curation": {"label": {"dead_share": 0.25}}}})


def table(n_groups: int = 8) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 30 * n_groups
    cells = rng.integers(0, 12, n)
    dead = rng.binomial(cells, rng.beta(0.5, 1.5, n))
    return pd.DataFrame(
        {
            "raw_image_id": [f"{i // 15}" for i in range(n)],
            "group": [f"G{i // 30}" for i in range(n)],
            "label": rng.integers(-1, 2, n),  # the labels by fluorescence play no part
            "n_cells": cells.astype(float),
            "n_dead": dead.astype(float),
            "score": rng.random(n) - 0.5 * (dead > 0),
        }
    )


def test_a_patch_is_dead_where_a_quarter_of_its_cells_is_whatever_its_label():
    rows = table()
    found = counted_metrics(rows, CURATED, confidence=0.95, seed=0)
    held = rows[rows["n_cells"] > 0]
    dead = held["n_dead"] / held["n_cells"] >= 0.25
    assert (found["patches"], found["dead"]) == (len(held), dead.sum())
    assert found["metrics"]["auroc"]["value"] == pytest.approx(roc_auc_score(~dead, held["score"]))
    within = [(part, ~dead[part.index]) for _, part in held.groupby("group")]
    pairs = [int(live.sum() * (~live).sum()) for _, live in within]
    areas = [roc_auc_score(live, part["score"]) for part, live in within]
    assert found["metrics"]["auroc_within_groups"]["value"] == pytest.approx(np.average(areas, weights=pairs))
    again = counted_metrics(rows.assign(label=1), CURATED, confidence=0.95, seed=0)
    assert again == found
    assert counted_in_words(found).startswith(f"scores against counted cells ({len(held)} patches that hold one, ")


def test_without_counted_cells_there_is_nothing_and_one_class_alone_is_told():
    rows = table()
    assert counted_metrics(rows.drop(columns=["n_cells", "n_dead"]), CURATED, confidence=0.95, seed=0) is None
    assert counted_metrics(rows.assign(n_cells=0.0, n_dead=0.0), CURATED, confidence=0.95, seed=0) is None
    found = counted_metrics(rows.assign(n_dead=0.0), CURATED, confidence=0.95, seed=0)
    assert found["metrics"]["auroc"]["value"] is None
    assert counted_in_words(found).endswith(": one class only")
