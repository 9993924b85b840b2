import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from sklearn.model_selection import GroupKFold

from conftest import SMALL, composed_prepare, small_field, write_pair
from jimt.config.training import AugmentationConfig
from jimt.curation.curate import curate
from jimt.curation.folds import Fold
from jimt.curation.manifest import Curated
from jimt.data.datamodule import LiveDeadDataModule, open_for_training
from jimt.data.dataset import PatchBatch
from jimt.data.preparation import prepare
from jimt.data.transforms import orient
from jimt.errors import InputError

pytestmark = pytest.mark.stack

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PAPER = AugmentationConfig(orientations=True, brightness=0.0, contrast=0.0, gamma=0.0, blur=0.0, noise=0.0, scale=0.0)
INTENSITY = AugmentationConfig(
    orientations=True, brightness=0.1, contrast=0.5, gamma=0.5, blur=1.0, noise=0.0, scale=0.0
)


def data_of(
    config, *, augmentation: AugmentationConfig = PAPER, fold: Fold | None = None, **changes
) -> LiveDeadDataModule:
    settings = {
        "batch_size": 8,
        "accumulate": 1,
        "eval_batch_size": 16,
        "num_workers": 0,
        "pinned": False,
        "compiled": False,
        "seed": 0,
        "mean": MEAN,
        "std": STD,
        "validates": fold is None or fold.val is not None,
        "repeats": False,
        "first_epoch": 0,
    }
    return LiveDeadDataModule(opened(config, fold), augmentation, **(settings | changes))


