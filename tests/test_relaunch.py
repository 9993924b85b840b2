"""Lightning starts the other processes of a training by the command line of the first, without the command's name."""

import json

import pytest

from conftest import TINY
from forked import run_forked

SCRIPT = """
import sys
from jimt.__main__ import main
sys.exit(main())
"""
"""What pip writes for ``project.scripts``."""


@pytest.mark.slow
@pytest.mark.parametrize("started_as", ["script", "module"])
def test_two_processes_train_however_jimt_was_started(uneven, tmp_path, monkeypatch, started_as):
    (tmp_path / "jimt").write_text(SCRIPT)
    for name in ("LOCAL_RANK", "JIMT_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    command = str(tmp_path / "jimt") if started_as == "script" else "jimt"
    settings = [*TINY, "trainer.devices=2", "trainer.strategy=ddp", "trainer.max_epochs=1", "hydra.run.dir=run"]
    done = run_forked(command, "train", *uneven, *settings)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("[W")] == []  # of sockets, by torch itself
    assert done.stdout.count("training test_resnet") == 1
    assert json.loads((tmp_path / "run/test_metrics.json").read_text())["counts"]["patches"] == 45
    assert (tmp_path / "run/checkpoints/best.ckpt").is_file()
