"""Curation on a Dask cluster of real processes: a scheduler, and workers that are killed."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
import tifffile
from rich.console import Console

import jimt
from clusters import Processes, wait_for
from conftest import MIXTURE, small_field, write_pair
from jimt.config.curating import ExecutorConfig
from jimt.curation import read_stage
from jimt.curation.curate import curate
from jimt.curation.parallel import cluster as clusters
from jimt.curation.parallel.executors import ExecutorError, open_executor
from jimt.curation.raw_images import RawImage
from jimt.curation.reading import brightfield_histogram, read_field
from jimt.errors import InputError

DASK = "curation.executor.backend=dask"


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    started = Processes(tmp_path_factory.mktemp("cluster"))
    yield started
    started.close()


@pytest.fixture
def pairs(small: list[str], small_pairs: Path) -> list[str]:
    """Twenty-four fields, whose cut-offs are fitted."""
    rng = np.random.default_rng(1)
    for well in range(7, 13):
        for position in range(1, 3):
            write_pair(small_pairs, f"--W{well:05d}--P{position:05d}--Z00000--T00000", small_field(rng))
    return [*small, *MIXTURE, "curation.scaling.method=percentile_dataset"]


def run(config) -> Path:
    return curate(*config, embed=None, console=Console(quiet=True))


def contents(folder: Path) -> dict[str, bytes]:
    """Files of a curation, without the one that names the executor and the output's folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "summary.json"}


def slow_down(client, seconds: float) -> None:
    """Make workers stop for a moment with a field half written."""

    def patch() -> None:
        import time

        from jimt.curation import reading

        if not hasattr(reading, "real_spool"):
            reading.real_spool = reading._spool

        def spool(parts, folder):
            path = reading.real_spool(parts, folder)
            time.sleep(seconds)
            return path

        reading._spool = spool

    client.run(patch)


def executor(address: str | None, worker_timeout: float = 30.0) -> ExecutorConfig:
    return ExecutorConfig(backend="dask", scheduler=address, worker_timeout=worker_timeout)


def raw_image(folder: Path) -> RawImage:
    brightfield, fluorescence = write_pair(folder, "one", small_field(np.random.default_rng(0)))
    return RawImage("one", "group", brightfield, fluorescence)


def test_a_cluster_that_loses_a_worker_gives_the_bytes_of_a_local_run(pairs, prepare_config, processes, monkeypatch):
    here = run(prepare_config(*pairs, "curation.output_root=here"))
    workers = processes.have(2)
    slow_down(processes.client, 0.05)
    real_add, real_finish = read_stage.FieldWriter.add, read_stage.FieldWriter.finish
    orphans = []

    def add(writer, result):
        if writer.n_images == 8:
            wait_for(lambda: len(list(writer.spool.iterdir())) >= 8)  # read, and the results still with the workers
            processes.kill(workers[0])
        real_add(writer, result)

    def finish(writer):
        orphans.extend(writer.spool.iterdir())
        return real_finish(writer)

    monkeypatch.setattr(read_stage.FieldWriter, "add", add)
    monkeypatch.setattr(read_stage.FieldWriter, "finish", finish)
    there = run(prepare_config(*pairs, DASK, f"curation.executor.scheduler={processes.address}"))
    assert orphans
    assert contents(there) == contents(here)
    assert [path.name for path in there.parent.iterdir()] == ["no_treatment"]
    slow_down(processes.client, 0)


def test_bits_are_judged_over_what_all_workers_have_read(small, small_pairs, prepare_config, processes):
    processes.have(2)
    on_cluster = [DASK, f"curation.executor.scheduler={processes.address}"]
    for path in small_pairs.glob("*.tif"):
        tifffile.imwrite(path, tifffile.imread(path) + np.uint16(32768))
    here = run(prepare_config(*small, "curation.output_root=here"))
    assert contents(run(prepare_config(*small, *on_cluster))) == contents(here)
    one = small_pairs / "--W00003--P00001--Z00000--T00000--PI.tif"
    tifffile.imwrite(one, tifffile.imread(one) - np.uint16(32768))  # looks well by itself
    with pytest.raises(InputError, match="32768 is added to every pixel of 23 of 24 images"):
        run(prepare_config(*small, *on_cluster))


