import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, recall_score, roc_auc_score

from conftest import TINY, TINY_PROBE, composed_train
from jimt.curation.manifest import open_curated
from jimt.errors import InputError, Interrupted
from jimt.evaluation.test_split import evaluate
from jimt.evaluation.test_split import main as evaluate_command
from jimt.models.checkpoint import read_checkpoint
from jimt.models.predictor import open_predictor
from jimt.statistics.calibration import fit_temperature
from jimt.system.files import BEST
from jimt.system.run_folders import find_checkpoint
from jimt.training import finetune as fitting
from jimt.training import run as training
from jimt.training.resume import unfinished_training
from jimt.training.run import train
from trainings import epochs_of, validated


@pytest.fixture(scope="module")
def trained(tmp_path_factory, uneven):
    """One training on the small fields, shared by the tests that only read it."""
    run = tmp_path_factory.mktemp("trained") / "run"
    config = composed_train(*uneven, *TINY, f"run_dir={run}")
    train(config)
    return config, run, open_curated(Path(config.curation.output_root) / "no_treatment")


def test_a_run_leaves_checkpoints_metrics_and_scores(trained):
    _, run, _ = trained
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert {
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "metrics.csv",
        "test_metrics.json",
        "test_scores.csv",
    } <= names
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "best_epoch.ckpt", "last.ckpt"}
    for column in ("train/loss", "train/auroc", "val/loss", "val/balanced_accuracy", "val/auroc"):
        assert epochs_of(run, column) == [0, 1]


def test_every_test_patch_is_scored_exactly_once_and_no_other(trained):
    _, run, curated = trained
    scores = pd.read_csv(run / "test_scores.csv")
    test = curated.manifest[curated.manifest["split"] == "test"]
    keys = ["raw_image_id", "group", "y", "x", "label"]
    pd.testing.assert_frame_equal(
        scores[keys].astype(str), test[keys].astype(str).reset_index(drop=True), check_dtype=False
    )
    assert not set(scores["group"]) & set(curated.manifest.loc[curated.manifest["split"] == "train", "group"])


def test_test_metrics_are_those_of_scikit_learn_on_the_scores(trained):
    _, run, _ = trained
    scores = pd.read_csv(run / "test_scores.csv")
    metrics = json.loads((run / "test_metrics.json").read_text())
    predicted = scores["score"] > 0.5
    expected = {
        "balanced_accuracy": balanced_accuracy_score(scores["label"], predicted),
        "auroc": roc_auc_score(scores["label"], scores["score"]),
        "recall_live": recall_score(scores["label"], predicted),
        "recall_dead": recall_score(1 - scores["label"], ~predicted),
    }
    assert {name: metrics["metrics"][name]["value"] for name in expected} == pytest.approx(expected)
    assert metrics["confusion_matrix"]["counts"] == confusion_matrix(scores["label"], predicted).tolist()
    assert metrics["counts"]["patches"] == len(scores)
    assert metrics["counts"]["groups"] == scores["group"].nunique()


def test_a_score_is_the_softmax_of_the_networks_live_logit(trained):
    _, run, curated = trained
    predictor = open_predictor(run)
    takes, temperature = predictor.checkpoint.input, predictor.checkpoint.output.temperature
    assert takes.pixel_size == 0.3225  # as conf/dataset says of the simulated microscope
    row = pd.read_csv(run / "test_scores.csv").iloc[5]
    field = curated.manifest.loc[curated.manifest["raw_image_id"] == row.raw_image_id, "field"].iloc[0]
    patch = curated.store.field(field)[row.y : row.y + 64, row.x : row.x + 64] / 255
    channels = [(patch - mean) / std for mean, std in zip(takes.mean, takes.std, strict=True)]
    image = torch.tensor(np.stack(channels), dtype=torch.float32)
    with torch.no_grad():
        dead, live = (predictor.network(image[None])[0] / temperature).tolist()
    assert temperature != 1  # calibrated on the validation split
    assert row.score == pytest.approx(np.exp(live) / (np.exp(live) + np.exp(dead)), abs=1e-5)


def test_random_weights_are_recorded_in_every_output(trained):
    _, run, _ = trained
    metrics = json.loads((run / "test_metrics.json").read_text())
    assert metrics["weights"] == "random"
    assert "the backbone started from random weights" in metrics["notes"]
    assert read_checkpoint(run / BEST).record.weights == "random"


def test_a_checkpoint_carries_what_prediction_needs(trained):
    _, run, curated = trained
    content = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert content["input"]["patch_size"] == 64
    assert content["input"]["scaling"] == curated.summary["scaling"]
    assert len(content["input"]["mean"]) == len(content["input"]["std"]) == 3


@pytest.mark.stack
def test_evaluating_a_run_or_a_checkpoint_again_gives_the_same_scores(trained, capsys):
    _, run, _ = trained
    before = (run / "test_scores.csv").read_bytes()
    for target in (run, run / "checkpoints" / "best.ckpt"):
        (run / "test_scores.csv").unlink()
        evaluate_command([str(target)])
        assert (run / "test_scores.csv").read_bytes() == before
    assert "balanced accuracy" in capsys.readouterr().out


