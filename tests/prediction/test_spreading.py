"""Fields on a Dask cluster of real processes: the answers of one machine, whatever is killed meanwhile."""

import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

import jimt
from clusters import Processes, wait_for
from conftest import TINY, composed_train
from forked import Forked
from jimt.prediction import spreading
from jimt.training.run import train
from predicting import PATTERN, contents, predicts, write_plate

CHECKED = (*PATTERN, "--check", "PI")


@pytest.fixture(scope="module")
def run(uneven, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("spreading") / "run"
    train(composed_train(*uneven, *TINY, "trainer.max_epochs=2", f"run_dir={folder}"))
    return folder


@pytest.fixture(scope="module")
def plate(tmp_path_factory) -> Path:
    return write_plate(tmp_path_factory.mktemp("plate") / "plate", n_wells=6)


@pytest.fixture(scope="module")
def alone(run, plate, tmp_path_factory) -> dict[str, bytes]:
    """What this machine comes to."""
    out = tmp_path_factory.mktemp("alone") / "out"
    assert predicts(run, plate, *CHECKED, "--out", out) in (0, 4)
    return pages_too(out)


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> Iterator[Processes]:
    started = Processes(tmp_path_factory.mktemp("cluster"), OMP_NUM_THREADS="1")
    yield started
    started.close()


def pages_too(folder: Path) -> dict[str, bytes]:
    """Every file of the answer but the paragraph and the page's own parts, which name the run as it was typed."""
    maps = {path.name: path.read_bytes() for path in folder.glob("maps/*.ome.tiff")}
    others = {name: (folder / name).read_bytes() for name in ("index.html", "check.json", "METHODS.md")}
    return contents(folder) | maps | others


def slow_down(processes: Processes, seconds: float) -> None:
    """Make workers stop for a moment with a field's files written aside."""

    def patch() -> None:
        from jimt.prediction import spreading

        if not hasattr(spreading, "real_write_part"):
            spreading.real_write_part = spreading.write_part

        def write_part(*arguments):
            time.sleep(seconds)
            spreading.real_write_part(*arguments)

        spreading.write_part = write_part

    processes.client.run(patch)


def asks(run: Path, images: Path, out: Path, processes: Processes, *more: object) -> int:
    return predicts(run, images, *CHECKED, "--out", out, "--dask", processes.address, *more)


def n_parts(out: Path) -> int:
    return len(list((out / ".jimt").glob(32 * "?" + ".part")))


def test_a_cluster_gives_the_bytes_of_one_machine_and_opens_the_model_once_a_worker(
    run, plate, alone, processes, tmp_path
):
    processes.have(2)

    def opened() -> tuple[int, int]:
        from jimt.prediction import spreading

        return spreading._open.cache_info().misses, spreading._open.cache_info().hits

    assert asks(run, plate, tmp_path / "out", processes) in (0, 4)
    assert pages_too(tmp_path / "out") == alone
    of_workers = processes.client.run(opened).values()
    assert [misses for misses, _ in of_workers] == [1, 1]
    assert sum(misses + hits for misses, hits in of_workers) == 12
    assert not list((tmp_path / "out/.jimt").glob(".*"))


def test_a_worker_of_two_threads_gives_the_same_bytes_and_computes_in_two(run, plate, alone, processes, tmp_path):
    processes.have(0)
    processes.have(1, n_threads=2)

    def note_threads() -> None:
        import torch

        from jimt.prediction import asking

        real, asking.threads = asking.Asking.answer, set()

        def answer(self, source, opened):
            asking.threads.add(torch.get_num_threads())
            return real(self, source, opened)

        asking.Asking.answer = answer

    def found() -> tuple[set[int], int]:
        from jimt.prediction import asking, spreading

        return asking.threads, spreading._open.cache_info().misses

    processes.client.run(note_threads)
    assert asks(run, plate, tmp_path / "out", processes) in (0, 4)
    assert pages_too(tmp_path / "out") == alone
    assert list(processes.client.run(found).values()) == [({2}, 1)]
    processes.have(0)


def test_a_worker_that_is_killed_costs_its_field_alone(run, plate, alone, processes, tmp_path, monkeypatch):
    workers = processes.have(2)
    slow_down(processes, 0.2)
    real = spreading.Parts.note
    noted = []

    def note(parts, source, row):
        noted.append(source.number)
        if len(noted) == 3:
            processes.kill(workers[0])
        real(parts, source, row)

    monkeypatch.setattr(spreading.Parts, "note", note)
    assert asks(run, plate, tmp_path / "out", processes) in (0, 4)
    assert noted == list(range(12))
    assert pages_too(tmp_path / "out") == alone
    assert not list((tmp_path / "out/.jimt").glob(".*"))  # what it had begun is gone
    processes.have(0)


def test_a_command_that_is_killed_goes_on_where_it_was(run, plate, alone, processes, tmp_path, capsys):
    processes.have(1)
    slow_down(processes, 0.3)
    out = tmp_path / "out"
    words = [str(word) for word in (run, plate, *CHECKED, "--out", out, "--dask", processes.address)]
    started = Forked("jimt", "predict", *words)
    wait_for(lambda: n_parts(out) >= 2)
    started.send_signal(signal.SIGKILL)
    started.communicate(timeout=60)
    done = n_parts(out)
    assert not (out / "fields.csv").exists()
    slow_down(processes, 0)
    assert predicts(*words) in (0, 4)
    assert "of 12 fields are done already" in capsys.readouterr().out
    assert done < 12
    assert pages_too(out) == alone


def test_a_field_that_cannot_be_read_or_kills_its_workers_is_told_among_the_others(run, tmp_path, processes):
    folder = write_plate(tmp_path / "plate", n_wells=2)
    (folder / "P1/A1_s1_BF.tif").write_bytes(b"II*\0")
    tifffile.imwrite(folder / "P1/A2_s0_BF.tif", np.zeros((20, 20), np.uint16))
    assert predicts(run, folder, *CHECKED, "--out", tmp_path / "here") == 3
    processes.have(1)
    assert asks(run, folder, tmp_path / "there", processes) == 3
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_a_field_that_kills_its_workers_ends_no_run_and_is_predicted_by_the_next(run, tmp_path):
    folder = write_plate(tmp_path / "plate", n_wells=2)
    processes = Processes(tmp_path / "cluster", DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0", OMP_NUM_THREADS="1")
    try:
        processes.have(2)

        def patch() -> None:
            import os

            from jimt.prediction import asking

            real = asking.Asking.read

            def read(self, source, of_pi):
                if source.path.name == "A1_s1_BF.tif":
                    os._exit(9)
                return real(self, source, of_pi)

            asking.Asking.read = read

        processes.client.run(patch)
        assert asks(run, folder, tmp_path / "out", processes) in (3, 4)
        fields = pd.read_csv(tmp_path / "out/fields.csv").set_index("file")
        (of_killer,) = [reason for file, reason in fields["reason"].items() if file.endswith("A1_s1_BF.tif")]
        assert re.match("1 workers died while they read .*A1_s1_BF.tif: see their logs", of_killer)
        assert fields["dead_share"].notna().any()
        processes.have(0)
        processes.have(1)
        assert asks(run, folder, tmp_path / "out", processes) in (0, 4)
    finally:
        processes.close()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("version", f"a worker on .* has jimt 0.0.9: install {jimt.__version__} there"),
        ("images", "a worker on .* cannot read .*A1_s0_BF.tif: the run and the images must lie on a file system"),
        ("folder", r"a worker on .* cannot write in .* \(Read-only file system\): --out must lie"),
        ("model", "a worker on .* reads another model than this machine at .*best.ckpt: the run and the images"),
        ("device", r"a worker on .* cannot open the model \(no such card\): run .*, or give --accelerator cpu"),
    ],
)
def test_a_worker_that_cannot_do_the_work_is_told_in_one_sentence(
    run, plate, processes, tmp_path, capsys, fault, sentence
):
    processes.have(0)
    processes.have(1)

    def broken(fault: str) -> None:
        import errno

        import jimt
        from jimt.errors import InputError
        from jimt.prediction import spreading

        def mkstemp(**where):
            raise OSError(errno.EROFS, "Read-only file system")

        real = spreading.open_asking

        def no_card(question):
            if question.accelerator != "gpu":
                return real(question)
            raise InputError("no such card", remedies=("--accelerator cpu",))

        if fault == "version":
            jimt.__version__ = "0.0.9"
        elif fault == "images":
            os.access = lambda path, mode: False
        elif fault == "folder":
            tempfile.mkstemp = mkstemp
        elif fault == "model":
            spreading.digest_of_file = lambda path: "another"
        else:
            spreading.open_asking = no_card

    processes.client.run(broken, fault)
    of_card = ("--accelerator", "gpu") if fault == "device" else ()
    assert asks(run, plate, tmp_path / "out", processes, *of_card) == 2
    told = capsys.readouterr().err
    assert re.search(sentence, told), told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()  # so that it can be asked otherwise
    if fault == "device":
        assert asks(run, plate, tmp_path / "out", processes, "--accelerator", "cpu") in (0, 4)
    processes.have(0)