def test_the_number_of_images_under_way_does_not_grow_with_their_number(tmp_path, processes, monkeypatch):
    raw = raw_image(tmp_path / "raw")
    processes.have(1)
    submitted = []
    real = clusters.Cluster._submit
    with open_executor(executor(processes.address), n_jobs=1, folder=tmp_path, images=[raw]) as in_parallel:
        monkeypatch.setattr(
            clusters.Cluster, "_submit", lambda *arguments: submitted.append(arguments) or real(*arguments)
        )
        for number, _ in enumerate(in_parallel(str, [raw] * 100)):
            assert len(submitted) <= number + 32
    assert len(submitted) == 100


def test_without_workers_a_run_ends_and_goes_on_on_this_machine(pairs, prepare_config, processes, monkeypatch, capfd):
    whole = run(prepare_config(*pairs, "curation.output_root=here"))
    on_cluster = [
        *pairs,
        DASK,
        f"curation.executor.scheduler={processes.address}",
        "curation.executor.worker_timeout=0.5",
    ]
    processes.have(1)
    slow_down(processes.client, 0.05)
    monkeypatch.setattr(read_stage, "_COMMIT_SECONDS", 0.0)
    monkeypatch.setattr(clusters, "_LOOK_SECONDS", 0.2)
    real = read_stage.FieldWriter.add
    read = []

    def add(writer, result):
        if writer.n_images == 8:  # the worker dies while the next result is fetched
            wait_for(lambda: len(list(writer.spool.iterdir())) >= 3)
            (worker,) = processes.workers
            worker.send_signal(signal.SIGSTOP)
            Timer(0.5, worker.kill).start()
        real(writer, result)
        read.append(result.raw.raw_image_id)

    monkeypatch.setattr(read_stage.FieldWriter, "add", add)
    start = time.monotonic()
    with pytest.raises(
        InputError, match=r"has had no worker for 0.5 s, and the same command goes on .*: run dask worker"
    ):
        run(prepare_config(*on_cluster))
    assert time.monotonic() - start < 30
    n_read = len(read)
    assert 8 <= n_read < 24
    processes.have(0)
    with pytest.raises(InputError, match="has had no worker for 0.5 s"):  # nor at the start: what is committed stays
        run(prepare_config(*on_cluster))
    longer = [*on_cluster, "curation.executor.worker_timeout=1.5"]
    with pytest.raises(InputError, match="has had no worker for 1.5 s"):
        run(prepare_config(*longer))
    assert "waiting up to 0.5 s more for a worker of tcp://" in capfd.readouterr().err
    folder = run(prepare_config(*pairs))
    assert len(read) == len(set(read)) == 24
    assert contents(folder) == contents(whole)
    assert [path.name for path in folder.parent.iterdir()] == ["no_treatment"]


