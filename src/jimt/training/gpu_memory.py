"""What to change where a training needs more memory than the GPU has."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from jimt.config.training import TrainConfig
from jimt.errors import InputError
from jimt.models.devices import ExceedsMemory


class Stage(Callback):
    """Notes whether a training was validating when it failed."""

    validates = False

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Ask while Lightning still knows it."""
        self.validates = bool(trainer.validating)


def out_of_memory(config: TrainConfig, *, validates: bool) -> InputError:
    """What to change where a training needs more memory than the GPU has: the setting that halves it.

    Args:
        config: Of the training.
        validates: Whether it was validating.
    """
    optim, stain = config.optim, config.stain
    assert optim is not None
    n_processes = config.trainer.devices * config.trainer.num_nodes
    each = optim.batch_size // n_processes
    told = f"optim.batch_size={optim.batch_size}"
    if validates and stain is None:
        told, halved = f"trainer.eval_batch_size={config.trainer.eval_batch_size}", config.trainer.eval_batch_size // 2
        less = f"trainer.eval_batch_size={halved}" if halved else ""
    elif not validates and each > 1:  # steps of as many, in more parts
        parts = -(-each // (each // 2))
        less = f"optim.batch_size={each // 2 * n_processes} optim.accumulate={parts * optim.accumulate}"
    elif not validates and stain is not None and stain.crop is not None and stain.crop > stain.multiple:
        told = f"stain.crop={stain.crop}"
        less = f"stain.crop={stain.crop // 2 // stain.multiple * stain.multiple or stain.multiple}"
    elif stain is not None:
        told, reduced = f"a whole field at stain.reduction={stain.reduction}", 2 * stain.reduction
        fits = reduced <= 4 and (stain.crop is None or stain.crop % (2 * stain.multiple) == 0)
        less = f"stain.reduction={reduced}" if fits else ""
    else:
        less = ""
    return InputError(
        f"{told} needs more memory than the GPU has",
        advice="" if less else "choose a smaller network",
        remedies=(*([less] if less else []), "trainer=cpu"),
    )


@contextmanager
def scoring() -> Iterator[None]:
    """Fields are scored within a training, whose device is a setting and no argument.

    Raises:
        InputError: If one needs more memory than the GPU has.
    """
    try:
        yield
    except ExceedsMemory as error:
        raise InputError(error.cause, remedies=("trainer=cpu",)) from error
