"""What several tests need: the real config, and raw image pairs small enough to curate in a second."""

import gc
import os
import runpy
import shutil
import signal
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from hydra.core.plugins import Plugins
from rich.console import Console

from composing import composed
from drawn import coarse_figures, no_figures
from jimt.__main__ import main
from jimt.config.curating import CurationConfig, PrepareConfig
from jimt.config.data import DatasetConfig
from jimt.config.own_configs import OwnConfigs
from jimt.config.search import TuneConfig
from jimt.config.training import TrainConfig
from jimt.curation.curate import curate
from jimt.curation.manifest import MANIFEST
from quick_hydra import remember
from stand_ins import QUIET, Accepting

remember()
os.fsync = lambda _: None  # what tests write need not outlive the machine; each training would wait for the disk
REPOSITORY = Path(__file__).parent.parent

# Patches of 64 px on images of 192 x 160 px: 20 a field, at a fiftieth of the pixels of the real ones. The cut-offs are
# given, so that every test can count by hand; MIXTURE fits them.
SMALL = [
    "curation.patches.size=64",
    "curation.patches.stride=32",
    "curation.n_jobs=1",
    "curation.empty_filter.enabled=false",
    "curation.label.live_below=300",
    "curation.label.dead_above=450",
]

MIXTURE = ["curation.label.live_below=null", "curation.label.dead_above=null"]


