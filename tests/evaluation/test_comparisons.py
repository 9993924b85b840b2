"""What a run says beside its metrics: each is fitted on what the model was trained with, and told of the test alone."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conftest import composed_train
from jimt.curation.manifest import open_curated
from jimt.evaluation.baseline_models import CELLS, FROZEN, PLAIN
from jimt.models.checkpoint import read_checkpoint
from jimt.networks.network_input import to_network_input
from jimt.report.blocks import Table
from jimt.report.model_card import model_card
from jimt.report.sections.metrics_section import metric_blocks
from jimt.report.study import Model, Options
from jimt.system.files import BEST
from jimt.training.run import train
from jimt.vocabulary import Split

BACKBONE = "test_resnet.r160_in1k"
TILES = ["report=false", f"backbone.name={BACKBONE}", "method=linear_probe", "probe=tiles", "probe.layer=layer3"]
STEADY = ["trainer.num_threads=1", "trainer.precision=32-true"]


@pytest.fixture(scope="module")
def tested(uneven, tmp_path_factory):
    """A run on tiles, its pretrained weights from a file, cells counted in every field; its folder and the curation."""
    folder = tmp_path_factory.mktemp("counted")
    torch.manual_seed(3)
    save_file(timm.create_model(BACKBONE).state_dict(), folder / "weights.safetensors")
    rng = np.random.default_rng(5)
    names = [f"--W{well:05d}--P00001--Z00000--T00000" for well in range(1, 13)]
    cells = [(name, *rng.uniform((0, 0), (128, 192)), share) for name in names for share in [rng.random()] * 30]
    table = pd.DataFrame(cells, columns=["raw_image_id", "y", "x", "share"])
    table.assign(dead=rng.random(len(table)) < table["share"]).to_csv(folder / "cells.csv", index=False)
    where = [f"dataset.cells={folder / 'cells.csv'}", f"curation.output_root={folder / 'curated'}"]
    weights = f"backbone.weights={folder / 'weights.safetensors'}"
    train(composed_train(*uneven, *where, *TILES, *STEADY, weights, f"run_dir={folder / 'run'}"))
    return folder / "run", open_curated(folder / "curated/no_treatment")


def test_dead_shares_are_told_of_test_fields_and_calibrated_on_those_of_validation(tested):
    from jimt.models.predictor import open_predictor

    folder, curated = tested
    fields = pd.read_csv(folder / "field_shares.csv")
    manifest = curated.manifest
    of = {split: set(manifest.loc[manifest["split"] == split.value, "raw_image_id"]) for split in Split}
    assert set(fields["raw_image_id"]) == of[Split.TEST]
    truth = {name: dead / n for name, (n, dead) in curated.summary["cells"]["by_field"].items()}
    assert fields["true"].tolist() == [truth[name] for name in fields["raw_image_id"]]
    known = sorted(truth[name] for name in of[Split.TRAIN] | of[Split.VAL])
    assert fields["constant"].tolist() == pytest.approx([np.median(known)] * len(fields))
    predictor, shares = open_predictor(folder), {}
    for name in of[Split.VAL]:
        rows = manifest[(manifest["raw_image_id"] == name) & manifest["label"].notna()]
        painted, n = np.zeros((2, 128, 192))
        scores = predictor.live_scores(curated.store, rows)
        for row, score in zip(rows.itertuples(), scores, strict=True):
            painted[row.y : row.y + 64, row.x : row.x + 64] += 1 - score
            n[row.y : row.y + 64, row.x : row.x + 64] += 1
        shares[name] = (painted[n > 0] / n[n > 0]).mean()
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    fitted.fit(list(shares.values()), [truth[name] for name in shares])
    assert fields["calibrated"].to_numpy() == pytest.approx(fitted.predict(fields["uncalibrated"]), abs=1e-6)
    metrics = json.loads((folder / "test_metrics.json").read_text())
    assert metrics["dead_share"]["fields"] == len(fields)


def test_the_frozen_network_is_that_of_the_file_whatever_was_trained_on_it(tested):
    folder, curated = tested
    metrics = json.loads((folder / "test_metrics.json").read_text())
    by_name = {model["name"]: model for model in metrics["baselines"]}
    assert list(by_name) == [PLAIN, CELLS, FROZEN]
    network = timm.create_model(BACKBONE, num_classes=0).eval()
    torch.manual_seed(3)
    state = timm.create_model(BACKBONE).state_dict()
    network.load_state_dict({key: value for key, value in state.items() if not key.startswith("fc.")})
    rows = curated.manifest[curated.manifest["split"].notna()]
    cut = np.stack([curated.store.field(r.field)[r.y : r.y + 64, r.x : r.x + 64] for r in rows.itertuples()])
    takes = read_checkpoint(folder / BEST).input
    with torch.inference_mode():
        images = to_network_input(torch.from_numpy(cut).unsqueeze(1), mean=takes.mean, std=takes.std)
        features = network(images).numpy().astype(float)
    labels, test = rows["label"].to_numpy(), (rows["split"] == "test").to_numpy()
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, class_weight="balanced", max_iter=5000))
    scores = oracle.fit(features[~test], labels[~test]).predict_proba(features[test])[:, 1]
    assert by_name[FROZEN]["auroc"]["baseline"] == pytest.approx(roc_auc_score(labels[test], scores), abs=0.01)


def test_scores_are_held_against_the_cells_of_each_patch_those_between_the_thresholds_too(tested):
    folder, curated = tested
    table = pd.read_csv(folder / "test_scores_with_ambiguous.csv")
    cells = curated.manifest.set_index(["field", "y", "x"])
    for column in ("n_cells", "n_dead"):
        assert table.set_index(["field", "y", "x"])[column].tolist() == [
            cells.loc[(r.field, r.y, r.x), column] for r in table.itertuples()
        ]
    counted = json.loads((folder / "test_metrics.json").read_text())["counted"]
    held = table[table["n_cells"] > 0]
    alive = held["n_dead"] / held["n_cells"] < 0.25
    assert counted["patches"] == len(held)
    assert counted["metrics"]["auroc"]["value"] == pytest.approx(roc_auc_score(alive, held["score"]))


def test_the_report_and_the_model_card_set_them_beside_the_metrics(tested):
    folder, _ = tested
    model = Model("tiny", folder, (folder / BEST,), Options())
    tables = {block.title: block for block in metric_blocks([model]) if isinstance(block, Table)}
    assert {
        "Simpler models, trained and tested on the same patches",
        "Against counted cells",
        "Dead share of fields",
    } <= set(tables)
    metrics = json.loads((folder / "test_metrics.json").read_text())
    frozen = metrics["baselines"][-1]["auroc"]["baseline"]
    assert tables["Simpler models, trained and tested on the same patches"].rows[-1][:2] == [FROZEN, f"{frozen:.3f}"]
    card = model_card(model)
    assert f"| {FROZEN} | {frozen:.3f} |" in card
    assert "Scores against counted cells (" in card
    assert "Dead share of 3 fields of 5 counted cells or more, mean absolute error: " in card


def test_a_run_whose_weights_have_gone_says_so_and_is_evaluated(tested, capsys):
    from jimt.evaluation.test_split import main

    folder, _ = tested
    weights = folder.parent / "weights.safetensors"
    aside = weights.rename(weights.with_name("elsewhere"))
    try:
        main([str(folder)])
    finally:
        Path(aside).rename(weights)
    out = capsys.readouterr().out
    assert f"note: {FROZEN} is not compared with: backbone.weights={weights} is not a file" in out
    assert "scores against counted cells" in out