def test_the_same_command_again_evaluates_without_training(trained, monkeypatch, capsys):
    config, run, _ = trained
    (run / "test_metrics.json").unlink()
    monkeypatch.setitem(training._FIT, "finetune", lambda *_: pytest.fail("trained again"))
    train(config)
    assert (run / "test_metrics.json").is_file()
    told = capsys.readouterr().out
    assert "holds this training, finished" in told
    assert re.search(r"predict images without a stain: jimt predict \S+ IMAGES --out DIR", told)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("seed=7", "seed=0, not 7"),
        ("trainer.max_epochs=3", "2 epochs done, 3 asked for"),
        ("trainer.max_epochs=1", "2 epochs done, 1 asked for"),
        ("optim.lr=1e-4", "optim.lr=0.001, not 0.0001"),
        ("evaluation.orientations=8", "evaluation.orientations=1, not 8"),
    ],
)
def test_another_training_is_not_written_over_a_finished_one(trained, uneven, change, told):
    _, run, _ = trained
    config = composed_train(*uneven, *TINY, f"run_dir={run}", change)
    ways = ": give .*hydra.run.dir=FOLDER, or .*retrain=true"
    with pytest.raises(InputError, match=re.escape(f"holds another training ({told})") + ways):
        train(config)
    assert (run / "checkpoints/best.ckpt").is_file()


def test_evaluation_refuses_a_curation_the_model_was_not_trained_on(trained, small, prepare_config):
    from test_bad_input import run as curate_small

    _, run, _ = trained
    other = curate_small(prepare_config(*small))
    with pytest.raises(
        InputError, match="is not the curation .* was trained on, so test patches may have been trained on"
    ):
        evaluate(run, curated_folder=other)


def resumes(folder: Path) -> None:
    unfinished_training(composed_train(f"resume={folder}", "run_dir=new"), folder)


def test_a_run_without_a_finished_training_is_refused(tmp_path):
    with pytest.raises(InputError, match="best.ckpt is missing: .* holds no finished training"):
        find_checkpoint(tmp_path)
    with pytest.raises(InputError, match="nothing is missing: give a run's folder or a checkpoint"):
        find_checkpoint(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("runs", "marks", "told"),
    [
        (["fold_1", "fold_0"], ["crossval.json"], "cross-validation, .* of its folds, such as {}/fold_0, or run"),
        (["fold_1"], [], "is an unfinished cross-validation, .* such as {}/fold_1$"),
        (["mcf7/a", "mcf7/b"], ["mcf7/a/.hydra/overrides.yaml"], "is a sweep, .* jobs, such as {}/mcf7/a, or run"),
        (["trial_000"], ["study.journal"], "is a search, .* one of its trials, such as {}/trial_000$"),
        (["a", "b"], [], "holds 2 runs, and one run is asked for: give the folder of one of them, such as {}/a$"),
    ],
)
@pytest.mark.parametrize("asks", [find_checkpoint, evaluate, resumes])
def test_a_folder_of_several_runs_says_what_it_is_and_which_can_be_given(tmp_path, runs, marks, told, asks):
    files = [*(f"{run}/checkpoints/best.ckpt" for run in runs), *marks]
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(InputError, match=told.format(re.escape(str(tmp_path)))):
        asks(tmp_path)


