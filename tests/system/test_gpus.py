"""Jobs at the same time never share a GPU; real processes, no GPU needed."""

import itertools
import os
import subprocess
import sys
import tempfile

import pytest

from jimt.system.gpus import claim_gpu

HOLD = """
import sys, time
from jimt.system.gpus import claim_gpu
with claim_gpu(2) as index:
    print("holds", index, flush=True)
    {then}
"""


@pytest.fixture(autouse=True)
def _own_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    yield
    tempfile.tempdir = None


def hold(then: str = "sys.stdin.read()", **environment: str) -> subprocess.Popen:
    """A process that has claimed one of two GPUs, once it has said which."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD.format(then=then)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def said(process: subprocess.Popen) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_processes_hold_two_gpus_and_a_third_waits_for_the_first_that_is_free():
    first = hold()
    try:
        assert said(first) == "holds 0"
        second = hold()
        assert said(second) == "holds 1"
        third = hold(then="pass")
        assert said(third) == "waiting for one of 2 GPUs: other jobs hold all of them"
        second.communicate("")  # its job is done, while the other's goes on
        assert said(third) == "holds 1"
        third.communicate()
    finally:
        first.kill()
        first.communicate()


def test_a_killed_process_lets_its_gpu_go():
    process = hold()
    assert said(process) == "holds 0"
    with claim_gpu(2) as index:
        assert index == 1
    process.kill()
    process.communicate()
    with claim_gpu(2) as index:
        assert index == 0


def test_jobs_of_unequal_length_never_share_a_gpu_nor_wait_beside_an_idle_one():
    """Two workers, each with its jobs one after another, tell which GPU they had from when to when."""
    script = """
import sys, time
from jimt.system.gpus import claim_gpu
for seconds in map(float, sys.argv[1:]):
    with claim_gpu(2) as index:
        start = time.monotonic()
        time.sleep(seconds)
        print(index, start, time.monotonic(), flush=True)
"""
    jobs = []
    workers = [
        subprocess.Popen([sys.executable, "-c", script, *seconds], stdout=subprocess.PIPE, text=True)
        for seconds in (["0.5", "0.1", "0.1"], ["0.1", "0.3", "0.1", "0.2"])
    ]
    for worker in workers:
        lines = worker.communicate()[0].splitlines()
        jobs += [tuple(map(float, line.split())) for line in lines]  # "waiting for one of ..." would be no numbers
    assert len(jobs) == 7
    assert {index for index, _, _ in jobs} == {0, 1}
    for gpu in (0, 1):
        claimed = sorted((start, end) for index, start, end in jobs if index == gpu)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(claimed))


def test_an_error_in_a_job_lets_its_gpu_go():
    with pytest.raises(RuntimeError, match="out of memory"), claim_gpu(1):
        raise RuntimeError("out of memory")
    with claim_gpu(1) as index:
        assert index == 0


def test_gpus_are_told_apart_by_what_a_process_sees(monkeypatch):
    process = hold(CUDA_VISIBLE_DEVICES="1,0")
    try:
        assert said(process) == "holds 0"  # of what it sees: the machine's GPU 1
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
        with claim_gpu(2) as index:
            assert index == 0
            monkeypatch.setenv("SLURM_JOB_ID", "17")  # an allocation of other GPUs
            with claim_gpu(2) as other:
                assert other == 0
    finally:
        process.kill()
        process.communicate()
