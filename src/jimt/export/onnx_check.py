"""Whether an ONNX file answers as the model it was made of: raw fields of odd sizes, by ONNX Runtime and by torch."""

import dataclasses
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from jimt.errors import InputError
from jimt.export.raw_counts import grey_range, is_fixed
from jimt.models.checkpoint import Checkpoint
from jimt.models.predictor import Predictor
from jimt.report.progress import part

TOLERANCE: Final = 1e-4
"""Of scores, of probabilities and of log(PI / background)."""


def check(checkpoint: Checkpoint, model: Path, script: Path) -> dict[str, float]:
    """Ask a file by the script beside it, run as it stands; the rest as of ``check_answers``."""
    session = onnxruntime.InferenceSession(model.read_bytes(), providers=["CPUExecutionProvider"])
    answer = runpy.run_path(str(script))["answer"]
    return check_answers(checkpoint, lambda image: answer(session, image), also_8_bit=True)


def check_answers(
    checkpoint: Checkpoint,
    answer: Callable[[NDArray[Any]], dict[str, NDArray[Any]]],
    *,
    also_8_bit: bool = False,
) -> dict[str, float]:
    """Hold answers against those of the model itself, in float32 on the processor.

    Args:
        checkpoint: The model.
        answer: Gives arrays of shape ``(channels, rows, columns)`` by name to a raw field.
        also_8_bit: Whether it takes 8-bit fields, too.

    Returns:
        How far the answers differ at most, by name.

    Raises:
        InputError: If that is more than ``TOLERANCE``, or a number is missing.
    """
    exact = exact_predictor(checkpoint)
    found: dict[str, float] = {}
    for image in odd_fields(checkpoint)[: None if also_8_bit else -1]:
        size = f"{image.shape[1]} x {image.shape[0]} px, {image.dtype}"
        with part(f"the model's answer to a field of {size}"):
            wanted = answers_of(exact, image)
        with part(f"ONNX Runtime's answer to a field of {size}"):
            given = answer(image)
        for name, values in given.items():
            alike = values.shape == wanted[name].shape and np.isfinite(values).all()
            difference = float(np.abs(values - wanted[name]).max()) if alike else np.inf
            found[name] = max(found.get(name, 0.0), difference)
    if off := {name: value for name, value in found.items() if value > TOLERANCE}:
        told = ", ".join(f"{name} by {value:.2g}" for name, value in off.items())
        raise InputError(
            f"the ONNX file does not answer as the model does ({told}; {TOLERANCE:g} is allowed), so it was not kept",
            advice="report it with the checkpoint, or train another backbone",
        )
    return found


def exact_predictor(checkpoint: Checkpoint) -> Predictor:
    """The model in float32 on the processor, whatever it was trained in."""
    record = dataclasses.replace(checkpoint.record, accelerator="cpu", precision="32-true")
    return Predictor(dataclasses.replace(checkpoint, record=record))


def odd_fields(checkpoint: Checkpoint) -> list[NDArray[Any]]:
    """Smooth and grainy raw fields of several sizes, drawn alike each time; the last in 8 bits.

    They fill the range of counts that becomes 8 bits and some more; the bits beside the counts are set, too, where
    the model masks them.
    """
    takes = checkpoint.input
    rng = np.random.default_rng(0)
    size, high = takes.patch_size, (1 << takes.bit_depth) - 1
    low, top = grey_range(takes) if is_fixed(takes) else (0.0, float(high))
    fields: list[NDArray[Any]] = []
    for height, width in ((size, size + 1), (size + 37, 2 * size + 5), (2 * size + 3, size + 18)):
        coarse = rng.normal(size=(-(-height // 16), -(-width // 16)))
        smooth = np.kron(coarse, np.ones((16, 16)))[:height, :width]
        grey = 0.5 + 0.15 * smooth + rng.normal(0, 0.1, (height, width))
        counts = np.clip(low + grey * (top - low), 1, high).astype(np.uint16)
        counts <<= takes.bit_shift
        if takes.bit_depth + takes.bit_shift < 16:
            counts |= np.uint16(0x8000)
        fields.append(counts)
    return [*fields, np.clip(grey * 255, 1, 255).astype(np.uint8)]


def answers_of(model: Predictor, image: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Answers of a model to one field, by a graph's names, each ``(channels, rows, columns)``."""
    fields = model.fields_of([image])
    rows = model.patches_of(fields, 0, stride=None)
    shape = (1, rows["y"].nunique(), rows["x"].nunique())
    answers = {"score": model.live_scores(fields, rows).reshape(shape)}
    if model.checkpoint.task == "stain":
        answers["maps"] = np.stack(list(model.maps(fields, 0).values())).astype(np.float64)
    elif (tiles := model.live_tiles(fields, 0)) is not None:
        answers["tiles"] = tiles[None]
    return answers
