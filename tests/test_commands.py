"""The command lines, in processes of their own: exit status, one line of error, time to answer."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY, SMALL, TINY


def command(script: str, *arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(REPOSITORY / script), *arguments], capture_output=True, text=True, timeout=300, **options
    )


@pytest.mark.parametrize("script", ["train.py", "prepare.py"])
@pytest.mark.parametrize("question", [["--help"], ["--cfg", "job"]])
def test_questions_are_answered_without_the_heavy_imports(script, question):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(REPOSITORY / script), *question],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0
    assert "dataset" in done.stdout
    imported = {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "hydra" in imported
    assert not imported & {"torch", "torchvision", "timm", "cv2", "sklearn", "scipy", "pandas", "numpy", "lightning"}


def test_an_error_is_one_line_and_the_exit_status_is_not_zero(tmp_path):
    done = command("prepare.py", "dataset=no_treatment", "dataset.root=nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nowhere is missing: download")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_key_is_named():
    done = command("train.py", "optim.learning_rate=1")
    assert done.returncode != 0
    assert "learning_rate" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_set_of_ones_own_is_one_yaml_in_a_folder_of_ones_own(small_pairs, tmp_path):
    (tmp_path / "mine/dataset").mkdir(parents=True)
    (tmp_path / "mine/dataset/our_lab.yaml").write_text(
        f"""# @package _global_
defaults:
  - layout/pairs
  - _self_
dataset:
  name: our_lab
  root: {small_pairs}
  pattern: ^(?P<raw_image_id>--(?P<group>W\\d+)--.*)--(?P<channel>Trans|PI).tif$
  brightfield: Trans
  fluorescence: PI
curation:
  patches: {{size: 64, stride: 32}}
"""
    )
    done = command("prepare.py", "--config-dir", str(tmp_path / "mine"), "dataset=our_lab", *SMALL[2:])
    assert done.returncode == 0, done.stderr
    assert "The data set's row of Table 1" in done.stdout
    assert (tmp_path / "data/curated/our_lab/manifest.parquet").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_training_is_no_result_and_the_same_command_completes_it(small, tmp_path, stop):
    arguments = [*small, *TINY, "curation.split.val=5", "curation.split.test=5", "hydra.run.dir=run"]
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "train.py"), *arguments, "trainer.max_epochs=1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch   3"):
            break
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    if stop == signal.SIGTERM:
        assert errors.strip().splitlines()[-1].startswith("error: the training was told to stop (SIGTERM)")
    assert (tmp_path / "run/checkpoints/best.ckpt").is_file()
    assert not (tmp_path / "run/test_metrics.json").exists()
    done = command("train.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/test_metrics.json").is_file()
    assert Path(tmp_path / "run/finished.json").is_file()
