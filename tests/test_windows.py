"""Microscopes run Windows: nothing is needed that only POSIX has, and paths are taken as they are written there."""

import ast
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from commands import ENVIRONMENT
from conftest import REPOSITORY, TINY, UNEVEN, uneven_field, write_pair
from jimt.errors import as_typed


def without_posix(*words: str) -> str:
    """What a command prints on a system without POSIX, into a pipe of the code page of Western Europe."""
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", str(REPOSITORY / "tests/without_posix.py"), *words],
        capture_output=True,
        encoding="cp1252",
        timeout=600,
        env=ENVIRONMENT | {"PYTHONIOENCODING": "cp1252", "USERNAME": "lab"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "path", [r"C:\Users\lab\data", r"D:\My Data\Süd", "C:/lab/data", r"\\server\share\new", "E:\\"]
)
def test_a_path_of_windows_is_typed_and_recorded_as_it_is(path):
    (argument,) = shlex.split(as_typed("dataset.root", path))
    bare = [f"dataset.root={path}"] * path.startswith("C:")  # the others need quotes
    for word in (argument, *bare):
        (override,) = OverridesParser.create().parse_overrides([word])
        assert override.value() == path


def test_every_text_is_read_and_written_in_utf_8():
    unnamed = [
        f"{path.name}:{call.lineno}"
        for path in (REPOSITORY / "src").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("read_text", "write_text")
        and not any(keyword.arg == "encoding" for keyword in call.keywords)
    ]
    assert unnamed == []


@pytest.mark.slow
def test_a_curation_and_an_epoch_need_nothing_of_posix(tmp_path):
    rng = np.random.default_rng(0)
    for well in range(1, 13):
        write_pair(tmp_path / "Süd 1/raw", f"--W{well:05d}--P00001--Z00000--T00000", uneven_field(rng))
    mixed = f"{tmp_path}{os.sep}.//Süd 1{os.altsep or '/'}raw{os.sep}"
    words = ["dataset=no_treatment", f"dataset.root='{mixed}'", *UNEVEN, "curation.n_jobs=2"]
    words += [*TINY, "trainer.max_epochs=1", "trainer.num_workers=1", "hydra.run.dir=run"]
    assert "wrote data" in without_posix("train", *words)
    manifest = pd.read_parquet("data/curated/no_treatment/manifest.parquet")
    assert len(manifest) == 12 * 15
    assert json.loads(Path("run/test_metrics.json").read_text())["counts"]["patches"] == 45
