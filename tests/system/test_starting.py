"""How commands start: folders of their own, and what is left of a start that was refused."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from filelock import FileLock

from jimt.system.locks import RUN_LOCK, make_new_folder


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
        made = list(pool.map(lambda _: make_new_folder(tmp_path / "runs/now")[0], range(64)))
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
