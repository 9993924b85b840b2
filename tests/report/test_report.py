"""The report of a run or a cross-validation holds every figure, loads nothing, and gives scikit-learn's numbers."""

import itertools
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from conftest import TINY, TINY_PROBE, composed_train
from jimt.commands import crossval_and_report
from jimt.report.activation import _network, maps_of
from jimt.report.sections.agreement_section import N_COPIES
from jimt.report.sections.features_section import embedding_of
from jimt.report.study import open_study
from jimt.report.write import main, write_report
from jimt.training.run import train
from reports import FIGURES, probed, trained


@pytest.fixture(scope="module")
def run(reported) -> Path:
    return reported


@pytest.fixture(scope="module")
def page(run) -> str:
    return (run / "report.html").read_text()


def test_every_figure_is_in_the_page_and_beside_it_as_png_and_svg(run, page):
    assert set(re.findall(r'<figure id="(\w+)">', page)) == FIGURES
    for suffix in ("png", "svg"):
        assert {path.stem for path in (run / "figures").glob(f"*.{suffix}")} == FIGURES
    for path in (run / "figures").glob("*.png"):
        pixels = cv2.imread(str(path))
        assert pixels is not None
        assert pixels.std() > 5, f"{path.name} is blank"


def test_curation_training_and_report_leave_nothing_among_the_raw_data(run, uneven):
    raw = Path(next(text for text in uneven if text.startswith("dataset.root=")).partition("=")[2])
    stems = [f"--W{well:05d}--P00001--Z00000--T00000" for well in range(1, 13)]
    written = {f"{stem}--{channel}.tif" for stem in stems for channel in ("Trans", "PI")}  # by the fixture
    assert {path.relative_to(raw).as_posix() for path in raw.rglob("*")} == written


def test_the_page_loads_nothing_and_is_small(run, page):
    without_scripts = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    addresses = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')> ]+)""", without_scripts)
    assert len(addresses) > len(FIGURES)
    assert {address for address in addresses if not address.startswith(("data:", "#"))} == set()
    assert not re.search(r"<script[^>]+src=", page)
    assert (run / "report.html").stat().st_size < 15e6


def test_numbers_of_the_page_and_the_card_are_those_of_scikit_learn(run, page):
    scores = pd.read_csv(run / "test_scores.csv")
    card = (run / "MODEL_CARD.md").read_text()
    for value in (
        roc_auc_score(scores["label"], scores["score"]),
        balanced_accuracy_score(scores["label"], scores["score"] > 0.5),
    ):
        assert f">{value:.3f}</td>" in page
        assert f"| {value:.3f} |" in card
    counts = scores["label"].value_counts()
    assert f"{counts[1]} live and {counts[0]} dead patches" in page
    assert f"{counts[1]} live and {counts[0]} dead patches" in card


def test_the_embedding_is_of_the_whole_test_split(run):
    scores, table = pd.read_csv(run / "test_scores.csv"), pd.read_csv(run / "figures/embedding.csv")
    columns = ["raw_image_id", "y", "x"]
    assert table[columns].values.tolist() == scores[columns].values.tolist()
    assert np.isfinite(table[["tsne_1", "tsne_2"]].to_numpy()).all()


def test_features_are_those_before_the_last_layer(run, uneven):
    from jimt.evaluation.scores import rows_of_test
    from jimt.models.predictor import open_predictor

    predictor = open_predictor(run)
    curated, rows = rows_of_test(predictor.checkpoint.record, None, run / "checkpoints/best.ckpt")
    features = predictor.features(curated.store, rows)
    head = predictor.network.own_head
    with torch.no_grad():
        logits = head(torch.from_numpy(features)).numpy()
    scores = pd.read_csv(run / "test_scores.csv")["score"].to_numpy()
    temperature = predictor.checkpoint.output.temperature
    assert np.allclose(1 / (1 + np.exp((logits[:, 0] - logits[:, 1]) / temperature)), scores, atol=1e-5)


def test_agreement_with_pi_is_measured_on_test_patches_that_hold_some(run, page):
    table = pd.read_csv(run / "figures/agreement.csv")
    scores = pd.read_csv(run / "test_scores.csv")
    assert len(table) == len(scores)
    measured = table["dead_auroc"].notna()
    assert (measured == table["positive"].between(0.01, 0.99)).all()
    assert measured.any()
    assert table.loc[measured, "dead_auroc"].between(0, 1).all()
    random = table[[f"random_{copy}_auroc" for copy in range(N_COPIES)]]
    assert f">{table['dead_auroc'].mean() - random.mean(axis=1).mean():+.3f}" in page
    assert f"; single {random.mean().min():.3f} to {random.mean().max():.3f}<" in page


