"""Models of random weights, as a training would leave them, for tests of what is exported of them."""

import dataclasses

import torch

from jimt.curation.patches import Scaling
from jimt.models.checkpoint import Checkpoint, Input, Network, Output, Record, StainScore
from jimt.models.like_training import Reference, StoredSpread

SIZE = 64
TASKS = ("patch", "pooled", "tiles", "stain")


def model(
    kind: str = "patch",
    *,
    backbone: str = "test_resnet.r160_in1k",
    size: int = SIZE,
    orientations: int = 8,
    layer: str | None = None,
    scaling: str = "bit_depth",
    bit_depth: int = 12,
    bit_shift: int = 0,
    maps: tuple[str, ...] = ("log_pi", "positive", "dead", "live"),
    reduction: int = 1,
    weights: str = "random",
) -> Checkpoint:
    """A model of one of ``TASKS``: fine-tuned, linear on pooled features, linear on tiles, or of the stain."""
    stain = kind == "stain"
    network = Network(backbone, "own" if kind == "patch" else "linear", layer)
    if stain:
        network = Network(
            backbone, "decoder", None, "fpn", 32 * reduction, reduction, maps
        )  # groups that are normalised hold several
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = network.build().state_dict()
    factors = [-1.0] * ("log_pi" in maps) + [-2.0] * ("positive" in maps) + [-1.5] * ("dead" in maps)
    score = StainScore(1.0, tuple(factors)) if stain else None
    counts = Scaling(scaling, bit_depth, 1.0, 99.0, 400.5, 3000.25)
    taken = Input(
        size, dataclasses.asdict(counts), bit_depth, bit_shift, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0.3225
    )
    record = Record(
        **{field.name: "" for field in dataclasses.fields(Record)}  # type: ignore[arg-type]
        | {
            "groups": {},
            "fold": None,
            "group_known": True,
            "labels": {},
            "weights": weights,
            "accelerator": "cpu",
            "precision": "32-true",
            "eval_batch_size": 16,
            "confidence": 0.95,
            "settings": {"backbone.trainable": None, "stain.crop": 64, "stain.decoder_lr": 1e-3},
            "versions": {"jimt": "0"},
        }
    )
    nothing = StoredSpread(torch.zeros(1), torch.zeros(1, 1), torch.zeros(1), 1.0)
    reference = Reference(0, 0, "made up", nothing, nothing, {}, {}, {}, 0.0, None, 0.0)
    output = Output(1.7, orientations, 32 if kind == "tiles" else None, score)
    task = "stain" if stain else "patch"
    return Checkpoint(task, network, taken, output, None, reference, record, state)
