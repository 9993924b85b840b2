"""Every remedy of an export is taken as it is printed, and mends what it says."""

import contextlib
import importlib.util
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

from conftest import REPOSITORY
from jimt.export.export import main
from jimt.export.new_folders import new_folder
from jimt.export.onnx_files import PACKAGES, need
from jimt.export.onnx_graph import translated
from jimt.export.weight_licences import check_licence
from remedies import Lab, Place, Reached, check, composed_train, marked


def reached(*_: object) -> None:
    raise Reached


def exports(*words: str) -> None:
    main(list(words))


def typed(words: list[str]) -> None:
    assert words[:2] == ["jimt", "export"]
    with contextlib.suppress(Reached):
        main(words[2:])


def of_what_is_exported(lab: Lab) -> None:
    for place in ("onnx_files.write_onnx", "zoo_package.write_zoo", "image_folder.write_image_folder"):
        lab.monkeypatch.setattr(f"jimt.export.{place}", reached)
    for given in (["--dataset", "NAME", "--format", "onnx"], ["RUN", "--format", "imagefolder"], ["--format", "onnx"]):
        lab.mends(exports, *given, types=typed, after=lambda: None)


def of_what_no_run_knows(lab: Lab) -> None:
    lab.monkeypatch.setattr("jimt.export.zoo_package.write_zoo", reached)
    lab.mends(exports, "RUN", "--format", "zoo", fill={"NAME": "Somebody", "TEXT": "CC0"})


def of_packages(lab: Lab) -> None:
    missing = {"onnx", "onnxruntime"}
    find = importlib.util.find_spec
    lab.monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else find(name))

    def installs(words: list[str]) -> None:
        extra = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]["export"]
        assert words[:2] == ["pip", "install"]
        assert set(words[2:]) <= {line.partition(">")[0] for line in extra}
        missing.difference_update(words[2:])

    told = lab.mends(lambda: need(PACKAGES), types=installs)
    assert told.text == (
        "an export takes packages that are not installed (onnx, onnxruntime): run pip install onnx onnxruntime"
    )


def of_a_network_that_onnx_has_not(lab: Lab) -> None:
    class Bessel(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(image)

    def writes(*overrides: str) -> None:
        name = composed_train("run_dir=run", *overrides).backbone.name
        if name.startswith("resnet18"):
            raise Reached
        translated(Bessel(), torch.zeros(2, 1), {}, ["image"], ["score"], name)

    told = lab.mends(writes, "backbone=squeezenet")
    assert told.text.startswith("squeezenet1_1.tv_in1k cannot be exported: torch does not find all it does in ONNX (")


def of_a_folder_that_is_there(lab: Lab) -> None:
    full = lab.tmp_path / "full"
    full.mkdir()
    (full / "mine").touch()

    def writes(*words: str) -> None:
        with new_folder(Path(words[words.index("--out") + 1])) as folder:
            (folder / "a").touch()

    lab.mends(writes, "--out", str(full), fill={"FOLDER": str(lab.tmp_path / "new")})
    assert [path.name for path in full.iterdir()] == ["mine"]
    assert [path.name for path in (lab.tmp_path / "new").iterdir()] == ["a"]


def of_weights_that_are_not_commercial(lab: Lab) -> None:
    def publishes(_: str, licence: str) -> None:
        check_licence("hub: convnextv2_nano.fcmae_ft_in1k", licence)

    lab.mends(publishes, "--licence", "MIT")


RUNS: dict[Place, object] = {
    ("export/export.py", "main"): of_what_is_exported,
    ("export/export.py", "_write_zoo"): of_what_no_run_knows,
    ("export/onnx_files.py", "need"): of_packages,
    ("export/onnx_graph.py", "translated"): of_a_network_that_onnx_has_not,
    ("export/new_folders.py", "new_folder"): of_a_folder_that_is_there,
    ("export/weight_licences.py", "check_licence"): of_weights_that_are_not_commercial,
}


@pytest.mark.parametrize("place", marked(RUNS, set()), ids=":".join)
def test_each_remedy_is_taken_and_mends_what_it_says(place, request):
    check(place, RUNS[place], request)
