import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from jimt.curation.audit import audit_in_words, label_audit
from jimt.curation.counted_cells import thresholds_of_share
from jimt.curation.field_fluorescence import label_values
from jimt.curation.labels import label_patches

SETTINGS = {"dead_share": 0.25, "confidence": 0.95}


def counted(n_groups: int = 8, per_field: int = 12, *, noise: float = 0.1, seed: int = 0):
    """Two fields a group; the label value knows the dead share of a patch up to noise."""
    rng = np.random.default_rng(seed)
    rows, cells = [], []
    for group in range(n_groups):
        for number in range(2):
            name = f"E{group}-{number}"
            for _ in range(per_field):
                n_cells = int(rng.integers(0, 9))
                n_dead = int(rng.binomial(n_cells, rng.random()))
                share = n_dead / n_cells if n_cells else 0
                rows.append((name, f"E{group}", n_cells, n_dead, share + rng.normal(0, noise)))
                cells += [(name, 0, 0, k < n_dead) for k in range(n_cells)]
    manifest = pd.DataFrame(rows, columns=["raw_image_id", "group", "n_cells", "n_dead", "label_value"])
    label = np.select([manifest["label_value"] < 0.2, manifest["label_value"] > 0.3], [1, 0], -1)
    return manifest.assign(label=pd.array(label, "Int8")), pd.DataFrame(
        cells, columns=["raw_image_id", "y", "x", "dead"]
    )


def test_areas_and_kappa_are_those_of_scikit_learn():
    manifest, cells = counted()
    audit = label_audit(manifest, cells, **SETTINGS)
    rows = manifest[manifest["n_cells"] > 0]
    dead = rows["n_dead"] / rows["n_cells"] >= 0.25
    assert (audit["patches"], audit["dead"]) == (len(rows), dead.sum())
    assert audit["metrics"]["auroc"]["value"] == pytest.approx(roc_auc_score(dead, rows["label_value"]))
    labelled = (rows["label"] != -1).to_numpy()
    assert audit["kappa"] == pytest.approx(cohen_kappa_score(dead[labelled], rows["label"][labelled] == 0))
    low, high = audit["metrics"]["auroc_within_groups"]["interval_groups"]
    assert low < audit["metrics"]["auroc_within_groups"]["value"] < high
    (first, *_) = audit["groups"]
    here = rows["group"] == first["group"]
    assert first["auroc"] == pytest.approx(roc_auc_score(dead[here], rows["label_value"][here]))


def test_labels_that_sort_experiments_alone_have_one_half_within_them():
    manifest, cells = counted()
    share = (manifest["n_dead"] / manifest["n_cells"]).groupby(manifest["group"]).transform("mean")
    metrics = label_audit(manifest.assign(label_value=share), cells, **SETTINGS)["metrics"]
    assert metrics["auroc_within_groups"]["value"] == metrics["mean_auroc_of_groups"]["value"] == 0.5


def test_the_share_of_patches_labelled_dead_is_held_against_the_cells_of_each_field():
    manifest, cells = counted()
    fields = label_audit(manifest, cells, **SETTINGS)["fields"]
    labelled = manifest[manifest["label"] != -1]
    differences = [
        (part["label"] == 0).mean() - cells.loc[cells["raw_image_id"] == name, "dead"].mean()
        for name, part in labelled.groupby("raw_image_id")
    ]
    assert fields["n"] == len(differences) == 16
    assert fields["bias"] == pytest.approx(np.mean(differences))
    half = 1.96 * np.std(differences, ddof=1)
    assert fields["limits"] == pytest.approx([np.mean(differences) - half, np.mean(differences) + half])
    assert fields["mean_absolute_error"] == pytest.approx(np.mean(np.abs(differences)))


def test_the_order_of_patches_and_the_names_of_groups_change_nothing():
    manifest, cells = counted()
    renamed = manifest.assign(group=manifest["group"].map(lambda name: f"x{9 - int(name[1])}"))
    shuffled = renamed.sample(frac=1, random_state=0)
    one, two = (label_audit(table, cells, **SETTINGS) for table in (manifest, shuffled))
    assert two["metrics"]["auroc_within_groups"]["value"] == pytest.approx(
        one["metrics"]["auroc_within_groups"]["value"]
    )
    assert two["kappa"] == pytest.approx(one["kappa"])
    assert two["fields"]["bias"] == pytest.approx(one["fields"]["bias"])


def test_one_class_throughout_is_said_and_no_number_is_made_up():
    manifest, cells = counted()
    alive = manifest.assign(n_dead=0)
    audit = label_audit(alive, cells.assign(dead=False), **SETTINGS)
    assert audit["dead"] == 0
    assert audit["metrics"]["auroc"] == {"value": None, "interval_groups": None, "note": "a class it needs is absent"}
    assert audit["kappa"] is None
    told = audit_in_words(audit)[0]
    assert "AUROC - (a class it needs is absent), within groups - (no group holds both classes), kappa -" in told
    nothing = label_audit(manifest.assign(n_cells=np.nan, n_dead=np.nan), cells.iloc[:0], **SETTINGS)
    assert nothing["patches"] == 0
    assert nothing["fields"]["bias"] is None
    assert len(audit_in_words(nothing)) == 1


@pytest.mark.parametrize(("n_dead", "n_cells", "share"), [(7, 25, 0.28), (3, 10, 0.3), (1, 3, 1 / 3), (29, 100, 0.29)])
def test_a_patch_is_dead_at_just_the_share_in_the_audit_as_in_its_label(n_dead, n_cells, share):
    rows = {"raw_image_id": "a", "group": "A", "label_value": 0.5, "label": pd.array([0], "Int8")}
    manifest = pd.DataFrame(rows | {"n_cells": [n_cells], "n_dead": [n_dead]})
    cells = pd.DataFrame({"raw_image_id": "a", "y": range(n_cells), "x": 0, "dead": np.arange(n_cells) < n_dead})
    assert label_audit(manifest, cells, dead_share=share, confidence=0.95)["dead"] == 1
    live_below, dead_above = thresholds_of_share(share)
    of_cells = label_values(np.array([float(n_dead)]), np.array([float(n_cells)]), scale="cells")
    assert label_patches(of_cells, live_below=live_below, dead_above=dead_above).tolist() == [0]
    fewer = label_audit(manifest.assign(n_dead=n_dead - 1), cells, dead_share=share, confidence=0.95)
    assert fewer["dead"] == 0