LONG = [
    "documents", "sweep", "real_fields", "notebooks", "report_of_sweep", "resume", "stain", "coverage", "report",
    "install", "commands", "relaunch", "report_missing", "crossval", "locks", "windows", "own_configs", "ddp", "advice",
    "tune", "cluster", "stain_ddp", "loggers", "wandb_online",
]  # fmt: skip
"""Files that take longest, in this order: begun first, so that two processes end at the same time."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file without the kind of test that is asked for: with ``-m stack`` that is nine in ten."""
    kind = config.getoption("markexpr")
    if kind not in ("slow", "stack") or not collection_path.match("test_*.py"):
        return None
    return True if kind not in collection_path.read_text(encoding="utf-8").lower() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of long files first; a process takes the next file when it has done with one."""
    order = {f"test_{name}.py": position for position, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONG)))


def pytest_collection_finish() -> None:
    """What was imported and collected lives to the end: Python need not look for garbage in it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def listing_of(folder: Path) -> list[tuple[str, int, int]]:
    """Everything below a folder: path, size and time of change."""
    return sorted((str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*"))


@pytest.fixture(scope="session", autouse=True)
def _raw_data_are_left_alone() -> Iterator[None]:
    """Nothing writes among the raw data: what ``JIMT_DATA`` holds is the same before and after all tests."""
    folder = os.environ.get("JIMT_DATA")
    before = listing_of(Path(folder)) if folder is not None else None
    yield
    if folder is not None:
        assert listing_of(Path(folder)) == before, f"a test has written in {folder}"


@pytest.fixture(autouse=True)
def _own_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results go below the working directory: never into the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _hydra_as_in_a_new_process() -> None:
    """Hydra's joblib launcher, in a test that sweeps in this process, puts the plug-ins back to those installed."""
    Plugins.instance().register(OwnConfigs)


def composed_prepare(*overrides: str) -> tuple[DatasetConfig, CurationConfig]:
    """The config of ``python prepare.py OVERRIDES``."""
    config = composed("prepare", *overrides)
    assert isinstance(config, PrepareConfig)
    return config.dataset, config.curation


def composed_train(*overrides: str, name: str = "train") -> TrainConfig:
    """The config of ``python train.py OVERRIDES``, or of ``jimt crossval``.

    No report unless one is asked for: it takes longer than the training it is of.
    """
    config = composed(name, "report=false", *overrides)
    assert isinstance(config, TrainConfig)
    return config


@pytest.fixture
def prepare_config() -> Callable[..., tuple[DatasetConfig, CurationConfig]]:
    """The config of ``python prepare.py OVERRIDES``."""
    return composed_prepare


@pytest.fixture
def train_config(tmp_path: Path) -> Callable[..., TrainConfig]:
    """The config of ``python train.py OVERRIDES``, its run in ``tmp_path/run`` unless they say otherwise."""
    return lambda *overrides: composed_train(f"run_dir={tmp_path / 'run'}", *overrides)


@pytest.fixture
def tune_config(tmp_path: Path) -> Callable[..., TuneConfig]:
    """The config of ``jimt tune OVERRIDES``, its search in ``tmp_path/search``."""

    def make(*overrides: str) -> TuneConfig:
        config = composed("tune", f"run_dir={tmp_path / 'search'}", *overrides)
        assert isinstance(config, TuneConfig)
        return config

    return make


def small_field(rng: np.random.Generator, *, width: int = 192, height: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """A bright-field/PI pair: live cells left (224 +- 10 counts of PI, smooth), dead ones right (550, speckled).

    The gain of PI differs by up to 5 % between fields.
    """
    dead = np.arange(width) >= width // 2
    brightfield = rng.normal(2000, np.where(dead, 400, 60), (height, width))
    fluorescence = rng.uniform(0.95, 1.05) * rng.normal(np.where(dead, 550, 224), 10, (height, width))
    return brightfield.clip(1, 4095).astype(np.uint16), fluorescence.clip(1, 4095).astype(np.uint16)


def write_pair(root: Path, raw_image_id: str, pair: tuple[np.ndarray, np.ndarray]) -> tuple[Path, Path]:
    """Write a pair under the names of an Olympus ScanR."""
    root.mkdir(parents=True, exist_ok=True)
    paths = root / f"{raw_image_id}--Trans.tif", root / f"{raw_image_id}--PI.tif"
    for path, image in zip(paths, pair, strict=True):
        tifffile.imwrite(path, image)
    return paths


@pytest.fixture
def small_pairs(tmp_path: Path) -> Path:
    """Six wells of two positions, as ``dataset=no_treatment`` reads them."""
    root = tmp_path / "raw"
    rng = np.random.default_rng(0)
    for well in range(1, 7):
        for position in range(1, 3):
            write_pair(root, f"--W{well:05d}--P{position:05d}--Z00000--T00000", small_field(rng))
    return root


@pytest.fixture
def small(small_pairs: Path) -> list[str]:
    """Overrides that curate ``small_pairs`` in about a second."""
    return ["dataset=no_treatment", f"dataset.root={small_pairs}", *SMALL]


def uneven_field(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A pair of 15 patches, with UNEVEN 6 live and 9 dead; bright-field tells them apart less than perfectly."""
    brightfield, fluorescence = small_field(rng, height=128)
    spread = rng.uniform(60, 300, (4, 6)) + np.where(np.arange(6) >= 3, 150, 0)  # of squares of 32 px
    brightfield = rng.normal(2000, np.kron(spread, np.ones((32, 32))))
    return brightfield.clip(1, 4095).astype(np.uint16), fluorescence


UNEVEN = [*SMALL, "curation.label.dead_above=300", "curation.split.val=5", "curation.split.test=5"]

# a network of 0.5 M parameters, one thread: an epoch takes less than a second and is the same each time
TINY = [
    "report=false",
    "backbone.name=test_resnet.r160_in1k",
    "backbone.weights=random",
    "optim.lr=1e-3",
    "optim.batch_size=16",
    "trainer.max_epochs=2",
    "trainer.num_threads=1",
    "trainer.precision=32-true",
]

STAIN = [*TINY, "task=stain", "stain.crop=64", "stain.crops=48", "stain.channels=32", "stain.reduction=1"]
"""A training of ``task=stain`` in seconds."""

TINY_PROBE = [
    *TINY[:3],
    "method=linear_probe",
    "trainer.num_threads=1",
    "trainer.precision=32-true",
]


@pytest.fixture(scope="session")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides of a curated data set that tests only read: twelve fields of 15 patches."""
    folder = tmp_path_factory.mktemp("uneven")
    rng = np.random.default_rng(0)
    for well in range(1, 13):
        write_pair(folder / "raw", f"--W{well:05d}--P00001--Z00000--T00000", uneven_field(rng))
    overrides = [
        "dataset=no_treatment",
        f"dataset.root={folder / 'raw'}",
        f"curation.output_root={folder / 'curated'}",
        *UNEVEN,
    ]
    curate(*composed_prepare(*overrides), embed=None, console=Console(quiet=True))
    return overrides


@pytest.fixture(autouse=True)
def _figures_of_reports(request: pytest.FixtureRequest) -> Iterator[None]:
    """Coarse where a test of reports looks at them, none where it does not."""
    drawn = nullcontext()
    if request.path.parent.name == "report" and "fine_figures" not in request.fixturenames:
        drawn = coarse_figures() if "drawn_figures" in request.fixturenames else no_figures()
    with drawn:
        yield


@pytest.fixture
def fine_figures() -> None:
    """For a test of the resolution itself."""


@pytest.fixture
def drawn_figures() -> None:
    """For a test of reports that looks at what is drawn."""


@pytest.fixture(scope="session")
def reported(uneven: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trained run with its report, which tests only read."""
    from jimt.commands import train_and_report  # late, with what it imports

    folder = tmp_path_factory.mktemp("reported") / "run"
    with coarse_figures():
        train_and_report(composed_train(*uneven, *TINY, f"run_dir={folder}", "report=true", "trainer.max_epochs=3"))
    return folder


@pytest.fixture
def own(reported: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be spoilt."""
    return Path(shutil.copytree(reported, tmp_path / "own"))


@pytest.fixture
def edited(uneven: list[str], tmp_path: Path) -> Callable[[int, int], list[str]]:
    """Overrides of a copy of the curated data set whose test split keeps so many live and dead patches."""

    def edit(live: int, dead: int) -> list[str]:
        curated = Path(composed_prepare(*uneven)[1].output_root)
        shutil.copytree(curated, tmp_path / "curated")
        path = tmp_path / "curated/no_treatment" / MANIFEST
        manifest = pd.read_parquet(path).astype({"split": object})
        for label, n in ((1, live), (0, dead)):
            rows = manifest.index[(manifest["split"] == "test") & (manifest["label"] == label)]
            manifest.loc[rows[n:], "split"] = None
        manifest.to_parquet(path)
        return [*uneven, f"curation.output_root={tmp_path / 'curated'}"]

    return edit


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real fields and weights that ``JIMT_DATA`` names."""
    folder = os.environ.get("JIMT_DATA")
    if folder is None or not (Path(folder) / "mcf7").is_dir():
        pytest.skip("JIMT_DATA names no folder with the real fields (mcf7)")
    return Path(folder)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A search over the contrast alone, of trainings that take no time."""
    from stand_ins import Trial  # late, as what it imports: torch

    fake = Trial()
    monkeypatch.setattr("jimt.search.tune.train", fake.train)
    monkeypatch.setattr("jimt.search.tune._validate", fake.validate)
    return fake


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str | None]:
    """A command line in this process; returns what it exits with, None for 0."""

    def run(*words: str) -> str | None:
        monkeypatch.setattr(sys, "argv", [*words, *QUIET])
        try:
            if words[0] == "jimt":
                main()
            else:
                runpy.run_path(str(REPOSITORY / words[0]), run_name="__main__")
        except SystemExit as error:
            return str(error.code)
        return None

    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "SLURM_NTASKS", "SLURM_PROCID", "JIMT_COMMAND"):
        monkeypatch.setenv(name, "")  # so that what a command sets is taken back as well
        monkeypatch.delenv(name)
    process = sys.modules["__main__"]
    monkeypatch.setattr(process, "__spec__", process.__spec__)
    return run


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Accepting:
    """Trainings that are accepted, or refused as a test asks, and take no time."""
    training = Accepting()
    module = types.ModuleType("jimt.training.run")
    module.train = training.train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jimt.training.run", module)
    return training


@pytest.fixture
def sweeping(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A training that takes no time; no trace of a launcher in the environment."""
    from sweeps_in_process import OUTSIDE, Sweeping  # late, with what it imports

    sweeping = Sweeping()
    module = types.ModuleType("jimt.training.run")
    module.train = sweeping.train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jimt.training.run", module)
    for name in OUTSIDE:
        monkeypatch.delenv(name, raising=False)
    return sweeping


@pytest.fixture
def sweep(sweeping: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str | None]]:
    """``python train.py -m ARGUMENTS`` in this process; returns what it exits with, None for 0."""

    quiet = ["hydra/job_logging=none", "hydra/hydra_logging=none"]

    def run(*arguments: str) -> str | None:
        monkeypatch.setattr(sys, "argv", [str(REPOSITORY / "train.py"), "-m", *quiet, *arguments])
        try:
            runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")
        except SystemExit as error:
            return str(error.code)
        return None

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def wandb_offline(tmp_path: Path) -> Iterator[None]:
    """W&B as after its installation, with no key."""
    from logged_runs import fresh_wandb  # late, with what it imports

    with fresh_wandb(tmp_path):
        yield
