"""A curation that is cut off, or whose folder was damaged afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from jimt.curation import read_stage
from jimt.curation.curate import curate
from jimt.curation.manifest import open_curated, read_manifest
from jimt.errors import InputError

pytestmark = pytest.mark.stack


def no_features(field, places) -> np.ndarray:
    raise AssertionError("the empty filter is off")


def run(config, embed=no_features) -> Path:
    return curate(*config, embed=embed, console=Console(quiet=True))


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_an_interrupted_curation_goes_on_where_it_stopped(small, prepare_config, monkeypatch, tmp_path):
    whole = read_manifest(run(prepare_config(*small, "curation.output_root=whole")) / "manifest.parquet")
    monkeypatch.setattr(read_stage, "_COMMIT_SECONDS", 0.0)
    seen: list[str] = []
    real = read_stage.FieldWriter.add

    def stops_after_seven(writer, result):
        if len(seen) == 7:
            raise KeyboardInterrupt
        seen.append(result.raw.raw_image_id)
        real(writer, result)

    monkeypatch.setattr(read_stage.FieldWriter, "add", stops_after_seven)
    with pytest.raises(KeyboardInterrupt):
        run(prepare_config(*small))
    assert not (tmp_path / "data/curated/no_treatment").exists()
    (partial,) = (tmp_path / "data/curated").glob("*.partial")
    with (partial / "fields.u8").open("ab") as pixels:
        pixels.write(b"half a field that was never committed")
    first = list(seen)
    monkeypatch.setattr(read_stage.FieldWriter, "add", real)
    read = []
    real_read = read_stage.read_field
    monkeypatch.setattr(
        read_stage, "read_field", lambda raw, *rest: read.append(raw.raw_image_id) or real_read(raw, *rest)
    )
    folder = run(prepare_config(*small))
    assert len(first) == 7
    assert len(read) == 12 - 7
    assert not set(first) & set(read)
    pd.testing.assert_frame_equal(read_manifest(folder / "manifest.parquet"), whole)
    assert (folder / "fields.u8").read_bytes() == (tmp_path / "whole/no_treatment/fields.u8").read_bytes()
    assert files_below(tmp_path / "data/curated") == {f"no_treatment/{name}" for name in files_below(folder)}


CURATE = """
import sys
from rich.console import Console
from jimt.curation.curate import curate
from jimt.curation import read_stage
import conftest
from hydra import compose, initialize_config_dir
from jimt.errors import InputError
from jimt.config.hydra_schema import to_dataclasses
with initialize_config_dir(str(conftest.REPOSITORY / "conf"), version_base="1.3"):
    config = to_dataclasses(compose("prepare", overrides=sys.argv[2:]))
if sys.argv[1] == "full":
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
if sys.argv[1] == "slow":
    read_stage._COMMIT_SECONDS = 0.0
    read = read_stage.read_field
    def slowly(*arguments):
        import time
        print("reading", flush=True)
        time.sleep(0.2)
        return read(*arguments)
    read_stage.read_field = slowly
try:
    curate(config.dataset, config.curation, embed=None, console=Console(quiet=True))
except InputError as error:
    sys.exit(f"error: {error}")
"""


def in_process(mode: str, overrides: list[str], **options) -> subprocess.Popen:
    tests = str(Path(__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [sys.executable, "-c", CURATE, mode, *overrides],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def test_a_full_disk_ends_in_one_sentence_and_leaves_nothing(small, tmp_path):
    process = in_process("full", small)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert errors.strip().startswith("error: no space left for data/curated/no_treatment")
    assert "curation.output_root" in errors
    assert len(errors.strip().splitlines()) == 1
    assert files_below(tmp_path / "data") == set()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_curation_leaves_no_data_set_and_the_same_command_completes_it(small, prepare_config, tmp_path, stop):
    process = in_process("slow", small)
    assert process.stdout is not None
    for _ in range(4):
        assert process.stdout.readline() == "reading\n"
    time.sleep(0.05)
    process.send_signal(stop)
    process.communicate(timeout=30)
    assert process.returncode == -stop
    assert not (tmp_path / "data/curated/no_treatment").exists()
    folder = run(prepare_config(*small))
    assert len(open_curated(folder).manifest) == 12 * 20
    assert [path.name for path in folder.parent.iterdir()] == ["no_treatment"]


def test_a_manifest_edited_so_that_groups_leak_is_refused(small, prepare_config):
    folder = run(prepare_config(*small))
    manifest = pd.read_parquet(folder / "manifest.parquet")
    used = manifest["split"].notna()
    first = manifest.index[used & (manifest["split"] == "train")][0]
    manifest.loc[first, "split"] = "test"
    manifest.to_parquet(folder / "manifest.parquet")
    with pytest.raises(InputError, match="in two splits, for example .* in test and train"):
        open_curated(folder)


def test_a_damaged_store_is_refused(small, prepare_config):
    folder = run(prepare_config(*small))
    os.truncate(folder / "fields.u8", 1000)
    with pytest.raises(InputError, match=r"holds 1000 bytes in place of 368640: delete .* and curate again"):
        open_curated(folder)
    (folder / "manifest.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match="is damaged: delete"):
        open_curated(folder)