def opened(config, fold: Fold | None = None) -> Curated:
    dataset, curation = config
    return open_for_training(Path(curation.output_root) / dataset.name, fold=fold)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Twelve fields of 16 patches, curated once: tests only read them."""
    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(0)
    for well in range(1, 13):
        write_pair(folder / "raw", f"--W{well:05d}--P00001--Z00000--T00000", small_field(rng))
    where = [f"dataset.root={folder / 'raw'}", f"curation.output_root={folder / 'curated'}"]
    config = composed_prepare("dataset=no_treatment", *where, *SMALL)
    curate(*config, embed=None, console=Console(quiet=True))
    return config


@pytest.fixture
def data(config) -> LiveDeadDataModule:
    return data_of(config)


def served(loader) -> PatchBatch:
    """All batches of a loader, one after the other."""
    *tensors, changed = zip(*loader, strict=True)
    return PatchBatch(*(torch.cat(parts) for parts in tensors), is_changed=any(changed))


def pixels_by_split(data: LiveDeadDataModule) -> dict[str, set[bytes]]:
    """The patches of each split, cut from the fields without the data module."""
    patches: dict[str, set[bytes]] = {"train": set(), "val": set(), "test": set()}
    for row in data._curated.manifest.dropna(subset="split").itertuples():
        field = data._curated.store.field(row.field)
        patches[row.split].add(field[row.y : row.y + 64, row.x : row.x + 64].tobytes())
    return patches


def test_a_data_set_that_is_missing_is_said_with_the_command_that_curates_it(small, prepare_config):
    config = prepare_config(*small)
    with pytest.raises(InputError, match=r"manifest\.parquet is missing: run jimt prepare dataset=no_treatment"):
        opened(config)
    prepare(*config)
    data = data_of(config)
    assert len(served(data.train_dataloader()).row) > 0
    assert len(served(data.val_dataloader()).row) > 0


def test_training_never_sees_a_patch_of_another_split(data):
    patches = pixels_by_split(data)
    for _ in range(3):  # of what is drawn, not of every patch there is
        drawn = {patch.tobytes() for patch in served(data.train_dataloader()).patches.numpy()}
        assert drawn <= patches["train"]
        assert not drawn & (patches["val"] | patches["test"])


def test_validation_sees_every_validation_patch_once_and_upright(data):
    batch = served(data.val_dataloader())
    manifest = data._curated.manifest
    assert len(batch.row) == (manifest["split"] == "val").sum()
    assert {patch.tobytes() for patch in batch.patches.numpy()} == pixels_by_split(data)["val"]
    assert not batch.orientation.any()
    assert not batch.changes.any()
    assert not batch.is_changed


@pytest.mark.parametrize(("batch_size", "accumulate"), [(8, 1), (7, 1), (7, 4)])
def test_an_epoch_of_training_is_as_long_as_the_split_in_whole_steps(config, batch_size, accumulate):
    data = data_of(config, batch_size=batch_size, accumulate=accumulate)
    batches = list(data.train_dataloader())
    n_train = int((data._curated.manifest["split"] == "train").sum())
    n_steps = -(-n_train // (batch_size * accumulate))
    assert [len(batch.row) for batch in batches] == [batch_size] * (n_steps * accumulate)


def test_classes_are_balanced_in_training_and_as_they_are_in_validation(small, prepare_config):
    # cut-offs that leave twice as many dead as live patches: columns at 64, 96 and 128 px against 0 and 32
    config = prepare_config(*small, "curation.label.dead_above=300")
    prepare(*config)
    data = data_of(config)
    manifest = data._curated.manifest
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
        return served(data.train_dataloader())

    first, again, other = draw(0), draw(0), draw(1)
    for tensor, same in zip(first, again, strict=True):
        assert np.array_equal(tensor, same)
    assert not torch.equal(first.row, other.row)


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # from Python 3.12 on; how torch starts workers
def test_a_resumed_training_draws_the_epoch_it_goes_on_with(config, num_workers):
    def draw(data: LiveDeadDataModule, epoch: int | None) -> list[int]:
        loader = data.train_dataloader()
        if epoch is not None:
            loader.sampler.set_epoch(epoch)
        return torch.cat([batch.row for batch in loader]).tolist()

    resumed = data_of(config, num_workers=num_workers, first_epoch=3)
    # workers fetch before Lightning names the epoch, so nobody names it here
    assert draw(resumed, None) == draw(data_of(config), 3) != draw(data_of(config), 0)


def test_serving_patches_takes_nothing_from_the_random_numbers_of_dropout(data):
    loader = data.train_dataloader()
    before = torch.get_rng_state()
    served(loader)
    assert torch.equal(torch.get_rng_state(), before)


# ---- augmentation


def test_intensity_augmentation_draws_the_same_patches(config):
    drawn = []
    for augmentation in (PAPER, INTENSITY):
        data = data_of(config, augmentation=augmentation)
        drawn.append(served(data.train_dataloader()))
    for tensor, same in zip(*drawn, strict=True):
        assert np.array_equal(tensor, same)


def test_intensities_change_in_training_and_never_in_validation(config):
    seen = []
    for augmentation in (PAPER, INTENSITY):
        data = data_of(config, augmentation=augmentation)
        batch, val = next(iter(data.train_dataloader())), next(iter(data.val_dataloader()))
        seen.append([data.on_after_batch_transfer(each, 0).patches for each in (batch, val)])
    (plain, plain_val), (changed, changed_val) = seen
    assert torch.equal(plain_val, changed_val)
    differences = (plain - changed).abs().flatten(1).mean(1)
    assert differences.min() > 1e-3  # every patch in a way of its own
    assert len(differences.unique()) == len(differences)


def test_intensity_strengths_of_zero_are_the_papers_augmentation(data, config):
    batch = next(iter(data.train_dataloader()))
    by_hand = orient(batch.patches, batch.orientation).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    torch.testing.assert_close(
        data.on_after_batch_transfer(batch, 0).patches, (by_hand - mean) / std, rtol=0, atol=1e-6
    )


# ---- folds


def test_a_fold_replaces_the_split(config):
    data = data_of(config, fold=Fold(4, test=1, val=2))
    manifest = data._curated.manifest
    used = manifest["split"].notna()
    groups = manifest.loc[used, "group"].to_numpy(str)
    parts = [set(groups[test]) for _, test in GroupKFold(4).split(groups, groups=groups)]
    assert set(manifest.loc[manifest["split"] == "test", "group"]) == parts[1]
    assert set(manifest.loc[manifest["split"] == "val", "group"]) == parts[2]
    assert set(manifest.loc[manifest["split"] == "train", "group"]) == parts[0] | parts[3]
    train = manifest[manifest["split"] == "train"]
    assert {patch.tobytes() for patch in served(data.train_dataloader()).patches.numpy()} <= {
        data._curated.store.field(row.field)[row.y : row.y + 64, row.x : row.x + 64].tobytes()
        for row in train.itertuples()
    }


def test_a_fold_without_validation_trains_on_the_rest_and_validates_on_nothing(config):
    data = data_of(config, fold=Fold(4, test=1, val=None))
    assert data.val_dataloader() == []
    assert set(data._curated.manifest["split"].dropna()) == {"train", "test"}


def test_on_the_device_patches_are_turned_expanded_and_normalised(data):
    grey = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (8, 1, 16, 16), dtype=np.uint8))
    batch = PatchBatch(
        grey, torch.arange(8), torch.ones(8, 4), torch.tensor([0, 1] * 4), torch.arange(8), torch.zeros(8), True
    )
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
    prepare(*config)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data = data_of(config)
    messages = [str(warning.message) for warning in said]
    if pattern is None:
        assert len(messages) == 1
        assert "which raw image a patch of published was cut from" in messages[0]
        assert "give dataset.pattern=PATTERN" in messages[0]
    else:
        assert messages == []
    assert len(served(data.train_dataloader()).row) == 8  # four, rounded up to a batch
    assert len(served(data.val_dataloader()).row) == 2


def test_a_manifest_whose_groups_leak_is_refused(small, prepare_config):
    config = prepare_config(*small)
    prepare(*config)
    path = Path(config[1].output_root) / "no_treatment" / "manifest.parquet"
    manifest = pd.read_parquet(path)
    group = manifest.loc[manifest["split"] == "test", "group"].iloc[0]
    rows = manifest.index[(manifest["group"] == group) & (manifest["split"] == "test")]
    manifest.loc[rows[0], "split"] = "train"
    manifest.to_parquet(path, index=False)
    with pytest.raises(InputError, match=f"in two splits, for example .*{group}"):
        opened(config)
