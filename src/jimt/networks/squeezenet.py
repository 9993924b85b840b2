"""torchvision's SqueezeNet 1.1 under timm's roof, which has none: importing this registers ``squeezenet1_1``."""

from collections.abc import Callable

import torchvision
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn
from torch.nn import functional

from jimt.errors import InputError

default_cfgs = generate_default_cfgs(
    {
        "squeezenet1_1.tv_in1k": {
            "url": torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url,
            "num_classes": 1000,
            "input_size": (3, 224, 224),
            "pool_size": (13, 13),
            "crop_pct": 0.875,
            "interpolation": "bilinear",
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
            "first_conv": "features.0",
            "classifier": "classifier.1",
        }
    }
)


class SqueezeNet(nn.Module):
    """torchvision's SqueezeNet 1.1, its keys unchanged, with the methods timm's networks have.

    The head is torchvision's: dropout, a 1 x 1 convolution to the classes, ReLU, mean over the positions.

    Args:
        num_classes: Number of logits; 0 returns the pooled features, shape ``(n, 512)``.
        drop_rate: Dropout before the last convolution; torchvision's own value.
    """

    def __init__(self, num_classes: int = 1000, in_chans: int = 3, drop_rate: float = 0.5) -> None:
        super().__init__()
        if in_chans != 3:
            raise InputError(f"squeezenet1_1 takes images of three channels, not of {in_chans}")
        self.num_features = self.head_hidden_size = 512
        self.feature_info = [
            {"num_chs": channels, "reduction": reduction, "module": f"features.{layer}"}
            for channels, reduction, layer in ((64, 2, 1), (128, 4, 4), (256, 8, 7), (512, 16, 12))
        ]
        self.drop_rate = drop_rate
        self.features: nn.Module = torchvision.models.squeezenet1_1(weights=None).features
        self.reset_classifier(num_classes)

    def get_classifier(self) -> nn.Module:
        """Return the convolution that makes the logits, or an identity where there is none."""
        return self.classifier.get_submodule("1") if self.num_classes else self.classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a new head in place, initialised as torchvision does.

        Args:
            num_classes: Number of logits; 0 leaves the pooled features.
            global_pool: Part of timm's signature; SqueezeNet knows the mean only.
        """
        self.num_classes = num_classes
        self.classifier: nn.Module = nn.Identity()
        if num_classes > 0:
            last = nn.Conv2d(self.num_features, num_classes, kernel_size=1)
            nn.init.normal_(last.weight, mean=0.0, std=0.01)
            nn.init.constant_(last.get_parameter("bias"), 0.0)
            self.classifier = nn.Sequential(
                nn.Dropout(self.drop_rate), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
            )

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last feature map, shape ``(n, 512, 13, 13)`` for images of 224 px."""
        features: Tensor = self.features(x)
        return features

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return logits ``(n, num_classes)`` of a feature map, or its mean ``(n, 512)`` if ``pre_logits``."""
        if pre_logits or self.num_classes == 0:
            return functional.adaptive_avg_pool2d(x, 1).flatten(1)
        logits: Tensor = self.classifier(x)
        return logits.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of images of shape ``(n, 3, height, width)``."""
        return self.forward_head(self.forward_features(x))


@register_model
def squeezenet1_1(pretrained: bool = False, **kwargs: object) -> nn.Module:
    """Build SqueezeNet 1.1; called by timm."""
    build: Callable[..., nn.Module] = build_model_with_cfg
    # as an encoder its layers are taken one by one
    layers = {"flatten_sequential": True, "out_indices": (0, 1, 2, 3)}
    return build(SqueezeNet, "squeezenet1_1", pretrained, feature_cfg=layers, **kwargs)
