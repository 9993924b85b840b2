"""The LightningDataModule: curates where needed, then serves train and validation batches."""

import warnings
from pathlib import Path

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from jimt.config import CurationConfig, DatasetConfig
from jimt.curation.manifest import Curated, open_curated
from jimt.data.dataset import PatchBatch, PatchDataset, as_is, evaluation_loader
from jimt.data.preparation import prepare
from jimt.data.sampler import BalancedSampler
from jimt.data.transforms import Triple, orient, to_network_input
from jimt.vocabulary import Split


class LiveDeadDataModule(pl.LightningDataModule):
    """Patches of one curated data set.

    The test split is not served here: ``jimt.evaluate`` alone reads it, once, on one device.

    Args:
        dataset: Where raw images lie.
        curation: Every number from raw image to split.
        batch_size: Training patches a step and process.
        eval_batch_size: Validation patches a step.
        num_workers: Processes that cut patches; 0 for none.
        seed: Seed of the weighted draw and the orientations.
        mean: Normalisation the backbone's weights expect.
        std: Likewise.
    """

    def __init__(
        self,
        dataset: DatasetConfig,
        curation: CurationConfig,
        *,
        batch_size: int,
        eval_batch_size: int,
        num_workers: int,
        seed: int,
        mean: Triple,
        std: Triple,
    ) -> None:
        super().__init__()
        self._dataset = dataset
        self._curation = curation
        self._batch_size = batch_size
        self._eval_batch_size = eval_batch_size
        self._num_workers = num_workers
        self._seed = seed
        self._mean = mean
        self._std = std
        self.curated: Curated | None = None

    def prepare_data(self) -> None:
        """Curate, as ``prepare.py`` does, unless this object has opened the curated data set already."""
        if self.curated is None:
            prepare(self._dataset, self._curation)

    def setup(self, stage: str) -> None:
        """Open the curated data set; the leak check runs here."""
        if self.curated is None:
            self.curated = open_curated(Path(self._curation.output_root) / self._dataset.name)
            if not self.curated.summary["group_known"]:
                warnings.warn(
                    f"nothing tells which raw image a patch of {self._dataset.name} was cut from: scores may be of raw "
                    "images that were trained on, and no interval over groups is given (set dataset.pattern)",
                    stacklevel=2,
                )

    def rows(self, split: Split) -> PatchDataset:
        """The patches of one split."""
        assert self.curated is not None, "setup comes first"
        manifest = self.curated.manifest
        rows = manifest[manifest["split"] == split.value]
        return PatchDataset(self.curated.folder, rows, size=self.curated.summary["patch_size"])

    def train_dataloader(self) -> DataLoader[PatchBatch]:
        """Weighted draw with replacement, as many patches an epoch as the split holds."""
        dataset = self.rows(Split.TRAIN)
        return DataLoader(
            dataset,
            batch_size=self._batch_size,
            sampler=BalancedSampler(dataset.labels, seed=self._seed),
            num_workers=self._num_workers,
            collate_fn=as_is,
        )

    def val_dataloader(self) -> DataLoader[PatchBatch]:
        """Every validation patch once."""
        return evaluation_loader(self.rows(Split.VAL), batch_size=self._eval_batch_size, num_workers=self._num_workers)

    def on_after_batch_transfer(self, batch: PatchBatch, dataloader_idx: int) -> PatchBatch:
        """On the device, the whole batch at once: turn, mirror, expand to three channels, normalise."""
        patches = orient(batch.patches, batch.orientation)
        return batch._replace(patches=to_network_input(patches, mean=self._mean, std=self._std))
