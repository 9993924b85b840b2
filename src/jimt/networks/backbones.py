"""Convolutional networks by their timm name, what their input is normalised with, and their pooled features.

Importing it also registers torchvision's SqueezeNet 1.1 with timm, which has none, as ``squeezenet1_1``.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from typing import Any, Final, cast

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jimt.curation.patches import tiles_of_patch
from jimt.curation.store import cut_patches
from jimt.errors import InputError, did_you_mean
from jimt.networks.folding import fold_batch_norms
from jimt.networks.network_input import Triple, to_network_input
from jimt.networks.side_by_side import at_once, side_by_side
from jimt.networks.squeezenet import SqueezeNet
from jimt.networks.weights import load_weights
from jimt.system.memory import keep_freed_memory
from jimt.vocabulary import MULTIPLE

__all__ = ["FeatureExtractor", "SqueezeNet", "create_backbone", "load_weights", "normalisation"]

_BLOCK: Final = 64 * MULTIPLE
"""Pixels: a field passes in blocks of so many, so that a huge one needs no more memory than one of this size. A part of
what features are: with other blocks those of large fields would differ."""
_TRIED: Final = 3 * MULTIPLE
"""Pixels of the side of an image that a network is tried with."""


def _check_name(name: str) -> None:
    """Raise an InputError that suggests near names unless timm knows this one, tag included."""
    architecture, _, tag = name.partition(".")
    if not timm.is_model(name):
        asked, known = architecture, timm.list_models()
    elif tag and name not in (tagged := timm.list_models(f"{architecture}.*", include_tags=True)):
        asked, known = name, tagged
    else:
        return
    advice = did_you_mean(asked, known, otherwise="timm.list_models() lists those there are")
    raise InputError(f"timm knows no network called {name}", advice=advice)


def create_backbone(name: str, *, num_classes: int) -> nn.Module:
    """Build a network, its weights as timm initialises them.

    The features are pooled to one vector for an image the way the network is published with (for convolutional
    networks the mean over all positions), so inputs of 224 px fit those made for 299, such as Inception-v3.

    Args:
        name: timm's name with or without a weight tag, such as ``resnet18.tv_in1k``.
        num_classes: Number of logits; 0 returns the pooled features.

    Raises:
        InputError: If timm knows no such name; near ones are suggested.
    """
    _check_name(name)
    # Inception's auxiliary head, which refuses inputs of 224 px, is off unless asked for
    network: nn.Module = timm.create_model(name, pretrained=False, num_classes=num_classes)
    return network


def normalisation(name: str) -> tuple[Triple, Triple]:
    """Return the mean and the standard deviation per channel, of values in 0 to 1, that a network's weights expect.

    Args:
        name: timm's name with or without a weight tag; different tags may expect different values.

    Raises:
        InputError: If timm knows no such name, or says nothing about its input.
    """
    _check_name(name)
    published = timm.get_pretrained_cfg(name)
    if published is None:
        raise InputError(f"timm says nothing about the input of {name}", advice="choose another network")
    return cast(Triple, tuple(published.mean)), cast(Triple, tuple(published.std))


class FeatureExtractor:
    """Turns patches into pooled features of a network's last convolutional layer, for the empty filter.

    The network is built and its weights are loaded here, not at the first call, so what is missing is said at once.
    The global random state is left as it was.

    Args:
        name: timm's name of the network.
        weights: As in :func:`load_weights`. ``random`` gives the same network each time.
        device: Where it runs, such as ``cpu`` or ``cuda``.
        batch_size: How many patches go through the network at once.
        precision: ``32-true``, or ``bf16-mixed`` for layers in bfloat16; the same on every machine.

    Attributes:
        n_features: Length of a feature vector: 512 for ResNet-18 and SqueezeNet, 1280 for EfficientNet-Lite0,
            2048 for Inception-v3.
        provenance: Where the weights came from, in one line.

    Raises:
        InputError: As :func:`create_backbone` and :func:`load_weights` do.
    """

    def __init__(self, name: str, weights: str, *, device: str, batch_size: int, precision: str) -> None:
        self._mean, self._std = normalisation(name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # so that features of random weights can be had again
            network = create_backbone(name, num_classes=0)
        self.provenance = load_weights(network, name, weights, section="curation.empty_filter")
        self.n_features = cast(int, network.head_hidden_size)
        self._name, self._device = name, torch.device(device)
        if self._device.type == "cpu":
            keep_freed_memory()
        self._bfloat16 = precision == "bf16-mixed"
        self._network = network.eval().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._batch_size = batch_size

    def __call__(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return features of shape ``(n, n_features)`` of grey patches of shape ``(n, height, width)``."""
        return self._features_of(
            np.array(patches[batch])  # a copy: torch warns of read-only arrays
            for batch in self._batches_of(len(patches))
        )

    def _batches_of(self, n: int) -> Iterator[slice]:
        together = at_once(max(n, 1), batch_size=self._batch_size, device=self._device)
        return (slice(start, start + together) for start in range(0, n, together))

    def _features_of(self, batches: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        def pooled(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
            return self._pooled(self._feature_maps(torch.from_numpy(batch)))

        _ = self._folded  # here: two passes at once would each fold
        none = np.empty((0, self.n_features), np.float32)
        return np.concatenate([none, *side_by_side((partial(pooled, batch) for batch in batches), device=self._device)])

    def of_places(
        self, field: Callable[[int], NDArray[np.uint8]], places: NDArray[np.int64], *, size: int, whole: bool
    ) -> NDArray[np.float32]:
        """Return features of patches of fields, shape ``(n, n_features)``.

        Args:
            field: Gives a field in 8 bits by its number.
            places: Field, y and x of each patch, shape ``(n, 3)``.
            size: Side of a patch, pixels.
            whole: Whether each field passes through the network once, and its feature map is averaged over each patch;
                else each patch passes by itself. Either way a feature is a mean over the patch, but in a whole field
                the network sees beyond the patch's edges.

        Raises:
            InputError: If whole fields are asked for, and the network has no feature map of images of any size.
        """
        if not whole:
            return self._features_of(
                cut_patches(field, places[batch], size=size) for batch in self._batches_of(len(places))
            )
        features = np.empty((len(places), self.n_features), np.float32)
        for number in np.unique(places[:, 0]).tolist():
            of_field = np.flatnonzero(places[:, 0] == number)
            features[of_field] = self._of_windows(field(number), places[of_field, 1:], size=size)
        return features

    def _of_windows(self, pixels: NDArray[np.uint8], corners: NDArray[np.int64], *, size: int) -> NDArray[np.float32]:
        """Features of patches of one field by their corners, y and x, each from the map of the block it begins in."""
        beyond = -(-size // MULTIPLE) * MULTIPLE  # that a block is seen with on either side
        features = np.empty((len(corners), self.n_features), np.float32)
        blocks = corners // _BLOCK
        for block in np.unique(blocks, axis=0):
            first = np.maximum(block * _BLOCK - beyond, 0)
            end = (block + 1) * _BLOCK + 2 * beyond
            seen = pixels[first[0] : end[0], first[1] : end[1]]
            maps = self._map_of(seen)
            within = np.flatnonzero((blocks == block).all(axis=1))
            lengths = [-(-side // MULTIPLE) * MULTIPLE for side in seen.shape]
            tiles = [Fraction(length, n) for length, n in zip(lengths, maps.shape[2:], strict=True)]
            means = torch.empty(len(within), maps.shape[1])
            for i, corner in enumerate((corners[within] - first).tolist()):
                (rows, down), (columns, across) = (
                    tiles_of_patch(edge, size=size, tile=tile) for edge, tile in zip(corner, tiles, strict=True)
                )
                weights = torch.from_numpy(np.outer(down, across).astype(np.float32))
                means[i] = torch.einsum("fyx,yx->f", maps[0, :, rows, columns], weights)
            features[within] = self._pooled(means[:, :, None, None].to(self._device))
        return features

    def _map_of(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Feature map of a whole image, shape ``(1, n, height, width)`` in tiles, in float32 on the CPU.

        Raises:
            InputError: If the network has none.
        """
        advice, remedies = "choose a convolutional network", ("curation.empty_filter.features=patches",)
        configured = cast(dict[str, object], self._network.pretrained_cfg)
        if not configured.get("fixed_input_size"):
            beyond = tuple((0, -side % MULTIPLE) for side in pixels.shape)
            maps = self._feature_maps(torch.from_numpy(np.pad(pixels, beyond, mode="reflect"))[None])
            if maps.ndim == 4 and maps.shape[1] == self._network.num_features:
                return maps.cpu()
        raise InputError(f"{self._name} has no feature map of whole fields", advice=advice, remedies=remedies)

    @classmethod
    def with_state(
        cls, name: str, state: dict[str, Tensor], *, device: str, batch_size: int, precision: str
    ) -> "FeatureExtractor":
        """The extractor that ``state()`` was of; other arguments as of the class."""
        extractor = cls(name, "random", device=device, batch_size=batch_size, precision=precision)
        extractor._network.load_state_dict(state)
        return extractor

    def state(self) -> dict[str, Tensor]:
        """Weights of the network."""
        return {name: value.cpu() for name, value in self._network.state_dict().items()}

    @functools.cached_property
    def _folded(self) -> Any:
        """The network, quicker: made at the first use, when its weights are loaded."""
        return fold_batch_norms(
            self._network, lambda network, images: cast(Any, network).forward_features(images), size=_TRIED
        )

    @torch.inference_mode()
    def _feature_maps(self, patches: Tensor) -> Tensor:
        grey = patches.to(self._device).unsqueeze(1)  # one channel and eight bits cross to the device
        images = to_network_input(grey, mean=self._mean, std=self._std)
        with (
            torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16),
            # TensorFloat-32 keeps ten bits of each number, and cards newer than 2020 would use it unasked
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            feature_maps: Tensor = self._folded.forward_features(images)
        return feature_maps.float()  # pooled in float32: a mean rounded to bfloat16 would keep three digits

    @torch.inference_mode()
    def _pooled(self, feature_maps: Tensor) -> NDArray[np.float32]:
        pooled: Tensor = self._network.forward_head(feature_maps)
        return pooled.cpu().numpy()
