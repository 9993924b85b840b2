"""Pictures of predicted maps for TensorBoard and W&B, while a network learns to predict them and once it is tested."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from jimt.curation.manifest import Curated
from jimt.evaluation.shown_fields import LIMITS, ShownFields, tested_fields
from jimt.figures.stain_maps import StainField, draw_stain_fields
from jimt.figures.style import pixels_of
from jimt.models.network import LiveDeadNetwork
from jimt.models.predictor import Predictor
from jimt.models.stain_network import StainNetwork
from jimt.models.stainwise import StainPredictor
from jimt.vocabulary import STRIDE, Split

if TYPE_CHECKING:
    from jimt.training.settled import Training

_N_SHOWN: Final = 3


def shows_pictures(loggers: Sequence[Logger]) -> bool:
    """Whether one of the loggers can show a picture."""
    return any(isinstance(logger, TensorBoardLogger | WandbLogger) for logger in loggers)


def map_pictures(training: "Training", network: LiveDeadNetwork | StainNetwork, curated: Curated) -> list[Callback]:
    """The callback that draws what the network predicts; none of a classifier, or where no logger can show it."""
    if not isinstance(network, StainNetwork) or not shows_pictures(training.loggers):
        return []
    return [MapPictures(training, network, curated)]


class MapPictures(Callback):
    """After each validation, ``val/maps``: up to three validation fields, the same each time.

    A callback that swaps the weights for the validation, as Lightning's weight averaging, is to come after it.

    Args:
        training: What was asked and settled.
        network: That is trained.
        curated: The data set, with the split to train on.
    """

    def __init__(self, training: "Training", network: StainNetwork, curated: Curated) -> None:
        self._training, self._network, self._curated = training, network, curated
        validated = np.unique(curated.manifest.loc[curated.manifest["split"] == Split.VAL.value, "field"])
        spread = np.linspace(0, len(validated) - 1, min(_N_SHOWN, len(validated))).round().astype(int)
        self._fields: list[int] = validated[spread].tolist()
        self._shown: ShownFields | None = None
        self._failed = False

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw and log them."""
        if not trainer.is_global_zero or not self._fields or self._failed:
            return
        device = pl_module.device
        step = trainer.global_step - 1  # as Lightning numbers the metrics of this validation
        self._failed = not _survived("val/maps", self._training.loggers, lambda: self._drawn(device), step=step)

    def _drawn(self, device: Any) -> list[StainField]:
        # opened anew each time: it keeps the maps of fields, and the weights have changed
        scorer = StainPredictor(self._network, self._training.takes, None, 1, device, self._training.precision)
        store, outputs = self._curated.store, self._network.outputs
        if self._shown is None:
            self._shown = ShownFields(self._curated, self._training.settings, outputs)
        shares = scorer.shares(store, self._fields)["predicted_share"].tolist()
        return [
            self._shown.field(
                number,
                dict(zip(outputs, scorer.maps(store, number), strict=True)),
                predicted_share=share,
                chosen_as="",
            )
            for number, share in zip(self._fields, shares, strict=True)
        ]


def log_tested_maps(loggers: Sequence[Logger], predictor: Predictor, curated: Curated, table: pd.DataFrame) -> None:
    """Log ``test/maps``: the best, the median and the worst tested field.

    Args:
        loggers: Of the training; nothing is drawn where none of them can show it.
        predictor: The model.
        curated: The data set.
        table: As ``map_agreement`` gives it.
    """
    if shows_pictures(loggers):
        _survived("test/maps", loggers, lambda: tested_fields(predictor, curated, table), step=None)


def _survived(name: str, loggers: Sequence[Logger], make: Callable[[], list[StainField]], *, step: int | None) -> bool:
    """Log a picture of some fields; whatever goes wrong is told and ends nothing."""
    try:
        if fields := make():
            figure = draw_stain_fields(fields, stride=STRIDE, limits=LIMITS, pixel_size=None)
            log_picture(loggers, name, pixels_of(figure), step=step)
    except Exception as error:  # a training of days does not end for a picture
        told = f"{type(error).__name__}: {error}"
        print(f"{name} is not logged ({told}), and the training goes on", file=sys.stderr, flush=True)
        return False
    return True


def log_picture(loggers: Sequence[Logger], name: str, picture: NDArray[np.uint8], *, step: int | None) -> None:
    """Show a picture wherever it can be shown.

    Args:
        loggers: Of the training.
        name: It is logged by.
        picture: Shape ``(height, width, 3)``.
        step: Of the training; None once it is over.
    """
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, picture, step, dataformats="HWC")
            logger.experiment.flush()
        elif isinstance(logger, WandbLogger):
            cast(Any, logger).log_picture(name, picture, step=step)  # a JimtWandbLogger, whose module imports W&B
