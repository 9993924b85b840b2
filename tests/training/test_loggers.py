"""What the loggers hold, read back from the files they leave; W&B is offline."""

import ast
import contextlib
import csv
import getpass
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from conftest import REPOSITORY
from jimt.errors import InputError
from jimt.statistics.weighted_patches import is_right
from jimt.training.loggers.lightning_loggers import continue_metrics_csv, finish, log_evaluation, make_loggers
from logged_runs import (
    KEY,
    N_EPOCHS,
    N_STEPS,
    SETTINGS,
    Patches,
    evaluate_tiny,
    fresh_wandb,
    logger_config,
    metrics_of,
    offline_runs,
    scored,
    train_tiny,
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """One training with every logger, its evaluation, and what it printed; shared by the tests that only read it."""
    folder = tmp_path_factory.mktemp("recorded")
    patches, printed = Patches(), folder / "printed"
    with (
        fresh_wandb(folder),
        pytest.MonkeyPatch.context() as patch,
        printed.open("w") as output,
        contextlib.redirect_stdout(output),
    ):
        patch.setattr(sys, "argv", ["/somewhere/program_of_the_user.py"])
        config = logger_config(tensorboard=True)
        loggers = make_loggers(config, run_folder=folder / "run", name="a-run", settings=SETTINGS)
        train_tiny(loggers)
        evaluate_tiny(loggers, folder / "run", patches=patches)
        finish(loggers, failed=False)
    (run,) = offline_runs(folder / "run")
    return folder / "run", run, patches, printed.read_text()


def test_the_run_is_described_as_it_was_composed(recorded):
    _, run, _, _ = recorded
    assert {key: run.config[key] for key in SETTINGS} == json.loads(json.dumps(SETTINGS))
    assert (run.run.display_name, run.run.run_group, run.run.project) == ("a-run", "a-sweep", "jimt-test")


def test_metrics_stand_by_step_and_epoch(recorded):
    _, run, _, _ = recorded
    losses = {row["trainer/global_step"]: row["train/loss"] for row in run.history if "train/loss" in row}
    assert losses == {step: step for step in range(N_STEPS * N_EPOCHS)}
    validation = {row["epoch"]: row["val/balanced_accuracy"] for row in run.history if "val/balanced_accuracy" in row}
    assert validation == pytest.approx({0: 0.5, 1: 0.6})


def test_the_summary_holds_test_metrics_and_the_interval_over_groups(recorded):
    _, run, _, _ = recorded
    test = {key: value for key, value in run.summary.items() if key.startswith("test/") and key.count("/") == 1}
    correlations = {"test/pearson_r": -0.75, "test/pearson_r_raw": -0.5}
    values = {"test/auroc": 0.9, "test/auroc_low": 0.85, "test/auroc_high": 0.95, "test/recall_live": 0.8}
    assert test == values | correlations


def test_curves_are_those_of_scikit_learn(recorded):
    _, run, _, _ = recorded
    scores = scored()
    roc = run.table("test/roc_table")
    false_live, true_live, _ = roc_curve(scores["label"], scores["score"])
    live = roc[roc["class"] == "live"]
    np.testing.assert_allclose(live[["fpr", "tpr"]], np.column_stack([false_live, true_live]), atol=6e-4)
    curve = run.table("test/precision_recall_table")
    live = curve[curve["class"] == "live"]
    precision, recall, _ = precision_recall_curve(scores["label"], scores["score"])
    for wanted, drawn in zip(live["recall"], live["precision"], strict=True):  # the best precision at that recall
        assert drawn == pytest.approx(precision[recall >= wanted - 1e-9].max(), abs=6e-4)


def test_the_confusion_matrix_and_the_scatter_plot_hold_every_test_patch(recorded):
    _, run, _, _ = recorded
    scores = scored()
    cells = run.table("test/confusion_matrix_table").set_index(["Actual", "Predicted"])["nPredictions"]
    counts = confusion_matrix(scores["label"], scores["score"] > 0.5)
    names = ["dead", "live"]
    assert {(names[i], names[j]): counts[i, j] for i in (0, 1) for j in (0, 1)} == cells.to_dict()
    points = run.table("test/score_against_fluorescence_table")
    numbers = ["label_value", "mean_fluorescence", "score"]
    pd.testing.assert_frame_equal(points[numbers], scores[numbers])
    pd.testing.assert_frame_equal(run.table("test/score_against_raw_fluorescence_table"), points)
    assert list(points["label"]) == [names[label] for label in scores["label"]]


def test_the_patch_table_shows_wrong_and_right_patches_with_their_images(recorded):
    _, run, patches, _ = recorded
    scores = scored()
    table = run.table("test/patches")
    assert len(table) == 12 == len(patches.read)
    assert list(table.columns) == [
        *("patch", "score", "label", "correct", "raw_image_id", "group", "y", "x", "mean_fluorescence")
    ]
    rows = scores.iloc[patches.read]
    for column in ("score", "raw_image_id", "group", "y", "x", "mean_fluorescence"):
        assert list(table[column]) == list(rows[column])
    assert list(table["label"]) == ["live" if label else "dead" for label in rows["label"]]
    assert list(table["correct"]) == list((rows["score"] > 0.5) == (rows["label"] == 1))
    wrong = scores[(scores["score"] > 0.5) != (scores["label"] == 1)]
    assert len(wrong) >= 5
    assert (~table["correct"]).sum() >= 4
    (artifact,) = [artifact for artifact in run.artifacts if "testpatches" in artifact.name]
    images = [entry.local_path for entry in artifact.manifest.contents if entry.path.endswith(".png")]
    assert all(Path(path).is_relative_to(run.folder) for path in images)  # not in the home folder
    shown = sorted(int(np.unique(np.asarray(Image.open(path))).item()) for path in images)
    assert shown == sorted(patches.read)


def test_the_best_checkpoint_is_an_artifact_that_says_what_it_is(recorded):
    folder, run, _, _ = recorded
    (artifact,) = [artifact for artifact in run.artifacts if artifact.type == "model"]
    (entry,) = artifact.manifest.contents
    assert entry.path == "best.ckpt"
    assert Path(entry.local_path) == folder / "checkpoints" / "best.ckpt"  # no copy
    metadata = json.loads(artifact.metadata)
    assert (metadata["backbone"], metadata["weights"], metadata["test/auroc"]) == ("resnet18", "random", 0.9)
    assert "best" in artifact.aliases


def test_the_run_says_nothing_of_user_machine_or_code(recorded):
    _, run, _, _ = recorded
    kept = {path.name for path in (run.folder / "files").iterdir()}
    assert kept == {"media", "requirements.txt"}  # no code, no diff, no metadata, no output
    content = run.file.read_bytes()
    assert sys.executable.encode() not in content
    assert b"program_of_the_user" not in content
    assert not run.run.host
    assert not run.run.HasField("git")
    if len(getpass.getuser()) > 4:  # "root" is part of other words
        assert getpass.getuser().encode() not in content


def test_it_is_said_once_that_the_run_is_offline_and_how_to_upload_it(recorded):
    _, run, _, printed = recorded
    assert printed.splitlines() == [
        "W&B: no key (wandb login stores one), so this run is logged offline",
        f"W&B: upload this run with: wandb sync {run.folder}",
    ]
    assert run.exit_codes == [0]


def test_tensorboard_holds_metrics_curves_patches_and_hyperparameters(recorded):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, _, patches, _ = recorded
    board = EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0, "scalars": 0}).Reload()
    assert [event.value for event in board.Scalars("train/loss")] == list(range(N_STEPS * N_EPOCHS))
    assert board.Scalars("test/auroc")[0].value == pytest.approx(0.9)
    assert set(board.Tags()["images"]) == {"test/confusion_matrix", "test/roc", "test/patches_wrong_framed_red"}
    assert board.Tags()["tensors"] == ["test/precision_recall"]
    assert "_hparams_/session_start_info" in board.summary_metadata
    session = board.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"optim/lr" in session
    grid = board.Images("test/patches_wrong_framed_red")[0]
    assert (grid.width, grid.height) == (8 * 16, 2 * 16)
    pixels = np.asarray(Image.open(io.BytesIO(grid.encoded_image_string)).convert("RGB"))
    wrong = ~is_right(scored()["label"].to_numpy(), scored()["score"].to_numpy())[patches.read]
    corners = [tuple(pixels[16 * (i // 8), 16 * (i % 8)]) for i in range(12)]
    assert [corner == (255, 0, 0) for corner in corners] == list(wrong)


def test_the_metrics_csv_is_written_beside_them(recorded):
    folder, _, _, _ = recorded
    metrics = pd.read_csv(folder / "metrics.csv")
    assert metrics["train/loss"].dropna().tolist() == list(range(N_STEPS * N_EPOCHS))


def test_a_training_that_is_resumed_twice_is_one_run_and_a_new_one_is_another(wandb_offline, tmp_path):
    for resumes in (False, True, True, False):
        loggers = make_loggers(
            logger_config(), run_folder=tmp_path / "run", name="a", settings=SETTINGS, resumes=resumes
        )
        train_tiny(loggers, epochs=1)
        finish(loggers, failed=resumes)
    identifiers = [run.run.run_id for run in offline_runs(tmp_path / "run")]
    assert sorted(Counter(identifiers).values()) == [1, 3]


def test_each_training_of_a_process_is_a_run_of_its_own(wandb_offline, tmp_path):
    import wandb

    for number in range(2):
        loggers = make_loggers(logger_config(), run_folder=tmp_path / "run", name=f"job {number}", settings=SETTINGS)
        train_tiny(loggers, epochs=1)
        finish(loggers, failed=number == 1)
        assert wandb.run is None
        assert wandb.setup().most_recent_active_run is None
    first, second = offline_runs(tmp_path / "run")
    assert first.run.run_id != second.run.run_id
    assert {first.run.display_name, second.run.display_name} == {"job 0", "job 1"}
    assert {first.run.run_group, second.run.run_group} == {"a-sweep"}
    codes = {run.run.display_name: run.exit_codes for run in (first, second)}
    assert codes == {"job 0": [0], "job 1": [1]}


def test_nothing_is_logged_after_the_end_and_no_run_is_opened_for_it(wandb_offline, tmp_path):
    loggers = make_loggers(logger_config(), run_folder=tmp_path, name="a", settings=SETTINGS)
    finish(loggers, failed=True)
    loggers[1].log_metrics({"late": 1.0}, step=0)
    evaluate_tiny(loggers, tmp_path)
    finish(loggers, failed=False)
    assert not (tmp_path / "wandb").exists()


def test_patches_whose_raw_image_is_not_known_are_shown(wandb_offline, tmp_path):
    loggers = make_loggers(logger_config(), run_folder=tmp_path, name="a", settings=SETTINGS)
    evaluate_tiny(loggers, tmp_path, known=False)
    finish(loggers, failed=False)
    (run,) = offline_runs(tmp_path)
    assert run.table("test/patches")["group"].isna().all()


def test_patches_and_checkpoint_stay_here_where_that_is_asked(wandb_offline, tmp_path):
    config = logger_config(log_checkpoint=False, n_table_patches=0)
    patches = Patches()
    loggers = make_loggers(config, run_folder=tmp_path, name="a", settings=SETTINGS)
    evaluate_tiny(loggers, tmp_path, config=config, patches=patches)
    finish(loggers, failed=False)
    (run,) = offline_runs(tmp_path)
    assert patches.read == []
    assert {artifact.type for artifact in run.artifacts} == {"run_table"}
    assert not any("test/patches/path" in row for row in run.history)


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_a_mode_given_by_the_user_wins_over_a_key(tmp_path, mode):
    with fresh_wandb(tmp_path, WANDB_MODE=mode, WANDB_API_KEY=KEY):
        loggers = make_loggers(logger_config(), run_folder=tmp_path / "run", name="a", settings=SETTINGS)
        loggers[1].log_metrics({"train/loss": 1.0}, step=0)
        evaluate_tiny(loggers, tmp_path / "run")
        finish(loggers, failed=False)
    assert len(offline_runs(tmp_path / "run")) == (1 if mode == "offline" else 0)


def test_a_mode_that_there_is_not_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "on")
    with pytest.raises(InputError, match="WANDB_MODE=on is not allowed: it takes one of online, offline, disabled"):
        make_loggers(logger_config(), run_folder=tmp_path, name="a", settings=SETTINGS)


def test_an_error_of_wandb_is_printed_once_and_ends_nothing(wandb_offline, tmp_path, monkeypatch, capsys):
    import wandb

    loggers = make_loggers(logger_config(), run_folder=tmp_path, name="a", settings=SETTINGS)
    run = loggers[1].experiment

    def unreachable(*args, **kwargs):
        raise wandb.errors.CommError("the server went away\nand more")

    with monkeypatch.context() as patch:
        for method in ("log", "log_artifact", "finish"):
            patch.setattr(run, method, unreachable)
        train_tiny(loggers)
        evaluate_tiny(loggers, tmp_path)
        finish(loggers, failed=False)
    printed = capsys.readouterr().out
    assert printed.count("the server went away") == 1
    assert "the training goes on" in printed
    assert "and more" not in printed
    assert "wandb sync" in printed
    assert wandb.run is None
    assert len(pd.read_csv(tmp_path / "metrics.csv")["train/loss"].dropna()) == N_STEPS * N_EPOCHS


def test_a_mistake_of_ours_is_not_taken_for_an_error_of_wandb(wandb_offline, tmp_path):
    loggers = make_loggers(logger_config(), run_folder=tmp_path, name="a", settings=SETTINGS)
    with pytest.raises(KeyError, match="mean_fluorescence"):
        log_evaluation(
            loggers,
            metrics=metrics_of(scored()),
            scores=scored().drop(columns="mean_fluorescence"),
            patches=Patches(),
            checkpoint=tmp_path / "best.ckpt",
            config=logger_config(),
            seed=0,
        )
    finish(loggers, failed=True)


def test_only_the_first_process_of_a_training_opens_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    config = logger_config(tensorboard=True)
    loggers = make_loggers(config, run_folder=tmp_path / "run", name="a", settings=SETTINGS)
    for logger in loggers:
        logger.log_metrics({"train/loss": 1.0}, step=0)
    for logger in loggers[1:]:  # metrics.csv opens nothing
        logger.experiment.whatever()
    finish(loggers, failed=False)
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_keeps_the_metrics_of_its_finished_epochs(tmp_path):
    config = logger_config(wandb=False)
    first = make_loggers(config, run_folder=tmp_path, name="a", settings=SETTINGS)
    for epoch in range(3):  # the learning rate comes without the epoch, as from Lightning's monitor
        first[0].log_metrics({"lr-SGD": 0.1 * epoch}, step=10 * epoch)
        first[0].log_metrics({"train/loss": float(epoch), "epoch": epoch}, step=10 * epoch + 5)
        first[0].log_metrics({"val/loss": float(epoch), "epoch": epoch}, step=10 * epoch + 9)
    first[0].log_metrics({"lr-SGD": 0.3}, step=30)
    finish(first, failed=True)
    before = pd.read_csv(tmp_path / "metrics.csv")

    second = make_loggers(config, run_folder=tmp_path, name="a", settings=SETTINGS)
    continue_metrics_csv(second, before_epoch=2)
    kept = pd.read_csv(tmp_path / "metrics.csv")  # at once: the next epoch may be cut off as well
    pd.testing.assert_frame_equal(kept, before.iloc[:6], check_dtype=False)
    train_tiny(second, epochs=1)
    finish(second, failed=False)
    after = pd.read_csv(tmp_path / "metrics.csv")
    pd.testing.assert_frame_equal(after.iloc[:6][kept.columns], kept, check_dtype=False)
    assert len(after) == 6 + N_STEPS + 1
    assert "val/balanced_accuracy" in after.columns


def test_a_run_that_was_cut_off_before_its_first_row_is_resumed(tmp_path):
    loggers = make_loggers(logger_config(wandb=False), run_folder=tmp_path, name="a", settings=SETTINGS)
    continue_metrics_csv(loggers, before_epoch=1)
    loggers[0].log_metrics({"train/loss": 1.0, "epoch": 1}, step=1)
    finish(loggers, failed=False)
    with (tmp_path / "metrics.csv").open() as file:
        assert [row["train/loss"] for row in csv.DictReader(file)] == ["1.0"]


def test_without_further_loggers_there_is_the_csv_alone(tmp_path):
    loggers = make_loggers(logger_config(wandb=False), run_folder=tmp_path, name="a", settings=SETTINGS)
    train_tiny(loggers)
    evaluate_tiny(loggers, tmp_path)
    finish(loggers, failed=False)
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.csv", "checkpoints"}


def test_wandb_is_imported_in_one_folder_and_late():
    package = REPOSITORY / "src" / "jimt"
    importing = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "wandb" for name in names):
                importing.add(path.relative_to(package).parts[0])
    assert importing == {"training"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys, jimt.training.loggers; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(done.stdout.split()) & {"wandb", "torch", "pytorch_lightning", "matplotlib", "pandas"}
