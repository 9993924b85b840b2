"""Settings of many trainings: a cross-validation, a search."""

from dataclasses import dataclass, field
from typing import Any, Final

from jimt.config.checks import NAME, ONE_OR_MORE, TWO_OR_MORE, Settings, check, is_name, one_of, takes
from jimt.config.training import TrainConfig, refuse_fast_dev_run
from jimt.errors import InputError

CHOICE_METRICS: Final = ("auroc", "auroc_within_groups", "auroc_within_raw_images", "balanced_accuracy")
"""Of ``statistics.metrics``: those that higher is better of and that need no calibrated score."""


@dataclass
class ChoiceConfig(Settings, section="crossval.choose"):
    """What every fold chooses among, by a cross-validation of the groups it is trained on: a nested one."""

    among: dict[str, list[str]]
    """Of each choice, by a name of one's own, its overrides; none where all folds are trained alike."""
    by: str = field(metadata=one_of(*CHOICE_METRICS))
    """Metric of the inner out-of-fold scores, pooled."""
    n_folds: int = field(metadata=TWO_OR_MORE)
    """Inner folds of whole groups."""
    shortened: list[str]
    """Overrides of the inner trainings alone, such as fewer epochs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.among) == 1:
            raise InputError(
                f"crossval.choose.among holds {next(iter(self.among))} alone, which is nothing to choose among",
                advice="name another one beside it",
            )
        if self.shortened and not self.among:
            raise InputError(
                "crossval.choose.shortened is without effect where crossval.choose.among holds nothing",
                remedies=("crossval.choose.shortened=[]",),
            )
        for name in self.among:
            check("crossval.choose.among: the name", name, is_name(name), NAME["allowed"])


@dataclass
class FoldsConfig(Settings, section="crossval"):
    """Cross-validation over whole groups."""

    leave: str = field(metadata=one_of("fold", "group"))
    """What is left out in turn: one of ``n_folds`` folds of whole groups, or one group, which is a fold then."""
    n_folds: int | None = field(metadata=TWO_OR_MORE)
    """Null where every group is a fold."""
    folds: list[int | str] | None
    """Which of them are run, from 0, or groups by name, beside those the folder holds already; null for all."""
    validation: bool | None
    """Hold a fold, or groups of both classes, back to choose the checkpoint and fit the temperature; null: where a
    network is trained to tell patches apart."""
    choose: ChoiceConfig

    def __post_init__(self) -> None:
        super().__post_init__()
        folds = self.folds
        if self.leave == "group":
            if self.n_folds is not None:
                raise InputError(
                    f"crossval.n_folds={self.n_folds} is without effect under crossval.leave=group, where every group "
                    "is a fold",
                    remedies=("crossval.n_folds=null", "crossval.leave=fold"),
                )
            check("crossval.folds", folds, folds is None or len(folds) > 0, "null, or a list of groups")
            return
        if self.n_folds is None:
            raise InputError(
                "crossval.leave=fold needs a number of folds",
                remedies=("crossval.n_folds=NUMBER", "crossval.leave=group"),
            )
        numbers = range(self.n_folds)
        check(
            "crossval.folds",
            folds,
            folds is None or (len(folds) > 0 and all(fold in numbers for fold in folds)),
            f"null, or a list of folds from 0 to {self.n_folds - 1}",
        )
        if self.validation and self.n_folds < 3:
            raise InputError(
                "crossval.validation=true needs three folds or more, one to test and one to choose by, "
                f"and crossval.n_folds={self.n_folds}",
                remedies=("crossval.n_folds=3", "crossval.validation=false"),
            )


@dataclass
class CrossvalConfig(TrainConfig):
    """What a cross-validation is made of: a training for each fold."""

    crossval: FoldsConfig

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_fast_dev_run(self.trainer, "a cross-validation has no folds to score")


@dataclass
class LearningConfig(Settings, section="learning"):
    """Trainings on fewer groups than there are."""

    groups: list[int]
    """How many are trained on, each number by every fold; numbers that leave a fold no group out are passed over."""

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed = "a list of different numbers of 1 or more"
        numbers = self.groups
        check("learning.groups", numbers, 0 < len(set(numbers)) == len(numbers) and min(numbers) > 0, allowed)


@dataclass
class LearningCurveConfig(CrossvalConfig):
    """What a learning curve is made of: a cross-validation, and trainings of its folds on fewer groups."""

    learning: LearningConfig

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crossval.choose.among:
            raise InputError(
                "crossval.choose.among is without effect on a learning curve, whose trainings are all alike",
                advice="choose before, by a cross-validation",
            )


@dataclass
class SearchConfig(Settings, section="tune"):
    """A search over settings of a training."""

    space: dict[str, Any]
    """Of each setting its range, ``{low, high, log}``, or its ``{choices}``; checked in ``jimt.search.space``."""
    metric: str
    """Of the validation split, such as ``val/auroc``; checked in ``jimt.search.space``, beside the table of metrics."""
    n_trials: int = field(metadata=ONE_OR_MORE)
    """In all, those of earlier starts and of other processes included."""
    timeout: float | None = field(metadata=takes("null, or more than 0 hours", lambda value: value > 0))
    """Hours after which a process begins no other trial; null for none."""
    n_random: int = field(metadata=ONE_OR_MORE)
    """Trials drawn at random before the sampler learns from them."""
    prune: bool
    """End a training whose best epoch so far is below the median of the finished ones at the same epoch."""
    prune_after_trials: int = field(metadata=ONE_OR_MORE)
    prune_after_epochs: int = field(metadata=ONE_OR_MORE)
    keep_all_checkpoints: bool
    """Keep the checkpoints of every finished trial, not of the best alone."""


@dataclass
class TuneConfig(TrainConfig):
    """What a search is made of: a training for each trial."""

    tune: SearchConfig

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_fast_dev_run(self.trainer, "a search has no trials to compare")
        if self.report:
            raise InputError(
                "report=true is not allowed, since a search scores no test split and there is nothing to report",
                remedies=("report=false",),
            )
