"""A plain install holds everything its commands need, in any folder: each test uses one made without ``-e``."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from conftest import REPOSITORY, TINY
from drawn import COARSE
from jimt.config.own_configs import CONF

pytestmark = pytest.mark.slow

CONFIGS = {path.relative_to(REPOSITORY / "conf").as_posix() for path in (REPOSITORY / "conf").rglob("*.yaml")}
LIBRARIES = Path(str(importlib.util.find_spec("hydra").origin)).parents[1]
SIMULATED = [
    "dataset=synthetic",
    "dataset.simulation.n_wells=6",
    "dataset.simulation.fields_per_well=1",
    "dataset.simulation.height=224",
    "dataset.simulation.width=224",
    "curation.patches.size=64",
    "curation.patches.stride=32",
    "curation.empty_filter.enabled=false",
    "curation.n_jobs=1",
]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of what an installation is made from, since it leaves files beside it."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("src", "conf"):
        unmade = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=unmade)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder)
    return folder


@pytest.fixture(scope="module")
def installed(source, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    alone = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    subprocess.run([sys.executable, "-m", "pip", "install", *alone, "--target", folder, source], check=True)
    return folder


COARSELY = f"import runpy{COARSE}runpy.run_module('jimt', run_name='__main__', alter_sys=True)"


def run(installed: Path, *words: str, coarse: bool = False) -> str:
    """What ``python -m jimt`` prints, with the installed package and without the checkout's."""
    # -S: no .pth file of the environment is read, so that the checkout is not on the path
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, (installed, LIBRARIES))), "OMP_NUM_THREADS": "1"}
    where = "import sys, jimt; print(jimt.__file__, *sys.path, sep='\\n')"
    for command in (["-c", where], [*(["-c", COARSELY] if coarse else ["-m", "jimt"]), *words]):
        done = subprocess.run(
            [sys.executable, "-S", *command], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        if command[1] == where:
            package, *paths = done.stdout.splitlines()
            assert Path(package).is_relative_to(installed)
            assert str(REPOSITORY / "src") not in paths
    return done.stdout


def build(source: Path, what: str, folder: Path) -> Path:
    command = f"from setuptools import build_meta; build_meta.build_{what}({str(folder)!r})"
    subprocess.run([sys.executable, "-c", command], cwd=source, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def test_conf_is_installed_whole(installed):
    there = installed / "jimt/conf"
    assert {path.relative_to(there).as_posix() for path in there.rglob("*.yaml")} == CONFIGS


def test_an_installation_holds_no_file_of_an_earlier_one(source, tmp_path):
    stale = source / "build/lib/jimt/conf/dataset/gone.yaml"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.touch()
    names = zipfile.ZipFile(build(source, "wheel", tmp_path)).namelist()
    assert "jimt/conf/train.yaml" in names
    assert "jimt/conf/dataset/gone.yaml" not in names


def test_a_source_distribution_holds_what_it_is_installed_from(source, tmp_path):
    with tarfile.open(build(source, "sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"conf/{name}" for name in CONFIGS} <= names
    assert {"setup.py", "pyproject.toml", "src/jimt/report/page.html", "src/jimt/py.typed"} <= names


def test_an_editable_installation_reads_the_checkouts_conf(source, tmp_path):
    names = zipfile.ZipFile(build(source, "editable", tmp_path)).namelist()
    assert not any(name.startswith("jimt/") for name in names)
    assert CONF == REPOSITORY / "conf"


def test_installed_commands_answer_from_another_folder(installed, tmp_path):
    assert "usage: jimt COMMAND" in run(installed, "--help")
    assert "name: no_treatment" in run(installed, "prepare", "--cfg", "job", "dataset=no_treatment")
    own = tmp_path / "mine/dataset/our_lab.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# @package _global_\ndefaults:\n  - no_treatment\n  - _self_\ndataset:\n  name: our_lab\n")
    assert "name: our_lab" in run(installed, "prepare", "--config-dir", "mine", "dataset=our_lab", "--cfg", "job")


def test_an_installed_jimt_simulates_curates_trains_and_reports(installed, tmp_path):
    words = ["train", *SIMULATED, *TINY, "trainer.max_epochs=1", "report=true", "hydra.run.dir=run"]
    assert "Test split of synthetic" in run(installed, *words, coarse=True)
    assert (tmp_path / "data/curated/synthetic/manifest.parquet").is_file()
    assert (tmp_path / "run/report.html").is_file()
