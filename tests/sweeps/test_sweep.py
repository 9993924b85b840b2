"""Sweeps: in this process with a training that only notes what it was asked, and three real ones in their own."""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from filelock import FileLock
from hydra import compose, initialize_config_dir

from commands import line
from conftest import MIXTURE, REPOSITORY, SMALL
from forked import Forked
from jimt.errors import InputError, Interrupted
from jimt.sweeps.job import _NamedLines
from jimt.system.gpus import claim_gpu
from jimt.system.processes import process_rank, refuse_relaunch, started_together
from stand_ins import QUIET
from sweeps_in_process import ONE, OUTSIDE, TWO, table

# The grid


def test_the_grid_is_the_papers_six_models(sweep, sweeping):
    assert sweep("experiment=paper_grid") is None
    assert sweeping.done == [
        f"{dataset}/{backbone}"
        for dataset in ("no_treatment", "doxo")
        for backbone in ("resnet18", "squeezenet1_1", "inception_v3")
    ]
    for config, _ in sweeping.asked:
        assert (config.optim.lr, config.optim.batch_size, config.trainer.max_epochs) == (1e-5, 4, 30)
    assert {path.parent.relative_to("runs/paper_grid").as_posix() for path in Path("runs").rglob("finished.json")} == {
        f"{dataset}/{backbone}"
        for dataset in ("no_treatment", "doxo")
        for backbone in ("resnet18", "squeezenet", "inception_v3")
    }


def test_the_command_line_chooses_other_data_sets_and_backbones(sweep, sweeping):
    assert sweep(*TWO) is None
    assert [(config.dataset.name, config.backbone.weights) for config, _ in sweeping.asked] == [
        ("synthetic", "random"),
        ("synthetic_treated", "random"),
    ]


def test_the_runs_of_a_sweep_are_one_group_on_the_dashboard(sweep, sweeping):
    assert sweep(*TWO) is None
    assert [config.logger.group for config, _ in sweeping.asked] == ["paper_grid"] * 2
    sweeping.asked.clear()
    assert sweep(*ONE, "logger.group=mine", "hydra.sweep.dir=runs/other") is None
    assert [config.logger.group for config, _ in sweeping.asked] == ["mine"]


def test_the_grid_needs_no_multirun_switch(sweeping, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(REPOSITORY / "train.py"), *QUIET, *ONE])
    runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")
    assert Path("runs/paper_grid/synthetic/resnet18/finished.json").is_file()


def test_the_data_set_of_the_thresholds_is_composed_with_the_settings_of_the_sweep(sweep, sweeping):
    assert sweep(*TWO, "dataset=synthetic_treated,synthetic", "dataset.simulation.height=336") is None
    assert sweeping.done == ["synthetic_treated/resnet18", "synthetic/resnet18"]
    other = sweeping.others[0]
    assert (other.dataset.name, other.dataset.simulation.height, other.anew) == ("synthetic", 336, True)


def test_a_data_set_that_is_not_in_the_sweep_is_left_as_it_stands(sweep, sweeping):
    grid = "experiment=paper_grid", "backbone=resnet18", "dataset.root=here"
    assert sweep(*grid, "dataset=doxo") is None
    assert (sweeping.others[0].dataset.name, sweeping.others[0].anew) == ("no_treatment", False)
    assert sweeping.others[0].dataset.root != "here"
    sweeping.others.clear()
    assert sweep(*grid, "dataset=doxo,no_treatment") is None
    assert sweeping.others[0].anew


# What does and does not end a sweep


