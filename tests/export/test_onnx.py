"""``jimt export RUN --format onnx``: a file and a script that answer as the run does, with neither torch nor jimt."""

import functools
import hashlib
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tifffile
import torch
from timm.layers import Conv2dSame
from torch import nn
from torch.export import Dim

import jimt
from conftest import REPOSITORY
from exports import model
from jimt.export import onnx_check
from jimt.export.export import main
from jimt.export.onnx_check import TOLERANCE, check
from jimt.export.onnx_files import Exported, model_bytes, script_of, write_onnx
from jimt.export.placed_networks import Blocks, known_padding
from jimt.export.raw_counts import RawCounts
from jimt.models.checkpoint import Checkpoint
from jimt.models.predictor import Predictor
from jimt.report.progress import watched
from stain_runs import stain_run

WITHOUT = """
import runpy, sys
for name in ("torch", "jimt", "timm", "pandas", "scipy", "cv2"):
    sys.modules[name] = None  # importing it fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def asked(script: Path, *images: Path) -> str:
    done = subprocess.run([sys.executable, "-c", WITHOUT, script, *images], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def raw_field(shape: tuple[int, int], *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(2000, 300, shape).clip(1, 4095).astype(np.uint16)


def assert_answers_alike(run: Path, out: Path, tmp_path: Path) -> None:
    """The script, on a raw field of odd sides in a file, against the run in float32."""
    image = raw_field((101, 187))
    tifffile.imwrite(tmp_path / "field.tif", image)
    told = asked(out / "predict.py", tmp_path / "field.tif")
    assert told.startswith(f"{tmp_path / 'field.tif'}: score, 2 x 4, mean 0.")
    table = jimt.load(run).scores(image)
    grid = table.pivot(index="y", columns="x", values="score").to_numpy()
    found = tifffile.imread(tmp_path / "field_score.tif")
    np.testing.assert_allclose(found.reshape(grid.shape), grid, atol=TOLERANCE)


def assert_tells_where_it_is_from(run: Path, out: Path) -> None:
    digest = hashlib.sha256((run / "checkpoints/best.ckpt").read_bytes()).hexdigest()
    held = {entry.key: entry.value for entry in onnx.load(out / "model.onnx").metadata_props}
    assert held["jimt.checkpoint_sha256"] == digest
    assert digest in (out / "predict.py").read_text()
    assert (out / "MODEL_CARD.md").read_text().startswith("# Model card: ")
    assert sorted(path.name for path in out.iterdir()) == ["MODEL_CARD.md", "model.onnx", "predict.py"]
    for private in (str(REPOSITORY), str(run)):
        assert private.encode() not in (out / "model.onnx").read_bytes()


def test_a_fine_tuned_model_answers_alike_without_torch_and_jimt(reported, tmp_path, capsys):
    main([str(reported), "--format", "onnx", "--out", str(tmp_path / "out")])
    assert "score: " in capsys.readouterr().out
    assert_answers_alike(reported, tmp_path / "out", tmp_path)
    assert_tells_where_it_is_from(reported, tmp_path / "out")


@pytest.mark.slow
def test_a_model_of_the_stain_answers_alike_without_torch_and_jimt(tmp_path_factory, tmp_path):
    run = stain_run(tmp_path_factory)
    differences = write_onnx(run, tmp_path / "out")
    assert set(differences) == {"score", "maps"}
    assert_answers_alike(run, tmp_path / "out", tmp_path)
    assert_tells_where_it_is_from(run, tmp_path / "out")
    image = raw_field((101, 187))
    predictor = jimt.load(run)
    maps = predictor.maps(predictor.fields_of([image]), 0)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "field_maps.tif"), list(maps.values()), atol=TOLERANCE)


def exported(checkpoint: Checkpoint, folder: Path, *, pixels: str = "uint16") -> tuple[Path, Path]:
    of = Exported(checkpoint, "0" * 64, "# Model card")
    (folder / "model.onnx").write_bytes(model_bytes(of, pixels))
    (folder / "predict.py").write_text(script_of(of))
    return folder / "model.onnx", folder / "predict.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("pooled", {"bit_shift": 4, "orientations": 1}),
        ("tiles", {"scaling": "percentile_dataset"}),
        ("stain", {"scaling": "full_range", "bit_depth": 16, "reduction": 2, "orientations": 2}),
        ("stain", {"backbone": "tf_efficientnet_lite0", "reduction": 4}),  # as experiment=demo_stain
    ],
)
def test_any_kind_of_model_answers_alike(kind, settings, tmp_path):
    checkpoint = model(kind, **settings)
    assert all(value < 1e-5 for name, value in check(checkpoint, *exported(checkpoint, tmp_path)).items())


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["squeezenet1_1.tv_in1k", "inception_v3.tv_in1k", "tf_efficientnet_lite0"])
def test_every_backbone_of_conf_is_exported_fine_tuned(backbone, tmp_path):
    checkpoint = model(backbone=backbone, size=96, orientations=1)  # Inception-v3 takes 75 and more
    assert max(check(checkpoint, *exported(checkpoint, tmp_path)).values()) < TOLERANCE


@pytest.mark.slow
def test_percentiles_of_the_whole_field_are_taken_by_the_script(tmp_path):
    checkpoint = model(scaling="percentile_image", orientations=1)
    paths = exported(checkpoint, tmp_path, pixels="uint8")
    assert max(check(checkpoint, *paths).values()) < 1e-5


def script_alone(folder: Path, checkpoint: Checkpoint) -> dict:
    """The functions of a script, with no file of a model beside it."""
    (folder / "predict.py").write_text(script_of(Exported(checkpoint, "0" * 64, "# Model card")))
    return runpy.run_path(str(folder / "predict.py"))


FIELDS = {
    "whole": raw_field((101, 187)),
    "with zero-filled edges": np.pad(raw_field((101, 187))[17:, 9:], ((17, 0), (9, 0))),
    "constant": np.full((70, 80), 1234, np.uint16),
    "saturated": np.full((70, 80), 4095, np.uint16),
    "of floats": raw_field((101, 187)).astype(np.float32) * np.float32(1.7),
    "of 8 bits": (raw_field((101, 187)) >> 4).astype(np.uint8),
}


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("bits", [{"bit_depth": 12}, {"bit_depth": 12, "bit_shift": 4}, {"bit_depth": 16}])
def test_the_script_takes_percentiles_of_what_holds_data(kind, bits, tmp_path):
    checkpoint, image = model(scaling="percentile_image", **bits), FIELDS[kind]
    if image.dtype == np.uint16:
        image = image << bits.get("bit_shift", 0)
    wanted = Predictor(checkpoint).fields_of([image]).field(0)
    np.testing.assert_array_equal(script_alone(tmp_path, checkpoint)["scaled"](image), wanted)


@pytest.mark.parametrize("image", [np.zeros((70, 80), np.uint16), np.full((70, 80), np.nan, np.float32)])
def test_the_script_refuses_what_holds_no_data(image, tmp_path):
    answer = script_alone(tmp_path, model(scaling="percentile_image"))["answer"]
    with pytest.raises(SystemExit, match="error: the image holds nothing but zeros, or numbers that are none"):
        answer(None, image)


def test_a_file_that_answers_otherwise_is_not_left(reported, tmp_path, monkeypatch):
    forward = RawCounts.forward
    monkeypatch.setattr(RawCounts, "forward", lambda self, counts: forward(self, counts) * 0.9)
    with pytest.raises(SystemExit, match="error: the ONNX file does not answer as the model does"):
        main([str(reported), "--format", "onnx", "--out", str(tmp_path / "out")])
    assert list(tmp_path.iterdir()) == []


def test_the_number_of_fields_is_free(reported, tmp_path):
    write_onnx(reported, tmp_path / "out")
    session = onnxruntime.InferenceSession(tmp_path / "out/model.onnx")
    fields = np.stack([raw_field((70, 101), seed=seed) for seed in range(3)])[:, None]
    (together,) = session.run(None, {"image": fields})
    alone = [session.run(None, {"image": field[None]})[0][0] for field in fields]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_fields_of_the_check_have_odd_sides_and_fill_the_counts():
    checkpoint = model(bit_depth=12)
    fields = onnx_check.odd_fields(checkpoint)
    assert all(side % 2 for field in fields[1:] for side in field.shape[:1])
    assert [field.dtype.name for field in fields] == ["uint16", "uint16", "uint16", "uint8"]
    counts = fields[0] & 4095
    assert counts.max() > 3500
    assert counts.min() < 500


class Halved(nn.Module):
    """Two layers with TensorFlow's padding, which is a formula of the side."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(Conv2dSame(1, 2, 3, stride=2), Conv2dSame(2, 1, 5, stride=2))

    def forward(self, grey: torch.Tensor) -> torch.Tensor:
        return self.layers(grey)


