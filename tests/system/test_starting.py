"""How commands start: unknown settings, folders of their own, and what is left of a start that was refused."""

import errno
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from filelock import FileLock
from hydra.core.override_parser.overrides_parser import OverridesParser

from commands import start_command
from conftest import REPOSITORY, TINY
from jimt.__main__ import main
from jimt.config.command_words import unreadable
from jimt.config.setting_names import setting_names, unknown_setting
from jimt.config.training import TrainConfig
from jimt.errors import InputError
from jimt.system.locks import RUN_LOCK, in_turn, make_new_folder, owner
from stand_ins import QUIET, Accepting


@pytest.fixture
def command(monkeypatch):
    """A command line in this process; returns what it exits with, None for 0."""

    def run(*words: str) -> str | None:
        monkeypatch.setattr(sys, "argv", [*words, *QUIET])
        try:
            if words[0] == "jimt":
                main()
            else:
                runpy.run_path(str(REPOSITORY / words[0]), run_name="__main__")
        except SystemExit as error:
            return str(error.code)
        return None

    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "SLURM_NTASKS", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    return run


@pytest.fixture
def training(monkeypatch):
    training = Accepting()
    module = types.ModuleType("jimt.training.run")
    module.train = training.train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jimt.training.run", module)
    return training


# ---- unknown settings


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train.py", "+trainer.limit_train_batchs=2"], "trainer.limit_train_batchs: did you mean trainer.limit_"),
        (["train.py", "trainer.limit_train_batchs=2"], "trainer.limit_train_batchs: did you mean trainer.limit_"),
        (["train.py", "+optim.typo=5"], "optim.typo: optim has lr, betas, weight_decay, "),
        (["train.py", "+optim={typo:5}"], "optim.typo: optim has lr, betas, weight_decay, "),
        (["train.py", "++lr=1e-3"], "lr: did you mean optim.lr?"),
        (["train.py", "optim.lrate=1e-3"], "optim.lrate: did you mean optim.lr?"),
        (["train.py", "learning_rate=1e-3"], "learning_rate: did you mean optim.lr?"),
        (["train.py", "optim.learning_rate=1e-3"], "optim.learning_rate: did you mean optim.lr?"),
        (["train.py", "epochs=3"], "epochs: did you mean trainer.max_epochs?"),
        (["train.py", "optim.n_epochs=3"], "optim.n_epochs: did you mean trainer.max_epochs?"),
        (["train.py", "batch=8"], "batch: did you mean optim.batch_size or "),
        (["train.py", "optm.lr=1e-3"], "optm.lr: did you mean optim.lr?"),
        (["train.py", "+backbonee=resnet18"], "backbonee: did you mean backbone?"),
        (["train.py", "+hydra.typo=1"], "hydra.typo: this command has seed, "),
        (["train.py", "-m", "seed=0,1", "+optim.typo=5"], "optim.typo: optim has lr"),
        (["train.py", "-m", "+optim.typo=5,6"], "optim.typo: optim has lr"),
        (["train.py", "experiment=paper_grid", "+optim.typo=5"], "optim.typo: optim has lr"),
        (["prepare.py", "+curation.patches.sise=64"], "curation.patches.sise: did you mean curation.patches.size"),
        (["prepare.py", "optim.lr=1"], "optim.lr: this command has dataset, curation"),
        (["jimt", "crossval", "+crossval.nfolds=3"], "crossval.nfolds: did you mean crossval.n_folds or "),
        (["jimt", "tune", "+tune.ntrials=3"], "tune.ntrials: did you mean tune.n_trials?"),
    ],
)  # fmt: skip
def test_an_unknown_setting_is_refused_with_the_near_name_and_nothing_is_left(command, tmp_path, words, said):
    assert command(*words).startswith(f"error: there is no setting {said}")
    assert list(tmp_path.iterdir()) == []


def test_every_setting_has_a_name_and_none_is_unknown():
    names = setting_names(TrainConfig)
    assert {"seed", "optim.lr", "dataset.simulation.n_wells", "curation.executor.backend"} <= set(names)
    assert len(names) == len(set(names))
    assert str(unknown_setting("curation.label.n_sigmas", TrainConfig)).endswith("did you mean curation.label.n_sigma?")


