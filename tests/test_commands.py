"""The command lines, in processes of their own: exit status, one line of error, time to answer."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from commands import line
from conftest import REPOSITORY, SMALL, TINY
from forked import Forked, run_forked
from jimt.__main__ import COMMANDS, main


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


def test_jimt_lists_the_commands_in_the_order_of_the_work_without_any_heavy_import():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "jimt", "--help"], capture_output=True, text=True, check=True
    )
    listed = re.findall(r"^  ([a-z-]+) +\w", done.stdout, re.MULTILINE)
    order = (
        "prepare annotate train evaluate predict export adapt crossval learning-curve adaptation-curve tune compare "
        "transfer label-sensitivity sweep report"
    )
    assert listed == order.split() == list(COMMANDS)
    imported = {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "jimt" in imported
    assert not imported & {"torch", "hydra", "omegaconf", "pandas", "numpy", "rich", "filelock"}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trian", "there is no command trian: did you mean train?"),
        ("cross-val", "there is no command cross-val: did you mean crossval?"),
        ("fly", f"there is no command fly: give one of {', '.join(COMMANDS)}"),
    ],
)
def test_an_unknown_command_suggests_the_nearest(word, said):
    done = subprocess.run(line("jimt", word), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {said}\n")


@pytest.mark.skipif(os.name == "nt", reason="the shell of Windows has no head")
@pytest.mark.parametrize("words", ["train.py --help", "prepare.py --cfg job", "jimt --help", "jimt report --help"])
def test_an_output_that_is_not_read_to_its_end_is_no_error(words):
    for reader, unbuffered in (("head -1", ""), ("true", "1")):
        piped = f"{shlex.join(line(*words.split()))} | {reader}"
        environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(["sh", "-c", piped], capture_output=True, text=True, env=environment, check=True)
        assert done.stderr == ""


def test_an_error_is_said_though_the_output_is_not_read():
    piped = f"{shlex.join(line('train.py', 'optim.lr=0'))} | true"
    done = subprocess.run(["sh", "-c", piped], capture_output=True, text=True)
    assert done.stderr == "error: optim.lr=0.0 is not allowed: it takes more than 0\n"


def test_an_error_is_one_line_and_the_exit_status_is_not_zero(tmp_path):
    done = command("prepare.py", "dataset=no_treatment", "dataset.root=nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nowhere is missing: download")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_told_to_stop_says_so_in_one_line_and_leaves_no_empty_folder(tmp_path, monkeypatch):
    def interrupted(*asked: object, **how: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jimt.evaluation.transfer.transfer", interrupted)
    monkeypatch.setattr("jimt.evaluation.test_split.evaluate", interrupted)
    for words in (["transfer", "A", "B", "--out", str(tmp_path / "tables")], ["evaluate", "A"]):
        monkeypatch.setattr("sys.argv", ["jimt", *words])
        with pytest.raises(SystemExit, match=r"^error: told to stop \(Ctrl-C\)$"):
            main()
    assert not (tmp_path / "tables").exists()


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
    done = run_forked("prepare.py", "--config-dir", str(tmp_path / "mine"), "dataset=our_lab", *SMALL[2:])
    assert done.returncode == 0, done.stderr
    assert "The data set's row of Table 1" in done.stdout
    assert (tmp_path / "data/curated/our_lab/manifest.parquet").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_training_is_no_result_and_the_same_command_completes_it(small, tmp_path, stop):
    arguments = [*small, *TINY, "curation.split.val=5", "curation.split.test=5", "hydra.run.dir=run"]
    process = Forked("train.py", *arguments, "trainer.max_epochs=1000")
    process.wait_for("\nepoch   3")
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    if stop == signal.SIGTERM:
        assert errors.strip().splitlines()[-1].startswith("error: the training was told to stop (SIGTERM)")
    assert (tmp_path / "run/checkpoints/best_epoch.ckpt").is_file()
    assert not (tmp_path / "run/checkpoints/best.ckpt").exists()  # no finished model
    assert not (tmp_path / "run/test_metrics.json").exists()
    done = run_forked("train.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/test_metrics.json").is_file()
    assert Path(tmp_path / "run/finished.json").is_file()
