"""The metrics of every split, by torchmetrics where it has them; their names are those of ``METRICS``."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics import MeanSquaredError, Metric, MetricCollection
from torchmetrics.classification import (
    BinaryAveragePrecision,
    BinaryConfusionMatrix,
    BinaryF1Score,
    BinaryRecall,
    BinarySpecificity,
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassCalibrationError,
)
from torchmetrics.utilities import dim_zero_cat

from jimt.statistics.metrics import METRICS
from jimt.statistics.weighted_patches import CALIBRATION_BINS


class WithinGroups(Metric):
    """Area under the ROC curve of pairs of one group; torchmetrics has none. Patches of unknown groups take no part."""

    higher_is_better = True
    full_state_update = False
    scores: list[Tensor]
    labels: list[Tensor]
    groups: list[Tensor]

    def __init__(self, *, sync_on_compute: bool) -> None:
        super().__init__(sync_on_compute=sync_on_compute)
        for name in ("scores", "labels", "groups"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, scores: Tensor, labels: Tensor, groups: Tensor) -> None:
        """Take in P(live), labels and numbers of groups, each ``(n,)``."""
        known = groups >= 0
        self.scores.append(scores[known])
        self.labels.append(labels[known])
        self.groups.append(groups[known])

    def compute(self) -> Tensor:
        """The area, NaN where no group holds both classes."""
        scores, labels, groups = (
            dim_zero_cat(parts).cpu().numpy() for parts in (self.scores, self.labels, self.groups)
        )
        area = METRICS["auroc_within_groups"].value(labels, scores.astype(np.float64), groups.astype(object))
        return torch.tensor(area, dtype=torch.float32)


class SplitMetrics(nn.Module):
    """Every metric of one split, named ``<split>/<metric>``.

    Balanced accuracy, area under the ROC curve, pooled and within groups, average precision and F1 of live, recall of
    each class, expected calibration error (15 equal bins of the confidence), Brier score, and the four counts of the
    confusion matrix, such as ``val/dead_as_live``.

    Args:
        split: ``train`` or ``val``.
        across_processes: Whether each process holds a share, to be put together; False where one process has it all.
    """

    def __init__(self, split: str, *, across_processes: bool = True) -> None:
        super().__init__()
        self._prefix = f"{split}/"
        across = across_processes
        # On two classes the mean of the two recalls is scikit-learn's balanced accuracy, and the mean of the two
        # one-against-the-other areas its area under the ROC curve of P(live).
        self.of_both = MetricCollection(
            {
                "balanced_accuracy": MulticlassAccuracy(num_classes=2, average="macro", sync_on_compute=across),
                "auroc": MulticlassAUROC(num_classes=2, sync_on_compute=across),
                "expected_calibration_error": MulticlassCalibrationError(
                    num_classes=2, n_bins=CALIBRATION_BINS, sync_on_compute=across
                ),
            },
            prefix=self._prefix,
        )
        self.of_live = MetricCollection(
            {
                "average_precision_live": BinaryAveragePrecision(sync_on_compute=across),
                "f1_live": BinaryF1Score(sync_on_compute=across),
                "recall_live": BinaryRecall(sync_on_compute=across),
                "recall_dead": BinarySpecificity(sync_on_compute=across),
            },
            prefix=self._prefix,
        )
        self.of_dead = MetricCollection({"f1_dead": BinaryF1Score(sync_on_compute=across)}, prefix=self._prefix)
        self.within_groups = WithinGroups(sync_on_compute=across)
        self.brier = MeanSquaredError(sync_on_compute=across)
        self.confusion = BinaryConfusionMatrix(sync_on_compute=across)
        self._taken: list[tuple[Tensor, ...]] = []

    def update(self, logits: Tensor, labels: Tensor, groups: Tensor) -> None:
        """Take in a batch: logits ``(n, 2)``, labels and numbers of groups ``(n,)``, -1 of an unknown group.

        The metrics are given all batches at once, when they are asked for: torchmetrics looks at what it is given, and
        a graphics card that is asked in each step has to wait.
        """
        # torchmetrics would take logits that all lie in 0 to 1 for probabilities
        self._taken.append((logits.softmax(1), labels, groups))

    def _give(self, probabilities: Tensor, labels: Tensor, groups: Tensor) -> None:
        live = probabilities[:, 1]
        self.of_both.update(probabilities, labels)
        self.of_live.update(live, labels)
        self.of_dead.update((live <= 0.5).int(), 1 - labels)  # 0.5 itself is dead
        self.within_groups.update(live, labels, groups)
        self.brier.update(live, labels.float())
        self.confusion.update(live, labels)

    def compute(self) -> dict[str, Tensor]:
        """Every metric of what was taken in since the last reset, by name."""
        if self._taken:
            self._give(*(torch.cat(part) for part in zip(*self._taken, strict=True)))
            self._taken.clear()
        (dead_as_dead, dead_as_live), (live_as_dead, live_as_live) = self.confusion.compute().float()
        counts = {
            "dead_as_dead": dead_as_dead,
            "dead_as_live": dead_as_live,
            "live_as_dead": live_as_dead,
            "live_as_live": live_as_live,
        }
        return {
            **self.of_both.compute(),
            **self.of_live.compute(),
            **self.of_dead.compute(),
            f"{self._prefix}auroc_within_groups": self.within_groups.compute(),
            f"{self._prefix}brier": self.brier.compute(),
            **{f"{self._prefix}{name}": count for name, count in counts.items()},
        }

    def reset(self) -> None:
        """Forget everything."""
        self._taken.clear()
        for metric in (self.of_both, self.of_live, self.of_dead, self.within_groups, self.brier, self.confusion):
            metric.reset()


def metrics_of_rows(split: str, logits: NDArray[np.float32], rows: pd.DataFrame) -> dict[str, float]:
    """Every metric of some rows of a manifest, and their cross entropy as ``<split>/loss``, in this process alone.

    Args:
        split: ``train`` or ``val``.
        logits: Of the rows, shape ``(n_patches, 2)``.
        rows: Of a manifest, labelled.
    """
    scored, labels = torch.from_numpy(logits), torch.tensor(rows["label"].tolist())
    metrics = SplitMetrics(split, across_processes=False)
    metrics.update(scored, labels, torch.from_numpy(pd.factorize(rows["group"].to_numpy(object))[0]))
    values = {f"{split}/loss": nn.functional.cross_entropy(scored, labels), **metrics.compute()}
    return {name: float(value) for name, value in values.items()}
