"""The metrics of every split, by torchmetrics, from two-class logits; their names are those of ``METRICS``."""

from torch import Tensor, nn
from torchmetrics import MeanSquaredError, MetricCollection
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

from jimt.statistics.weighted_patches import CALIBRATION_BINS


class SplitMetrics(nn.Module):
    """Every metric of one split, named ``<split>/<metric>``.

    Balanced accuracy, area under the ROC curve, average precision and F1 of live, recall of each class, expected
    calibration error (15 equal bins of the confidence), Brier score, and the four counts of the confusion matrix, such
    as ``val/dead_as_live``.

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
        self.brier = MeanSquaredError(sync_on_compute=across)
        self.confusion = BinaryConfusionMatrix(sync_on_compute=across)

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Take in a batch: logits ``(n, 2)``, labels ``(n,)``."""
        probabilities = logits.softmax(1)  # torchmetrics would take logits that all lie in 0 to 1 for probabilities
        live = probabilities[:, 1]
        self.of_both.update(probabilities, labels)
        self.of_live.update(live, labels)
        self.of_dead.update((live <= 0.5).int(), 1 - labels)  # 0.5 itself is dead
        self.brier.update(live, labels.float())
        self.confusion.update(live, labels)

    def compute(self) -> dict[str, Tensor]:
        """Every metric of what was taken in since the last reset, by name."""
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
            f"{self._prefix}brier": self.brier.compute(),
            **{f"{self._prefix}{name}": count for name, count in counts.items()},
        }

    def reset(self) -> None:
        """Forget everything."""
        for metric in (self.of_both, self.of_live, self.of_dead, self.brier, self.confusion):
            metric.reset()
