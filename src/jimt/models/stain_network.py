"""The network that predicts the stain: a timm backbone and a decoder of segmentation-models-pytorch."""

import re
from collections.abc import Sequence
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from jimt.errors import InputError
from jimt.networks.backbones import create_backbone
from jimt.networks.decoders import Decoder, create_encoder_decoder, resized
from jimt.networks.weights import load_weights
from jimt.vocabulary import STRIDE

NUCLEI: Final = ("dead", "live")
"""Of these outputs the first channel is of nuclei of either kind, the second of a nucleus being dead."""


class StainNetwork(nn.Module):
    """Maps of whatever is to be predicted of each place of a field.

    Args:
        backbone: timm's name.
        decoder: Which decoder.
        channels: Of the decoder; see ``create_encoder_decoder``.
        reduction: Pixels of an image that become one of the network's, along y and x.
        outputs: Names of the maps, of ``vocabulary.OUTPUTS``.

    Raises:
        InputError: If timm knows no such network, or it gives no features of several scales that the decoder can take.
    """

    def __init__(
        self, backbone: str, *, decoder: Decoder, channels: int, reduction: int, outputs: Sequence[str]
    ) -> None:
        super().__init__()
        self._backbone, self.reduction, self.outputs = backbone, reduction, tuple(outputs)
        self.network = create_encoder_decoder(backbone, decoder, channels=channels, n_outputs=len(outputs))
        with torch.no_grad():
            bias = cast(Tensor, self._last.bias)
            # most places are not stained: from a probability of a half, the first steps would go into saying so
            rare = ("positive", NUCLEI[0])
            bias.copy_(torch.tensor([-2.0 if name in rare else 0.0 for name in outputs]))

    @property
    def _last(self) -> nn.Conv2d:
        return cast(nn.Conv2d, self.network.segmentation_head[0])

    @property
    def encoder(self) -> nn.Module:
        """The backbone, to its last feature map."""
        return cast(nn.Module, self.network.encoder)

    def shift(self, output: str, by: float) -> None:
        """Add a number to a map everywhere, before the logistic function; of ``dead`` to what tells dead nuclei."""
        with torch.no_grad():
            cast(Tensor, self._last.bias)[self.outputs.index(NUCLEI[1] if output == "dead" else output)] += by

    def shift_dead(self, logits: float) -> None:
        """Call nuclei the more likely dead, or the less, wherever they lie; of a network that predicts nuclei."""
        self.shift("dead", logits)

    def load_pretrained(self, weights: str) -> str:
        """Put pretrained weights into the backbone; as ``weights.load_weights``."""
        donor = create_backbone(self._backbone, num_classes=0)
        found = load_weights(donor, self._backbone, weights)
        # the same layers under names whose dots are underscores in part
        given = {_plain(name): value for name, value in donor.state_dict().items()}
        wanted = {name: given.get(_plain(name.removeprefix("model."))) for name in self.encoder.state_dict()}
        if lacking := [name for name, value in wanted.items() if value is None]:
            raise InputError(
                f"{self._backbone} has other layers as an encoder than as a classifier, for example {lacking[0]}",
                advice="choose another backbone",
                remedies=("backbone.name=resnet18.tv_in1k",),
            )
        self.encoder.load_state_dict({name: value for name, value in wanted.items() if value is not None})
        return found

    def compile_parts(self, *, mode: str) -> None:
        """Compile what computes, in place, by ``torch.compile``'s mode; a checkpoint's keys stay the network's."""
        for part in (self.network.encoder, self.network.decoder):
            part.compile(mode=mode)

    def feature_map(self, seen: Tensor) -> Tensor:
        """What the last layer is given of reduced images, shape ``(n, n_features, height, width)`` in some resolution.

        Args:
            seen: Normalised, ``reduction`` pixels along each side as one.
        """
        return cast(Tensor, self.network.decoder(self.network.encoder(seen)))

    def forward(self, images: Tensor) -> Tensor:
        """Maps before the logistic function, shape ``(n, n_outputs, height / 4, width / 4)``.

        Args:
            images: Normalised, shape ``(n, 3, height, width)``, the sides multiples of 32 times the reduction.
        """
        seen = functional.avg_pool2d(images, self.reduction) if self.reduction > 1 else images
        return self._in_places(self._last(self.feature_map(seen)), seen)

    def maps(self, images: Tensor) -> Tensor:
        """Likewise log(PI / background), and the probability of everything else."""
        return self.as_maps(self(images).float())

    def maps_and_features(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """``maps`` of reduced images, and their ``feature_map`` in places or larger squares, in one pass."""
        features = self.feature_map(seen)
        maps = self.as_maps(self._in_places(self._last(features), seen).float())
        is_finer = features.shape[2] > maps.shape[2]
        return maps, self._in_places(features, seen) if is_finer else features

    def _in_places(self, values: Tensor, seen: Tensor) -> Tensor:
        """Values of any resolution in places of ``STRIDE`` pixels of the images before they were reduced."""
        height, width = (side * self.reduction // STRIDE for side in seen.shape[2:])
        return resized(values, (height, width))

    def as_maps(self, raw: Tensor) -> Tensor:
        """What ``forward`` gives, after the logistic function of everything but log(PI / background).

        Of the two channels of nuclei one tells whether a place lies in a nucleus, the other whether that is a dead one:
        few nuclei are dead, and a channel of these alone would have to learn anew what a nucleus is.
        """
        maps = dict(zip(self.outputs, raw.unbind(dim=1), strict=True))
        made = {name: values if name == "log_pi" else values.sigmoid() for name, values in maps.items()}
        if "dead" in maps:
            nucleus, dead = (maps[name].sigmoid() for name in NUCLEI)
            made |= {"dead": nucleus * dead, "live": nucleus * (1 - dead)}
        return torch.stack([made[name] for name in self.outputs], dim=1)


def _plain(name: str) -> str:
    return re.sub(r"[._]", " ", name)
