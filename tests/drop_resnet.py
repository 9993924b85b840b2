"""timm's smallest ResNet with dropout, which none of timm's small test networks has: importing this registers it."""

import timm
from timm.models import generate_default_cfgs, register_model
from torch import nn

default_cfgs = generate_default_cfgs(
    {"drop_resnet.none": {"num_classes": 1000, "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25), "classifier": "fc"}}
)


@register_model
def drop_resnet(pretrained: bool = False, **kwargs: object) -> nn.Module:
    """Build it; called by timm."""
    return timm.models.resnet.test_resnet(pretrained, **({"drop_rate": 0.4} | kwargs))
