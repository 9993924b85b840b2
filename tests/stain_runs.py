"""One training of ``task=stain`` on simulated fields of a few cells, for all tests that look at one."""

import functools
from pathlib import Path

import pytest

from conftest import STAIN, composed_train
from jimt.training.run import train

FIELDS = [
    "dataset=synthetic",
    r"dataset.pattern='^(?P<raw_image_id>(?P<group>W\d+)--P\d+--Z\d+--T\d+)--(?P<channel>Trans|PI)\.tif$'",
    "dataset.simulation.n_wells=5",
    "dataset.simulation.fields_per_well=4",
    "dataset.simulation.height=160",
    "dataset.simulation.width=192",
    "curation.patches.size=64",
    "curation.patches.stride=32",
    "curation.n_jobs=1",
    "curation.empty_filter.enabled=false",
    "curation.split={train:2,val:1,test:2}",
]
"""Overrides of five wells of four fields with some ten cells each, all of which are known."""


def stain_run(factory: pytest.TempPathFactory) -> Path:
    """The folder of the run, which tests only read; TensorBoard was on. It is made once, whoever asks."""
    return _made_in(factory.getbasetemp() / "stain")


@functools.cache
def _made_in(folder: Path) -> Path:
    where = [f"dataset.root={folder / 'raw'}", f"curation.output_root={folder / 'curated'}"]
    run = folder / "run"
    train(composed_train(*FIELDS, *where, *STAIN, "stain=nuclei", f"run_dir={run}", "logger.tensorboard=true"))
    return run
