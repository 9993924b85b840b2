"""The report of a run holds every figure, loads nothing, and says what it lacks."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from conftest import REPOSITORY, TINY, composed_prepare, composed_train
from jimt.backbones import create_backbone
from jimt.curation.manifest import MANIFEST, open_curated
from jimt.errors import InputError
from jimt.report import build_sections, main, write_report
from jimt.reporting import activation
from jimt.reporting.activation import _load, maps_of
from jimt.reporting.agreement import N_COPIES
from jimt.reporting.blocks import Drawing, Html, Missing, Section
from jimt.reporting.device import AS_TRAINED, Device
from jimt.reporting.errors import error_blocks
from jimt.reporting.features import embedding_of
from jimt.reporting.page import render
from jimt.reporting.performance import forest_blocks
from jimt.reporting.results import open_study
from jimt.training import train

FIGURES = {
    "raw_pairs",
    "sample_patches",
    "fluorescence_histograms",
    "labelled_patches",
    "roc",
    "precision_recall",
    "confusion",
    "reliability",
    "score_against_fluorescence",
    "training",
    "by_raw_image",
    "worst_errors",
    "embedding",
    "embedding_thumbnails",
    "boundary",
    "grad_cam_live",
    "grad_cam_dead",
}
"""Of a run on a data set without hand labels whose groups are raw images."""


def trained(uneven: list[str], run: Path, *overrides: str) -> Path:
    train(composed_train(*uneven, *TINY, f"run_dir={run}", *overrides))
    return run


@pytest.fixture(scope="module")
def run(reported) -> Path:
    return reported


@pytest.fixture
def own(run, tmp_path) -> Path:
    """A copy of the run, to be spoilt."""
    return Path(shutil.copytree(run, tmp_path / "own"))


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
    from jimt.checkpoints import load_classifier
    from jimt.evaluate import rows_of_test
    from jimt.scoring import patch_features

    checkpoint = run / "checkpoints/best.ckpt"
    classifier, hyperparameters = load_classifier(checkpoint)
    curated, rows = rows_of_test(checkpoint)
    features = patch_features(
        classifier,
        curated.folder,
        rows,
        prediction=hyperparameters["prediction"],
        device=torch.device("cpu"),
        precision="32-true",
        batch_size=7,
    )
    head = classifier.network.get_classifier()
    with torch.no_grad():
        logits = head(torch.from_numpy(features)).numpy()
    scores = pd.read_csv(run / "test_scores.csv")["score"].to_numpy()
    temperature = hyperparameters["prediction"]["temperature"]
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
    before = table.stat().st_mtime_ns, table.read_text()
    embedding_of(open_study(own).models[0])
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
    assert capsys.readouterr().out.startswith(f"the report is {own / 'report.html'} (")


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


# ---- a cross-validation


def test_the_report_of_a_cross_validation_is_of_all_folds(uneven, tmp_path, capsys):
    from jimt.crossval import cross_validate

    overrides = [*uneven, *TINY, "backbone.trainable=none", "crossval.n_folds=3", "report=true"]
    (tmp_path / "folds").mkdir()
    cross_validate(composed_train(*overrides, f"run_dir={tmp_path / 'folds'}", name="crossval"))
    page = (tmp_path / "folds/report.html").read_text()
    scores = pd.read_csv(tmp_path / "folds/scores.csv")
    assert set(re.findall(r'<figure id="(\w+)">', page)) == FIGURES - {"training"}
    assert f">{roc_auc_score(scores['label'], scores['score']):.3f}</td>" in page
    assert "<b>Each fold.</b>" in page
    assert len(pd.read_csv(tmp_path / "folds/figures/embedding.csv")) == len(scores) == 180


def test_fine_tuned_folds_have_no_common_embedding_and_the_report_says_why(uneven, tmp_path, capsys):
    from jimt.crossval import cross_validate

    overrides = [*uneven, *TINY, "crossval.n_folds=3", "trainer.max_epochs=1", "report=true"]
    cross_validate(composed_train(*overrides, f"run_dir={tmp_path / 'folds'}", name="crossval"))
    told = capsys.readouterr().err
    assert "each fold has trained a network of its own" in told
    assert "grad_cam_dead" in (tmp_path / "folds/report.html").read_text()


# ---- what is missing


class Parts:
    """The parts of a report before they are drawn: what is missing and why, the figures, the words."""

    def __init__(self, folder: Path) -> None:
        blocks = [block for section in build_sections(open_study(folder)) for block in section.blocks]
        self.missing = {block.what: block.reason for block in blocks if isinstance(block, Missing)}
        self.figures = {block.name for block in blocks if isinstance(block, Drawing)}
        self.words = " ".join(
            block.caption if isinstance(block, Drawing) else block.html()
            for block in blocks
            if not isinstance(block, Html)
        )


def test_a_run_without_test_scores_says_how_to_get_them_and_shows_the_data(own, capsys):
    for name in ("test_scores.csv", "test_metrics.json"):
        (own / name).unlink()
    main([str(own)])
    told = capsys.readouterr().err
    reason = f"{own / 'test_scores.csv'} is missing: python -m jimt.evaluate {own} writes it"
    assert f"not in the report: What needs the scores of test_resnet.r160_in1k ({reason})" in told
    page = (own / "report.html").read_text()
    assert reason in page
    assert 'id="raw_pairs"' in page
    assert 'id="roc"' not in page
    assert "The test scores are not there" in (own / "MODEL_CARD.md").read_text()


def test_a_deleted_curation_leaves_what_the_scores_alone_tell(uneven, tmp_path, run, own):
    config = composed_prepare(*uneven)[1]
    aside = Path(config.output_root).with_name("aside")
    Path(config.output_root).rename(aside)
    try:
        parts = Parts(own)
    finally:
        aside.rename(config.output_root)
    assert all("is missing: give the curated data set" in reason for reason in parts.missing.values())
    assert len(parts.missing) >= 4
    drawn = {"roc", "precision_recall", "confusion", "reliability", "score_against_fluorescence", "training"}
    assert parts.figures == drawn | {"by_raw_image", "embedding"}


def test_a_deleted_manifest_is_named(uneven, own):
    manifest = Path(composed_prepare(*uneven)[1].output_root) / "no_treatment" / MANIFEST
    aside = manifest.with_suffix(".aside")
    manifest.rename(aside)
    try:
        told = Parts(own).missing.values()
    finally:
        aside.rename(manifest)
    assert any(f"{manifest} is missing: run python prepare.py dataset=no_treatment first" in reason for reason in told)


def test_raw_images_that_are_gone_leave_maps_without_pi(uneven, own):
    root = Path(composed_prepare(*uneven)[0].root)
    aside = root.with_name("aside")
    root.rename(aside)
    try:
        parts = Parts(own)
    finally:
        aside.rename(root)
    assert {"grad_cam_live", "worst_errors", "embedding"} <= parts.figures
    assert "PI is not beside them" in parts.words
    assert "The figure of raw image pairs" in parts.missing


@pytest.fixture
def edited(uneven, tmp_path):
    """Overrides of a copy of the curated data set whose test split keeps so many live and dead patches."""

    def edit(live: int, dead: int) -> list[str]:
        curated = Path(composed_prepare(*uneven)[1].output_root)
        shutil.copytree(curated, tmp_path / "curated")
        path = tmp_path / "curated/no_treatment" / MANIFEST
        manifest = pd.read_parquet(path).astype({"split": object})
        for label, n in ((1, live), (0, dead)):
            rows = manifest.index[(manifest["split"] == "test") & (manifest["label"] == label)]
            manifest.loc[rows[n:], "split"] = None
        manifest.to_parquet(path)
        return [*uneven, f"curation.output_root={tmp_path / 'curated'}"]

    return edit


def test_one_class_in_the_test_split_leaves_no_roc_curve(edited, tmp_path):
    run = trained(edited(0, 20), tmp_path / "run", "trainer.max_epochs=1")
    parts = Parts(run)
    assert "holds dead patches alone" in parts.words
    assert parts.figures & {"roc", "precision_recall", "grad_cam_live"} == set()
    assert {"confusion", "embedding", "grad_cam_dead"} <= parts.figures
    assert "The test split holds no live patch" in parts.words


def test_two_test_patches_are_reported_without_an_embedding(edited, tmp_path):
    run = trained(edited(1, 1), tmp_path / "run", "trainer.max_epochs=1")
    parts = Parts(run)
    assert any("2 patches cannot be laid out by t-SNE: it needs 5" in reason for reason in parts.missing.values())
    assert {"confusion", "grad_cam_live", "grad_cam_dead"} <= parts.figures


def test_a_backbone_without_positions_has_no_maps_and_says_so(uneven, tmp_path, monkeypatch):
    run = trained(uneven, tmp_path / "run", "trainer.max_epochs=1")
    network = create_backbone("test_resnet.r160_in1k", num_classes=2)
    flat = type(network).forward_features

    def without_positions(self, images):
        return flat(self, images).mean((2, 3))

    monkeypatch.setattr(type(network), "forward_features", without_positions)
    monkeypatch.setattr(
        type(network), "forward_head", lambda self, x, pre_logits=False: x if pre_logits else self.fc(x)
    )
    parts = Parts(run)
    assert parts.missing["Grad-CAM"].startswith("test_resnet.r160_in1k has no last layer whose output has positions")
    assert "embedding" in parts.figures


def test_damaged_scores_are_named(own):
    (own / "test_scores.csv").write_text("raw_image_id,label\nx,nonsense\n")
    assert any("test_scores.csv is damaged" in reason for reason in Parts(own).missing.values())


def test_scores_of_other_patches_are_refused(own):
    scores = pd.read_csv(own / "test_scores.csv")
    scores.iloc[::-1].to_csv(own / "test_scores.csv", index=False)
    assert any("are not of the patches of" in reason for reason in Parts(own).missing.values())


@pytest.mark.parametrize(
    ("made", "told"),
    [(False, "is missing: give the folder of a run"), (True, "holds no finished training: train first")],
)
def test_a_folder_without_results_is_an_error_of_one_line(tmp_path, capsys, made, told):
    if made:
        (tmp_path / "nothing").mkdir()
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path / "nothing")])
    assert told in str(stop.value)
    assert len(str(stop.value).splitlines()) == 1


@pytest.mark.parametrize("option", ["--max-shown", "--max-mapped"])
def test_no_patches_at_all_cannot_be_asked_for(run, capsys, option):
    with pytest.raises(SystemExit):
        main([str(run), option, "0"])
    assert "0 is not allowed: it takes 1 or more" in capsys.readouterr().err


def test_a_search_takes_no_report():
    with pytest.raises(InputError, match="report=true is not allowed: a search scores no test split"):
        composed_train("report=true", "run_dir=x", name="tune")


# ---- published patches


def test_published_patches_are_reported_without_fluorescence(uneven, tmp_path):
    _, curation = composed_prepare(*uneven)
    curated = open_curated(Path(curation.output_root) / "no_treatment")
    used = curated.manifest[curated.manifest["split"].notna()]
    for row in used.itertuples():
        folder = tmp_path / "patches" / row.split / ("live" if row.label == 1 else "dead")
        folder.mkdir(parents=True, exist_ok=True)
        patch = curated.store.field(row.field)[row.y : row.y + 64, row.x : row.x + 64]
        cv2.imwrite(str(folder / f"{row.raw_image_id}_{row.y}_{row.x}.png"), patch)
    overrides = [
        "dataset=no_treatment",
        "dataset.layout=patches",
        "dataset.pattern=null",
        f"dataset.root={tmp_path / 'patches'}",
        "dataset.live_folder=live",
        "dataset.dead_folder=dead",
        f"curation.output_root={tmp_path / 'curated'}",
        "curation.patches.size=64",
        "curation.n_jobs=1",
        "trainer.max_epochs=1",
    ]
    run = tmp_path / "run"
    with pytest.warns(UserWarning, match="nothing tells which raw image a patch"):
        train(composed_train(*overrides, *TINY, f"run_dir={run}"))
    parts = Parts(run)
    assert {"roc", "embedding", "embedding_thumbnails", "boundary", "grad_cam_live"} <= parts.figures
    assert parts.missing["The agreement of maps with PI"].endswith("holds published patches alone")
    assert "came with the patches" in parts.missing["The figures of the labels"]
    assert "no interval is over groups" in parts.words


# ---- networks with random weights


def test_random_copies_are_other_networks_than_a_frozen_random_one_and_than_each_other(uneven, tmp_path):
    run = trained(uneven, tmp_path / "run", "backbone.trainable=none")
    model = open_study(run).models[0]
    indices = np.arange(6)
    maps = [maps_of(model, indices, AS_TRAINED, labels=(0,), copy=copy)[0][0] for copy in (None, 0, 1)]
    again = maps_of(model, indices, AS_TRAINED, labels=(0,), copy=1)[0][0]
    assert np.array_equal(maps[2], again)
    weights = [_load(model, 0, AS_TRAINED, copy).classifier.network.state_dict() for copy in (None, 0, 1)]
    convolution = next(name for name, of in weights[0].items() if of.ndim == 4)
    for one, other in itertools.combinations(weights, 2):
        assert not torch.allclose(one[convolution], other[convolution])


# ---- where it runs, and what else may go wrong


def test_a_run_of_a_graphics_card_is_reported_on_a_machine_without_one_when_asked(own, monkeypatch):
    checkpoint = own / "checkpoints/best.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    content["hyper_parameters"]["provenance"]["accelerator"] = "gpu"
    torch.save(content, checkpoint)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    told = Parts(own).missing
    assert "of a report, --accelerator cpu" in told["Grad-CAM"]
    on_cpu = build_sections(open_study(own), device=Device("cpu"))
    names = {block.name for section in on_cpu for block in section.blocks if isinstance(block, Drawing)}
    assert {"grad_cam_dead", "embedding"} <= names


def test_a_moved_data_set_is_given_by_hand(uneven, own):
    curated = Path(composed_prepare(*uneven)[1].output_root)
    aside = curated.with_name("moved")
    curated.rename(aside)
    try:
        study = open_study(own, curated_folder=aside / "no_treatment")
        assert len(study.models[0].tested[1]) == len(study.models[0].scores)
        with pytest.raises(InputError, match="give the curated data set with --curated"):
            open_study(own).models[0].curated  # noqa: B018
    finally:
        aside.rename(curated)


def test_whatever_goes_wrong_in_a_report_does_not_end_the_training(uneven, tmp_path, monkeypatch, capsys):
    import jimt.reporting.page

    def broken(*args, **kwargs):
        raise RuntimeError("a figure cannot be drawn")

    monkeypatch.setattr(jimt.reporting.page, "render", broken)
    run = trained(uneven, tmp_path / "run", "report=true", "trainer.max_epochs=1")
    assert (run / "test_metrics.json").is_file()
    told = capsys.readouterr().err.splitlines()[-1]
    assert (
        told == f"no report of {run} (RuntimeError: a figure cannot be drawn): python -m jimt.report {run} tries again"
    )


def test_names_that_look_like_numbers_formulas_or_nothing_stay_names(own):
    scores = pd.read_csv(own / "test_scores.csv", dtype=str)
    names = dict(zip(scores["group"].unique(), ["NA", "001", "a$_$b<i>|", "None"], strict=False))
    scores["group"] = scores["group"].map(lambda name: names.get(name, name))
    scores.to_csv(own / "test_scores.csv", index=False)
    model = open_study(own).models[0]
    assert set(names.values()) <= set(model.scores["group"])
    sections = [Section("", list(error_blocks(model, of=""))), Section("", list(forest_blocks([model])))]
    page = render(sections, title="a", subtitle="b")
    assert "a$_$b&lt;i&gt;|" in page
    assert "<i>" not in page.split("<main>")[1].replace('<i style="', "")


# ---- a sweep


def as_sweep(folder: Path, jobs: dict[str, tuple[Path, str]], **settings: str) -> Path:
    """A sweep's folder from finished runs: by the job's name its run and its backbone."""
    for number, (name, (run, backbone)) in enumerate(jobs.items()):
        job = Path(shutil.copytree(run, folder / name))
        (job / ".hydra").mkdir(exist_ok=True)
        (job / ".hydra/overrides.yaml").write_text(f"- backbone.name={backbone}\n")
        (job / ".hydra/hydra.yaml").write_text(f"hydra: {{job: {{num: {number}}}}}\n")
        config = {"dataset": {"name": "no_treatment"}, "backbone": {"name": backbone, "weights": "random"}, "seed": 0}
        (job / ".hydra/config.yaml").write_text(json.dumps(config))
    return folder


def test_jobs_of_one_backbone_are_told_apart_and_none_is_lost(run, tmp_path):
    jobs = {"a": (run, "resnet18.tv_in1k"), "b": (run, "resnet18.a1_in1k"), "c": (run, "resnet18.a1_in1k")}
    study = open_study(as_sweep(tmp_path / "sweep", jobs))
    names = [model.name for model in study.models]
    assert names == ["resnet18.tv_in1k", "resnet18.a1_in1k (b)", "resnet18.a1_in1k (c)"]
    parts = Parts(study.folder)
    assert {"by_raw_image_1", "by_raw_image_2", "by_raw_image_3", "embeddings", "grad_cam_models"} <= parts.figures
    assert "Reports of single jobs, with maps of single patches (Fig. 6), are in a, b, c." in parts.words


def test_two_curations_of_one_data_set_are_not_mixed(run, edited, tmp_path):
    other = trained(edited(9, 9), tmp_path / "other", "trainer.max_epochs=1")
    sweep = as_sweep(tmp_path / "sweep", {"a": (run, "resnet18"), "b": (other, "resnet18")})
    written = write_report(sweep, max_shown=1)
    page = written.page.read_text()
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert "How good (no_treatment 1)" in titles
    assert "How good (no_treatment 2)" in titles
    assert len(set(re.findall(r"<style>:root\{--(patches_\w+):", page))) == 2
    figures = re.findall(r'<figure id="(\w+)">', page)
    assert len(figures) == len(set(figures)) == written.n_figures
    assert {"1_no_treatment_roc", "2_no_treatment_roc"} <= set(figures)
    counts = [len(pd.read_csv(folder / "test_scores.csv")) for folder in (run, other)]
    assert counts[0] != counts[1] == 18
    assert f"A sample of 1 of the {counts[0]} test patches" in page


def test_a_job_whose_checkpoint_is_lost_is_named_and_the_others_are_reported(run, tmp_path):
    sweep = as_sweep(tmp_path / "sweep", {"a": (run, "resnet18"), "b": (run, "resnet34")})
    (sweep / "b/checkpoints/best.ckpt").write_bytes(b"nonsense")
    parts = Parts(sweep)
    assert "b is not in this report: its checkpoint cannot be read" in parts.words
    assert "roc" in parts.figures


def test_a_network_without_maps_leaves_those_of_the_others(run, uneven, tmp_path, monkeypatch):
    sweep = as_sweep(tmp_path / "sweep", {"a": (run, "resnet18"), "b": (run, "resnet34")})
    real = activation.last_spatial_layer
    asked = []

    def sometimes(*args, **kwargs):
        asked.append(args)
        if len(asked) == 1:
            raise InputError("resnet18 has no last layer whose output has positions")
        return real(*args, **kwargs)

    monkeypatch.setattr(activation, "last_spatial_layer", sometimes)
    parts = Parts(sweep)
    assert parts.missing["Grad-CAM of ResNet-18"].startswith("resnet18 has no last layer")
    assert "grad_cam_models" in parts.figures


@pytest.fixture(scope="module")
def swept(uneven, tmp_path_factory):
    """``python train.py -m`` over two networks of which the third is unknown: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("swept")
    tiny = [override for override in TINY if not override.startswith(("report=", "backbone.name="))]
    names = "backbone.name=test_resnet.r160_in1k,test_efficientnet.r160_in1k,nonsense"
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "train.py"), "-m", *uneven, *tiny, names, "hydra.sweep.dir=sweep"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return folder / "sweep", done