def test_a_failed_job_does_not_end_the_sweep_and_the_exit_status_tells(sweep, sweeping, capsys):
    sweeping.ends = {
        "synthetic/resnet18": InputError("the disk is full"),
        "synthetic/squeezenet1_1": RuntimeError("CUDA out of memory"),
    }
    three = [*ONE, "backbone=resnet18,squeezenet,inception_v3"]
    code = sweep(*three)
    assert len(sweeping.asked) == 3
    assert code is not None
    assert code.splitlines() == [
        "error: 2 jobs failed; the same command with hydra.sweep.dir=runs/paper_grid goes on with the jobs that are "
        "not finished",
        "  synthetic/resnet18: the disk is full",
        "  synthetic/squeezenet: RuntimeError: CUDA out of memory",
    ]
    assert "error: synthetic/resnet18: the disk is full" in capsys.readouterr().err
    failure = json.loads(Path("runs/paper_grid/synthetic/resnet18/failed.json").read_text())
    assert failure["traceback"] is None
    unforeseen = json.loads(Path("runs/paper_grid/synthetic/squeezenet/failed.json").read_text())
    assert "CUDA out of memory" in unforeseen["traceback"]
    assert [row["status"] for row in table()] == ["failed", "failed", "finished"]

    sweeping.ends = {}
    assert sweep(*three) is None
    assert list(Path("runs").rglob("failed.json")) == []
    assert {row["status"] for row in table()} == {"finished"}


def test_a_failure_of_an_earlier_sweep_in_the_folder_stays_in_the_table_alone(sweep, sweeping):
    sweeping.ends = {"synthetic/resnet18": InputError("no")}
    assert sweep(*ONE) is not None
    assert sweep(*TWO, "dataset=synthetic_treated") is None
    assert [row["status"] for row in table()] == ["failed", "finished"]


def test_a_value_out_of_range_fails_its_job_alone(sweep, sweeping):
    code = sweep(*ONE, "trainer.max_epochs=0,1", "hydra.sweep.subdir=${hydra:job.num}")
    assert "0: trainer.max_epochs=0 is not allowed: it takes 1 or more" in code
    assert len(sweeping.asked) == 1


@pytest.mark.parametrize("stop", [Interrupted("the training was told to stop (SIGTERM)"), KeyboardInterrupt()])
def test_an_interruption_ends_the_whole_sweep(sweep, sweeping, stop):
    sweeping.ends = {"synthetic/resnet18": stop}
    code = sweep(*TWO)
    assert re.match(r"error: synthetic/resnet18: .*told to stop \(.*\); the same command with hydra", code)
    assert sweeping.done == ["synthetic/resnet18"]
    assert [row["status"] for row in table()] == ["unfinished"]


def test_a_job_that_a_scheduler_has_queued_again_ends_as_the_scheduler_wants(sweep, sweeping):
    stopped = Interrupted("the training was told to stop (Ctrl-C)")
    stopped.__cause__ = SystemExit(-1)  # submitit's
    sweeping.ends = {"synthetic/resnet18": stopped}
    assert sweep(*TWO) == "-1"
    assert not Path("runs/paper_grid/synthetic/resnet18/failed.json").exists()


def test_a_job_that_was_cut_off_is_resumed(sweep, sweeping):
    last = Path("runs/paper_grid/synthetic/resnet18/checkpoints/last.ckpt")
    last.parent.mkdir(parents=True)
    last.touch()
    assert sweep(*TWO) is None
    assert [config.resume for config, _ in sweeping.asked] == [str(last.parent.parent.absolute()), None]
    sweeping.asked.clear()
    assert sweep(*ONE, "retrain=true") is None
    assert [config.resume for config, _ in sweeping.asked] == [None]


def test_two_jobs_do_not_work_in_one_folder(sweep, sweeping):
    folder = Path("runs/paper_grid/synthetic/resnet18")
    folder.mkdir(parents=True)
    with FileLock(folder / ".job.lock"):
        code = sweep(*TWO)
    assert re.search("another process is at work in .*resnet18: let it end, or give .hydra.sweep.subdir=", code)
    assert sweeping.done == ["synthetic_treated/resnet18"]


# Several processes and several cards


