"""A model as a folder: ONNX file, script that asks it, model card; left there only where it answers alike."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2

import jimt
from jimt.errors import InputError
from jimt.export.new_folders import new_folder
from jimt.export.raw_counts import Pixels, grey_range, is_fixed
from jimt.models.checkpoint import Checkpoint, read_checkpoint
from jimt.report.model_card import model_card
from jimt.report.study import AS_TRAINED, Model, open_study
from jimt.system.files import BEST, MODEL_CARD, digest_of_file
from jimt.system.run_folders import find_checkpoint

MODEL: Final = "model.onnx"
SCRIPT: Final = "predict.py"
OPSET: Final = 18
"""Version of ONNX's operations: what ONNX Runtime computes from 1.14 on."""
PACKAGES: Final = ("onnx", "onnxruntime", "onnxscript")
"""Packages of the extra ``export`` that this takes."""


@dataclass(frozen=True)
class Exported:
    """A model that is to be exported.

    Attributes:
        checkpoint: The model.
        digest: Of its file, SHA-256.
        card: The model card, Markdown.
    """

    checkpoint: Checkpoint
    digest: str
    card: str


def open_exported(run: Path) -> Exported:
    """Read what is to be exported of the folder of a run, or of a checkpoint.

    Raises:
        InputError: If there is none, or it cannot be read.
    """
    path, folder = find_checkpoint(run)
    of_run = path == folder / BEST
    model = open_study(folder).models[0] if of_run else Model(path.stem, path.parent.parent, (path,), AS_TRAINED)
    return Exported(read_checkpoint(path), digest_of_file(path), model_card(model))


def need(packages: tuple[str, ...]) -> None:
    """Refuse to begin without the packages of the extra ``export``.

    Raises:
        InputError: If one is not installed.
    """
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise InputError(
            f"an export takes packages that are not installed ({', '.join(missing)})",
            remedies=(f"pip install {' '.join(missing)}",),
        )


def write_onnx(run: Path, out: Path) -> dict[str, float]:
    """Write ``model.onnx``, ``predict.py`` and ``MODEL_CARD.md`` into a new folder.

    Args:
        run: Folder of a run, or a checkpoint.
        out: The folder; nothing is left of it where the file answers otherwise than the model.

    Returns:
        How far the answers of both differ at most, by the names of the outputs.

    Raises:
        InputError: If it cannot be exported, a package is missing, or the folder holds something.
    """
    need(PACKAGES)
    exported = open_exported(run)
    from jimt.export.onnx_check import check  # late: onnxruntime, of the extra

    with new_folder(out) as folder:
        pixels: Pixels = "uint16" if is_fixed(exported.checkpoint.input) else "uint8"
        (folder / MODEL).write_bytes(model_bytes(exported, pixels))
        (folder / SCRIPT).write_text(script_of(exported), encoding="utf-8")
        (folder / MODEL_CARD).write_text(exported.card, encoding="utf-8")
        return check(exported.checkpoint, folder / MODEL, folder / SCRIPT)


def model_bytes(exported: Exported, pixels: Pixels) -> bytes:
    """The ONNX file of a model, with what it says of itself; arguments and errors as of ``onnx_graph.onnx_model``."""
    from jimt.export.onnx_graph import onnx_model  # late, likewise

    return bytes(onnx_model(exported.checkpoint, pixels, told_of(exported)).SerializeToString())


def told_of(exported: Exported) -> dict[str, str]:
    """What a file says of itself: where it comes from, and what its answers mean."""
    takes, gives = exported.checkpoint.input, exported.checkpoint.output
    told: dict[str, Any] = {
        "checkpoint_sha256": exported.digest,
        "jimt": jimt.__version__,
        "task": exported.checkpoint.task,
        "patch_size": takes.patch_size,
        "stride": takes.patch_size // 2,
        "pixel_size_um": takes.pixel_size,
        "scaling": takes.scaling["method"],
        "orientations": gives.orientations,
        "tile": gives.tile,
        "maps": list(exported.checkpoint.network.outputs),
    }
    return {f"jimt.{key}": value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}


def script_of(exported: Exported) -> str:
    """The script that asks the ONNX file, by ``predict_onnx.py.jinja``."""
    takes, gives = exported.checkpoint.input, exported.checkpoint.output
    stain, fixed = exported.checkpoint.task == "stain", is_fixed(takes)
    whole_range = fixed and takes.scaling["method"] != "percentile_dataset"
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jimt.export", "."),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    return environment.get_template("predict_onnx.py.jinja").render(
        file=MODEL,
        script=SCRIPT,
        digest=exported.digest,
        version=jimt.__version__,
        outputs=["score"] + (["maps"] if stain else ["tiles"] if gives.tile is not None else []),
        bands=not stain and gives.tile is None,
        size=takes.patch_size,
        fixed=fixed,
        shift=takes.bit_shift,
        mask=(1 << takes.bit_depth) - 1,
        high_of_8=f"({grey_range(takes)[1]:g} / 255)" if whole_range else "1",
        low=takes.scaling["low_percentile"],
        high=takes.scaling["high_percentile"],
    )