def test_what_a_plus_may_add_is_added(command, training):
    assert command("train.py", "+trainer.callbacks.Timer={}", "+optim.lr=0.5", "hydra.run.dir=run") is not None
    assert command("train.py", "+trainer.callbacks.Timer={}", "++optim.lr=0.5", "hydra.run.dir=run") is None
    assert (training.asked[0].trainer.callbacks, training.asked[0].optim.lr) == ({"Timer": {}}, 0.5)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optim.lr=fast", "optim.lr=fast is no number"),
        ("seed=1.5", "seed=1.5 is no whole number"),
        ("trainer.compile=maybe", "trainer.compile=maybe is neither true nor false"),
        ("optim.lr=null", "optim.lr takes a value, and null is none"),
        ("seed=0,1", "seed=0,1 has several values, which -m tries one after another: give -m"),
        ("optim.lr={", "optim.lr={ cannot be read: write KEY=VALUE"),
        ("+experiment=one_cycle", "experiment has a value already, so + cannot add one: give experiment=NAME"),
        ("optim.lr=0", "optim.lr=0.0 is not allowed: it takes more than 0"),
    ],
)
def test_what_hydra_cannot_take_is_one_sentence(command, tmp_path, capfd, override, said):
    code = command("train.py", override)
    assert code.startswith(f"error: {said}")
    assert "\n" not in code
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


# ---- files of one's own

OWN = """# @package _global_
defaults:
  - layout/pairs
  - _self_
dataset:
  name: own
  root: raw
  pattern: "{plate}/{well}_{channel}.tif"
  brightfield: BF
"""


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("brightfield: BF", "brightfeld: BF", "dataset/own.yaml holds dataset.brightfeld, which is no setting: did you "
         "mean dataset.brightfield or"),
        ("# @package _global_\n", "", "dataset/own.yaml holds dataset where dataset begins: let its first line be "
         "# @package _global_"),
        ("  brightfield", "\tbrightfield", "own.yaml, line 9 cannot be read as YAML (found character '\\t' that cannot "
         "start any token): indent with spaces, not with tabs"),
        ("  - layout/pairs\n  - _self_\n", "", "dataset/own.yaml has defaults that are no list: write below it"),
        ("layout/pairs", "layout/pears", "there is no dataset/layout=pears: it takes pairs, patches, stack; write"),
        ("brightfield: BF", "bit_depth: twelve", "dataset/own.yaml"),
    ],
)  # fmt: skip
def test_a_slip_in_a_file_of_ones_own_is_one_sentence_that_names_it(command, tmp_path, before, after, said):
    path = tmp_path / "jimt_conf/dataset/own.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(OWN.replace(before, after))
    code = command("prepare.py", "dataset=own", "dry_run=true")
    assert said in code
    assert code.startswith("error: ")
    assert "\n" not in code
    path.write_text(OWN)  # mended: the images are what is missing now
    assert command("prepare.py", "dataset=own", "dry_run=true").startswith("error: raw is missing")


