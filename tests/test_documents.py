"""Every printed command does what it is printed for; ``documented_runs.py`` says how that is tried."""

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hydra.errors import HydraException
from omegaconf import OmegaConf

from command_lines import Started, as_python, composed, read_by_program, run_python, started_by, write_stand_ins
from conftest import REPOSITORY, UNEVEN, composed_prepare, small_field
from documented_runs import CUT_OFF, OUR_LAB, RUNS, TINY, TOGETHER, Ask, Compose, Read, Run
from documents import commands, documents, hidden_commands, overrides
from jimt.config.curating import PrepareConfig
from jimt.config.training import TrainConfig
from jimt.errors import InputError

TEXTS = documents()
COMMANDS = commands(TEXTS)


@dataclass(frozen=True)
class Clone:
    """A folder like a fresh clone, with a data set and runs that are called as the documentation calls them."""

    folder: Path
    notes: Path

    def _new(self, name: str) -> Path:
        return self.notes / f"{name}_{len(list(self.notes.iterdir()))}"

    def started(self, command: str) -> list[Started]:
        """What a shell starts for a command."""
        return started_by(command, folder=self.folder, stand_ins=self.notes / "bin", noted=self._new("started"))

    def run(self, command: str, *appended: str) -> str:
        """Run the one ``python`` or ``jimt`` of a command; what it printed."""
        (started,) = self.started(command)
        arguments = [*as_python(started), *appended]
        status, told = run_python(arguments, folder=self.folder, log=self._new("log"), data=started.data)
        assert status == 0, told
        return told

    def composed(self, arguments: list[str]) -> list[PrepareConfig | TrainConfig]:
        """The config of each job of ``python ARGUMENTS``."""
        with contextlib.chdir(self.folder):
            return composed(arguments, conf=self.folder / "conf")


def write_labels(folder: Path) -> None:
    """Tables as two annotators leave them, of patches and cells in every second raw image."""
    folder.mkdir(parents=True)
    names = [f"--W{well:05d}--P00001--Z00000--T00000" for well in range(1, 13, 2)]
    for table, words in {
        "empty_anna": ("bare", "cells"),
        "empty_ben": ("bare", "unsure"),
        "audit_anna": ("live", "dead"),
    }.items():
        rows = [f"{name},{32 * at},{64 * at},{word},spread\n" for name in names for at, word in enumerate(words)]
        (folder / f"{table}.csv").write_text("raw_image_id,y,x,label,chosen_by\n" + "".join(rows))
    cells = [f"{name},{30 + 20 * at},{40 + 60 * at},{at % 2}\n" for name in names for at in range(3)]
    (folder / "cells_anna.csv").write_text("raw_image_id,y,x,dead\n" + "".join(cells))


