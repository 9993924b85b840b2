"""A W&B that is reached, is not, goes away half way or dies: a training goes on in any case."""

import gc
import json
import subprocess
import sys
import time

import pytest

from jimt.training.loggers.lightning_loggers import finish, make_loggers
from logged_runs import (
    KEY,
    N_EPOCHS,
    N_STEPS,
    SETTINGS,
    OfflineRun,
    evaluate_tiny,
    fresh_wandb,
    logger_config,
    offline_runs,
    train_tiny,
    wandb_server,
)


def test_with_a_key_the_run_is_online_and_ends_when_everything_is_sent(tmp_path, capsys):
    with wandb_server() as (url, _, sent), fresh_wandb(tmp_path, WANDB_API_KEY=KEY, WANDB_BASE_URL=url):
        loggers = make_loggers(logger_config(), run_folder=tmp_path / "run", name="a", settings=SETTINGS)
        train_tiny(loggers)
        evaluate_tiny(loggers, tmp_path / "run")
        finish(loggers, failed=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"W&B: {url}/lab/jimt-test/runs/")
    lines = [line for part in sent for line in part.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])]
    losses = [json.loads(line)["train/loss"] for line in lines if "train/loss" in line]
    assert losses == list(range(N_STEPS * N_EPOCHS))
    assert [part["exitcode"] for part in sent if part.get("complete")] == [1]


def test_a_server_that_goes_away_half_way_costs_neither_the_training_nor_endless_waiting(tmp_path, capsys):
    import wandb

    limits = {"WANDB_FINISH_TIMEOUT": "2", "WANDB_X_GRAPHQL_RETRY_MAX": "1"}
    with (
        wandb_server() as (url, stop, _),
        fresh_wandb(tmp_path, WANDB_API_KEY=KEY, WANDB_BASE_URL=url, **limits) as patch,
    ):
        patch.setattr(wandb.Api, "_HTTP_TIMEOUT", 1)  # seconds it takes per table to see that nobody answers
        loggers = make_loggers(logger_config(), run_folder=tmp_path / "run", name="a", settings=SETTINGS)
        assert not loggers[1].experiment.offline
        stop()
        started = time.monotonic()
        train_tiny(loggers)
        evaluate_tiny(loggers, tmp_path / "run")
        finish(loggers, failed=False)
        assert time.monotonic() - started < 60
        assert wandb.run is None
    (folder,) = (tmp_path / "run" / "wandb").glob("run-*")
    assert capsys.readouterr().out.splitlines()[1:] == [
        "W&B: the training goes on, its W&B run may lack something: Timed out finishing run.",
        f"W&B: upload this run with: wandb sync {folder}",
    ]
    run = OfflineRun(folder)  # what can be uploaded later; the checkpoint lies in the run's folder
    losses = [row["train/loss"] for row in run.history if "train/loss" in row]
    assert losses == list(range(N_STEPS * N_EPOCHS))
    assert run.summary["test/auroc"] == 0.9
    assert len(run.table("test/roc_table")) > 2
    assert len(run.table("test/patches")) == 12


def test_a_server_out_of_reach_makes_the_run_an_offline_one(tmp_path, capsys):
    with wandb_server() as (url, stop, _):
        stop()  # a port that nobody listens to
    environment = {"WANDB_MODE": "online", "WANDB_API_KEY": KEY, "WANDB_BASE_URL": url, "WANDB_INIT_TIMEOUT": "2"}
    with fresh_wandb(tmp_path, **environment):
        loggers = make_loggers(logger_config(), run_folder=tmp_path / "run", name="a", settings=SETTINGS)
        started = time.monotonic()
        train_tiny(loggers)
        finish(loggers, failed=False)
        assert time.monotonic() - started < 20
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("W&B: this run is logged offline: ")
    (run,) = offline_runs(tmp_path / "run")
    assert last == f"W&B: upload this run with: wandb sync {run.folder}"
    assert list((tmp_path / "run" / "wandb").glob("run-*")) == []  # the attempt leaves nothing
    assert len([row for row in run.history if "train/loss" in row]) == N_STEPS * N_EPOCHS


def test_a_malformed_key_makes_the_run_an_offline_one(tmp_path, capsys):
    with fresh_wandb(tmp_path, WANDB_API_KEY="short"):
        loggers = make_loggers(logger_config(), run_folder=tmp_path / "run", name="a", settings=SETTINGS)
        loggers[1].log_metrics({"train/loss": 1.0}, step=0)
        finish(loggers, failed=False)
    assert "offline: WANDB_API_KEY invalid" in capsys.readouterr().out
    assert len(offline_runs(tmp_path / "run")) == 1


def test_without_a_key_nobody_is_asked_for_one_even_at_a_terminal(wandb_offline, tmp_path, monkeypatch):
    import wandb
    from wandb.sdk.lib.wbauth import prompt

    def asked(**kwargs):
        raise AssertionError("asked for a key")

    for stream in (sys.stdin, sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(prompt, "prompt_and_save_api_key", asked)
    loggers = make_loggers(logger_config(), run_folder=tmp_path, name="a", settings=SETTINGS)
    loggers[1].log_metrics({"train/loss": 1.0}, step=0)
    finish(loggers, failed=False)
    assert len(offline_runs(tmp_path)) == 1
    with pytest.raises(AssertionError, match="asked for a key"):  # as W&B does by itself
        wandb.init()


def test_the_death_of_wandbs_own_process_ends_no_training_and_not_the_next_run(wandb_offline, tmp_path, capsys):
    loggers = make_loggers(logger_config(), run_folder=tmp_path / "first", name="a", settings=SETTINGS)
    _ = loggers[1].experiment
    processes = [thing for thing in gc.get_objects() if type(thing) is subprocess.Popen]
    (process,) = [process for process in processes if "wandb-core" in str(process.args) and process.returncode is None]
    process.kill()
    process.wait()
    time.sleep(0.5)
    train_tiny(loggers)
    evaluate_tiny(loggers, tmp_path / "first")
    finish(loggers, failed=False)
    assert capsys.readouterr().out.count("the training goes on") == 1
    loggers = make_loggers(logger_config(), run_folder=tmp_path / "second", name="a", settings=SETTINGS)
    train_tiny(loggers)
    finish(loggers, failed=False)
    (second,) = offline_runs(tmp_path / "second")
    assert len([row for row in second.history if "train/loss" in row]) == N_STEPS * N_EPOCHS
