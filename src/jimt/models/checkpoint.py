"""The contract between a training and whoever uses its model: everything that an answer depends on, and nothing else.

A checkpoint is written once, complete. It holds plain values and tensors, so that reading it executes nothing.
"""

import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import torch
from torch import Tensor

from jimt.errors import InputError
from jimt.models.adaptation import Adaptation, AdaptedField
from jimt.models.like_training import Reference, StoredSpread
from jimt.models.network import Head, LiveDeadNetwork
from jimt.models.stain_network import StainNetwork
from jimt.networks.decoders import Decoder
from jimt.networks.state_dicts import UNREADABLE
from jimt.system.files import write_whole

VERSION: Final = 5
"""Of the format: a change of its fields raises it."""
_NOT_OURS: Final = "give one that jimt wrote"
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Network:
    """Which network it is, to be built anew.

    Attributes:
        name: timm's name.
        head: Its own classifier, a linear one, or a decoder that makes maps.
        layer: Part of the network whose feature map a linear head pools; None for the last.
        decoder: Which decoder; None of a classifier.
        channels: Of the decoder; 0 of a classifier.
        reduction: Pixels of an image that become one of the network's, along y and x.
        outputs: What its maps show; none of a classifier.
    """

    name: str
    head: Head | Literal["decoder"]
    layer: str | None = None
    decoder: Decoder | None = None
    channels: int = 0
    reduction: int = 1
    outputs: tuple[str, ...] = ()

    def build(self) -> LiveDeadNetwork | StainNetwork:
        """The network, its weights not yet those of the checkpoint."""
        if self.head == "decoder":
            assert self.decoder is not None
            return StainNetwork(
                self.name,
                decoder=self.decoder,
                channels=self.channels,
                reduction=self.reduction,
                outputs=self.outputs,
            )
        return LiveDeadNetwork(self.name, head=self.head, layer=self.layer)


@dataclass(frozen=True)
class Input:
    """What the network takes, from a bright-field image as its file holds it.

    Attributes:
        patch_size: Side of a patch, pixels.
        scaling: Fields of ``curation.patches.Scaling``: how counts become 8 bits.
        bit_depth: Bits of a 16-bit pixel that carry the signal.
        bit_shift: Zero bits below the signal.
        mean: Of each channel, of values in 0 to 1, that the weights expect.
        std: Standard deviation, likewise.
        pixel_size: Micrometres; None where it is not known.
    """

    patch_size: int
    scaling: dict[str, Any]
    bit_depth: int
    bit_shift: int
    mean: Triple
    std: Triple
    pixel_size: float | None


@dataclass(frozen=True)
class StainScore:
    """How a patch's evidence of death, taken from maps, becomes logits; see ``map_evidence.EVIDENCE``.

    Attributes:
        offset: Of the logit of live, of a patch without any evidence.
        factors: What each kind of evidence adds to it, in their order.
    """

    offset: float
    factors: tuple[float, ...]


@dataclass(frozen=True)
class Output:
    """How logits become scores.

    Attributes:
        temperature: Logits are divided by it; fitted on the validation split, 1 where there was none.
        orientations: A score is of the mean over so many orientations: 1, 4 or 8.
        tile: Side in pixels of the tiles of a field whose scores a patch is the mean of; None: patches are scored.
        stain: How maps of the stain become logits; None of a network that gives logits.
        offset: Added to the logit of live above dead before the temperature; 0 of a model that was not adapted.
    """

    temperature: float
    orientations: int
    tile: int | None
    stain: StainScore | None = None
    offset: float = 0.0


@dataclass(frozen=True)
class EmptyFilter:
    """What drops patches without cells before they are scored.

    Attributes:
        backbone: timm's name of its feature network.
        features: ``patches`` where each patch passes through that by itself, ``field`` where its field does.
        precision: What that computes in.
        machine: The support vector machine, as skops saves it, uint8.
        state_dict: Weights of the feature network.
    """

    backbone: str
    features: str
    precision: str
    machine: Tensor
    state_dict: dict[str, Tensor]


