"""What the paper prints, to stand beside what is measured (Pattarone et al. 2021: Table 1, Results, Fig. 4)."""

from dataclasses import dataclass
from typing import Final

SPLIT_COUNTS: Final[dict[str, dict[str, dict[str, int]]]] = {
    "no_treatment": {
        "train": {"live": 8_680, "dead": 9_480},
        "val": {"live": 891, "dead": 925},
        "test": {"live": 893, "dead": 979},  # printed the other way round; only so are the sums of Table 1 right
    },
    "doxo": {
        "train": {"live": 4_195, "dead": 42_966},
        "val": {"live": 437, "dead": 4_314},
        "test": {"live": 449, "dead": 4_271},
    },
}
"""Patches of each split (Table 1), by data set."""

RAW_IMAGES: Final[dict[str, int]] = {"no_treatment": 339, "doxo": 964}
"""Raw image pairs (Table 1), by data set."""

EMPTY_FILTER: Final = "226 labels of either kind, F1 0.833"
"""What the paper says of its filter for empty patches (Results); how it was validated it does not say."""

CUT_OFFS: Final = {"live_below": 258.97, "dead_above": 396.89}
"""Fitted on No treatment, raw counts (Results)."""


@dataclass(frozen=True)
class Printed:
    """Numbers on the test split of one data set."""

    balanced_accuracy: float
    interval: tuple[float, float]
    """95 %, over patches."""
    auroc: float
    correlation: float
    """Pearson's r of score and mean fluorescence."""

    def metric(self, name: str) -> tuple[float, tuple[float, float] | None] | None:
        """A metric by its name in jimt, with its interval over patches; None where the paper prints none.

        >>> RESULTS["doxo", "inception_v3"].metric("auroc")
        (0.978, None)
        """
        return {"balanced_accuracy": (self.balanced_accuracy, self.interval), "auroc": (self.auroc, None)}.get(name)


RESULTS: Final[dict[tuple[str, str], Printed]] = {
    ("no_treatment", "inception_v3"): Printed(0.866, (0.851, 0.881), 0.941, -0.705),
    ("doxo", "inception_v3"): Printed(0.923, (0.916, 0.930), 0.978, -0.281),
}
"""By data set and backbone; the other two backbones are in Fig. 4a, as curves and matrices."""

_NAMES: Final = {
    "resnet18": "ResNet-18",
    "squeezenet1_0": "SqueezeNet",
    "squeezenet1_1": "SqueezeNet",
    "inception_v3": "Inception-v3",
}


def paper_name(backbone: str) -> str | None:
    """The paper's name of a backbone by its timm name, such as ``resnet18.tv_in1k``; None if it is not in the paper."""
    return _NAMES.get(backbone.partition(".")[0])


def printed(dataset: str, backbone: str) -> Printed | None:
    """What the paper prints of a data set and a backbone by its timm name; None where it prints no number."""
    return RESULTS.get((dataset, backbone.partition(".")[0]))
