"""Settings of a network and of what is fitted on it."""

from dataclasses import dataclass

from jimt.config.checks import check, one_of
from jimt.errors import InputError

TRAINABLE = ("all", "last_stage", "head", "none")


@dataclass
class BackboneConfig:
    """The network, by timm name, and where its weights come from."""

    name: str
    weights: str
    trainable: str
    """``all``, ``last_stage``, ``head``, or ``none`` for logistic regression on frozen features."""

    def __post_init__(self) -> None:
        one_of("backbone.trainable", self.trainable, TRAINABLE)


@dataclass
class ProbeConfig:
    """Logistic regression on a frozen network, for ``backbone.trainable=none``; its C is ``optim.logistic_c``."""

    layer: str | None
    """Part of the network, by its name in timm, whose feature map is taken; null for the pooled features at its end."""
    cell: int | None
    """Side in pixels of the cells of a field that are labelled each by its own fluorescence; null: patches are."""
    balance_groups: bool
    """A group counts as the square root of its size: large experiments would else outvote the others."""

    def __post_init__(self) -> None:
        check("probe.cell", self.cell, self.cell in (None, 8, 16, 32), "null, 8, 16 or 32 pixels")
        if self.cell is not None and self.layer is None:
            raise InputError(
                "probe.cell needs probe.layer, since cells are told apart on a feature map, before it is pooled",
                remedies=("probe.layer=NAME", "probe.cell=null"),
            )
