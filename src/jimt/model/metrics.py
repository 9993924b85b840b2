"""The metrics of every split, by torchmetrics, fed with two-class logits."""

from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC


def split_metrics(split: str) -> MetricCollection:
    """Balanced accuracy and area under the ROC curve, named ``<split>/<metric>``.

    On two-class logits the mean of the two recalls is scikit-learn's balanced accuracy, and the mean of the two
    one-against-the-other areas its area under the ROC curve of P(live).
    """
    return MetricCollection(
        {
            "balanced_accuracy": MulticlassAccuracy(num_classes=2, average="macro"),
            "auroc": MulticlassAUROC(num_classes=2),
        },
        prefix=f"{split}/",
    )