@pytest.mark.parametrize("arguments", [["trainer=ddp"], ["trainer=gpu,ddp", "hydra.sweep.subdir=${hydra:job.num}"]])
def test_a_sweep_whose_jobs_would_start_it_again_is_refused_with_the_remedy(sweep, sweeping, monkeypatch, arguments):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    code = sweep(*ONE, *arguments)
    assert "since each would start the sweep again: train one run after another, in no sweep, or give" in code
    assert "trainer.devices=1 trainer.num_nodes=1 trainer.strategy=auto hydra/launcher=gpus" in code
    assert len(sweeping.asked) == len(arguments) - 1
    if len(arguments) == 1:
        assert not Path("runs").exists()


def test_processes_that_were_started_together_may_share_the_jobs_of_a_sweep(sweep, sweeping, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert sweep(*ONE, "trainer=ddp") is None
    assert len(sweeping.asked) == 1
    assert not Path("runs/paper_grid/table.json").exists()  # the first process writes it
    sweeping.ends = {"synthetic/resnet18": InputError("no")}
    assert "its processes may no longer be at the same job" in sweep(*TWO, "trainer=ddp")


@pytest.mark.parametrize(
    ("environment", "n_processes", "rank"),
    [
        ({}, 1, 0),
        ({"WORLD_SIZE": "4", "RANK": "3", "TORCHELASTIC_RUN_ID": "none"}, 4, 3),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "2", "SLURM_JOB_NAME": "jimt"}, 4, 2),
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "jimt"}, 1, 0),
        ({"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "interactive"}, 1, 0),
    ],
)
def test_the_environment_tells_which_processes_were_started_together(environment, n_processes, rank):
    assert started_together(environment) == n_processes
    assert process_rank(environment) == rank
    refuse_relaunch(1, environment)
    if n_processes == 1:
        with pytest.raises(InputError, match="cannot start its 4 processes"):
            refuse_relaunch(4, environment)
    else:
        refuse_relaunch(4, environment)


