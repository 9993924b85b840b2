"""A report says what it lacks, and still holds the rest."""

import errno
import os
import re
import shutil
from pathlib import Path

import cv2
import pandas as pd
import pytest
import torch

from conftest import TINY, composed_prepare, composed_train
from jimt.curation.manifest import MANIFEST, open_curated
from jimt.errors import InputError
from jimt.networks.backbones import create_backbone
from jimt.report.blocks import Drawing, Section
from jimt.report.page import build_sections, render
from jimt.report.sections.errors_section import error_blocks
from jimt.report.sections.performance_section import forest_blocks
from jimt.report.study import Options, open_study
from jimt.report.write import main
from jimt.training.run import train
from reports import Parts, trained


@pytest.fixture(scope="module")
def run(reported) -> Path:
    return reported


def test_a_run_without_test_scores_says_how_to_get_them_and_shows_the_data(own, capsys):
    for name in ("test_scores.csv", "test_metrics.json"):
        (own / name).unlink()
    main([str(own)])
    told = capsys.readouterr().err
    reason = f"{own / 'test_scores.csv'} is missing: run jimt evaluate {own}"
    assert f"not in the report: What needs the scores of test_resnet.r160_in1k ({reason})" in told
    page = (own / "report.html").read_text()
    assert reason in page
    assert 'id="raw_pairs"' in page
    assert 'id="roc"' not in page
    assert "The test scores are not there" in (own / "MODEL_CARD.md").read_text()


def test_a_folder_that_nothing_can_be_written_in_is_said_before_the_report_is_made(run, monkeypatch):
    def refuses(**_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("jimt.report.write.TemporaryFile", refuses)  # who tests as root may write anywhere
    monkeypatch.setattr("jimt.report.page.build_sections", None)
    said = f"error: {run} cannot be written (Read-only file system): make it writable, or copy it to where you may"
    with pytest.raises(SystemExit, match=re.escape(said)):
        main([str(run)])


def test_figures_that_are_no_folder_are_said_before_the_report_is_made(own, monkeypatch):
    shutil.rmtree(own / "figures")
    (own / "figures").write_text("")
    monkeypatch.setattr("jimt.report.page.build_sections", None)
    said = f"error: {own / 'figures'} cannot be written (File exists): make it a folder that you may write to"
    with pytest.raises(SystemExit, match=re.escape(said)):
        main([str(own)])


def test_a_deleted_curation_leaves_what_the_scores_alone_tell(uneven, tmp_path, run, own):
    config = composed_prepare(*uneven)[1]
    aside = Path(config.output_root).with_name("aside")
    Path(config.output_root).rename(aside)
    try:
        parts = Parts(own)
    finally:
        aside.rename(config.output_root)
    assert all("is missing: curate it again, or give --curated FOLDER" in reason for reason in parts.missing.values())
    assert len(parts.missing) >= 4
    drawn = {"roc", "precision_recall", "confusion", "reliability", "risk_coverage", "score_against_fluorescence"}
    drawn |= {"training"}
    assert parts.figures == drawn | {"by_raw_image", "embedding"}


def test_a_deleted_manifest_is_named(uneven, own):
    manifest = Path(composed_prepare(*uneven)[1].output_root) / "no_treatment" / MANIFEST
    aside = manifest.with_suffix(".aside")
    manifest.rename(aside)
    try:
        told = Parts(own).missing.values()
    finally:
        aside.rename(manifest)
    assert any(f"{manifest} is missing: run jimt prepare dataset=no_treatment" in reason for reason in told)


def test_raw_images_that_are_gone_change_nothing_in_the_report(uneven, own):
    root = Path(composed_prepare(*uneven)[0].root)
    aside = root.with_name("aside")
    root.rename(aside)
    try:
        parts = Parts(own)
    finally:
        aside.rename(root)
    assert {"raw_pairs", "grad_cam_live", "worst_errors", "embedding"} <= parts.figures
    assert not any("raw image" in reason for reason in parts.missing.values())


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
    assert "0 is no number from 1 on" in capsys.readouterr().err


def test_a_search_takes_no_report():
    with pytest.raises(InputError, match="report=true is not allowed, since a search scores no test split"):
        composed_train("report=true", "run_dir=x", name="tune")


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
    assert parts.missing["The agreement of maps with PI"].endswith(
        "holds published patches, which have no fluorescence images"
    )
    assert "came with the patches" in parts.missing["The figures of the labels"]
    assert "no interval is over groups" in parts.words


def test_a_run_of_a_graphics_card_is_reported_on_a_machine_without_one_when_asked(own, monkeypatch):
    checkpoint = own / "checkpoints/best.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    content["record"]["accelerator"] = "gpu"
    torch.save(content, checkpoint)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    told = Parts(own).missing
    assert "give --accelerator cpu" in told["Grad-CAM"]
    on_cpu = build_sections(open_study(own, Options(accelerator="cpu")), max_mapped=6)
    names = {block.name for section in on_cpu for block in section.blocks if isinstance(block, Drawing)}
    assert {"grad_cam_dead", "embedding"} <= names


def test_a_moved_data_set_is_given_by_hand(uneven, own):
    curated = Path(composed_prepare(*uneven)[1].output_root)
    aside = curated.with_name("moved")
    curated.rename(aside)
    try:
        study = open_study(own, Options(aside / "no_treatment"))
        assert len(study.models[0].tested[1]) == len(study.models[0].scores)
        with pytest.raises(InputError, match="curate it again, or give --curated FOLDER"):
            open_study(own).models[0].curated  # noqa: B018
    finally:
        aside.rename(curated)


def test_whatever_goes_wrong_in_a_report_does_not_end_the_training(uneven, tmp_path, monkeypatch, capsys):
    import jimt.report.page

    def broken(*args, **kwargs):
        raise RuntimeError("a figure cannot be drawn")

    monkeypatch.setattr(jimt.report.page, "render", broken)
    run = trained(uneven, tmp_path / "run", "report=true", "trainer.max_epochs=1")
    assert (run / "test_metrics.json").is_file()
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"no report of {run} (RuntimeError: a figure cannot be drawn): run jimt report {run}"


def test_names_that_look_like_numbers_formulas_or_nothing_stay_names(own):
    scores = pd.read_csv(own / "test_scores.csv", dtype=str)
    names = dict(zip(scores["group"].unique(), ["NA", "001", "a$_$b<i>|", "None"], strict=False))
    scores["group"] = scores["group"].map(lambda name: names.get(name, name))
    scores.to_csv(own / "test_scores.csv", index=False)
    model = open_study(own).models[0]
    assert set(names.values()) <= set(model.scores["group"])
    sections = [Section("", list(error_blocks(model, model_words=""))), Section("", list(forest_blocks([model])))]
    page = render(sections, title="a", subtitle="b")
    assert "a$_$b&lt;i&gt;|" in page
    assert "<i>" not in page.split("<main>")[1].replace('<i style="', "")
