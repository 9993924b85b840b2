import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, recall_score, roc_auc_score

from jimt import training
from jimt.curation.manifest import open_curated
from jimt.errors import InputError
from jimt.evaluate import evaluate, find_checkpoint, load_classifier
from jimt.evaluate import main as evaluate_command
from jimt.training import train

TINY = [
    "backbone.name=test_resnet.r160_in1k",  # 0.5 M parameters: an epoch takes a second
    "backbone.weights=random",
    "optim.lr=1e-3",
    "optim.batch_size=16",
    "trainer.max_epochs=2",
    "trainer.num_threads=1",
    "trainer.precision=32-true",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One training on the small fields, shared by the tests that only read it."""
    from conftest import SMALL, REPOSITORY, small_field, write_pair  # noqa: I001
    from hydra import compose, initialize_config_dir
    from jimt.hydra_schema import to_dataclasses

    folder = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(0)
    for well in range(1, 13):
        write_pair(folder / "raw", f"--W{well:05d}--P00001--Z00000--T00000", small_field(rng))
    overrides = [
        "dataset=no_treatment",
        f"dataset.root={folder / 'raw'}",
        f"curation.output_root={folder / 'curated'}",
        f"run_dir={folder / 'run'}",
        "curation.split.test=4",
        "curation.split.val=4",
        *SMALL,
        *TINY,
    ]
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        config = to_dataclasses(compose("train", overrides=overrides))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train(config)
    return config, folder / "run", open_curated(folder / "curated" / "no_treatment")


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
    metrics = pd.read_csv(run / "metrics.csv")
    assert {"train/loss", "val/loss", "val/balanced_accuracy", "val/auroc"} <= set(metrics.columns)


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
    classifier, hyperparameters = load_classifier(run / "checkpoints/best.ckpt")
    row = pd.read_csv(run / "test_scores.csv").iloc[5]
    field = curated.manifest.loc[curated.manifest["raw_image_id"] == row.raw_image_id, "field"].iloc[0]
    patch = curated.store.field(field)[row.y : row.y + 64, row.x : row.x + 64] / 255
    mean, std = hyperparameters["prediction"]["mean"], hyperparameters["prediction"]["std"]
    image = torch.tensor(np.stack([(patch - m) / s for m, s in zip(mean, std, strict=True)]), dtype=torch.float32)
    with torch.no_grad():
        dead, live = classifier.network(image[None])[0].tolist()
    assert row.score == pytest.approx(np.exp(live) / (np.exp(live) + np.exp(dead)), abs=1e-5)


def test_random_weights_are_recorded_in_every_output(trained):
    _, run, _ = trained
    metrics = json.loads((run / "test_metrics.json").read_text())
    assert metrics["weights"] == "random"
    assert "the backbone started from random weights" in metrics["notes"]
    _, hyperparameters = load_classifier(run / "checkpoints/best.ckpt")
    assert hyperparameters["provenance"]["weights"] == "random"


def test_a_checkpoint_carries_what_prediction_needs(trained):
    _, run, curated = trained
    content = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    prediction = content["hyper_parameters"]["prediction"]
    assert prediction["patch_size"] == 64
    assert prediction["scaling"] == curated.summary["scaling"]
    assert len(prediction["mean"]) == len(prediction["std"]) == 3


@pytest.mark.stack
def test_evaluating_a_run_or_a_checkpoint_again_gives_the_same_scores(trained, capsys):
    _, run, _ = trained
    before = (run / "test_scores.csv").read_bytes()
    for target in (run, run / "checkpoints" / "best.ckpt"):
        (run / "test_scores.csv").unlink()
        evaluate_command([str(target)])
        assert (run / "test_scores.csv").read_bytes() == before
    assert "balanced_accuracy" in capsys.readouterr().out


def test_the_same_command_again_evaluates_without_training(trained, monkeypatch, capsys):
    config, run, _ = trained
    (run / "test_metrics.json").unlink()
    monkeypatch.setattr(training, "_fit", lambda *_: pytest.fail("trained again"))
    train(config)
    assert (run / "test_metrics.json").is_file()
    assert "holds this training, finished" in capsys.readouterr().out


def test_another_training_is_not_written_over_a_finished_one(trained, train_config, monkeypatch):
    config, run, _ = trained
    monkeypatch.setattr(config, "seed", 7)
    with pytest.raises(InputError, match="holds another training: choose another hydra.run.dir, or .* retrain=true"):
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


@pytest.mark.stack
def test_a_malicious_checkpoint_is_not_executed(tmp_path):
    class Malicious:
        def __reduce__(self):
            return Path.touch, (tmp_path / "executed",)

    path = tmp_path / "malicious.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": Malicious()}, path)
    with pytest.raises(
        InputError, match="is damaged, or holds more than tensors and plain values, so it was not loaded"
    ):
        evaluate(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", None])
def test_a_damaged_checkpoint_is_refused(trained, tmp_path, content):
    _, run, _ = trained
    path = tmp_path / "damaged.ckpt"
    path.write_bytes((run / "checkpoints/best.ckpt").read_bytes()[:5000] if content is None else content)
    with pytest.raises(InputError, match="damaged.ckpt is damaged"):
        evaluate(path)


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.ckpt")
    with pytest.raises(InputError, match="is not a checkpoint of jimt"):
        evaluate(tmp_path / "other.ckpt")


def test_a_run_without_a_finished_training_is_refused(tmp_path):
    with pytest.raises(InputError, match="best.ckpt is missing: .* holds no finished training"):
        find_checkpoint(tmp_path)
    with pytest.raises(InputError, match="nothing is missing: give a run's folder or a checkpoint"):
        find_checkpoint(tmp_path / "nothing")


@pytest.mark.stack
def test_a_seed_gives_the_same_weights_each_time(small, train_config, tmp_path):
    weights = []
    for name in ("one", "two"):
        config = train_config(*small, *TINY, "trainer.max_epochs=1", "curation.split.val=5", "curation.split.test=5")
        config.run_dir = str(tmp_path / name)
        train(config)
        content = torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True)
        weights.append(content["state_dict"])
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_training_that_was_cut_off_starts_again(small, train_config, tmp_path, monkeypatch):
    config = train_config(*small, *TINY, "curation.split.val=5", "curation.split.test=5")
    with monkeypatch.context() as patch:
        patch.setattr(training.EpochLine, "on_train_epoch_start", _interrupts_the_second_epoch)
        with pytest.raises(InputError, match=r"told to stop \(Ctrl-C\) and is not finished: the same command trains"):
            train(config)
    assert not (tmp_path / "run/test_metrics.json").exists()
    assert not (tmp_path / "run/finished.json").exists()
    train(config)
    assert (tmp_path / "run/test_metrics.json").is_file()
    assert {path.name for path in (tmp_path / "run/checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def _interrupts_the_second_epoch(self, trainer, pl_module) -> None:
    self._start = 0.0
    if trainer.current_epoch == 1:
        raise KeyboardInterrupt


def test_a_full_disk_at_a_checkpoint_is_said_in_a_sentence(small, train_config, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training.ModelCheckpoint, "_save_checkpoint", full)
    with pytest.raises(InputError, match=r"no space left for .*run \(No space left on device\): free some"):
        train(train_config(*small, *TINY, "curation.split.val=5", "curation.split.test=5"))
    assert not (tmp_path / "run/finished.json").exists()


def test_a_gpu_that_is_not_there_names_the_remedy(small, train_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match="trainer=cpu"):
        train(train_config(*small, *TINY, "trainer=gpu"))


@pytest.mark.parametrize("trainer", ["gpu", "ddp"])
def test_graphics_cards_compute_in_32_bit_unless_asked_otherwise(train_config, trainer):
    config = train_config(f"trainer={trainer}")
    assert config.trainer.precision == "32-true"
    assert config.trainer.devices == (2 if trainer == "ddp" else 1)


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
    assert metrics["metrics"]["auroc"]["interval_groups"] is None
    assert metrics["metrics"]["auroc"]["interval_patches"] is not None
