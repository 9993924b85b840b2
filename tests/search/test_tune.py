"""Searches: small real ones, and others with a training that takes no time."""

import csv
import errno
import json
import shlex
import sys
from pathlib import Path

import optuna
import pandas as pd
import pytest
from filelock import FileLock
from hydra import compose, initialize_config_dir

from conftest import REPOSITORY, TINY, TINY_PROBE
from jimt.__main__ import main
from jimt.config.hydra_schema import to_dataclasses
from jimt.errors import InputError, Interrupted
from jimt.search.tune import tune
from jimt.training import finetune as fitting
from jimt.training import run as training
from stand_ins import CONTRAST

SEARCH = ["curation.split.val=5", "curation.split.test=5", "tune.n_random=1", "tune.metric=val/loss"]


@pytest.fixture
def tiny(small) -> list[str]:
    """Overrides of a search whose trials take a second each; the loss tells them apart."""
    return [*small, *TINY, *SEARCH]


@pytest.fixture
def _closed_test_split(monkeypatch):
    for module, name in ((training, "evaluate_model"), (training, "log_evaluation")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("the test split was read"))
    monkeypatch.setattr(
        "jimt.evaluation.scores.score_test_split", lambda *_, **__: pytest.fail("the test split was read")
    )


def states(result) -> list[str]:
    return [row["state"] for row in result["trials"]]


def without_times(result) -> dict:
    return {**result, "best": None, "trials": [row | {"seconds": None} for row in result["trials"]]}


# Real searches


