"""What Lightning trains, a module and its data, by the task."""

import dataclasses
from typing import Any

import torch
from torch import nn

from jimt.config.stain import StainConfig
from jimt.curation.manifest import Curated
from jimt.data.datamodule import LiveDeadDataModule
from jimt.data.stain_datamodule import StainDataModule
from jimt.errors import InputError
from jimt.models.classifier import LiveDeadClassifier
from jimt.models.freezing import freeze
from jimt.models.network import LiveDeadNetwork
from jimt.models.stain_module import StainModule
from jimt.models.stain_network import StainNetwork
from jimt.training.settled import Training

Learner = tuple[LiveDeadClassifier, LiveDeadDataModule] | tuple[StainModule, StainDataModule]


def learner_of(training: Training, network: LiveDeadNetwork | StainNetwork, curated: Curated) -> Learner:
    """The module that trains a network, and what serves its batches.

    Args:
        training: What was asked and settled.
        network: Trained in place.
        curated: The data set, with the split to train on.
    """
    if isinstance(network, StainNetwork):
        return _of_stain(training, network, curated)
    return _of_patches(training, network, curated)


def _of_patches(
    training: Training, network: LiveDeadNetwork, curated: Curated
) -> tuple[LiveDeadClassifier, LiveDeadDataModule]:
    """What Lightning trains where patches are told apart."""
    config, optim = training.config, training.config.optim
    assert optim is not None
    assert config.augmentation is not None
    assert config.backbone.trainable is not None
    datamodule = LiveDeadDataModule(
        curated, config.augmentation, eval_batch_size=config.trainer.eval_batch_size, **_loading(training)
    )
    freeze(network.network, network.own_head, config.backbone.trainable)
    return LiveDeadClassifier(network, optim=dataclasses.asdict(optim), **_seeded(training)), datamodule


def _of_stain(training: Training, network: StainNetwork, curated: Curated) -> tuple[StainModule, StainDataModule]:
    """What Lightning trains where maps are predicted."""
    config, optim, stain = training.config, training.config.optim, training.config.stain
    assert optim is not None
    assert stain is not None
    assert config.augmentation is not None
    assert config.backbone.trainable is not None
    datamodule = StainDataModule(curated, stain, config.augmentation, **_loading(training))
    n_processes = config.trainer.devices * config.trainer.num_nodes
    refuse_small_crop(network, stain, n_crops=max(1, optim.batch_size // n_processes))
    # the decoder is trained whatever part of the backbone is
    freeze(network.encoder, nn.Identity(), config.backbone.trainable)
    module = StainModule(
        network,
        optim=dataclasses.asdict(optim),
        decoder_lr=stain.decoder_lr,
        weights=tuple(_loss_weights(stain)[output] for output in network.outputs),
        patch_size=training.takes.patch_size,
        **_seeded(training),
    )
    return module, datamodule


def refuse_what_cannot_be_learned(training: Training, network: StainNetwork, curated: Curated) -> None:
    """Compute and keep the targets of a training, and raise where they, or the crops, are of no use; as ``learner_of``.

    Raises:
        InputError: So.
    """
    _, datamodule = _of_stain(training, network, curated)
    datamodule.prepare_data()


def refuse_small_crop(network: StainNetwork, stain: StainConfig, *, n_crops: int) -> None:
    """Raise if crops are too small for the backbone.

    Those of Inception-v3 take the edge away; and one crop of which a single place is left has no batch statistics.

    Args:
        network: With its backbone.
        stain: Size of a crop.
        n_crops: Crops of a step in one process.

    Raises:
        InputError: So.
    """
    if stain.crop is None or _takes(network, stain.crop, n_crops=n_crops):
        return
    sides = range(stain.crop, 1024, stain.multiple)
    fits = next(side for side in sides if _takes(network, side, n_crops=n_crops))
    raise InputError(
        f"stain.crop={stain.crop} at stain.reduction={stain.reduction} is too small for this backbone"
        + (", one crop at a time" if n_crops == 1 else ""),
        remedies=(f"stain.crop={fits}",),
    )


def _takes(network: StainNetwork, side: int, *, n_crops: int) -> bool:
    try:
        with torch.inference_mode():
            images = torch.zeros(1, 3, side // network.reduction, side // network.reduction)
            smallest = network.eval().encoder(images)[-1]
            network(torch.zeros(1, 3, side, side))
    except RuntimeError:  # a kernel larger than what is left of the image
        return False
    finally:
        network.train()
    return bool(n_crops * smallest.shape[2] * smallest.shape[3] > 1)


def _loss_weights(stain: StainConfig) -> dict[str, float]:
    return {"log_pi": stain.log_pi, "positive": stain.positive, "dead": stain.nuclei, "live": stain.nuclei}


def _loading(training: Training) -> dict[str, Any]:
    """How batches are drawn, whatever is learned from them."""
    config, settings, optim = training.config, training.config.trainer, training.config.optim
    assert optim is not None
    return {
        "batch_size": optim.batch_size,
        "accumulate": optim.accumulate,
        "num_workers": settings.num_workers,
        "pinned": settings.accelerator == "gpu",
        "compiled": settings.compile != "none",
        "seed": config.seed,
        "mean": training.takes.mean,
        "std": training.takes.std,
        "validates": training.validates,
        "repeats": settings.overfit_batches is not None,
        "first_epoch": 0 if training.resumes is None else training.resumes.n_epochs,
    }


def _seeded(training: Training) -> dict[str, Any]:
    """What a module keeps of the training."""
    record = {"settings": training.settings, "weights": training.weights, "precision": training.precision}
    return {"seed": training.config.seed, "record": record}