@pytest.fixture(scope="module")
def clone(tmp_path_factory, uneven) -> Clone:
    folder, notes = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("notes")
    for name in ("train.py", "prepare.py", "benchmarks", "pyproject.toml", "constraints", "Makefile", "conf", "src"):
        (folder / name).symlink_to(REPOSITORY / name)
    write_stand_ins(notes / "bin")
    for environment in (".venv", ".venv-zoo"):
        shutil.copytree(notes / "bin", folder / environment / "bin")
    clone = Clone(folder, notes)

    def write(path: str, text: str) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)

    dataset, _ = composed_prepare(*uneven)
    own = OmegaConf.to_yaml(OmegaConf.from_dotlist([f"dataset.root={dataset.root}", "dataset.name=NAME", *UNEVEN]))
    write("jimt_conf/dataset/NAME.yaml", "# @package _global_\ndefaults: [no_treatment, _self_]\n" + own)
    write("jimt_conf/backbone/NAME.yaml", "name: NAME\nweights: random\ntrainable: all\n")
    (example,) = re.findall(r"^```yaml\n(# @package _global_.*?)^```", TEXTS["README.md"], re.MULTILINE | re.DOTALL)
    write("mine/dataset/our_lab.yaml", example)
    first = "--W00001--P00001--Z00000--T00000"
    write("hand.csv", f"raw_image_id,y,x,label\n{first},0,0,bare\n{first},64,128,cells\n")
    write_labels(folder / "annotations/NAME")
    wells = [f"W{well:05d}--P00001,{'untreated' if well % 2 else 'doxo'}\n" for well in range(1, 13)]
    write("wells.csv", "well,condition\n" + "".join(wells))
    doses = "well,dose\nA01,0\nA02,1\nA03,10\n"
    for path in ("doses.csv", "data/synthetic_doses/well_truth.csv"):
        write(path, doses)
    (folder / "raw/P1").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for well in range(1, 7):  # as the pattern of the example reads them
        for channel, pixels in zip(("BF", "PI"), small_field(rng), strict=True):
            tifffile.imwrite(folder / "raw/P1" / f"A0{well}_s1_{channel}.tif", pixels)
    for image in Path(dataset.root).glob("*--P00001--*.tif"):  # as instruments call the fields of a plate
        well, channel = f"A{image.name[6:8]}", image.stem.rpartition("--")[2]
        for copy in (
            f"IMAGES/P1/{well}_s1_{'BF' if channel == 'Trans' else 'PI'}.tif",
            f"data/synthetic_doses/{well}--P00001--Z00000--T00000--{channel}.tif",
        ):
            (folder / copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(image, folder / copy)
        for hour in (0, 6) if channel == "Trans" and well in ("A01", "A02") else ():
            (folder / "TIMES/P1").mkdir(parents=True, exist_ok=True)
            shutil.copy(image, folder / f"TIMES/P1/{well}_s1_{hour}h.tif")

    train = "python train.py backbone=resnet18 dataset="
    clone.run(f"{train}NAME", *TINY, f"hydra.run.dir={CUT_OFF}")
    clone.run(f"{train}our_lab", *OUR_LAB, *TINY, "hydra.run.dir=RUN_B", "--config-dir", "mine")
    for name in (
        "RUN",
        "RUN_1",
        "RUN_2",
        "RUN_A",
        "runs/demo",
        "runs/demo_stain",
        "runs/paper",
        "runs/one_cycle",
        "runs/paper_grid/NAME/resnet18",
    ):
        shutil.copytree(folder / CUT_OFF, folder / name)
    shutil.copy(folder / "RUN/test_scores.csv", folder / "scores.csv")
    (folder / "DIR").symlink_to("runs/paper_grid")
    (folder / "FILE").touch()
    (folder / "FOLDER").mkdir()
    return clone


def test_every_printed_command_is_tried_and_nothing_else_is_listed():
    unlisted = {command: where for command, where in COMMANDS.items() if command not in RUNS}
    assert unlisted == {}, "say in documented_runs.py how each of these is tried"
    assert set(RUNS) - set(COMMANDS) == set(), "no document prints these any more"


def test_no_command_hides_in_prose_where_it_would_not_be_tried():
    assert hidden_commands(TEXTS) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```\npython train.py a=1  # why\n```", ["python train.py a=1"]),
        ("```\npython train.py a=1 \\\n  'b={c: 2}'\n```", ["python train.py a=1 'b={c: 2}'"]),
        ("```\nX=1 python prepare.py\nepoch 1\n```", ["X=1 python prepare.py"]),
        ("so `python -m jimt.new\nRUN` tells", ["python -m jimt.new RUN"]),
        ("A comment, and below it:\n\n   python train.py -m x", ["python train.py -m x"]),
    ],
)
def test_a_command_is_found_in_a_block_and_in_a_sentence(text, found):
    assert list(commands({"README.md": text})) == found
    assert hidden_commands({"README.md": text}) == []


def test_a_command_in_plain_prose_is_seen_as_hidden():
    assert hidden_commands({"README.md": "start python train.py dataset=new"}) == [
        "README.md: start python train.py dataset=new"
    ]


def of_kind(kind: type) -> list:
    marks = {name: [pytest.mark.slow] if isinstance(how, Run) and how.slow else [] for name, how in RUNS.items()}
    return [pytest.param(name, id=name, marks=marks[name]) for name, how in RUNS.items() if isinstance(how, kind)]


@pytest.mark.parametrize("command", of_kind(Run))
def test_a_command_does_what_it_is_printed_for(clone, command):
    how = RUNS[command]
    assert isinstance(how, Run)
    told = clone.run(command, *how.appended)
    assert how.says is None or how.says in told, told
    assert how.leaves is None or (clone.folder / how.leaves).is_file(), told


@pytest.mark.parametrize("command", of_kind(Compose))
def test_a_command_means_the_jobs_it_is_printed_for(clone, command):
    how = RUNS[command]
    assert isinstance(how, Compose)
    *_, python = clone.started(command)
    configs = clone.composed([*python.arguments, *how.appended])
    jobs = [f"{c.dataset.name} {c.backbone.name}" if isinstance(c, TrainConfig) else c.dataset.name for c in configs]
    assert tuple(jobs) == how.jobs


@pytest.mark.parametrize("command", of_kind(Ask))
def test_a_command_starts_what_it_is_printed_for(clone, command):
    how = RUNS[command]
    assert isinstance(how, Ask)
    started = [" ".join([each.program, *each.arguments]) for each in clone.started(command)]
    assert [wanted for wanted in how.started if wanted not in started] == [], started


@pytest.mark.parametrize("command", of_kind(Read))
def test_another_program_understands_its_arguments(clone, command, monkeypatch):
    monkeypatch.chdir(clone.folder)
    (started,) = clone.started(command)
    read_by_program(started)


PRINTED = {words: where for words, where in overrides(TEXTS).items() if any(name.endswith(".md") for name in where)}


@pytest.mark.parametrize("words", sorted(PRINTED))
def test_an_override_in_a_sentence_is_one_that_a_command_takes(clone, words):
    refused = []
    for script in (["train.py"], ["-m", "jimt", "crossval"], ["-m", "jimt", "tune"], ["prepare.py"]):
        try:
            clone.composed([*script, *words.split(), *TOGETHER.get(words, ())])
        except (HydraException, InputError) as error:
            refused.append(str(error))
        else:
            return
    raise AssertionError("\n".join(refused))


def test_what_is_not_run_to_its_end_says_why():
    assert [command for command, how in RUNS.items() if not isinstance(how, Run) and not how.why] == []