def test_a_report_that_is_written_again_takes_what_has_not_changed(own):
    table = own / "figures/embedding.csv"
    table.unlink()
    made = embedding_of(open_study(own).models[0])
    before = table.stat().st_mtime_ns, table.read_text()
    np.testing.assert_array_equal(embedding_of(open_study(own).models[0]), made)
    assert (table.stat().st_mtime_ns, table.read_text()) == before
    scores = pd.read_csv(own / "test_scores.csv")
    scores["score"] = 1 - scores["score"]
    scores.to_csv(own / "test_scores.csv", index=False)
    embedding_of(open_study(own).models[0])
    assert table.stat().st_mtime_ns > before[0]


def test_a_sample_of_thumbnails_is_stated_with_its_seed(own, capsys):
    main([str(own), "--max-shown", "20", "--max-mapped", "10"])
    page = (own / "report.html").read_text()
    n = len(pd.read_csv(own / "test_scores.csv"))
    assert f"A sample of 20 of the {n} test patches, drawn with seed 0." in page
    assert len(pd.read_csv(own / "figures/agreement.csv")) == 10
    assert "Of a sample of 10 test patches, drawn with seed 0." in page
    *told, last = capsys.readouterr().out.splitlines()
    assert all(line.startswith("report, ") for line in told)  # parts that took long on a busy machine
    assert last.startswith(f"the report is {own / 'report.html'} (")


def test_the_model_card_tells_data_groups_metrics_and_limits(run):
    card = (run / "MODEL_CARD.md").read_text()
    for heading in ("## Data", "## Splits", "## Metrics", "## Model", "## Limits"):
        assert heading in card
    splits = json.loads((run / "test_metrics.json").read_text())["split_counts"]
    assert f"| train | {splits['train']['live']} | {splits['train']['dead']} |" in card
    assert "12 groups in all" in card
    assert "- The backbone started from random weights." in card
    assert "live below 300, dead above 300 of mean PI fluorescence (raw counts)" in card


def test_report_false_writes_none(uneven, tmp_path):
    folder = trained(uneven, tmp_path / "run", "report=false", "trainer.max_epochs=1")
    assert not (folder / "report.html").exists()
    assert not (folder / "figures").exists()


def test_training_anew_removes_the_report_of_before(own, uneven):
    train(composed_train(*uneven, *TINY, f"run_dir={own}", "retrain=true", "trainer.max_epochs=1"))
    assert not (own / "report.html").exists()
    assert not (own / "MODEL_CARD.md").exists()
    assert not (own / "figures").exists()


def test_the_report_of_a_cross_validation_is_of_all_folds(uneven, tmp_path, capsys):
    overrides = [*uneven, *TINY_PROBE, "crossval.n_folds=3", "report=true"]
    (tmp_path / "folds").mkdir()
    crossval_and_report(composed_train(*overrides, f"run_dir={tmp_path / 'folds'}", name="crossval"))
    page = (tmp_path / "folds/report.html").read_text()
    scores = pd.read_csv(tmp_path / "folds/scores.csv")
    assert set(re.findall(r'<figure id="(\w+)">', page)) == FIGURES - {"training"}
    assert f">{roc_auc_score(scores['label'], scores['score']):.3f}</td>" in page
    assert "<b>Each fold.</b>" in page
    assert len(pd.read_csv(tmp_path / "folds/figures/embedding.csv")) == len(scores) == 180


def test_fine_tuned_folds_have_no_common_embedding_and_the_report_says_why(uneven, tmp_path, capsys):
    overrides = [*uneven, *TINY, "crossval.n_folds=3", "trainer.max_epochs=1", "report=true"]
    crossval_and_report(composed_train(*overrides, f"run_dir={tmp_path / 'folds'}", name="crossval"))
    told = capsys.readouterr().err
    assert "each fold has trained a network of its own" in told
    assert "grad_cam_dead" in (tmp_path / "folds/report.html").read_text()


def test_random_copies_are_other_networks_than_a_frozen_random_one_and_than_each_other(uneven, tmp_path):
    run = probed(uneven, tmp_path / "run")
    model = open_study(run).models[0]
    indices = np.arange(6)
    maps = [maps_of(model, indices, labels=(0,), copy=copy)[0][0] for copy in (None, 0, 1)]
    again = maps_of(model, indices, labels=(0,), copy=1)[0][0]
    assert np.array_equal(maps[2], again)
    weights = [_network(model, 0, copy).network.state_dict() for copy in (None, 0, 1)]
    convolution = next(name for name, of in weights[0].items() if of.ndim == 4)
    for one, other in itertools.combinations(weights, 2):
        assert not torch.allclose(one[convolution], other[convolution])


def test_a_report_opens_its_checkpoint_once(own, monkeypatch):
    opened = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda path, **options: opened.append(path) or load(path, **options))
    write_report(own, max_shown=4, max_mapped=2)
    assert opened == [own / "checkpoints/best.ckpt"]