def test_a_cluster_that_fails_keeps_what_was_answered_before(run, plate, alone, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    real, noted = spreading.Parts.note, []

    def note(parts, source, row):
        if len(noted) == 3:
            raise RuntimeError
        noted.append(source)
        real(parts, source, row)

    with monkeypatch.context() as patched:
        patched.setattr(spreading.Parts, "note", note)
        with pytest.raises(RuntimeError):
            predicts(run, plate, *CHECKED, "--out", out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert n_parts(out) >= 3
    assert predicts(run, plate, *CHECKED, "--out", out, "--dask", "nowhere") == 2
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert predicts(run, plate, *CHECKED, "--out", out) in (0, 4)
    assert pages_too(out) == alone


def test_what_a_worker_has_begun_meanwhile_is_gone_on_with(tmp_path, monkeypatch):
    parts = spreading.Parts(tmp_path / "out", {"model": "a"}, {})
    folder = tmp_path / "out/.jimt"
    (folder / ".writing-1").mkdir()
    parts.withdraw()
    assert (folder / "asked.json").is_file()
    (folder / ".writing-1").rmdir()
    real = Path.unlink

    def unlink(path, **options):
        real(path, **options)
        (folder / ".writing-2").mkdir()

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", unlink)
        parts.withdraw()
    again = spreading.Parts(tmp_path / "out", {"model": "a"}, {})
    again.withdraw()  # of another command: it stays
    assert (folder / "asked.json").is_file()


def test_without_dask_or_a_scheduler_one_sentence_says_so(run, plate, tmp_path, capsys, monkeypatch):
    for address in ("nowhere", "${nowhere}", "it's \\", ""):
        assert predicts(run, plate, *PATTERN, "--out", tmp_path / "a", "--dask", address) == 2
        assert f"no Dask scheduler answers at {address} (missing port number" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert predicts(run, plate, "--out", tmp_path / "a") in (0, 4)  # asked otherwise
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert predicts(run, plate, *PATTERN, "--out", tmp_path / "b", "--dask", "tcp://127.0.0.1:1") == 2
    assert "--dask needs Dask" in capsys.readouterr().err