@pytest.mark.slow
def test_a_sweep_ends_with_a_report_of_each_job_and_one_of_all(swept):
    folder, done = swept
    assert "1 job failed" in done.stderr
    for job in ("0", "1"):
        assert (folder / job / "report.html").is_file()
        assert (folder / job / "MODEL_CARD.md").is_file()
    assert "the report is sweep/report.html" in done.stdout
    page = (folder / "report.html").read_text()
    figures = set(re.findall(r'<figure id="(\w+)">', page))
    assert {"roc", "confusion", "embeddings", "grad_cam_models"} <= figures
    assert "grad_cam_live" not in figures
    for job in ("0", "1"):
        scores = pd.read_csv(folder / job / "test_scores.csv")
        assert page.count(f">{roc_auc_score(scores['label'], scores['score']):.3f}</td>") >= 2
    assert "2 is not in this report: backbone.name=nonsense is not a network timm knows" in page
    assert page.count("<td>test_efficientnet.r160_in1k</td>") >= 3


@pytest.mark.slow
def test_a_sweep_of_the_papers_data_sets_quotes_the_paper(swept):
    page = (swept[0] / "report.html").read_text()
    (table,) = re.findall(r"<b>Table 1\.</b>.*?</table>", page, flags=re.DOTALL)
    (quoted,) = re.findall(r'<tr class="paper">(.*?)</tr>', table)
    cells = re.findall(r"<td.*?>(.*?)</td>", quoted)
    assert cells == ["no_treatment (paper)", "339", "21,848", "10,464", "11,384", "8,680/9,480", "891/925", "893/979"]
