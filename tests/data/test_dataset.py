import itertools
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from rich.console import Console

from conftest import small_field, write_pair
from jimt.curation.curate import curate
from jimt.curation.manifest import Curated, open_curated
from jimt.data.dataset import Key, PatchDataset, evaluation_loader

pytestmark = pytest.mark.stack


def curated_of(config) -> Curated:
    return open_curated(curate(*config, embed=None, console=Console(quiet=True)))


@pytest.fixture
def curated(small, small_pairs, prepare_config) -> Curated:
    # one field of another size, so that the fields of the store do not lie at multiples of one length
    odd = small_field(np.random.default_rng(1), width=256, height=96)
    write_pair(small_pairs, "--W00002--P00001--Z00000--T00000", odd)
    return curated_of(prepare_config(*small))


@pytest.fixture
def dataset(curated) -> PatchDataset:
    return PatchDataset(curated.folder, used_rows(curated), size=64)


def used_rows(curated: Curated):
    return curated.manifest.dropna(subset="split").reset_index(drop=True)


def pixels_of(root: Path, row) -> np.ndarray:
    """The patch of a manifest's row, cut from the raw image and converted by hand (dataset no_treatment: 12 bits)."""
    raw = tifffile.imread(root / f"{row.raw_image_id}--Trans.tif")[row.y : row.y + 64, row.x : row.x + 64]
    return np.rint(raw / 4095 * 255).astype(np.uint8)


def test_a_batch_holds_exactly_the_pixels_of_the_8_bit_fields(curated, dataset, small_pairs):
    rows = used_rows(curated)
    chosen = np.random.default_rng(0).choice(len(rows), 24).tolist()  # in no order, some of them twice
    changes = np.random.default_rng(1).uniform(-1, 1, (24, 4))
    keys = [Key(row, row % 8, tuple(change)) for row, change in zip(chosen, changes.tolist(), strict=True)]
    batch = dataset.__getitems__(keys)
    expected = np.stack([pixels_of(small_pairs, row) for row in rows.iloc[chosen].itertuples()])
    assert batch.patches.dtype == torch.uint8
    np.testing.assert_array_equal(batch.patches.numpy(), expected[:, None])
    assert batch.row.tolist() == chosen
    assert batch.orientation.tolist() == [row % 8 for row in chosen]
    np.testing.assert_array_equal(batch.changes.numpy(), changes.astype(np.float32))
    assert batch.label.tolist() == rows.iloc[chosen]["label"].tolist()


def test_the_label_of_a_patch_is_what_its_fluorescence_says(curated, dataset):
    fluorescence = used_rows(curated)["mean_fluorescence"].to_numpy()
    batch = dataset.__getitems__([Key(row, 0) for row in range(len(dataset))])
    np.testing.assert_array_equal(batch.label.numpy() == 1, fluorescence < 300)
    np.testing.assert_array_equal(batch.label.numpy() == 0, fluorescence > 450)


def test_a_published_patch_is_a_whole_field(prepare_config, small, tmp_path):
    rng = np.random.default_rng(0)
    images = {}
    for name in ("live", "dead"):
        (tmp_path / "published" / name).mkdir(parents=True)
        for number in range(6):
            images[f"{name}/{number}"] = rng.integers(0, 256, (64, 64), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / f"published/{name}/{number}.png"), images[f"{name}/{number}"])
    config = prepare_config(*small, "dataset.bit_depth=8")
    config[0].layout, config[0].pattern, config[0].root = "patches", None, str(tmp_path / "published")
    curated = curated_of(config)
    manifest = curated.manifest
    assert manifest["y"].isna().all()
    batch = PatchDataset(curated.folder, manifest, size=64).__getitems__([Key(row, 0) for row in range(len(manifest))])
    for patch, label, name in zip(batch.patches, batch.label, manifest["raw_image_id"], strict=True):
        np.testing.assert_array_equal(patch[0].numpy(), images[name])
        assert label == name.startswith("live")


def test_evaluation_serves_every_patch_once_and_in_order(curated, small_pairs, dataset):
    batches = list(evaluation_loader(dataset, batch_size=16, num_workers=0, pinned=False))
    assert [len(batch.label) for batch in batches[:-1]] == [16] * (len(dataset) // 16)
    assert 0 < len(batches[-1].label) < 16  # the last one is not filled up
    assert torch.cat([batch.row for batch in batches]).tolist() == list(range(len(dataset)))
    assert not torch.cat([batch.orientation for batch in batches]).any()
    assert not torch.cat([batch.changes for batch in batches]).any()
    expected = np.stack([pixels_of(small_pairs, row) for row in used_rows(curated).itertuples()])
    np.testing.assert_array_equal(torch.cat([batch.patches for batch in batches])[:, 0].numpy(), expected)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # from Python 3.12 on; how torch starts workers
def test_worker_processes_serve_the_same_patches(dataset):
    assert len(pickle.dumps(dataset)) < 20_000  # what crosses to a worker holds no pixels: these are 364,000
    there = list(evaluation_loader(pickle.loads(pickle.dumps(dataset)), batch_size=64, num_workers=1, pinned=False))
    here = list(evaluation_loader(dataset, batch_size=64, num_workers=0, pinned=False))
    for one, other in zip(here, there, strict=True):
        for tensor, same in zip(one, other, strict=True):
            assert np.array_equal(tensor, same)


def test_processes_share_out_every_patch_once_in_as_many_batches_each(curated):
    for world, n_rows, batch_size in itertools.product((1, 2, 3, 5), (5, 11, 12, 13, 32), (1, 2, 4, 64)):
        dataset = PatchDataset(curated.folder, used_rows(curated)[:n_rows], size=64)
        shares = []
        for rank in range(world):
            loader = evaluation_loader(
                dataset, batch_size=batch_size, num_workers=0, pinned=False, rank=rank, world=world
            )
            shares.append([batch.row.tolist() for batch in loader])
        # under DDP a forward pass waits for the others: one batch more would wait for ever
        assert len({len(share) for share in shares}) == 1
        rows = [list(itertools.chain.from_iterable(share)) for share in shares]
        assert sorted(itertools.chain.from_iterable(rows)) == list(range(n_rows))
        assert rows == [sorted(share) for share in rows]
        sizes = {len(batch) for share in shares for batch in share}
        assert min(sizes) >= 1
        # one patch at a time is two where a process has one patch more than another
        assert max(sizes) <= max(batch_size, 2 if n_rows % world else 1)
