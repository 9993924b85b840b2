"""The network that tells living from dead: a timm backbone and two logits, for training and prediction alike."""

import threading
from typing import Any, Final, Literal, cast

import torch
from torch import Tensor, nn

from jimt.errors import InputError, did_you_mean
from jimt.networks.backbones import create_backbone
from jimt.networks.weights import load_weights

Head = Literal["own", "linear"]
"""The backbone's own classifier, which is fine-tuned with it, or a linear one on frozen pooled features."""


class _ReachedError(Exception):
    """The layer that is asked for has answered.

    Attributes:
        output: What.
    """

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


_CUT: Final = threading.local()
"""``is_on`` in a thread that asks for the feature map of a layer, and not for what comes after it."""


def _stop(_layer: nn.Module, _given: object, output: Tensor) -> None:
    if getattr(_CUT, "is_on", False):
        raise _ReachedError(output)


class LiveDeadNetwork(nn.Module):
    """Two logits for each patch: dead, live. ``score`` elsewhere is the softmax of the second.

    Args:
        backbone: timm's name.
        head: Which layer gives the logits.
        layer: With head ``linear``, part of the network whose feature map is pooled in place of the last; None for the
            last.

    Raises:
        InputError: If timm knows no such network, or the network has no such layer.
    """

    def __init__(self, backbone: str, *, head: Head, layer: str | None) -> None:
        super().__init__()
        self._backbone, self._layer = backbone, layer
        self.linear: nn.Module = nn.Identity()
        if head == "linear":
            self.network = create_backbone(backbone, num_classes=0)
            self.linear = nn.Linear(self._n_features(backbone), 2)
            return
        self.network = create_backbone(backbone, num_classes=2)
        classifier = self.own_head
        if isinstance(classifier, nn.Linear):
            # torch's own initialisation, as the paper's networks had: some of timm's are made for training from
            # scratch and start a two-class head at logits of 5
            classifier.reset_parameters()

    def load_pretrained(self, weights: str) -> str:
        """Put pretrained weights into the backbone; as ``weights.load_weights``."""
        return load_weights(self.network, self._backbone, weights)

    def compile_parts(self, *, mode: str) -> None:
        """Compile what computes, in place, by ``torch.compile``'s mode; a checkpoint's keys stay the network's."""
        self.network.compile(mode=mode)

    @property
    def own_head(self) -> nn.Module:
        """The backbone's own classifier."""
        return cast(nn.Module, cast(Any, self.network).get_classifier())

    def _n_features(self, backbone: str) -> int:
        if self._layer is None:
            return cast(int, self.network.head_hidden_size)
        names = [name for name, _ in self.network.named_modules() if name]
        if self._layer not in names:
            raise InputError(
                f"probe.layer={self._layer} is not a part of {backbone}",
                advice=did_you_mean(self._layer, names, otherwise=f"it has {', '.join(names[:5])} and more"),
            )
        with torch.inference_mode():
            maps = self.eval().feature_map(torch.zeros(1, 3, 64, 64))
        if maps.ndim != 4:
            raise InputError(
                f"probe.layer={self._layer} of {backbone} has no feature map", advice="choose a convolutional part"
            )
        return int(maps.shape[1])

    def feature_map(self, images: Tensor) -> Tensor:
        """Feature map of the layer, shape ``(n, n_features, height, width)``, of normalised images."""
        if self._layer is None:
            return cast(Tensor, self.network.forward_features(images))  # type: ignore[operator]

        hooks = self.network.get_submodule(self._layer)._forward_hooks
        # behind those of others, and put there once: another thread may be passing something through
        if next(reversed(hooks.values()), None) is not _stop:
            for key in [key for key, hook in hooks.items() if hook is _stop]:
                del hooks[key]
            self.network.get_submodule(self._layer).register_forward_hook(_stop)
        _CUT.is_on = True
        try:
            return cast(Tensor, self.network.forward_features(images))  # type: ignore[operator]
        except _ReachedError as reached:  # what comes after the layer is not computed
            return reached.output
        finally:
            _CUT.is_on = False

    def pooled_features(self, images: Tensor) -> Tensor:
        """What the last linear layer is given, shape ``(n, n_features)``: 2,048 numbers for Inception-v3."""
        if self._layer is not None:
            return self.feature_map(images).mean((2, 3))
        features = self.network.forward_features(images)  # type: ignore[operator]
        return cast(Tensor, self.network.forward_head(features, pre_logits=True))  # type: ignore[operator]

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape ``(n, 2)`` of normalised images of shape ``(n, 3, size, size)``."""
        features = self.network(images) if self._layer is None else self.feature_map(images).mean((2, 3))
        return cast(Tensor, self.linear(features))

    def logits_and_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What ``forward`` and ``pooled_features`` give, in one pass."""
        if self._layer is not None:
            pooled = self.pooled_features(images)
            return cast(Tensor, self.linear(pooled)), pooled
        features = self.network.forward_features(images)  # type: ignore[operator]
        pooled = self.network.forward_head(features, pre_logits=True)  # type: ignore[operator]
        logits = self.linear(self.network.forward_head(features))  # type: ignore[operator]
        return cast(Tensor, logits), cast(Tensor, pooled)