@dataclass(frozen=True)
class Record:
    """What the training was: nothing that an answer depends on, everything that says where it comes from.

    Attributes:
        dataset: Its name.
        curated_folder: Where the curation lay.
        curation_fingerprint: Of the curation.
        splits_digest: Which patch was in which split.
        groups: Names of the groups of each split; none where no group is known.
        fold: Fields of ``curation.folds.Fold``; None where the split of the curation was used.
        group_known: Whether it is known which raw image a patch was cut from.
        labels: How patches got their labels: what ``thresholds.json`` of the curation holds, with what counts as
            PI-positive.
        method: How it was fitted.
        weights: Where the pretrained weights came from.
        seed: Of the training.
        accelerator: ``cpu`` or ``gpu``.
        precision: What it computed in.
        eval_batch_size: Patches scored at once.
        confidence: Coverage of its intervals.
        epoch: Which epoch was kept, from 1; 0 where none was trained.
        settings: What the result depends on, flat, by the names of the config.
        versions: Of jimt and the packages it stands on.
        adaptation: What the model was adapted to after the training; None where it was not.
    """

    dataset: str
    curated_folder: str
    curation_fingerprint: str
    splits_digest: str
    groups: dict[str, list[str]]
    fold: dict[str, Any] | None
    group_known: bool
    labels: dict[str, Any]
    method: str
    weights: str
    seed: int
    accelerator: str
    precision: str
    eval_batch_size: int
    confidence: float
    epoch: int
    settings: dict[str, Any]
    versions: dict[str, str]
    adaptation: Adaptation | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A trained model.

    Attributes:
        task: What it answers: ``patch``, live or dead of each patch, or ``stain``, maps that patches are judged by.
        network: Which network.
        input: What it takes.
        output: How its logits become scores.
        empty_filter: What drops patches without cells; None where all are scored.
        reference: What tells images unlike the training data.
        record: What the training was.
        state_dict: Weights of the network.
    """

    task: str
    network: Network
    input: Input
    output: Output
    empty_filter: EmptyFilter | None
    reference: Reference
    record: Record
    state_dict: dict[str, Tensor]

    def load_network(self) -> LiveDeadNetwork | StainNetwork:
        """The trained network, in evaluation mode.

        Raises:
            InputError: If the weights are of another network.
        """
        network = self.network.build()
        try:
            network.load_state_dict(self.state_dict)
        except RuntimeError as error:  # no such keys, or of other shapes
            raise InputError(
                f"the checkpoint holds the weights of another network than {self.network.name}", advice=_NOT_OURS
            ) from error
        return network.eval()


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint so that it is there whole or not at all."""
    write_tensors({"jimt_checkpoint": VERSION} | dataclasses.asdict(checkpoint), path)


def write_tensors(content: dict[str, Any], path: Path) -> None:
    """Write plain values and tensors, likewise."""
    written = io.BytesIO()
    torch.save(content, written)  # to memory first: torch's own writer hides that a disk is full
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, written.getbuffer())


def read_tensors(path: Path) -> dict[str, Any]:
    """Read plain values and tensors; nothing in the file is executed.

    Raises:
        InputError: If the file is missing, damaged or holds anything else.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing", advice=_NOT_OURS)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise InputError(
            f"{path} is damaged, or holds more than tensors and plain values, so it was not loaded",
            advice="take another one",
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a checkpoint of jimt", advice=_NOT_OURS)
    return cast(dict[str, Any], content)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of jimt without executing anything in it.

    Raises:
        InputError: If the file is damaged, holds anything but tensors and plain values, is not a whole checkpoint, or
            of another version.
    """
    content = read_tensors(path)
    parts = {
        "network": Network,
        "input": Input,
        "output": Output,
        "empty_filter": EmptyFilter,
        "reference": Reference,
        "record": Record,
    }
    try:
        version = content.pop("jimt_checkpoint")
        if version != VERSION:
            raise InputError(
                f"{path} is of another jimt (version {version} of checkpoints)",
                advice="train again, or install that jimt",
            )
        made = {key: kind(**content[key]) for key, kind in parts.items() if content[key] is not None}
        if (stain := made["output"].stain) is not None:
            made["output"] = dataclasses.replace(made["output"], stain=StainScore(**stain))
        if (told := content["record"]["adaptation"]) is not None:
            fields = tuple(AdaptedField(**field) for field in told["fields"])
            made["record"] = dataclasses.replace(made["record"], adaptation=Adaptation(**told | {"fields": fields}))
        spreads = {name: StoredSpread(**content["reference"][name]) for name in ("features", "texture")}
        made["reference"] = dataclasses.replace(made["reference"], **spreads)
        return Checkpoint(**content | made)
    except (TypeError, KeyError) as error:
        raise InputError(f"{path} is not a checkpoint of jimt", advice=_NOT_OURS) from error
