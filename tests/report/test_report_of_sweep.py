"""A sweep's report sets its models side by side and loses none."""

import contextlib
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from conftest import TINY
from forked import run_forked
from jimt.errors import InputError
from jimt.report import activation
from jimt.report.study import open_study
from jimt.report.write import write_report
from reports import Parts, trained


@pytest.fixture(scope="module")
def run(reported) -> Path:
    return reported


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
    with contextlib.chdir(folder):
        done = run_forked("train.py", "-m", *uneven, *tiny, names, "hydra.sweep.dir=sweep", draws=False)
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
    assert "2 is not in this report: timm knows no network called nonsense" in page
    assert page.count("<td>test_efficientnet.r160_in1k</td>") >= 3


@pytest.mark.slow
def test_a_sweep_of_the_papers_data_sets_quotes_the_paper(swept):
    page = (swept[0] / "report.html").read_text()
    (table,) = re.findall(r"<b>Table 1\.</b>.*?</table>", page, flags=re.DOTALL)
    (quoted,) = re.findall(r'<tr class="paper">(.*?)</tr>', table)
    cells = re.findall(r"<td.*?>(.*?)</td>", quoted)
    assert cells == ["no_treatment (paper)", "339", "21,848", "10,464", "11,384", "8,680/9,480", "891/925", "893/979"]
