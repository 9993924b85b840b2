"""How many processors a machine has changes no answer, and of two fields at once neither has the other's."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import jimt
from conftest import TINY, TINY_PROBE, composed_train
from jimt.training.run import train
from predicting import PATTERN, contents, predicts, write_plate
from stain_runs import stain_run


@pytest.fixture(scope="module", params=["patches", "tiles", "stain"])
def run(request, uneven, tmp_path_factory) -> Path:
    if request.param == "stain":
        return stain_run(tmp_path_factory)
    folder = tmp_path_factory.mktemp("processors") / "run"
    kind = TINY if request.param == "patches" else [*TINY_PROBE, "probe=tiles", "probe.layer=layer3"]
    train(composed_train(*uneven, *kind, f"run_dir={folder}"))
    return folder


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_same_bytes_by_one_thread_by_two_and_by_five(run, threads, tmp_path):
    plate = write_plate(tmp_path / "plate")
    found = []
    for n in (1, 2, 5):
        threads(n)
        out = tmp_path / str(n)
        assert predicts(run, plate, *PATTERN, "--out", out, "--include-flagged") in (0, 4)
        assert torch.get_num_threads() == n
        found.append(contents(out) | {path.name: path.read_bytes() for path in out.glob("maps/*.ome.tiff")})
    assert len(found[0]) > 20
    for other in found[1:]:
        assert other.keys() == found[0].keys()
        assert [name for name in other if other[name] != found[0][name]] == []


def test_each_field_of_two_at_once_is_answered_as_if_it_were_alone(run, threads, tmp_path):
    threads(2)
    plate = write_plate(tmp_path / "plate")
    predicts(run, plate, *PATTERN, "--out", tmp_path / "all", "--include-flagged")
    together = pd.read_csv(tmp_path / "all/patches.csv")
    model = jimt.load(run)
    for number, image in enumerate(sorted(plate.rglob("*_BF.tif"))):
        predicts(run, image, "--out", tmp_path / f"alone {number}", "--include-flagged")
        alone = pd.read_csv(tmp_path / f"alone {number}/patches.csv")
        its = together[together["file"].map(lambda file: Path(file).name) == image.name]
        assert len(its) == len(alone) > 0
        np.testing.assert_allclose(its["score"], alone["score"], atol=1e-6)
    one, other = model.twin(), model.twin()
    assert one.network is other.network is model.network
    assert one.scorer is not other.scorer
