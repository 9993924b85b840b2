"""Settings of a network and of what is fitted on it."""

from dataclasses import dataclass

from jimt.config.checks import check, one_of
from jimt.errors import InputError

TRAINABLE = ("all", "last_stage", "head")


@dataclass
class BackboneConfig:
    """The network, by timm name, and where its weights come from."""

    name: str
    weights: str
    trainable: str | None
    """Which part is fine-tuned: ``all``, ``last_stage`` or ``head``; null under ``method=linear_probe``, which trains
    none of it."""

    def __post_init__(self) -> None:
        if self.trainable is not None:
            one_of("backbone.trainable", self.trainable, TRAINABLE)


@dataclass
class ProbeConfig:
    """Logistic regression on a frozen network: ``method=linear_probe``."""

    layer: str | None
    """Part of the network, by its name in timm, whose feature map is taken; null for the pooled features at its end."""
    tile: int | None
    """Side in pixels of the tiles of a field that are labelled each by its own fluorescence; null: patches are."""
    balance_groups: bool
    """A group counts as the square root of its size: large experiments would else outvote the others."""
    c: float
    """Inverse of the L2 penalty."""

    def __post_init__(self) -> None:
        check("probe.tile", self.tile, self.tile in (None, 8, 16, 32), "null, 8, 16 or 32 pixels")
        check("probe.c", self.c, self.c > 0, "more than 0")
        if self.tile is not None and self.layer is None:
            raise InputError(
                "probe.tile needs probe.layer, since tiles are told apart on a feature map, before it is pooled",
                remedies=("probe.layer=NAME", "probe.tile=null"),
            )