@pytest.mark.usefixtures("_closed_test_split")
def test_a_search_finds_its_best_trial_without_the_test_split(tiny, tune_config, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(optuna.trial.Trial, "should_prune", lambda trial: trial.number == 1)
    overrides = [f"dataset.root={tmp_path / 'raw'}", "search=recipe", "tune.n_trials=3", "optim.lr=1e-3"]
    result = tune(tune_config(*tiny, "tune.n_trials=3"), overrides=overrides)
    search = tmp_path / "search"
    assert states(result) == ["finished", "pruned", "finished"]

    # the first trial is the config as it stands
    first = result["trials"][0]["settings"]
    assert first == {"optim.lr": 1e-3, "optim.weight_decay": 1e-5} | {
        f"augmentation.{name}": 0.0 for name in ("brightness", "contrast", "gamma", "blur")
    }

    # a trial's value is that of the epoch whose checkpoint was kept
    for row in (result["trials"][0], result["trials"][2]):
        log = pd.read_csv(search / f"trial_{row['trial']:03d}" / "metrics.csv").dropna(subset="val/loss")
        kept = log["val/balanced_accuracy"].argmax()
        assert row["epoch"] == kept + 1
        assert row["value"] == pytest.approx(log["val/loss"].iloc[kept], rel=1e-4)
    best = result["best"]
    assert best["value"] == min(result["trials"][i]["value"] for i in (0, 2))

    # a pruned training has ended cleanly, and is not taken for a finished one
    pruned = search / "trial_001"
    assert pd.read_csv(pruned / "metrics.csv")["val/loss"].count() == 1
    assert result["trials"][1]["reason"].endswith("after epoch 1 of 2")
    assert not (pruned / "finished.json").exists()

    # results
    assert json.loads((search / "tune.json").read_text()) == result
    with (search / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == states(result)
    assert float(rows[2]["optim.lr"]) == result["trials"][2]["settings"]["optim.lr"]
    kept = [path.parent.parent.name for path in search.rglob("best.ckpt")]
    assert kept == [f"trial_{best['trial']:03d}"]
    assert not list(search.rglob("test_*"))
    settings = [f"{key}={value!r}" for key, value in best["settings"].items()]
    assert best["command"].split() == ["jimt", "train", overrides[0], *settings]
    assert best["command"] in capsys.readouterr().out

    # best.yaml is an experiment
    (tmp_path / "jimt_conf" / "experiment").mkdir(parents=True)
    text = (search / "best.yaml").read_text()
    (tmp_path / "jimt_conf" / "experiment" / "found.yaml").write_text(text)
    command = shlex.split(text.splitlines()[2].removeprefix("# "))
    assert command == ["jimt", "train", overrides[0], "experiment=NAME"]
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        found = to_dataclasses(compose("train", overrides=["run_dir=run", overrides[0], "experiment=found"]))
    assert {key: getattr(getattr(found, key.split(".")[0]), key.split(".")[1]) for key in first} == best["settings"]


@pytest.mark.usefixtures("_closed_test_split")
def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(tiny, tune_config, tmp_path, monkeypatch):
    whole = tune(tune_config(*tiny, "tune.n_trials=3", f"run_dir={tmp_path / 'whole'}"))
    config = tune_config(*tiny, "tune.n_trials=3")
    start = fitting.EpochLine.on_train_epoch_start
    epochs = []

    def interrupts_the_fourth_epoch(self, trainer, pl_module) -> None:
        start(self, trainer, pl_module)
        epochs.append(trainer.current_epoch)
        if len(epochs) == 4:  # the second of the second trial
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting.EpochLine, "on_train_epoch_start", interrupts_the_fourth_epoch)
        with pytest.raises(Interrupted, match=r"the search was told to stop and can go on: give resume=.*search"):
            tune(config)
    assert not (tmp_path / "search/trial_001/finished.json").exists()
    with (tmp_path / "search/study.journal").open("a") as journal:
        journal.write('{"op_code":7,"worker')  # as a full disk leaves it
    result = tune(tune_config(*tiny, "tune.n_trials=2", f"resume={tmp_path / 'search'}"))
    assert states(result) == ["finished", "finished"]
    result = tune(tune_config(*tiny, "tune.n_trials=3"))
    assert without_times(result) == without_times(whole)
    assert tune(tune_config(*tiny, "tune.n_trials=3")) == result


@pytest.mark.usefixtures("_closed_test_split")
def test_a_linear_probe_is_searched_by_its_validation_metric(small, tune_config):
    config = tune_config(*small, *TINY_PROBE, *SEARCH, "search=probe", "tune.n_trials=2")
    rows = tune(config)["trials"]
    assert [row["state"] for row in rows] == ["finished", "finished"]
    assert rows[0]["settings"] == {"probe.c": 1e-3}
    assert rows[0]["value"] != rows[1]["value"]


# With a training that takes no time


def test_a_training_below_the_median_at_the_same_epoch_is_pruned(small, tune_config, fake):
    config = tune_config(*small, *CONTRAST, "tune.n_trials=8", "tune.prune_after_trials=2", "tune.prune_after_epochs=2")
    result = tune(config)
    finished: list[float] = []
    for row in result["trials"]:
        value = row["settings"]["augmentation.contrast"]
        median = pd.Series(finished).median()
        if len(finished) >= 2 and value < median:
            assert (row["state"], row["epochs"], row["value"]) == ("pruned", 3, None)
        else:
            assert (row["state"], row["epochs"]) == ("finished", config.trainer.max_epochs)
            finished.append(value)
    assert "pruned" in states(result)
    assert result["best"]["value"] == max(finished)
    assert "pruned" not in states(
        tune(tune_config(*small, *CONTRAST, "tune.prune=false", "tune.n_trials=8", f"run_dir={Path('all')}"))
    )


def test_a_failed_trial_is_recorded_and_the_search_goes_on(small, tune_config, fake, tmp_path):
    fake.fails = {1: InputError("the weights are out of reach"), 3: RuntimeError("CUDA out of memory")}
    result = tune(tune_config(*small, *CONTRAST, "tune.n_trials=4", "tune.keep_all_checkpoints=true"))
    assert states(result) == ["failed", "finished", "failed", "finished"]
    assert result["trials"][0]["reason"] == "the weights are out of reach"
    assert result["trials"][2]["reason"] == "RuntimeError: CUDA out of memory"
    assert len(list((tmp_path / "search").rglob("best.ckpt"))) == 2


def test_what_a_kill_left_of_the_checkpoints_of_a_failed_trial_is_removed(small, tune_config, fake, tmp_path):
    fake.fails = {1: InputError("the weights are out of reach")}
    tune(tune_config(*small, *CONTRAST, "tune.n_trials=2"))
    left = tmp_path / "search/trial_000/checkpoints/last.ckpt"
    left.parent.mkdir()
    left.touch()
    tune(tune_config(*small, *CONTRAST, "tune.n_trials=2"))
    assert not left.exists()
    assert (tmp_path / "search/trial_001/checkpoints/best.ckpt").is_file()


def test_a_search_ends_when_nothing_but_failures_has_come(small, tune_config, fake):
    fake.fails = dict.fromkeys(range(1, 100), InputError("there is no card"))
    with pytest.raises(InputError, match="no trial came to its end; trial 2 failed .there is no card"):
        tune(tune_config(*small, *CONTRAST))
    assert len(fake.asked) == 3


def test_a_full_disk_ends_a_search_and_its_trial_is_tried_again(small, tune_config, fake):
    fake.fails = {2: OSError(errno.ENOSPC, "No space left on device")}
    with pytest.raises(InputError, match=r"no space left for .*trial_001; .* give resume=.*search"):
        tune(tune_config(*small, *CONTRAST, "tune.n_trials=2"))
    assert states(tune(tune_config(*small, *CONTRAST, "tune.n_trials=2"))) == ["finished", "finished"]
    assert fake.asked[1].augmentation == fake.asked[2].augmentation


def test_what_another_process_trains_is_left_to_it(small, tune_config, fake, tmp_path):
    fake.fails = {2: KeyboardInterrupt()}
    with pytest.raises(Interrupted):
        tune(tune_config(*small, *CONTRAST, "tune.n_trials=3"))
    with FileLock(tmp_path / "search/trial_001/.trial.lock"):  # as if it were still at work
        assert states(tune(tune_config(*small, *CONTRAST, "tune.n_trials=3"))) == ["finished", "running", "finished"]
    assert states(tune(tune_config(*small, *CONTRAST, "tune.n_trials=3"))) == ["finished"] * 3


def test_a_seed_gives_the_same_trials_and_another_seed_others(small, tune_config, fake):
    def contrasts(seed: int, name: str) -> list[float]:
        overrides = [
            *small,
            *CONTRAST,
            "tune.n_random=4",
            "tune.n_trials=5",
            f"seed={seed}",
            f"run_dir={Path(name).resolve()}",
        ]
        return [row["settings"]["augmentation.contrast"] for row in tune(tune_config(*overrides))["trials"]]

    one, two, other = contrasts(0, "one"), contrasts(0, "two"), contrasts(1, "other")
    assert one == two
    assert len({*one, *other}) == 9  # the config as it stands is in both


def test_no_trial_begins_after_the_time_is_up(small, tune_config, fake):
    result = tune(tune_config(*small, *CONTRAST, "tune.timeout=1e-9"))
    assert (result["trials"], result["best"]) == ([], None)


def test_a_config_outside_of_the_space_is_said_not_to_be_among_the_trials(small, tune_config, fake, capsys):
    tune(tune_config(*small, *CONTRAST, "augmentation.contrast=1.5", "tune.n_trials=1"))
    assert "no trial is the config as it stands: augmentation.contrast=1.5 is outside" in capsys.readouterr().out


def test_another_search_is_not_mixed_into_a_folder(small, tune_config, fake, tmp_path):
    tune(tune_config(*small, *CONTRAST, "tune.n_trials=1"))
    for other, told in (
        (["seed=3"], r"seed=0 \(not 3\)"),
        (["optim.batch_size=8"], r"optim.batch_size=4 \(not 8\)"),
        (["tune.metric=val/f1_live"], "tune.metric=val/auroc"),
        (["tune.space.augmentation.contrast.high=2"], "contrast 0 to 2"),
        (["curation.split.val=3"], "curation="),
    ):
        with pytest.raises(InputError, match=rf"search is another search, with .*{told}"):
            tune(tune_config(*small, *CONTRAST, *other))
    (tmp_path / "search/study.journal").write_text("no journal\nat all\n")
    with pytest.raises(InputError, match=r"study.journal is damaged .*: give resume=null hydra.run.dir=FOLDER"):
        tune(tune_config(*small, *CONTRAST))
    with pytest.raises(InputError, match="study.journal is missing, and resume takes the folder of a search"):
        tune(tune_config(*small, "resume=nothing"))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["trainer=ddp"], "a trial trains on one device, and a search is started once for each GPU"),
        (["retrain=true"], "give retrain=false hydra.run.dir=FOLDER"),
    ],
)
def test_what_a_search_does_not_do_is_said(tune_config, overrides, told):
    with pytest.raises(InputError, match=told):
        tune(tune_config(*overrides))


def test_the_command_resumes_a_search_with_the_overrides_it_was_started_with(small, fake, monkeypatch, capsys):
    def command(*arguments: str) -> str | None:
        monkeypatch.setattr(sys, "argv", ["jimt", "tune", *arguments])
        try:
            main()
        except SystemExit as error:
            return str(error.code)
        return None

    fake.fails = {1: InputError("no weights"), 2: InputError("no weights")}
    assert command(*small, *CONTRAST, "tune.n_trials=1", "hydra.run.dir=found") == (
        "error: no trial came to its end; trial 0 failed (no weights): mend what failed and start the search again"
    )
    assert command("resume=found", "tune.n_trials=2").startswith(
        "error: no trial came to its end; trial 1 failed (no weights)"
    )
    assert fake.asked[1].dataset.root == fake.asked[0].dataset.root
