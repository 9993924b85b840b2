"""The LightningDataModule: serves train and validation batches of an open data set."""

import warnings
from dataclasses import replace
from pathlib import Path

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from jimt.config.training import AugmentationConfig
from jimt.curation.folds import Fold, split_by_fold
from jimt.curation.manifest import Curated, open_curated
from jimt.data.dataset import (
    BalancedSampler,
    PatchBatch,
    PatchDataset,
    evaluation_loader,
    process_share,
    training_loader,
)
from jimt.data.transforms import augmented_input
from jimt.errors import ways_out
from jimt.networks.network_input import Triple, to_network_input
from jimt.vocabulary import Split


def open_for_training(folder: Path, *, fold: Fold | None) -> Curated:
    """Open a curated data set with the split to train on; the leak check runs here.

    Args:
        folder: Of the curated data set.
        fold: Fold of a cross-validation in place of the manifest's split; None for the split.

    Raises:
        InputError: If it is absent, damaged, or a group is in two splits.
    """
    curated = open_curated(folder)
    if fold is not None:
        curated = replace(curated, manifest=split_by_fold(curated.manifest, fold))
    if not curated.summary["group_known"]:
        told = ways_out(remedies=("dataset.pattern=PATTERN",))
        warnings.warn(
            f"nothing tells which raw image a patch of {curated.summary['dataset']} was cut from, so scores may be of "
            f"raw images that were trained on, and no interval over groups is given: {told}",
            stacklevel=2,
        )
    return curated


class LiveDeadDataModule(pl.LightningDataModule):
    """Patches of one curated data set.

    The test split is not served here: ``jimt.evaluation.test_split`` alone reads it, once, on one device.

    Args:
        curated: The data set, with the split to train on.
        augmentation: How a training patch is changed.
        batch_size: Training patches a batch over all processes; each takes its even share.
        accumulate: Batches a step.
        eval_batch_size: Validation patches a step.
        num_workers: Processes that cut patches; 0 for none.
        pinned: Whether batches lie in memory that a GPU copies from while the CPU goes on.
        compiled: Whether what is done with a training batch on a GPU is compiled.
        seed: Seed of the weighted draw and the augmentation.
        mean: Normalisation the backbone's weights expect.
        std: Likewise.
        validates: Whether there are validation patches; a fold may hold none back.
        repeats: Whether every epoch draws the patches of the first, changed alike.
        first_epoch: The first that is trained: of a resumed run, that after the last finished one.
    """

    def __init__(
        self,
        curated: Curated,
        augmentation: AugmentationConfig,
        *,
        batch_size: int,
        accumulate: int,
        eval_batch_size: int,
        num_workers: int,
        pinned: bool,
        compiled: bool,
        seed: int,
        mean: Triple,
        std: Triple,
        validates: bool,
        repeats: bool,
        first_epoch: int,
    ) -> None:
        super().__init__()
        self._curated = curated
        self._augmentation = augmentation
        self._batch_size = batch_size
        self._accumulate = accumulate
        self._eval_batch_size = eval_batch_size
        self._num_workers = num_workers
        self._pinned = pinned
        self._compiled = compiled
        self._seed = seed
        self._mean = mean
        self._std = std
        self._validates = validates
        self._repeats = repeats
        self._first_epoch = first_epoch

    def rows(self, split: Split) -> PatchDataset:
        """The patches of one split."""
        manifest = self._curated.manifest
        rows = manifest[manifest["split"] == split.value]
        return PatchDataset(self._curated.folder, rows, size=self._curated.summary["patch_size"])

    def train_dataloader(self) -> DataLoader[PatchBatch]:
        """Weighted draw with replacement, about as many patches an epoch as the split holds."""
        dataset = self.rows(Split.TRAIN)
        sampler = BalancedSampler(
            dataset.labels,
            multiple=self._batch_size * self._accumulate,
            orientations=self._augmentation.orientations,
            seed=self._seed,
            repeats=self._repeats,
        )
        return training_loader(
            dataset,
            sampler,
            batch_size=self._batch_size,
            num_workers=self._num_workers,
            pinned=self._pinned,
            first_epoch=self._first_epoch,
        )

    def val_dataloader(self) -> DataLoader[PatchBatch] | list[DataLoader[PatchBatch]]:
        """Every validation patch once over all processes; no loader where a fold holds nothing back to validate on."""
        if not self._validates:
            return []
        rank, world = process_share()
        return evaluation_loader(
            self.rows(Split.VAL),
            batch_size=self._eval_batch_size,
            num_workers=self._num_workers,
            pinned=self._pinned,
            rank=rank,
            world=world,
        )

    def on_after_batch_transfer(self, batch: PatchBatch, dataloader_idx: int) -> PatchBatch:
        """On the device, the whole batch at once: turn, mirror, change, expand to three channels, normalise."""
        if not batch.is_changed:
            return batch._replace(patches=to_network_input(batch.patches, mean=self._mean, std=self._std))
        images, _ = augmented_input(
            batch.patches,
            None,
            batch.orientation,
            batch.changes,
            self._augmentation,
            mean=self._mean,
            std=self._std,
            compiled=self._compiled,
        )
        return batch._replace(patches=images)
