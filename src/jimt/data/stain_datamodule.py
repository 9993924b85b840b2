"""The LightningDataModule of ``task=stain``: crops of fields to train on, whole fields to validate on."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from torch.utils.data import DataLoader

from jimt.config.stain import StainConfig
from jimt.config.training import AugmentationConfig
from jimt.curation.manifest import Curated
from jimt.data.crops import CropDataset, CropSampler, FieldDataset, StainBatch, field_keys
from jimt.data.dataset import as_is, process_share, training_loader
from jimt.data.stain_targets import StainTargets, target_settings
from jimt.data.transforms import augmented_input
from jimt.errors import InputError
from jimt.networks.network_input import Triple, to_network_input
from jimt.vocabulary import Excluded, Split


class StainDataModule(pl.LightningDataModule):
    """Fields of one curated data set, each of whose split the groups of its patches decide.

    Patches between the thresholds, too, have a stain to learn from; the test split's fields are not served.

    Args:
        curated: The data set, with the split to train on.
        stain: What is predicted, and how crops are drawn.
        augmentation: How a crop is changed.
        batch_size: Crops a batch over all processes; each takes its even share.
        accumulate: Batches a step.
        num_workers: Processes that cut crops; 0 for none.
        pinned: As of ``LiveDeadDataModule``.
        compiled: Likewise.
        seed: Seed of the draw and the augmentation.
        mean: Normalisation the backbone's weights expect.
        std: Likewise.
        validates: Whether there are validation patches; a fold may hold none back.
        repeats: Whether every epoch draws the crops of the first, changed alike.
        first_epoch: The first that is trained: of a resumed run, that after the last finished one.

    Raises:
        InputError: If the data set has not what is to be predicted, or a field is smaller than a crop.
    """

    def __init__(
        self,
        curated: Curated,
        stain: StainConfig,
        augmentation: AugmentationConfig,
        *,
        batch_size: int,
        accumulate: int,
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
        self._curated, self._stain, self._augmentation = curated, stain, augmentation
        self._batch_size, self._accumulate = batch_size, accumulate
        self._num_workers, self._pinned, self._compiled = num_workers, pinned, compiled
        self._seed, self._mean, self._std = seed, mean, std
        self._validates, self._repeats, self._first_epoch = validates, repeats, first_epoch
        self._targets = StainTargets(curated, target_settings(stain))
        self._groups = fields_of_split(curated.manifest, Split.TRAIN)
        self._rows = curated.manifest[curated.manifest["split"] == Split.VAL.value]
        refuse_large_crop(curated, list(self._groups), stain)

    def prepare_data(self) -> None:
        """Compute the targets that are not kept yet; Lightning calls it in one process."""
        validated = np.unique(self._rows["field"]).tolist() if self._validates else []
        self._targets.prepare([*self._groups, *validated])
        self._targets.refuse_one_kind(list(self._groups))

    def train_dataloader(self) -> DataLoader[StainBatch]:
        """A draw with replacement of so many crops an epoch."""
        sampler = CropSampler(
            np.array(list(self._groups.values()), object),
            n_crops=self._stain.crops,
            multiple=self._batch_size * self._accumulate,
            balance_groups=self._stain.balance_groups,
            centred=self._stain.positive_crops,
            orientations=self._augmentation.orientations,
            seed=self._seed,
            repeats=self._repeats,
        )
        return training_loader(
            CropDataset(
                self._curated,
                self._targets,
                list(self._groups),
                crop=self._stain.crop,
                multiple=self._stain.multiple,
            ),
            sampler,
            batch_size=self._batch_size,
            num_workers=self._num_workers,
            pinned=self._pinned,
            first_epoch=self._first_epoch,
        )

    def val_dataloader(self) -> DataLoader[StainBatch] | list[DataLoader[StainBatch]]:
        """Every validation field once over all processes; no loader where a fold holds nothing back."""
        if not self._validates:
            return []
        dataset = FieldDataset(self._curated, self._targets, self._rows, multiple=self._stain.multiple)
        rank, world = process_share()
        keys = field_keys(len(dataset), rank=rank, world=world)
        return DataLoader(
            dataset,
            batch_size=1,
            sampler=keys,
            num_workers=self._num_workers,
            collate_fn=as_is,
            pin_memory=self._pinned,
        )

    def on_after_batch_transfer(self, batch: StainBatch, dataloader_idx: int) -> StainBatch:
        """On the device, the whole batch at once: turn, mirror, change, expand to three channels, normalise."""
        if not batch.is_changed:
            return batch._replace(pixels=to_network_input(batch.pixels, mean=self._mean, std=self._std))
        images, targets = augmented_input(
            batch.pixels,
            batch.targets,
            batch.orientation,
            batch.changes,
            self._augmentation,
            mean=self._mean,
            std=self._std,
            compiled=self._compiled,
        )
        assert targets is not None
        return batch._replace(pixels=images, targets=targets)


def fields_of_split(manifest: pd.DataFrame, split: Split) -> Mapping[int, str]:
    """The fields of the groups of a split, and the group of each; of raw images where no group is known.

    A field that holds the pixels of one of another group is left out, as its patches are: that one may be in the test.
    """
    names = manifest["group"].astype(object).fillna(manifest["raw_image_id"].astype(object)).astype(str)
    chosen = names.isin(set(names[manifest["split"] == split.value])) & (manifest["excluded"] != Excluded.COPY.value)
    fields = manifest.loc[chosen, ["field"]].assign(group=names[chosen]).drop_duplicates("field").sort_values("field")
    return dict(zip(fields["field"].tolist(), fields["group"].tolist(), strict=True))


def refuse_large_crop(curated: Curated, fields: list[int], stain: StainConfig) -> None:
    """Raise if a crop does not fit into one of the fields."""
    smallest = min(min(curated.store.field(field).shape) for field in fields)
    if stain.crop is not None and stain.crop > smallest:
        fits = smallest // stain.multiple * stain.multiple
        raise InputError(
            f"stain.crop={stain.crop} is more than the smallest field has, {smallest} pixels",
            remedies=((f"stain.crop={fits}",) if fits else ()) + ("stain.crop=null stain.positive_crops=0",),
        )