DATA_SETS = "doxo, mcf7, mcf7_dated, mcf7_named, no_treatment, ours, synthetic, synthetic_treated"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prepare.py", "dataset=null"], f"dataset=null names no file of settings: name one of {DATA_SETS}"),
        (["jimt", "crossval", "seed=1", "dataset=7"], "dataset=7 names no file of settings: name one of doxo, m"),
        (["train.py", "curation=null"], "curation=null names no file of settings: name one of paper"),
        (["train.py", "backbone=null"], "backbone=null names no file of settings: name one of efficientnet_lite0, i"),
        (["train.py", "trainer=null"], "trainer=null names no file of settings: name one of cpu, ddp, gpu"),
        (["train.py", "optim=null"], "optim=null names no file of settings: name one of paper"),
        (["train.py", "experiment=null"], "experiment=null names no file of settings: leave it out, or name one of b"),
    ],
)
def test_null_where_a_file_of_settings_is_named_lists_those_there_are(command, tmp_path, words, said):
    (tmp_path / "jimt_conf/dataset").mkdir(parents=True)
    (tmp_path / "jimt_conf/dataset/ours.yaml").touch()
    assert command(*words).startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-config-dir", "mine"], "there is no flag -config-dir: give --config-dir mine"),
        (["--dataset", "our_lab"], "there is no flag --dataset, and settings have none: give dataset=our_lab"),
        (["--optim.lr=1e-4", "seed=3"], "there is no flag --optim.lr, and settings have none: give optim.lr=1e-4"),
        (["--lrate", "1e-4"], "there is no flag --lrate, and settings have none: give optim.lr=1e-4"),
        (["--seed"], "there is no flag --seed, and settings have none: give seed=VALUE"),
        (["--nonsense"], "there is no flag --nonsense: write settings as KEY=VALUE"),
        (["--cfg", "all+"], "the flags cannot be read (argument --cfg/-c: invalid choice: "),
    ],
)
def test_a_flag_that_no_command_has_is_one_sentence_with_the_right_form(command, tmp_path, capfd, words, said):
    code = command("train.py", *words)
    assert code.startswith(f"error: {said}")
    assert "\n" not in code
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


VALUES = [
    "{plate}/{well}_{field}_{channel}.tif",
    "it's {well}_{channel}.tif",
    'say "{well}"_{channel}.tif',
    r"^(?P<raw_image_id>(?P<group>[^_]+)_\d+)_(?P<channel>\w+)\.tif$",
    r"{well}\\",
    "a b, {c}=$HOME `d` !",
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("key", ["dataset.pattern", "+dataset.pattern", "hydra.run.dir"])
def test_a_value_that_lost_its_quotes_is_printed_as_it_must_be_typed(key, value):
    """What a shell makes of the remedy, Hydra reads as the value."""
    error = unreadable(f"{key}={value}", TrainConfig)
    (remedy,) = error.remedies
    assert str(error).endswith(f"give {remedy}")
    argument = subprocess.run(["sh", "-c", f"printf %s {remedy}"], capture_output=True, text=True, check=True).stdout
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert (override.key_or_group, override.value()) == (key.lstrip("+"), value)


def test_only_text_needs_quotes():
    for override in ("dataset.group=[plate", "optim.lr={", "trainer", "tune.space={optim:"):
        assert unreadable(override, TrainConfig).remedies == ()


# ---- folders


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["train.py", "hydra.run.dir=raw/run"], "hydra.run.dir=raw/run"),
        (["train.py", "hydra.run.dir=raw"], "hydra.run.dir=raw"),
        (["train.py", "-m", "seed=0,1", "hydra.sweep.dir=raw/sweep"], "hydra.sweep.dir=raw/sweep"),
        (["jimt", "crossval", "hydra.run.dir=raw/run"], "hydra.run.dir=raw/run"),
        (["jimt", "tune", "hydra.run.dir=raw/run"], "hydra.run.dir=raw/run"),
    ],
)
def test_results_never_go_among_the_raw_images(command, training, tmp_path, words, key):
    (tmp_path / "raw").mkdir()
    said = command(*words, "dataset=mcf7", "dataset.root=raw")
    assert said == f"error: {key} lies in the raw data's folder raw: give {key.partition('=')[0]}=FOLDER"
    assert list((tmp_path / "raw").iterdir()) == []
    assert command("train.py", "dataset=mcf7", "dataset.root=raw", "hydra.run.dir=run") is None


ELSEWHERE = "name a folder that you may write, or mend what stands in its way"


@pytest.mark.parametrize(
    "words",
    [
        ["train.py", "hydra.run.dir=PLACE"],
        ["train.py", "-m", "seed=0,1", "hydra.sweep.dir=PLACE"],
        ["jimt", "crossval", "hydra.run.dir=PLACE"],
        ["jimt", "tune", "hydra.run.dir=PLACE"],
    ],
    ids=lambda words: " ".join(words[:3]),
)
@pytest.mark.parametrize(
    ("place", "reason"),
    [("afile", "File exists"), ("afile/x", "Not a directory"), ("n" * 300, "File name too long")],
    ids=["a file", "below a file", "a long name"],
)
def test_a_folder_that_cannot_be_made_is_one_sentence(command, tmp_path, words, place, reason):
    (tmp_path / "afile").touch()
    said = command(*(word.replace("PLACE", place) for word in words))
    assert said == f"error: {place} cannot be written ({reason}): {ELSEWHERE}"
    assert [path.name for path in tmp_path.iterdir()] == ["afile"]


