"""A test split too small to tell much ends with the cross-validation to run, and that command works as printed."""

import json
import shlex
import subprocess

import numpy as np
import pandas as pd
import pytest

from conftest import TINY_PROBE
from forked import run_forked
from jimt.curation.folds import workable_folds
from jimt.evaluation.test_split import cross_validation_advice
from jimt.statistics.intervals import interval_notes


def manifest_of(classes: str) -> pd.DataFrame:
    """A data set whose groups hold ten live patches (l), dead ones (d) or both (b); the last group is tested."""
    rows = [
        (f"group{number}", label)
        for number, letter in enumerate(classes)
        for label in {"l": [1], "d": [0], "b": [0, 1]}[letter]
        for _ in range(10)
    ]
    table = pd.DataFrame(rows, columns=["group", "label"])
    last = f"group{len(classes) - 1}"
    return table.assign(split=np.where(table["group"] == last, "test", "train"), raw_image_id=table["group"], y=0, x=0)


@pytest.mark.parametrize(
    ("classes", "validation", "n_folds"),
    [
        ("bbbbbbbb", False, 5),
        ("bbb", False, 3),
        ("bbb", True, 3),
        ("bb", True, None),  # two folds leave nothing beside test and validation
        ("bb", False, 2),
        ("b", False, None),
        ("lldd", False, 4),  # one group may go, and each class remains in another
        ("ld", False, None),
    ],
)
def test_the_number_of_folds_leaves_both_classes_in_each(classes, validation, n_folds):
    assert workable_folds(manifest_of(classes), at_most=5, validation=validation) == n_folds


def test_where_no_fold_can_be_kept_apart_the_advice_is_to_add_groups(tmp_path):
    advice = cross_validation_advice(manifest_of("ld"), tmp_path, method="linear_probe")
    assert advice.text.startswith("10 patches of 1 of 2 groups are a small test, and no cross-validation can mend it")
    assert advice.text.endswith("add raw images of other wells or experiments")
    assert advice.command is None


@pytest.mark.parametrize("provider", ["command-line", "jimt_conf"])  # the latter in a run that was resumed
def test_the_command_is_the_training_s_own_without_what_names_its_run(provider, tmp_path):
    run = tmp_path / "run"
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra/overrides.yaml").write_text(
        "- dataset=our_lab\n- trainer=ddp\n- trainer.devices=4\n- run_dir=x\n- hydra.run.dir=y\n"
        "- '+note=\"two words\"'\n- resume=runs/a\n"
    )
    mine = {"provider": provider, "path": "my configs", "schema": "file"}
    here = {"provider": "jimt_conf", "path": str(tmp_path / "jimt_conf"), "schema": "file"}  # which is searched unasked
    sources = [{"provider": "main", "path": "a", "schema": "file"}, here, mine]
    (run / ".hydra/hydra.yaml").write_text(json.dumps({"hydra": {"runtime": {"config_sources": sources}}}))
    advice = cross_validation_advice(manifest_of("bbbb"), run, method="finetune")
    assert shlex.split(advice.command) == [
        *("jimt", "crossval", "--config-dir=my configs", "dataset=our_lab", "trainer=gpu"),
        *('+note="two words"', "crossval.n_folds=4", "hydra.run.dir=run_crossval"),
    ]
    two = cross_validation_advice(manifest_of("bb"), run, method="finetune")
    assert "crossval.n_folds=2 crossval.validation=false" in two.command


def test_a_job_of_a_sweep_is_cross_validated_alone_beside_the_sweep(tmp_path):
    job = tmp_path / "runs/grid/lr=1,wd=2"
    (job / ".hydra").mkdir(parents=True)
    (job / ".hydra/overrides.yaml").write_text("- experiment=paper_grid\n")
    (job / ".hydra/hydra.yaml").write_text(json.dumps({"hydra": {"mode": "MULTIRUN"}}))
    advice = cross_validation_advice(manifest_of("bbbb"), job, method="linear_probe")
    assert shlex.split(advice.command)[-2:] == ["hydra.mode=RUN", "hydra.run.dir='runs/crossval/grid/lr=1,wd=2'"]


def test_many_groups_need_no_advice():
    labels = np.tile([0, 1], 40)
    groups = np.repeat([f"group{number}" for number in range(40)], 2)
    assert not interval_notes(labels, groups, sample="the test split")
    assert interval_notes(labels[:8], groups[:8], sample="the test split")


@pytest.mark.slow
def test_a_small_test_ends_with_a_command_that_works_as_printed(uneven, tmp_path):
    done = run_forked("train.py", *uneven, *TINY_PROBE, "hydra.run.dir=a run")
    assert done.returncode == 0, done.stderr
    advice, command, further = done.stdout.splitlines()[-3:]
    assert further.startswith("predict images without a stain: jimt predict ")
    assert advice.startswith("advice: 45 patches of 3 of 12 groups are a small test; a cross-validation tests on all")
    written = json.loads((tmp_path / "a run/test_metrics.json").read_text())["advice"]
    assert written["command"] == command.strip()
    # as it stands there
    read = subprocess.run(["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
    again = run_forked(*read.stdout.splitlines())
    assert again.returncode == 0, again.stderr
    assert len(pd.read_csv(tmp_path / "a run_crossval/scores.csv")) == 180
    assert "advice" not in again.stdout  # every group is tested on already
