"""What a package of the BioImage Model Zoo says of itself: ``bioimageio.yaml``, by its specification."""

import datetime
import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

from jimt.export.onnx_files import MODEL, OPSET, Exported, told_of
from jimt.export.raw_counts import is_fixed
from jimt.models.checkpoint import Checkpoint
from jimt.system.files import MODEL_CARD
from jimt.vocabulary import STRIDE

SPECIFICATION: Final = "0.5.12"
"""Of the description; what bioimageio.core 0.11 tests."""
PAPER_DOI: Final = "10.1038/s41598-021-89895-w"
PAPER: Final = (
    "Pattarone et al.: Learning deep features for dead and living breast cancer cell classification without staining. "
    "Scientific Reports 11 (2021)"
)
_MEANINGS: Final = {
    "score": "P(live) of patches of {size} px, {step} px apart",
    "tiles": "P(live) of tiles of {step} px",
    "maps": "log(PI / background) as log_pi, and the probabilities of everything else, in places of {step} px",
}


@dataclass(frozen=True)
class Publication:
    """What a package says that no run knows.

    Attributes:
        authors: Names of who made the model.
        licence: Of the weights, as SPDX names it.
        data_licence: Of the images that it was trained on, in words.
    """

    authors: tuple[str, ...]
    licence: str
    data_licence: str


@dataclass(frozen=True)
class Sizes:
    """Sides of fields that a package is described for, pixels.

    Attributes:
        least: The smallest.
        step: From one to the next: sides are whole numbers of tiles, or of places of maps.
        of_output: Pixels of a field for one of each output.
    """

    least: int
    step: int
    of_output: dict[str, int]

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Sizes":
        """Those of a model."""
        size, tile = checkpoint.input.patch_size, checkpoint.output.tile
        step = STRIDE if checkpoint.output.stain is not None else tile or 1
        return cls(-(-size // step) * step, step, {"score": size // 2, "maps": STRIDE, "tiles": tile or 1})


def describe(
    exported: Exported, publication: Publication, sizes: Sizes, outputs: list[str], files: dict[str, bytes]
) -> dict[str, Any]:
    """The package's description, what ``bioimageio.yaml`` holds.

    Args:
        exported: The model.
        publication: What no run knows.
        sizes: Of fields.
        outputs: Names of the graph's outputs, in its order.
        files: Content of each file of the package.
    """
    checkpoint = exported.checkpoint

    def file(name: str) -> dict[str, str]:
        return {"source": name, "sha256": hashlib.sha256(files[name]).hexdigest()}

    def tensor(name: str, channels: list[str], sides: list[dict[str, Any]], **told: Any) -> dict[str, Any]:
        axes = [{"type": "batch"}, {"type": "channel", "id": "channel", "channel_names": channels}, *sides]
        return {"id": name, "axes": axes, "test_tensor": file(f"{name}.npy"), **told}

    def sides_of(name: str) -> list[dict[str, Any]]:
        # a patch is two of its steps
        sizes_of = [{"tensor_id": "image", "axis_id": axis, "offset": -(name == "score")} for axis in "yx"]
        scale = float(sizes.of_output[name])
        return [
            {"type": "space", "id": axis, "scale": scale, "size": of} for axis, of in zip("yx", sizes_of, strict=True)
        ]

    of_image = [{"type": "space", "id": axis, "size": {"min": sizes.least, "step": sizes.step}} for axis in "yx"]
    size = checkpoint.input.patch_size
    return {
        "format_version": SPECIFICATION,
        "type": "model",
        "name": re.sub(r"[^\w ()-]", " ", f"jimt on {checkpoint.record.dataset} ({checkpoint.network.name})")[:120],
        "description": "Tells living from dead cells in bright-field images, with no stain.",
        "timestamp": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "authors": [{"name": author} for author in publication.authors],
        "cite": [{"text": PAPER, "doi": PAPER_DOI}],
        "license": publication.licence,
        "tags": ["brightfield", "cells", "viability", "label-free", "propidium-iodide", checkpoint.task],
        "documentation": file("README.md"),
        "covers": [file("cover.png")],
        "attachments": [file(MODEL_CARD)],
        "inputs": [
            tensor(
                "image",
                ["brightfield"],
                of_image,
                data={"type": "uint16"},
                description="counts of the camera, as a 16-bit file holds them",
                preprocessing=_preprocessing(checkpoint),
            )
        ],
        "outputs": [
            tensor(
                name,
                list(checkpoint.network.outputs) if name == "maps" else ["live"],
                sides_of(name),
                data={"type": "float32"},
                description=_MEANINGS[name].format(size=size, step=sizes.of_output[name]),
            )
            for name in outputs
        ],
        "weights": {"onnx": file(MODEL) | {"opset_version": OPSET}},
        "config": {"jimt": told_of(exported)},
    }


def _preprocessing(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """What is done before the graph, where percentiles of the field give the 8 bits."""
    if is_fixed(checkpoint.input):
        return []
    low, high = (checkpoint.input.scaling[f"{end}_percentile"] for end in ("low", "high"))
    of_range = {"axes": ["channel", "y", "x"], "min_percentile": low, "max_percentile": high}
    return [
        {"id": "scale_range", "kwargs": of_range},
        {"id": "clip", "kwargs": {"min": 0.0, "max": 1.0}},
        {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
    ]
