"""Where a training's metrics go: ``metrics.csv`` always, TensorBoard and Weights & Biases where asked."""

from jimt.tracking.evaluation import log_evaluation
from jimt.tracking.loggers import continue_metrics_csv, finish, make_loggers

__all__ = ["continue_metrics_csv", "finish", "log_evaluation", "make_loggers"]
