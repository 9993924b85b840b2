"""One process at a time in a run's folder and at a curation: the others are refused or wait."""

import json
import signal
import subprocess
import sys
import threading

import pytest
from filelock import FileLock

from conftest import TINY
from forked import Forked
from jimt.errors import InputError
from jimt.system.locks import RUN_LOCK, in_turn, owner

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
    both = [Forked("prepare.py", *small) for _ in range(2)]
    ended = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    assert sum("wrote data/curated/no_treatment" in out for out, _ in ended) == 1
    assert {path.name for path in (tmp_path / "data/curated").iterdir()} == {"no_treatment"}


@pytest.mark.slow
def test_of_two_trainings_in_one_folder_one_is_refused_and_the_other_ends_whole(uneven, tmp_path):
    arguments = ["train.py", *uneven, *TINY, "trainer.max_epochs=4", "hydra.run.dir=run"]
    both = [Forked(*arguments) for _ in range(2)]
    ended = [process.communicate(timeout=300) for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], ended
    (refused,) = (errors for process, (_, errors) in zip(both, ended, strict=True) if process.returncode)
    assert refused.startswith("error: another process is at work in run: let it end")
    assert len(refused.splitlines()) == 1
    assert json.loads((tmp_path / "run/finished.json").read_text())
    assert (tmp_path / "run/test_metrics.json").is_file()


@pytest.mark.slow
def test_trainings_started_at_the_same_time_end_in_folders_of_their_own(uneven, tmp_path):
    both = [Forked("train.py", *uneven, *TINY, "trainer.max_epochs=1", f"seed={n}") for n in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    runs = list((tmp_path / "runs/no_treatment/resnet18").iterdir())
    assert all((run / "test_metrics.json").is_file() and (run / "finished.json").is_file() for run in runs)
    given = [set((run / ".hydra/overrides.yaml").read_text().splitlines()) for run in runs]
    assert sorted(n for n in range(2) for lines in given if f"- seed={n}" in lines) == [0, 1]
    assert len(given) == 2