@pytest.mark.parametrize(("place", "reason"), [("afile", "File exists"), ("afile/x", "Not a directory")])
@pytest.mark.parametrize("asked", ["curation.output_root=PLACE", "dataset.root=PLACE/raw"])
def test_a_curation_in_a_folder_that_cannot_be_made_is_one_sentence(command, tmp_path, place, reason, asked):
    (tmp_path / "afile").touch()
    small = [f"dataset.simulation.{key}=2" for key in ("n_wells", "fields_per_well")]
    small += [f"dataset.simulation.{key}=224" for key in ("height", "width")]
    said = command("prepare.py", asked.replace("PLACE", place), "curation.n_jobs=1", *small)
    assert said == f"error: {place} cannot be written ({reason}): {ELSEWHERE}"


def test_a_folder_that_nothing_can_be_written_in_is_one_sentence(command, training, monkeypatch):
    def refuses(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(FileLock, "acquire", refuses)  # who tests as root may write anywhere
    assert command("train.py", "hydra.run.dir=run") == f"error: run cannot be written (Permission denied): {ELSEWHERE}"
    assert not Path("run").exists()


def test_a_start_keeps_what_it_was_asked_and_a_refused_one_leaves_nothing(command, training, tmp_path):
    training.refuses = True
    assert command("train.py", "dataset=mcf7") == "error: refused"
    assert list(tmp_path.iterdir()) == []
    training.refuses = False
    assert command("train.py", "dataset=mcf7", "seed=3") is None
    (folder,) = (tmp_path / "runs/mcf7/resnet18").iterdir()
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) == [
        ".hydra",
        ".hydra/config.yaml",
        ".hydra/hydra.yaml",
        ".hydra/overrides.yaml",
        "finished.json",
    ]
    assert (folder / ".hydra/overrides.yaml").read_text().split("\n")[:2] == ["- dataset=mcf7", "- seed=3"]
    assert "config_sources" in (folder / ".hydra/hydra.yaml").read_text()
    assert training.asked[-1].run_dir == str(folder)


def test_a_refused_start_leaves_the_settings_of_the_run_whose_folder_it_wanted(command, training, tmp_path):
    assert command("train.py", "seed=3", "hydra.run.dir=run") is None
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    training.refuses = True
    assert command("train.py", "seed=4", "hydra.run.dir=run") == "error: refused"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_resume_of_no_folder_makes_none(command, tmp_path):
    assert "holds no training" in command("train.py", "resume=runs/nowhere/at/all", "backbone.weights=random")
    assert list(tmp_path.iterdir()) == []


def test_trainings_of_one_second_get_folders_of_their_own(command, training, tmp_path, monkeypatch):
    class OneMoment:
        @staticmethod
        def now() -> datetime:
            return datetime(2026, 11, 23, 10)

    monkeypatch.setattr("hydra.core.utils.datetime", OneMoment)
    for _ in range(3):
        assert command("train.py") is None
    names = sorted(path.name for path in (tmp_path / "runs/synthetic/resnet18").iterdir())
    assert names == ["2026-11-23_10-00-00", "2026-11-23_10-00-00_2", "2026-11-23_10-00-00_3"]
    assert [Path(config.run_dir).name for config in training.asked] == names


def test_of_many_that_want_a_name_at_once_each_gets_a_folder(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: make_new_folder(tmp_path / "runs/now"), range(64)))
    assert len(set(made)) == 64
    assert all(path.is_dir() for path in made)


def test_processes_started_together_must_be_told_their_folder(command, training, monkeypatch, tmp_path):
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "0"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    assert "give hydra.run.dir=runs/NAME" in command("train.py", "trainer=ddp")
    assert list(tmp_path.iterdir()) == []
    assert command("train.py", "trainer=ddp", "hydra.run.dir=runs/NAME") is None
    monkeypatch.setenv("RANK", "1")  # beside the first, which holds the lock
    with FileLock(tmp_path / "runs/NAME" / RUN_LOCK):
        assert command("train.py", "trainer=ddp", "hydra.run.dir=runs/NAME") is None


