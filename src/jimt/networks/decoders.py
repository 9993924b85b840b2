"""Decoders of segmentation-models-pytorch on timm's backbones."""

from typing import Any, Final, Literal

import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from jimt.errors import InputError
from jimt.networks.backbones import create_backbone

Decoder = Literal["fpn", "unet"]
"""A feature pyramid (T.-Y. Lin et al., 2017) or a U-Net (O. Ronneberger et al., 2015)."""
_KINDS: Final = {"fpn": smp.FPN, "unet": smp.Unet}
_PROBE_SIZE: Final = 224  # pixels; whether maps of several scales fit shows at any size that is no power of two


def create_encoder_decoder(backbone: str, decoder: Decoder, *, channels: int, n_outputs: int) -> Any:
    """A network whose backbone's features a decoder turns into maps; its weights are random.

    It is tried once, since what fits together shows in running.

    Args:
        backbone: timm's name.
        decoder: Which decoder.
        channels: Of the pyramid and of what becomes of its maps; or of the first block of a U-Net, each other of which
            has half of the one before.
        n_outputs: Number of maps.

    Raises:
        InputError: If timm knows no such network, or it gives no features of several scales that the decoder can take.
    """
    create_backbone(backbone, num_classes=0)  # refuses an unknown name
    try:
        layers: Any = timm.create_model(backbone, features_only=True, pretrained=False)
        reductions = layers.feature_info.reduction()
    except (AttributeError, RuntimeError, ValueError, KeyError, AssertionError) as error:
        raise _no_scales(backbone) from error
    if len(set(reductions)) < 3:
        raise _no_scales(backbone)
    depth = int(reductions[-1]).bit_length() - 1
    if decoder == "fpn":
        further: dict[str, Any] = {
            "upsampling": 1,
            "decoder_dropout": 0.0,
            "decoder_pyramid_channels": channels,
            "decoder_segmentation_channels": channels,
        }
    else:
        further = {"decoder_channels": [channels >> block for block in range(depth)]}
    try:
        network = _KINDS[decoder](
            f"tu-{backbone}", encoder_weights=None, encoder_depth=depth, classes=n_outputs, **further
        )
        if decoder == "fpn":
            network.decoder.merge = _Sum()
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, _PROBE_SIZE, _PROBE_SIZE))
    except (RuntimeError, ValueError, KeyError) as error:
        if decoder == "fpn":
            raise InputError(
                f"the feature maps of {backbone} are not halves of one another, as stain.decoder=fpn needs",
                remedies=("stain.decoder=unet", "backbone.name=resnet18.tv_in1k"),
            ) from error
        raise _no_scales(backbone) from error
    return network.train()


class _Sum(nn.Module):
    """The sum of maps; to stack and sum them, as the library does, takes ten times as long where channels lie last."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Of maps of one shape, added in float32."""
        total = maps[0].float()
        for more in maps[1:]:
            total = total + more
        return total.to(maps[0].dtype)


def _no_scales(backbone: str) -> InputError:
    return InputError(
        f"{backbone} gives no features of several scales, from which maps of the stain could be made",
        remedies=("backbone.name=resnet18.tv_in1k", "task=patch"),
    )


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps in another resolution: means of tiles where they are finer, else interpolated.

    Args:
        maps: Shape ``(n, n_maps, height, width)``.
        size: Height and width that are wanted.
    """
    if maps.shape[2] > size[0]:
        return functional.adaptive_avg_pool2d(maps, size)
    return functional.interpolate(maps, size, mode="bilinear", align_corners=False)