@pytest.mark.stack
def test_a_seed_gives_the_same_weights_each_time(uneven, train_config, trained):
    _, run, _ = trained
    config = train_config(*uneven, *TINY)
    train(config)
    weights = [
        torch.load(Path(folder) / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for folder in (run, config.run_dir)
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_training_that_was_cut_off_starts_again(uneven, train_config, tmp_path, monkeypatch):
    config = train_config(*uneven, *TINY)
    with monkeypatch.context() as patch:
        patch.setattr(fitting.EpochLine, "on_train_epoch_start", _interrupts_the_second_epoch)
        with pytest.raises(
            Interrupted,
            match=r"told to stop \(Ctrl-C\) and can go on after the last finished epoch: give resume=.*run",
        ):
            train(config)
    assert not (tmp_path / "run/test_metrics.json").exists()
    assert not (tmp_path / "run/finished.json").exists()
    train(config)
    assert (tmp_path / "run/test_metrics.json").is_file()
    assert {path.name for path in (tmp_path / "run/checkpoints").iterdir()} == {
        "best.ckpt",
        "best_epoch.ckpt",
        "last.ckpt",
    }
    assert epochs_of(tmp_path / "run", "val/loss") == [0, 1]


def _interrupts_the_second_epoch(self, trainer, pl_module) -> None:
    self._start = 0.0
    if trainer.current_epoch == 1:
        raise KeyboardInterrupt


def test_a_gpu_that_is_not_there_names_the_remedy(uneven, train_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match="trainer=cpu"):
        train(train_config(*uneven, *TINY, "trainer=gpu"))


@pytest.mark.parametrize("trainer", ["gpu", "ddp"])
def test_graphics_cards_compute_in_32_bit_unless_asked_otherwise(train_config, trainer):
    config = train_config(f"trainer={trainer}")
    assert config.trainer.precision == "32-true"
    assert config.trainer.devices == (2 if trainer == "ddp" else 1)


@pytest.mark.parametrize(("instructions", "precision"), [("avx512_bf16", "bf16-mixed"), (None, "32-true")])
def test_precision_is_decided_by_what_the_processor_has_and_is_printed_and_recorded(
    uneven, train_config, monkeypatch, tmp_path, capsys, instructions, precision
):
    for module in ("settled", "run"):  # the one decides, the other tells
        monkeypatch.setattr(f"jimt.training.{module}.bfloat16_instructions", lambda: instructions)
    train(train_config(*uneven, *TINY, "trainer.precision=auto", "trainer.max_epochs=1"))
    said = capsys.readouterr().out
    assert f"(all, {precision})" in said
    assert ("since this processor has avx512_bf16" in said) == (instructions is not None)
    assert read_checkpoint(tmp_path / "run" / BEST).record.precision == precision


def test_maps_of_whole_fields_are_taken_in_32_bit_unless_asked_otherwise_and_recorded_so(
    uneven, train_config, monkeypatch, tmp_path
):
    monkeypatch.setattr("jimt.training.settled.bfloat16_instructions", lambda: "avx512_bf16")
    train(train_config(*uneven, *TINY_PROBE, "probe=tiles", "probe.layer=layer3", "trainer.precision=auto"))
    assert read_checkpoint(tmp_path / "run" / BEST).record.precision == "32-true"


def test_published_patches_without_raw_images_train_with_a_warning_and_no_interval_over_groups(train_config, tmp_path):
    import cv2

    rng = np.random.default_rng(0)
    for split, n in (("train", 24), ("val", 8), ("test", 8)):
        for label, spread in (("live", 10), ("dead", 60)):
            folder = tmp_path / "published" / split / label
            folder.mkdir(parents=True)
            for number in range(n):
                patch = rng.normal(128, spread, (64, 64)).clip(0, 255).astype(np.uint8)
                cv2.imwrite(str(folder / f"{number}.png"), patch)
    config = train_config(*TINY, "dataset=no_treatment", f"dataset.root={tmp_path / 'published'}", "curation.n_jobs=1")
    config.dataset.layout, config.dataset.pattern, config.curation.patches.size = "patches", None, 64
    with pytest.warns(UserWarning, match="nothing tells which raw image a patch of no_treatment was cut from"):
        metrics = train(config)
    assert metrics["group_known"] is False
    assert epochs_of(tmp_path / "run", "val/loss") == [0, 1]
    assert metrics["metrics"]["auroc"]["interval_groups"] is None
    assert metrics["metrics"]["auroc"]["interval_patches"] is not None


# ---- temperature and orientations


def test_the_checkpoints_temperature_is_fitted_on_the_validation_split(trained):
    _, run, _ = trained
    predictor = open_predictor(run)
    labels, logits = validated(run, predictor.network)
    expected = fit_temperature(logits, labels)
    assert predictor.checkpoint.output.temperature == pytest.approx(expected, rel=1e-4)
    assert json.loads((run / "test_metrics.json").read_text())["temperature"] == pytest.approx(expected, rel=1e-4)


def test_a_score_over_eight_orientations_is_the_softmax_of_the_mean_logits(uneven, train_config, tmp_path):
    train(train_config(*uneven, *TINY, "trainer.max_epochs=1", "evaluation.orientations=8"))
    predictor = open_predictor(tmp_path / "run")
    takes, temperature = predictor.checkpoint.input, predictor.checkpoint.output.temperature
    curated = open_curated(Path(predictor.checkpoint.record.curated_folder))
    fields = curated.manifest.drop_duplicates("raw_image_id").set_index("raw_image_id")["field"]
    scores = pd.read_csv(tmp_path / "run/test_scores.csv")
    upright = []
    for row in scores.iloc[::7].itertuples():
        patch = curated.store.field(fields[row.raw_image_id])[row.y : row.y + 64, row.x : row.x + 64]
        grey = torch.from_numpy(np.array(patch)).float()[None] / 255
        views = [torch.rot90(copy, turns, (1, 2)) for copy in (grey, grey.flip(2)) for turns in range(4)]
        mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (takes.mean, takes.std))
        with torch.inference_mode():
            logits = predictor.network((torch.stack(views) - mean) / std)
        expected = (logits.mean(0) / temperature).softmax(0)[1].item()
        assert row.score == pytest.approx(expected, abs=1e-6)
        upright.append((logits[0] / temperature).softmax(0)[1].item() - expected)
    assert max(np.abs(upright)) > 1e-4