def test_padding_is_a_number_where_torch_follows_a_network():
    network = Halved().eval()
    sides = ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 4: Dim.DYNAMIC},)
    with known_padding():
        program = torch.export.export(
            Blocks(network, 32), (torch.zeros(2, 1, 3, 32, 5, 32),), dynamic_shapes=sides, strict=False
        )
    paddings = [node.args[1] for node in program.graph.nodes if node.target is torch.ops.aten.pad.default]
    assert paddings == [[0, 1, 0, 1], [1, 2, 1, 2]]
    grey = torch.linspace(0, 1, 3 * 7 * 32 * 4 * 32).view(3, 1, 7 * 32, 4 * 32)
    given = program.module()(grey.view(3, 1, 7, 32, 4, 32))
    torch.testing.assert_close(given, network(grey))
    network(grey[:, :, :33])  # a side of any length is padded by its formula again


def test_a_user_is_told_what_an_export_waits_for(reported, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("jimt.report.progress.watched", functools.partial(watched, patience=0.2))
    main([str(reported), "--format", "onnx", "--out", str(tmp_path / "out")])
    told = capsys.readouterr().err
    for step in ("test_resnet.r160_in1k", "what is around it"):
        assert re.search(rf"^export, {step} in operations of ONNX \(\d+ s\)$", told, re.MULTILINE), told
