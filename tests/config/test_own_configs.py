"""Data sets of one's own, in jimt_conf/ or behind --config-dir, and what a resumed run remembers of them."""

import re
import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from conftest import SMALL, TINY, composed_prepare
from forked import run_forked
from jimt.config.own_configs import completed
from jimt.errors import InputError, as_typed
from own_yaml import write_dataset, write_overrides


def test_resuming_brings_the_overrides_the_run_was_started_with(tmp_path):
    write_overrides(tmp_path / "run", "dataset=mcf7", "optim.lr=1e-3", "+trainer.callbacks.Timer={}")
    arguments = completed([f"resume={tmp_path / 'run'}"])
    assert arguments == ["dataset=mcf7", "optim.lr=1e-3", "+trainer.callbacks.Timer={}", f"resume={tmp_path / 'run'}"]


@pytest.mark.parametrize("name", ["my run", "lr=1,wd=2", "it's (1)", "plain"])
def test_a_run_is_resumed_by_its_name_in_quotes_too(tmp_path, name):
    """As an error prints it, and what a shell makes of that."""
    write_overrides(tmp_path / name, "dataset=mcf7")
    (given,) = shlex.split(as_typed("resume", tmp_path / name))
    assert completed([given]) == ["dataset=mcf7", given]
    (override,) = OverridesParser.create().parse_overrides([given])
    assert Path(str(override.value())) == tmp_path / name


def test_what_is_given_when_resuming_wins(tmp_path):
    write_overrides(tmp_path / "run", "dataset=mcf7", "trainer.max_epochs=3", "resume=elsewhere", "retrain=true")
    arguments = completed([f"resume={tmp_path / 'run'}", "trainer.max_epochs=5"])
    assert arguments == ["dataset=mcf7", f"resume={tmp_path / 'run'}", "trainer.max_epochs=5"]


def test_without_resume_flags_come_first_and_nothing_is_added(tmp_path):
    assert completed(["dataset=mcf7", "-m"]) == ["-m", "dataset=mcf7"]
    for arguments in (["resume=null"], [f"resume={tmp_path / 'no run'}"]):
        assert completed(arguments) == arguments


def test_stored_overrides_stand_behind_the_flags(tmp_path):
    write_overrides(tmp_path / "run", "dataset=our_lab")
    (tmp_path / "mine").mkdir()
    resume, mine = f"resume={tmp_path / 'run'}", str(tmp_path / "mine")
    for arguments in (["--config-dir", mine, resume], [resume, "--config-dir", mine]):
        assert completed(arguments) == ["--config-dir", mine, "dataset=our_lab", resume]
    assert completed([f"--config-dir={mine}", resume]) == [f"--config-dir={mine}", "dataset=our_lab", resume]


@pytest.mark.parametrize("name", ["own.yaml", "dataset/mcf7.yaml"])
def test_a_file_with_the_name_of_one_of_ours_is_refused(tmp_path, name):
    path = tmp_path / "jimt_conf" / name
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    if name == "own.yaml":
        composed_prepare("dataset=mcf7")
        return
    with pytest.raises(InputError, match=r"jimt_conf/dataset/mcf7.yaml has the name of a file of jimt.*: rename it"):
        composed_prepare("dataset=mcf7")
    path.rename(path.with_name("mine.yaml"))  # the remedy
    composed_prepare("dataset=mcf7")


def test_a_folder_of_configs_that_has_gone_is_named_and_may_be_given_anew(tmp_path):
    write_overrides(tmp_path / "run", "dataset=our_lab", folder=tmp_path / "gone")
    resume = f"resume={tmp_path / 'run'}"
    with pytest.raises(InputError, match=re.escape(f"configs in {tmp_path / 'gone'}, which is missing")) as refused:
        completed([resume])
    assert "--config-dir FOLDER" in str(refused.value)
    with pytest.raises(InputError, match="--config-dir nowhere is no folder"):
        completed(["--config-dir", "nowhere", resume])
    (tmp_path / "here").mkdir()
    assert completed(["--config-dir", str(tmp_path / "here"), resume])[-1] == resume


def test_jimt_conf_in_the_working_directory_is_searched_by_every_command(tmp_path, small_pairs):
    write_dataset(tmp_path / "jimt_conf", small_pairs)
    asked = ["--cfg", "job", "--package", "dataset.name", "dataset=our_lab"]
    for command in (["train.py"], ["prepare.py"], ["jimt", "crossval"], ["jimt", "tune"]):
        done = run_forked(*command, *asked)
        assert (done.returncode, done.stdout) == (0, "our_lab\n"), done.stderr


def test_a_data_set_that_is_not_found_says_where_ones_own_may_stand(tmp_path, small_pairs):
    done = run_forked("train.py", "dataset=our_lab", "backbone.weights=random")
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no dataset=our_lab: it takes doxo, mcf7,")
    assert "jimt_conf/dataset/our_lab.yaml" in done.stderr
    assert "--config-dir FOLDER" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
    # both remedies
    write_dataset(tmp_path / "elsewhere", small_pairs)
    small = ["curation.patches.size=64", "curation.patches.stride=32", *SMALL[2:]]
    assert run_forked("prepare.py", "--config-dir", "elsewhere", "dataset=our_lab", *small).returncode == 0
    (tmp_path / "elsewhere").rename(tmp_path / "jimt_conf")
    again = run_forked("prepare.py", "dataset=our_lab", *small)
    assert again.returncode == 0
    assert "is up to date" in again.stdout


def test_a_resumed_run_finds_its_configs_from_any_folder(tmp_path, small_pairs):
    write_dataset(tmp_path / "mine", small_pairs)
    write_overrides(tmp_path / "run", "dataset=our_lab", folder=tmp_path / "mine")
    for command in (["train.py"], ["jimt", "crossval"], ["jimt", "tune"]):
        done = run_forked(*command, "--cfg", "job", "--package", "dataset.root", "resume=run")
        assert (done.returncode, done.stdout) == (0, f"{small_pairs}\n"), done.stderr


@pytest.mark.slow
def test_a_run_remembers_where_its_configs_lay(tmp_path, small_pairs, monkeypatch):
    write_dataset(tmp_path / "mine", small_pairs)
    settings = [*SMALL, *TINY, "curation.split.val=5", "curation.split.test=5", "hydra.run.dir=run"]
    done = run_forked("train.py", "--config-dir", "mine", "dataset=our_lab", *settings, "trainer.max_epochs=1")
    assert done.returncode == 0, done.stderr
    # from another folder, by the run's name alone
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    more = ["trainer.max_epochs=2", f"curation.output_root={tmp_path / 'data/curated'}"]
    resumed = run_forked("train.py", f"resume={tmp_path / 'run'}", *more)
    assert resumed.returncode == 0, resumed.stderr
    assert "after epoch 1" in resumed.stdout
