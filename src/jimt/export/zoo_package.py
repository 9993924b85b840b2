"""A model as a package of the BioImage Model Zoo: ONNX weights, test input and outputs, cover, documentation."""

import io
import zipfile
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

import jimt
from jimt.errors import InputError
from jimt.export.new_folders import new_folder
from jimt.export.onnx_files import MODEL, PACKAGES, Exported, model_bytes, need, open_exported
from jimt.export.raw_counts import Pixels, grey_range, is_fixed
from jimt.export.weight_licences import check_licence, origin_in_words
from jimt.export.zoo_description import Publication, Sizes, describe
from jimt.models.checkpoint import Checkpoint
from jimt.synthetic.microscope import draw_well, simulate_field
from jimt.system.files import MODEL_CARD

PACKAGE: Final = "package.zip"


def write_zoo(run: Path, out: Path, publication: Publication) -> Path:
    """Write a package into a new folder; it is left there only where the graph answers as the model does.

    Args:
        run: Folder of a run, or a checkpoint.
        out: The folder.
        publication: What the package says beside.

    Returns:
        The package, a ZIP.

    Raises:
        InputError: If it cannot be exported, or its weights may not be published so.
    """
    need(PACKAGES)
    exported = open_exported(run)
    checkpoint = exported.checkpoint
    check_licence(checkpoint.record.weights, publication.licence)
    if checkpoint.input.patch_size % 2:
        raise InputError(
            f"half a patch of {checkpoint.input.patch_size} px is no whole number, and a package has no other steps",
            advice="export it as ONNX",
        )
    from jimt.export.onnx_check import check_answers  # late: onnxruntime, of the extra

    pixels: Pixels = "uint16" if is_fixed(checkpoint.input) else "float32"
    model = model_bytes(exported, pixels)
    check_answers(checkpoint, lambda image: _asked(model, _scaled(image, checkpoint)))
    sizes = Sizes.of(checkpoint)
    image = _simulated_field(checkpoint, side=sizes.least + -(-checkpoint.input.patch_size // sizes.step) * sizes.step)
    answers = _asked(model, _scaled(image, checkpoint))
    files = {
        MODEL: model,
        "README.md": _documentation(exported, publication).encode(),
        MODEL_CARD: exported.card.encode(),
        "cover.png": _cover(image, answers),
        "image.npy": _npy(image[None, None]),
        **{f"{name}.npy": _npy(values[None]) for name, values in answers.items()},
    }
    description = describe(exported, publication, sizes, list(answers), files)
    with new_folder(out) as folder, zipfile.ZipFile(folder / PACKAGE, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bioimageio.yaml", yaml.safe_dump(description, sort_keys=False, allow_unicode=True))
        for name, content in files.items():
            archive.writestr(name, content)
    return out / PACKAGE


def _scaled(image: NDArray[Any], checkpoint: Checkpoint) -> NDArray[Any]:
    """The field as the graph takes it."""
    if is_fixed(checkpoint.input):
        return image
    scaling = checkpoint.input.scaling
    low, high = np.percentile(image, (scaling["low_percentile"], scaling["high_percentile"]))
    return np.asarray(np.clip((image.astype(np.float64) - low) / (high - low + 1e-6), 0, 1), np.float32)


def _asked(model: bytes, image: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Answers of the graph to one field, by the names of its outputs."""
    import onnxruntime  # late: of the extra

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = session.run(None, {"image": image[None, None]})
    return {name: values[0] for name, values in zip(names, found, strict=True)}


def _npy(values: NDArray[Any]) -> bytes:
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


def _simulated_field(checkpoint: Checkpoint, *, side: int) -> NDArray[np.uint16]:
    """A field of the simulated microscope, in the bits that the model knows: no image of anybody is given away."""
    rng = np.random.default_rng(0)
    field = simulate_field(
        rng,
        height=side,
        width=side,
        dead_fraction=0.4,
        bare_fraction=0.0,
        unfocused_fraction=0.0,
        difficulty=0.3,
        well=draw_well(rng, difficulty=0.3),
    )
    takes = checkpoint.input
    low, high = grey_range(takes) if is_fixed(takes) else (0.0, float((1 << takes.bit_depth) - 1))
    darkest, brightest = np.percentile(field.brightfield, (1, 99))
    grey = np.clip(0.2 + 0.6 * (field.brightfield - darkest) / (brightest - darkest), 0, 1)
    counts = np.clip(np.rint(low + grey * (high - low)), 1, (1 << takes.bit_depth) - 1)
    return np.asarray(counts.astype(np.uint16) << np.uint16(takes.bit_shift), np.uint16)


def _cover(image: NDArray[np.uint16], answers: dict[str, NDArray[Any]]) -> bytes:
    """The field, and beside it what the model says of it, as PNG."""
    side = 256
    low, high = np.percentile(image, (1, 99))
    grey = (np.clip((image - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    shown = answers["maps"][0] if "maps" in answers else 1 - answers.get("tiles", answers["score"])[0]
    spread = (shown - shown.min()) / max(float(np.ptp(shown)), 1e-6)
    coloured = cv2.applyColorMap((spread * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    halves = [
        cv2.resize(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), (side, side), interpolation=cv2.INTER_AREA),
        cv2.resize(coloured, (side, side), interpolation=cv2.INTER_NEAREST),
    ]
    _, png = cv2.imencode(".png", np.concatenate(halves, axis=1))
    return png.tobytes()


def _documentation(exported: Exported, publication: Publication) -> str:
    """The model card, and what a reader of the package needs beside it."""
    takes = exported.checkpoint.input
    pixel_size = "not known" if takes.pixel_size is None else f"{takes.pixel_size:g} µm"
    return f"""{exported.card}
## How to ask it

The input is a bright-field field as the camera took it, 16 bits, in focus, at a pixel size of {pixel_size}. Patches
without cells are scored like all others: look at none of their scores. Zero-filled edges, as an alignment leaves them,
count as part of the image: cut them off first.

## Validation

Test it on stained fields of your own microscope before you believe it: the shares of dead cells that it tells against
those by propidium iodide, whole wells or experiments apart from those that it was trained on.

## Origin and licences

Exported by jimt {jimt.__version__} from the checkpoint with SHA-256 {exported.digest}.
{origin_in_words(exported.checkpoint.record.weights)} The weights here: {publication.licence}. The images that it was
trained on: {publication.data_licence}. The test image and the cover are simulated.
"""