def test_a_job_gets_a_card_that_no_other_job_has(sweep, sweeping, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    chosen = []
    monkeypatch.setattr("torch.cuda.set_device", chosen.append)
    with claim_gpu(2):
        assert sweep(*TWO, "trainer=gpu") is None
    assert [index for _, index in sweeping.asked] == [1, 1]
    assert chosen == [1, 1]
    assert sweep(*ONE, "trainer=gpu") is None
    assert [index for _, index in sweeping.asked] == [1, 1, 0]


def test_launchers_give_each_job_a_card(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        cards = compose("train", ["hydra/launcher=gpus"], return_hydra_config=True).hydra.launcher
        slurm = compose("train", ["hydra/launcher=slurm"], return_hydra_config=True).hydra.launcher
    runpy.run_path(str(REPOSITORY / "train.py"), run_name="imported")  # registers n_gpus
    assert (cards.n_jobs, cards.batch_size, cards.pre_dispatch) == (2, "1", "all")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert slurm.gpus_per_node == slurm.tasks_per_node == slurm.nodes == 1
    assert slurm.max_num_timeout > 0


def test_a_sweep_by_the_cards_of_a_machine_without_any_still_runs(sweep, sweeping, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert sweep(*TWO, "hydra/launcher=gpus") is None
    assert {row["status"] for row in table()} == {"finished"}
    with pytest.raises(SystemExit, match="error: the sweep was told to stop .SIGTERM.: the same command with"):
        signal.raise_signal(signal.SIGTERM)


def test_lines_of_jobs_that_print_at_the_same_time_tell_which_job(capsys):
    lines = _NamedLines(sys.stdout, "doxo/resnet18")
    print("epoch", 1, file=lines)
    print("weights: \nhub", end="", file=lines)
    lines.end()
    assert capsys.readouterr().out == "doxo/resnet18: epoch 1\ndoxo/resnet18: weights: \ndoxo/resnet18: hub\n"


# Real sweeps

TINY = [
    "report=false",
    "backbone.name=test_resnet.r160_in1k",
    "backbone.weights=random",
    "optim.lr=1e-3",
    "optim.batch_size=16",
    "trainer.max_epochs=1",
    "trainer.num_threads=1",
    "trainer.precision=32-true",
    "curation.split.val=5",
    "curation.split.test=5",
]


@pytest.mark.slow
def test_two_jobs_at_a_time_label_by_the_thresholds_that_one_of_them_fits(small_pairs):
    """By joblib: the treated data set comes first, and is curated second."""
    words = [
        "-m",
        "hydra/launcher=gpus",
        "hydra.launcher.n_jobs=2",
        "dataset=doxo,no_treatment",
        "hydra.sweep.dir=runs/two",
        f"dataset.root={small_pairs}",
        *SMALL,
        *MIXTURE,
        *TINY,
    ]
    alone = {name: value for name, value in os.environ.items() if name not in OUTSIDE}
    # not forked: loky ends its workers when an interpreter ends
    done = subprocess.run(line("train.py", *words), capture_output=True, text=True, timeout=600, env=alone)
    assert done.returncode == 0, done.stderr
    assert [(row["dataset"], row["status"], row["weights"]) for row in table("runs/two")] == [
        ("doxo", "finished", "random"),
        ("no_treatment", "finished", "random"),
    ]
    thresholds = json.loads(Path("data/curated/doxo/thresholds.json").read_text())
    assert thresholds["source"] == "fitted on no_treatment"
    assert {line[:3] for line in done.stdout.splitlines() if "epoch " in line} == {"0: ", "1: "}
    scores = table("runs/two")[0]
    assert scores["counts"]["test"]["live"] > 0
    assert 0 <= scores["balanced_accuracy"]["value"] <= 1
    assert -1 <= scores["correlation"]["patches"]["r"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_sweep_that_is_told_to_stop_leaves_no_job_behind(small, stop):
    """By joblib, whose workers would outlive the process that started them."""
    arguments = ["hydra/launcher=gpus", "hydra.launcher.n_jobs=2", "seed=0,1", "hydra.sweep.dir=runs/two"]
    process = Forked("train.py", "-m", *arguments, *small, *TINY, "trainer.max_epochs=100000")
    for job in ("0", "1"):
        process.wait_for(f"\n{job}: epoch   2")
    workers = [int(pid) for pid in children(process.pid)]
    assert len(workers) >= 2
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    name = "SIGTERM" if stop == signal.SIGTERM else "Ctrl-C"
    said = [
        line for line in errors.splitlines() if line.startswith("error: ")
    ]  # joblib may warn of files of its workers
    assert said[-1].startswith(f"error: the sweep was told to stop ({name}): the same command")
    deadline = time.monotonic() + 20
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, workers))


@pytest.mark.slow
def test_a_job_that_a_scheduler_queues_again_goes_on_after_its_last_epoch(small):
    """By submitit on this machine, told by SLURM's signal that the time is up."""
    process = Forked(
        "train.py",
        "-m",
        "hydra/launcher=submitit_local",
        "hydra.launcher.timeout_min=20",
        "+hydra.launcher.max_num_timeout=1",
        "hydra.sweep.dir=runs/queued",
        "seed=0",
        *small,
        *TINY,
        "trainer.max_epochs=15",
    )
    log = wait_for_log("epoch   2")
    controller = log.parent.name  # submitit's number of the job: the process that watches over it
    (job,) = children(int(controller))
    os.kill(int(job), signal.SIGUSR2)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    text = log.read_text()
    assert re.search(r"resuming .*runs/queued/0 after epoch \d+", text)
    epochs = list(map(int, re.findall(r"epoch +(\d+)/15", text)))
    assert sorted(set(epochs)) == list(range(1, 16))
    assert len(epochs) <= 16  # the one whose end the checkpoint had not reached yet, again
    assert [row["status"] for row in table("runs/queued")] == ["finished"]


def children(pid: int) -> list[str]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True)
    return listed.stdout.split()


def is_running(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return listed.stdout.strip()[:1] not in ("", "Z")  # gone, or dead and not yet collected


def wait_for_log(words: str) -> Path:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for log in Path("runs/queued/.submitit").glob("*/*_0_log.out"):
            if words in log.read_text():
                return log
        time.sleep(0.05)
    raise TimeoutError(words)
