import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from jimt.curation.curate import curate
from jimt.data import datamodule as module
from jimt.data.datamodule import LiveDeadDataModule
from jimt.data.dataset import PatchBatch
from jimt.errors import InputError

pytestmark = pytest.mark.stack

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def data_of(config, *, batch_size: int = 8, seed: int = 0) -> LiveDeadDataModule:
    return LiveDeadDataModule(
        *config, batch_size=batch_size, eval_batch_size=16, num_workers=0, seed=seed, mean=MEAN, std=STD
    )


@pytest.fixture
def config(small, prepare_config):
    config = prepare_config(*small)
    curate(*config, embed=None, console=Console(quiet=True))
    return config


@pytest.fixture
def data(config) -> LiveDeadDataModule:
    data = data_of(config)
    data.setup("fit")
    return data


def served(loader) -> PatchBatch:
    """All batches of a loader, one after the other."""
    return PatchBatch(*(torch.cat(parts) for parts in zip(*loader, strict=True)))


def pixels_by_split(data: LiveDeadDataModule) -> dict[str, set[bytes]]:
    """The patches of each split, cut from the fields without the data module."""
    patches: dict[str, set[bytes]] = {"train": set(), "val": set(), "test": set()}
    for row in data.curated.manifest.dropna(subset="split").itertuples():
        field = data.curated.store.field(row.field)
        patches[row.split].add(field[row.y : row.y + 64, row.x : row.x + 64].tobytes())
    return patches


def test_a_data_set_that_is_missing_is_curated_first(small, prepare_config, tmp_path):
    data = data_of(prepare_config(*small))
    with pytest.raises(InputError, match=r"manifest\.parquet is missing: run python prepare\.py dataset=no_treatment"):
        data.setup("fit")
    data.prepare_data()
    assert (tmp_path / "data/curated/no_treatment/manifest.parquet").is_file()
    data.setup("fit")
    assert len(served(data.train_dataloader()).row) > 0
    assert len(served(data.val_dataloader()).row) > 0


def test_what_was_opened_is_not_curated_again(data, monkeypatch):
    monkeypatch.setattr(module, "prepare", lambda *arguments: pytest.fail("curated again"))
    data.prepare_data()
    opened = data.curated
    data.setup("fit")
    assert data.curated is opened


def test_training_never_sees_a_patch_of_another_split(data):
    patches = pixels_by_split(data)
    for _ in range(3):  # of what is drawn, not of every patch there is
        drawn = {patch.tobytes() for patch in served(data.train_dataloader()).patches.numpy()}
        assert drawn <= patches["train"]
        assert not drawn & (patches["val"] | patches["test"])


def test_validation_sees_every_validation_patch_once_and_upright(data):
    batch = served(data.val_dataloader())
    manifest = data.curated.manifest
    assert len(batch.row) == (manifest["split"] == "val").sum()
    assert {patch.tobytes() for patch in batch.patches.numpy()} == pixels_by_split(data)["val"]
    assert not batch.orientation.any()


def test_an_epoch_of_training_is_as_long_as_the_split(data):
    loader = data.train_dataloader()
    n_train = int((data.curated.manifest["split"] == "train").sum())
    assert len(served(loader).row) == n_train
    assert len(loader) == -(-n_train // 8)


def test_classes_are_balanced_in_training_and_as_they_are_in_validation(small, prepare_config):
    # cut-offs that leave twice as many dead as live patches: columns at 64, 96 and 128 px against 0 and 32
    config = prepare_config(*small, "curation.label.dead_above=300")
    data = data_of(config)
    data.prepare_data()
    data.setup("fit")
    manifest = data.curated.manifest
    of_train = manifest.loc[manifest["split"] == "train", "label"].to_numpy(int)
    assert of_train.mean() == pytest.approx(0.4)
    loader = data.train_dataloader()
    drawn = []
    for epoch in range(20):
        loader.sampler.set_epoch(epoch)
        drawn.append(served(loader).label.double().mean().item())
    assert np.mean(drawn) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(20 * len(of_train)))
    of_val = manifest.loc[manifest["split"] == "val", "label"].to_numpy(int)
    assert served(data.val_dataloader()).label.tolist() == of_val.tolist()


def test_the_seed_says_what_is_drawn(config):
    def draw(seed: int) -> PatchBatch:
        data = data_of(config, seed=seed)
        data.setup("fit")
        return served(data.train_dataloader())

    first, again, other = draw(0), draw(0), draw(1)
    assert torch.equal(first.row, again.row)
    assert torch.equal(first.orientation, again.orientation)
    assert not torch.equal(first.row, other.row)


def test_on_the_device_patches_are_turned_expanded_and_normalised(data):
    grey = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (8, 1, 16, 16), dtype=np.uint8))
    batch = PatchBatch(grey, torch.arange(8), torch.tensor([0, 1] * 4), torch.arange(8))
    after = data.on_after_batch_transfer(batch, 0)
    for number in range(8):
        turned = np.rot90(grey[number, 0].numpy(), number % 4)
        turned = np.fliplr(turned) if number >= 4 else turned
        for channel in range(3):
            expected = (turned / 255 - MEAN[channel]) / STD[channel]
            np.testing.assert_allclose(after.patches[number, channel].numpy(), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(after.label, batch.label)
    assert torch.equal(after.row, batch.row)


@pytest.mark.parametrize("pattern", [None, r"(?P<raw_image_id>raw\d+)_\d"])
def test_patches_of_unknown_raw_images_are_warned_of(prepare_config, tmp_path, pattern):
    rng = np.random.default_rng(0)
    for split, images in (("train", (1, 2)), ("val", (3,)), ("test", (4,))):
        for label in ("live", "dead"):
            folder = tmp_path / "published" / split / label
            folder.mkdir(parents=True)
            for image in images:
                cv2.imwrite(str(folder / f"raw{image}_0.png"), rng.integers(0, 256, (64, 64), dtype=np.uint8))
    config = prepare_config(
        "dataset=no_treatment",
        f"dataset.root={tmp_path / 'published'}",
        "dataset.bit_depth=8",
        "curation.patches.size=64",
        "curation.n_jobs=1",
    )
    config[0].layout, config[0].name, config[0].pattern = "patches", "published", pattern
    data = data_of(config)
    data.prepare_data()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data.setup("fit")
    messages = [str(warning.message) for warning in said]
    if pattern is None:
        assert len(messages) == 1
        assert "which raw image a patch of published was cut from" in messages[0]
        assert "set dataset.pattern" in messages[0]
    else:
        assert messages == []
    assert len(served(data.train_dataloader()).row) == 4
    assert len(served(data.val_dataloader()).row) == 2


def test_a_manifest_whose_groups_leak_is_refused(config):
    data = data_of(config)
    path = Path(config[1].output_root) / "no_treatment" / "manifest.parquet"
    manifest = pd.read_parquet(path)
    group = manifest.loc[manifest["split"] == "test", "group"].iloc[0]
    rows = manifest.index[(manifest["group"] == group) & (manifest["split"] == "test")]
    manifest.loc[rows[0], "split"] = "train"
    manifest.to_parquet(path, index=False)
    with pytest.raises(InputError, match=f"in two splits, for example .*{group}"):
        data.setup("fit")
