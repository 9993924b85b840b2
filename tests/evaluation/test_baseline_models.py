from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jimt.errors import InputError
from jimt.evaluation.baseline_models import (
    CELLS,
    FROZEN,
    PLAIN,
    Features,
    against_baselines,
    frozen_features,
    plain_features,
)

SIZE, N_GROUPS, N_FOLDS, N_PATCHES = 16, 12, 4, 10
RNG = np.random.default_rng(7)


def data_set(*, counted: bool = True) -> tuple[SimpleNamespace, np.ndarray]:
    """A field of ten patches a group; dead patches are somewhat darker, so that plain features tell something."""
    rows, images = [], []
    for number in range(N_GROUPS):
        image = np.zeros((SIZE, SIZE * N_PATCHES), np.uint8)
        for patch in range(N_PATCHES):
            label = int((patch + number) % 3 > 0)
            pixels = RNG.normal(120 + label, 20, (SIZE, SIZE)).clip(0, 255).astype(np.uint8)
            image[:, patch * SIZE : (patch + 1) * SIZE] = pixels
            cells = int(RNG.integers(1, 9))
            rows.append((f"G{number:02}", number, 0, patch * SIZE, label, "train", cells))
        images.append(image)
    manifest = pd.DataFrame(rows, columns=["group", "field", "y", "x", "label", "split", "n_cells"])
    manifest.loc[[3, 50], ["label", "split"]] = -1, None
    curated = SimpleNamespace(
        manifest=manifest,
        summary={"patch_size": SIZE, "cells": {} if counted else None},
        store=SimpleNamespace(field=images.__getitem__),
    )
    return curated, manifest["field"].to_numpy() % N_FOLDS


def scored(curated: SimpleNamespace, *, knows: float) -> pd.DataFrame:
    table = curated.manifest.copy()
    noise = np.random.default_rng(1).normal(size=len(table))
    table["score"] = 1 / (1 + np.exp(-(knows * (table["label"] - 0.5) + noise)))
    return table


def by_scikit_learn(features: np.ndarray, rows: pd.DataFrame, folds: np.ndarray) -> np.ndarray:
    scores = np.zeros(len(rows))
    for fold in np.unique(folds):
        test = folds == fold
        model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
        scores[test] = model.fit(features[~test], rows["label"][~test]).predict_proba(features[test])[:, 1]
    return scores


def test_plain_baselines_are_scikit_learns_regressions_on_the_same_folds():
    curated, folds = data_set()
    table = scored(curated, knows=3.0).sample(frac=1, random_state=0)  # in another order than the manifest
    found = against_baselines(table, curated, folds, plain_features(curated), confidence=0.95)["models"]
    used = curated.manifest["split"].notna().to_numpy()
    rows = curated.manifest[used].reset_index(drop=True)
    cut = [curated.store.field(r.field)[r.y : r.y + SIZE, r.x : r.x + SIZE].astype(float) for r in rows.itertuples()]
    focus = [(p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * p[1:-1, 1:-1]).var() for p in cut]
    plain = np.array([[p.mean(), p.std(), f] for p, f in zip(cut, focus, strict=True)])
    of_model = curated.manifest[used].merge(table[["field", "x", "score"]], on=["field", "x"])["score"]
    assert [model["name"] for model in found] == [PLAIN, CELLS]
    for features, model in zip((plain, np.log1p(rows[["n_cells"]].to_numpy(float))), found, strict=True):
        expected = roc_auc_score(rows["label"], by_scikit_learn(features, rows, folds[used]))
        assert model["auroc"]["baseline"] == pytest.approx(expected, abs=1e-3)
        assert model["auroc"]["model"] == pytest.approx(roc_auc_score(rows["label"], of_model))
        difference = model["auroc"]["model"] - model["auroc"]["baseline"]
        assert model["auroc"]["difference"] == pytest.approx(difference)


def test_no_baseline_is_fitted_on_labels_of_the_fold_that_is_tested():
    curated, folds = data_set()
    table = scored(curated, knows=3.0)
    held_out = table[folds == 2]
    given = plain_features(curated)
    found = against_baselines(held_out, curated, folds, given, confidence=0.95)["models"]
    curated.manifest.loc[(folds == 2) & (curated.manifest["label"] >= 0), "label"] = 0
    again = against_baselines(held_out, curated, folds, given, confidence=0.95)["models"]
    assert again == found
    curated.manifest.loc[folds == 1, "label"] = RNG.integers(0, 2, int((folds == 1).sum()))
    assert against_baselines(held_out, curated, folds, given, confidence=0.95)["models"] != found


def test_a_model_that_knows_the_labels_beats_every_baseline_and_one_that_guesses_is_told_so():
    curated, folds = data_set()
    given = plain_features(curated)
    good, bad = (
        against_baselines(scored(curated, knows=knows), curated, folds, given, confidence=0.95)["notes"]
        for knows in (6.0, 0.0)
    )
    assert good == []
    assert any(note.startswith(f"the model is worse than {PLAIN}: AUROC 0.") for note in bad)


def test_where_nothing_can_be_told_one_sentence_says_so_of_all_baselines():
    curated, folds = data_set()
    table = scored(curated, knows=1.0)
    notes = against_baselines(table[table["group"] == "G01"], curated, folds, plain_features(curated), confidence=0.95)
    assert notes["notes"] == [
        f"AUROC or AUROC within groups cannot tell whether the model beats {PLAIN} or {CELLS}: 1 group is too few"
    ]


def test_cells_are_no_baseline_where_they_were_not_counted_or_not_in_every_field():
    curated, _ = data_set(counted=False)
    assert [features.name for features in plain_features(curated)] == [PLAIN]
    curated, _ = data_set()
    curated.manifest.loc[curated.manifest["group"] == "G00", "n_cells"] = np.nan
    assert [features.name for features in plain_features(curated)] == [PLAIN]


def test_a_frozen_network_that_cannot_be_had_is_named_and_one_that_is_the_model_itself_is_left_out():
    curated, _ = data_set()
    values = np.arange(len(curated.manifest) - 2, dtype=np.float32)[:, None]

    def answers(_store, rows):
        assert len(rows) == len(values)
        return values

    found = frozen_features(SimpleNamespace(frozen_features=answers), curated)
    assert isinstance(found, Features)
    assert found.name == FROZEN
    np.testing.assert_array_equal(found.values, values)
    assert frozen_features(SimpleNamespace(frozen_features=lambda *_: None), curated) is None

    def fails(*_):
        raise InputError("the hub with the weights of x cannot be reached", remedies=("backbone.weights=FILE",))

    told = frozen_features(SimpleNamespace(frozen_features=fails), curated)
    assert told == f"{FROZEN} is not compared with: the hub with the weights of x cannot be reached"