# ---- one process at a time

HOLD = """
import os, sys, time
from pathlib import Path
from jimt.system.locks import owner
with owner(Path(sys.argv[1]), who="a training"):
    if len(sys.argv) > 2 and os.fork() == 0:  # as a worker of a DataLoader
        time.sleep(20)
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process at work in ``tmp_path/run``, with a worker that outlives it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run"), "forks"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.stdout.close()
    process.wait()


def test_a_second_process_in_a_runs_folder_is_refused_until_the_first_has_ended(holder, command, training, tmp_path):
    for words in (["train.py"], ["jimt", "crossval"]):
        told = command(*words, "hydra.run.dir=run")
        assert "another process is at work in run: let it end, or give hydra.run.dir" in told
    assert "another process is at work" in command("train.py", "-m", "seed=0,1", "hydra.sweep.dir=run")
    with pytest.raises(InputError, match="another process is at work"), owner(tmp_path / "run", who="a training"):
        pass
    assert {path.name for path in (tmp_path / "run").iterdir()} == {RUN_LOCK}
    assert command("train.py", "hydra.run.dir=runs/another") is None  # the remedy
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert command("train.py", "hydra.run.dir=run") is None  # though the killed one's worker is still there
    assert len(training.asked) == 2


def test_a_process_may_ask_twice_for_the_folder_it_owns(tmp_path):
    with owner(tmp_path / "run", who="a training"):
        with owner(tmp_path / "run", who="a training"):
            pass
        assert (tmp_path / "run" / RUN_LOCK).exists()
    assert not (tmp_path / "run").exists()


def test_who_waits_for_a_turn_says_so_and_gets_it(tmp_path, capsys):
    (tmp_path / "curated").mkdir()
    lock = FileLock(tmp_path / "curated/.lab.lock")
    lock.acquire()
    got = []

    def take() -> None:
        with in_turn(tmp_path / "curated/lab", what="curates lab"):
            got.append(True)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join(0.3)
    assert got == []
    lock.release()
    thread.join(10)
    assert got == [True]
    assert capsys.readouterr().out == "waiting for another process, which curates lab\n"


@pytest.mark.slow
def test_two_curations_of_one_name_take_turns_and_one_does_the_work(small, tmp_path):
    both = [start_command("prepare.py", *small) for _ in range(2)]
    ended = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    assert sum("wrote data/curated/no_treatment" in out for out, _ in ended) == 1
    assert {path.name for path in (tmp_path / "data/curated").iterdir()} == {"no_treatment"}


@pytest.mark.slow
def test_of_two_trainings_in_one_folder_one_is_refused_and_the_other_ends_whole(uneven, tmp_path):
    arguments = ["train.py", *uneven, *TINY, "trainer.max_epochs=4", "hydra.run.dir=run"]
    both = [start_command(*arguments) for _ in range(2)]
    ended = [process.communicate(timeout=300) for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], ended
    (refused,) = (errors for process, (_, errors) in zip(both, ended, strict=True) if process.returncode)
    assert refused.startswith("error: another process is at work in run: let it end")
    assert len(refused.splitlines()) == 1
    assert json.loads((tmp_path / "run/finished.json").read_text())
    assert (tmp_path / "run/test_metrics.json").is_file()


@pytest.mark.slow
def test_trainings_started_at_the_same_time_end_in_folders_of_their_own(uneven, tmp_path):
    both = [start_command("train.py", *uneven, *TINY, "trainer.max_epochs=1", f"seed={n}") for n in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    runs = list((tmp_path / "runs/no_treatment/resnet18").iterdir())
    assert all((run / "test_metrics.json").is_file() and (run / "finished.json").is_file() for run in runs)
    given = [set((run / ".hydra/overrides.yaml").read_text().splitlines()) for run in runs]
    assert sorted(n for n in range(2) for lines in given if f"- seed={n}" in lines) == [0, 1]
    assert len(given) == 2