def test_an_image_that_kills_workers_and_a_scheduler_that_dies_end_in_one_sentence(tmp_path):
    processes = Processes(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    try:
        raw = raw_image(tmp_path / "raw")

        def patch():
            import os
            import time

            from jimt.curation import reading

            reading.brightfield_histogram = lambda raw: os._exit(9)
            reading.read_field = lambda raw: time.sleep(60)

        processes.have(2)
        processes.client.run(patch)
        with open_executor(executor(processes.address), n_jobs=1, folder=tmp_path, images=[raw]) as in_parallel:
            with pytest.raises(ExecutorError, match=r"1 workers died while they read .*one--Trans.tif.* memory"):
                list(in_parallel(brightfield_histogram, [raw]))
            (result,) = in_parallel(str, [raw])  # the other worker
            assert result == str(raw)
            results = in_parallel(read_field, [raw])
            processes.client.close()
            processes.scheduler.kill()
            start = time.monotonic()
            with pytest.raises(ExecutorError, match=f"the scheduler {processes.address} was lost"):
                list(results)
            assert time.monotonic() - start < 30
    finally:
        processes.close()


def test_a_worker_that_cannot_do_the_work_is_named_with_its_remedy(tmp_path, processes):
    raw = raw_image(tmp_path / "raw")
    one, _ = processes.have(2)

    def other_version():
        import jimt

        jimt.__version__ = "0.0.9"

    def no_raw_images():

        os.access = lambda path, mode: False

    def read_only():
        import errno
        import tempfile

        def mkstemp(**where):
            raise OSError(errno.EROFS, "Read-only file system")

        tempfile.mkstemp = mkstemp

    def well_again():
        import importlib
        import posix
        import tempfile

        import jimt

        os.access = posix.access
        importlib.reload(jimt)
        importlib.reload(tempfile)

    for fault, sentence in (
        (other_version, f"a worker on .* has jimt 0.0.9: install {jimt.__version__} there"),
        (no_raw_images, "a worker on .* cannot read .*one--Trans.tif: dataset.root must lie on a file system all"),
        (read_only, r"a worker on .* cannot write in .* \(Read-only file system\): curation.output_root must lie"),
    ):
        processes.client.run(fault, workers=[one])
        with (
            pytest.raises(ExecutorError, match=sentence) as caught,
            open_executor(executor(processes.address), n_jobs=1, folder=tmp_path, images=[raw]),
        ):
            pass
        assert "\n" not in str(caught.value)
        processes.client.run(well_again, workers=[one])
    processes.have(0)
    with processes.without_jimt():
        processes.have(1)
    with (
        pytest.raises(ExecutorError, match=f"a worker lacks what is installed here .*, with jimt {jimt.__version__}"),
        open_executor(executor(processes.address), n_jobs=1, folder=tmp_path, images=[raw]),
    ):
        pass
    processes.have(0)
    assert {path.name for path in tmp_path.iterdir()} == {"raw"}


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{closed}", "tcp://127.0.0.1:{silent}", "127.0.0.1", "http://x:1"])
def test_a_scheduler_that_does_not_answer_is_named_within_seconds(tmp_path, monkeypatch, address):
    monkeypatch.setattr(clusters, "_CONNECT_SECONDS", 0.5)
    with socket.socket() as closed, socket.socket() as silent:
        for listener in (closed, silent):
            listener.bind(("127.0.0.1", 0))
        silent.listen()
        address = address.format(closed=closed.getsockname()[1], silent=silent.getsockname()[1])
        start = time.monotonic()
        with (
            pytest.raises(ExecutorError, match=f"no Dask scheduler answers at {address} .*, or run dask scheduler"),
            open_executor(executor(address), n_jobs=1, folder=tmp_path, images=[]),
        ):
            pass
        assert time.monotonic() - start < 20


def test_without_dask_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(
            ExecutorError, match="curation.executor.backend=dask needs Dask .*: give .* run pip install distributed"
        ),
        open_executor(executor("tcp://127.0.0.1:1"), n_jobs=1, folder=tmp_path, images=[]),
    ):
        pass


def test_without_a_scheduler_nothing_is_left_behind(small, prepare_config, tmp_path):
    with pytest.raises(InputError, match="no Dask scheduler answers at 127.0.0.1 .missing port"):
        run(prepare_config(*small, DASK, "curation.executor.scheduler=127.0.0.1"))
    assert not (tmp_path / "data/curated").exists()


def test_training_takes_the_same_executor(train_config):
    assert train_config().curation.executor.backend == "local"
    config = train_config("executor=dask", "curation.executor.scheduler=tcp://host:8786")
    assert config.curation.executor == executor("tcp://host:8786", 60.0)


@pytest.mark.parametrize("overrides", [[DASK], ["curation.executor.scheduler=tcp://host:8786"]])
def test_dask_and_its_scheduler_are_given_together(prepare_config, overrides):
    with pytest.raises(
        InputError,
        match="curation.executor.backend=dask and curation.executor.scheduler are given together, or not at all",
    ):
        prepare_config(*overrides)
