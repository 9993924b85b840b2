"""Crops and their targets: of the same place, drawn alike in every process, never of a group that is tested on."""

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter

from conftest import STAIN, composed_train
from jimt.curation.folds import Fold, split_by_fold
from jimt.curation.manifest import open_curated
from jimt.data import crops, dataset
from jimt.data.crops import CropDataset, CropKey, CropSampler, FieldDataset, field_keys
from jimt.data.dataset import N_CHANGES
from jimt.data.stain_datamodule import StainDataModule, fields_of_split
from jimt.data.stain_targets import StainTargets, TargetSettings
from jimt.data.transforms import orient
from jimt.errors import InputError
from jimt.vocabulary import Split
from stains import PI, made

BACKGROUND = 100.0
ANYWHERE = [(where, a, b) for where in (0.0, 0.99) for a in (0.0, 0.3, 0.999) for b in (0.0, 0.6, 0.999)]


def seen_and_stained(rng, height, width, *, sd=12.0):
    """A bright-field image and the PI that follows from it: background times e^(grey / 100)."""
    smooth = gaussian_filter(rng.normal(size=(height, width)), sd)
    grey = np.round(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    return grey, np.round(BACKGROUND * np.exp(grey / 100)).astype(np.uint16)


def of_places(pixels):
    """Mean of squares of 4 pixels, shape as of targets."""
    side, across = (length // 4 for length in pixels.shape[-2:])
    return pixels.reshape(*pixels.shape[:-2], side, 4, across, 4).mean((-3, -1))


@pytest.fixture
def opened(monkeypatch):
    """The data sets serve hand-made fields in place of a store."""

    def use(curated, settings=PI):
        monkeypatch.setattr(crops, "FieldStore", lambda _: curated.store)
        targets = StainTargets(curated, settings)
        targets.prepare(curated.manifest["field"])
        return targets

    return use


# ---- pixels and targets


@pytest.fixture
def consistent(tmp_path, opened):
    rng = np.random.default_rng(0)
    brightfield, fluorescence = zip(*(seen_and_stained(rng, *size) for size in ((96, 130), (110, 85))), strict=True)
    curated = made(tmp_path, fluorescence, brightfield=list(brightfield), background=BACKGROUND)
    return curated, opened(curated)


@pytest.mark.parametrize("length", [96, 97, 99, 100])
def test_a_crop_reaches_both_edges_and_every_place_between_as_often(tmp_path, opened, length):
    pixels = np.tile(np.arange(length, dtype=np.uint8), (length, 1))
    curated = made(tmp_path, [pixels.astype(np.uint16) + 1], brightfield=[pixels], background=1)
    dataset = CropDataset(curated, opened(curated), [0], crop=64, multiple=32)
    offsets = (np.arange(900) + 0.5) / 900
    batch = dataset.__getitems__([CropKey(0, where=(0.0, 0.5, float(offset))) for offset in offsets])
    origins, counts = np.unique(batch.pixels[:, 0, 0, 0].numpy(), return_counts=True)
    assert origins.tolist() == list(range(0, length - 64 + 1, 4))
    assert counts.max() - counts.min() <= 1


def test_the_targets_of_a_crop_are_of_its_own_pixels(consistent):
    curated, targets = consistent
    dataset = CropDataset(curated, targets, [0, 1], crop=64, multiple=32)
    keys = [CropKey(number, about, where) for number in (0, 1) for about in (False, True) for where in ANYWHERE]
    batch = dataset.__getitems__(keys)
    assert batch.pixels.shape == (len(keys), 1, 64, 64)
    assert batch.targets.shape == (len(keys), 2, 16, 16)
    grey = of_places(batch.pixels[:, 0].numpy().astype(float))
    # a logarithm of a mean, and a mean: not the same where a place is uneven, and in half precision
    np.testing.assert_allclose(batch.targets[:, 0].numpy(), grey / 100, atol=0.02)
    assert len({crop.numpy().tobytes() for crop in batch.pixels}) > 15


def changed(batch, **strengths):
    """A batch after what happens on the device, as grey values and targets."""
    none = dict.fromkeys(("brightness", "contrast", "gamma", "blur", "noise", "scale"), 0.0)
    config = composed_train(
        "run_dir=run", "task=stain", *(f"augmentation.{k}={v}" for k, v in (none | strengths).items())
    )
    module = StainDataModule.__new__(StainDataModule)
    module._augmentation, module._mean, module._std = config.augmentation, (0.0,) * 3, (1.0,) * 3
    module._compiled = False
    after = module.on_after_batch_transfer(batch, 0)
    return 255 * after.pixels[:, 0].numpy().astype(float), after.targets.numpy()


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_after_turning_mirroring_and_magnifying_they_still_are(consistent, scale):
    curated, targets = consistent
    rng = np.random.default_rng(1)
    keys = [
        CropKey(n % 2, False, (0.5, *rng.random(2)), n % 8, tuple(rng.uniform(-1, 1, N_CHANGES))) for n in range(32)
    ]
    batch = CropDataset(curated, targets, [0, 1], crop=64, multiple=32).__getitems__(keys)
    grey, targets = changed(batch, scale=scale)
    expected = of_places(grey) / 100
    difference = np.abs(targets[:, 0] - expected)
    if scale == 0:
        assert difference.max() < 0.02
    # targets are taken from the nearest place, up to half a place, 2 pixels, away
    assert np.median(difference) < 0.03
    assert np.percentile(difference, 99) < 0.15
    assert expected.std() > 0.2
    assert min(np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(targets[:, 0], expected, strict=True)) > 0.95
    # an eighth are turned each way, by what the turning of one alone does
    upright = torch.zeros_like(batch.orientation)
    plain, _ = changed(batch._replace(orientation=upright, changes=batch.changes * 0))
    turned, _ = changed(batch._replace(changes=batch.changes * 0))
    for n, orientation in enumerate(batch.orientation.tolist()):
        by_hand = np.rot90(plain[n], orientation % 4)
        np.testing.assert_allclose(turned[n], np.fliplr(by_hand) if orientation >= 4 else by_hand)


def test_what_is_not_known_stays_so_where_it_is_turned_and_magnified(tmp_path, opened):
    no_data = np.zeros((64, 64), bool)
    no_data[:, :16] = True
    image = np.where(no_data, 0, 200)
    curated = made(tmp_path, [image], brightfield=[image.astype(np.uint8)], no_data=[no_data])
    keys = [CropKey(0, orientation=n, changes=(0, 0, 0, 0, 0, change)) for n in range(8) for change in (-1, 0, 1)]
    batch = CropDataset(curated, opened(curated), [0], crop=64, multiple=32).__getitems__(keys)
    grey, targets = changed(batch, scale=1.0)
    dark, unknown = of_places(grey) < 100, np.isnan(targets[:, 0])
    assert (dark == unknown).mean() > 0.9
    shares = unknown.mean((1, 2)).reshape(8, 3)
    np.testing.assert_allclose(shares, np.broadcast_to(shares[0], (8, 3)), atol=0.05)
    # of four columns of places one in four; at twice the size none of the middle, at half of it both sides' mirrors
    assert shares[0, 1] == 0.25
    assert shares[0, 2] == 0


def test_a_centred_crop_holds_a_dead_place_wherever_it_lies(tmp_path, opened):
    size = (130, 99)  # ends within a place
    places = [(y, x) for y in (0, 60, 124, 129) for x in (0, 40, 92, 98)]
    images = []
    for y, x in places:
        image = np.full(size, 100)
        image[y, x] = 4000
        images.append(image)
    curated = made(tmp_path, images)
    targets = opened(curated, TargetSettings(("log_pi",), None, 8.0, 0.0))
    dataset = CropDataset(curated, targets, range(len(places)), crop=64, multiple=32)
    for number, (y, x) in enumerate(places):
        whole = y < 128 and x < 96  # of a place of 2 rows or 3 columns a crop, of whole places, may hold nothing
        for where in ANYWHERE:
            batch = dataset.__getitems__([CropKey(number, True, where)])
            assert (batch.targets > 1).sum() == 1 or not whole
            assert batch.pixels.shape[2:] == (64, 64)
            assert not torch.isnan(batch.targets).any()


def test_a_field_without_a_dead_place_gives_crops_of_anywhere(tmp_path, opened):
    rng = np.random.default_rng(2)
    grey = rng.integers(0, 255, (96, 128), dtype=np.uint8)
    curated = made(tmp_path, [np.full((96, 128), 100)], brightfield=[grey])
    dataset = CropDataset(curated, opened(curated), [0], crop=64, multiple=32)
    for where in ANYWHERE:
        about, not_about = (dataset.__getitems__([CropKey(0, centred, where)]).pixels for centred in (True, False))
        assert torch.equal(about, not_about)


def test_whole_fields_of_different_sizes_stand_in_one_batch_and_what_is_beyond_them_is_not_known(consistent):
    curated, targets = consistent
    batch = CropDataset(curated, targets, [0, 1], crop=None, multiple=64).__getitems__([CropKey(0), CropKey(1)])
    assert batch.pixels.shape == (2, 1, 192, 192)  # of 96 x 130 and 110 x 85, the next multiple of 64
    for pixels, known, number in zip(batch.pixels[:, 0].numpy(), batch.targets.numpy(), (0, 1), strict=True):
        height, width = curated.store.field(number).shape
        np.testing.assert_array_equal(pixels[:height, :width], curated.store.field(number))
        here = np.zeros((48, 48), bool)
        here[: round(height / 4 + 0.01), : round(width / 4 + 0.01)] = True  # a place that is half there is known
        np.testing.assert_array_equal(np.isfinite(known[0]), here)
        np.testing.assert_array_equal(pixels[height, :width], pixels[height - 2, :width])  # the mirror image


def test_validation_serves_each_field_whole_with_its_patches(consistent):
    curated, targets = consistent
    rows = pd.DataFrame(
        {"field": [1, 0, 1], "y": [4, 0, 8], "x": [1, 2, 3], "label": [1, 0, 0], "group": ["b", "a", "b"]}
    )
    dataset = FieldDataset(curated, targets, rows, multiple=32)
    first, second = (dataset.__getitems__([key]) for key in field_keys(len(dataset), rank=0, world=1))
    assert first.patches.tolist() == [[0, 2, 0, 0]]
    assert second.patches.tolist() == [[4, 1, 1, 1], [8, 3, 0, 1]]
    assert first.pixels.shape == (1, 1, 96, 160)
    assert second.targets.shape == (1, 2, 32, 24)
    np.testing.assert_array_equal(first.pixels[0, 0, :, :130], curated.store.field(0))
    np.testing.assert_array_equal(first.targets[0, :, :, :33], targets.read(0).astype(np.float32))
    assert torch.isnan(first.targets[0, :, :, 33:]).all()
    # the last of three processes has none left
    (none,) = field_keys(2, rank=2, world=3)
    beyond = dataset.__getitems__([none])
    assert len(beyond.patches) == 0
    assert torch.isnan(beyond.targets).all()


# ---- what is drawn


def sampler(groups, **changes):
    settings = {
        "n_crops": 4000,
        "multiple": 8,
        "balance_groups": True,
        "centred": 0.25,
        "orientations": True,
        "seed": 3,
        "repeats": False,
    }
    return CropSampler(np.array(groups, object), **settings | changes)


def test_a_group_is_drawn_by_the_square_root_of_its_fields():
    groups = ["a"] * 16 + ["b"] * 4 + ["c"]
    drawn = sampler(groups).draw()
    counts = Counter(groups[key.number] for key in drawn)
    for group, weight in {"a": 4, "b": 2, "c": 1}.items():
        assert counts[group] / len(drawn) == pytest.approx(weight / 7, abs=0.03)
    of_a = Counter(key.number for key in drawn if key.number < 16)
    assert len(of_a) == 16
    assert max(of_a.values()) < 2 * min(of_a.values())
    plain = Counter(groups[key.number] for key in sampler(groups, balance_groups=False).draw())
    assert plain["a"] / 4000 == pytest.approx(16 / 21, abs=0.03)


def test_of_the_crops_so_many_are_centred_and_each_way_up():
    drawn = sampler(["a", "b"]).draw()
    assert np.mean([key.centred for key in drawn]) == pytest.approx(0.25, abs=0.03)
    assert Counter(key.orientation for key in drawn).keys() == set(range(8))
    assert {key.orientation for key in sampler(["a"], orientations=False).draw()} == {0}
    assert not any(key.centred for key in sampler(["a"], centred=0.0).draw())
    assert all(key.centred for key in sampler(["a"], centred=1.0).draw())
    values = np.array([key.changes for key in drawn])
    assert values.shape == (4000, N_CHANGES)
    np.testing.assert_allclose(values.mean(0), 0, atol=0.05)
    assert np.abs(values).max() <= 1


def test_the_draw_is_that_of_its_seed_and_epoch_and_is_shared_out_between_processes(monkeypatch):
    whole = sampler(["a", "b", "c"], n_crops=60)
    assert len(whole) == 64  # whole steps
    assert whole.draw() == sampler(["a", "b", "c"], n_crops=60).draw()
    first = whole.draw()
    assert list(whole) == first
    whole.set_epoch(1)
    assert whole.draw() != first
    assert sampler(["a", "b", "c"], n_crops=60, seed=4).draw() != first
    repeating = sampler(["a", "b", "c"], n_crops=60, repeats=True)
    repeating.set_epoch(1)
    assert repeating.draw() == first
    shares = []
    for rank in range(2):
        monkeypatch.setattr(crops, "process_share", lambda rank=rank: (rank, 2))
        shares.append(list(sampler(["a", "b", "c"], n_crops=60)))
    assert [key for pair in zip(*shares, strict=True) for key in pair] == first


@pytest.mark.parametrize(("n_fields", "world"), [(3, 1), (3, 2), (1, 2), (4, 3), (5, 4), (4, 2)])
def test_each_validation_field_is_served_once_in_as_many_steps_by_each_process(n_fields, world):
    of_ranks = [[key.number for key in field_keys(n_fields, rank=rank, world=world)] for rank in range(world)]
    assert len({len(numbers) for numbers in of_ranks}) == 1
    assert sorted(n for numbers in of_ranks for n in numbers if n >= 0) == list(range(n_fields))


# ---- no leak


def manifest_of(rows):
    return pd.DataFrame(rows, columns=["field", "raw_image_id", "group", "split", "excluded"])


def test_only_fields_of_training_groups_are_drawn_those_with_ambiguous_patches_alone_among_them():
    manifest = manifest_of(
        [
            (0, "a1", "a", "train", None),
            (0, "a1", "a", None, "ambiguous"),
            (1, "a2", "a", None, "ambiguous"),  # of a training group: there is a stain to learn from
            (2, "b1", "b", "test", None),
            (3, "b2", "b", None, "ambiguous"),  # of a tested one
            (4, "c1", "c", None, "ambiguous"),  # of no split
            (5, "d1", "d", "val", None),
            (6, "a3", "a", None, "copy"),  # holds the pixels of a field of another group
            (7, "a4", "a", None, "empty"),
        ]
    )
    assert fields_of_split(manifest, Split.TRAIN) == {0: "a", 1: "a", 7: "a"}
    assert fields_of_split(manifest, Split.VAL) == {5: "d"}
    unknown = manifest.assign(group=None)
    assert fields_of_split(unknown, Split.TRAIN) == {0: "a1"}
    as_written = manifest.astype({"group": "category", "excluded": "category", "split": "category"})
    assert fields_of_split(as_written, Split.TRAIN) == {0: "a", 1: "a", 7: "a"}


def datamodule(curated, *overrides):
    config = composed_train("run_dir=run", *STAIN, *overrides)
    return StainDataModule(
        curated,
        config.stain,
        config.augmentation,
        batch_size=8,
        accumulate=1,
        num_workers=0,
        pinned=False,
        compiled=False,
        seed=0,
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        validates=True,
        repeats=False,
        first_epoch=0,
    )


@pytest.mark.parametrize("fold", [None, *range(3)])
def test_no_field_of_a_tested_group_is_drawn_nor_are_its_targets_computed(uneven, tmp_path, monkeypatch, fold):
    config = composed_train("run_dir=run", *uneven, *STAIN)
    curated = open_curated(type(tmp_path)(config.curation.output_root) / "no_treatment")
    manifest = curated.manifest
    if fold is not None:
        manifest = split_by_fold(manifest, Fold(3, fold, (fold + 1) % 3))
    groups = {split: set(manifest.loc[manifest["split"] == split, "group"]) for split in ("train", "val", "test")}
    curated = type(curated)(curated.folder, manifest, curated.store, curated.summary, curated.thresholds)
    computed = []
    compute = StainTargets.compute
    monkeypatch.setattr(StainTargets, "compute", lambda self, n: (computed.append(n), compute(self, n))[1])
    module = datamodule(curated, f"stain.smoothing={1.25 if fold is None else 2.25 + fold}")
    module.prepare_data()
    group_of = manifest.drop_duplicates("field").set_index("field")["group"]
    assert {group_of[n] for n in computed} == groups["train"] | groups["val"]
    loader = module.train_dataloader()
    loader.sampler.set_epoch(0)
    drawn = {group_of[loader.dataset._fields[key.number]] for key in loader.sampler.draw()}
    assert drawn <= groups["train"]
    assert len(drawn) == len(groups["train"])
    assert {group_of[n] for n in module.val_dataloader().dataset.fields} == groups["val"]
    assert not groups["test"] & (drawn | {group_of[n] for n in computed})
    # the pixels are those of the fields that were drawn
    tested = {curated.store.field(n)[:64, :64].tobytes() for n in group_of.index if group_of[n] in groups["test"]}
    batch = loader.dataset.__getitems__([CropKey(n) for n in range(len(loader.dataset))])
    assert not {pixels.numpy().tobytes() for pixels in batch.pixels[:, 0]} & tested


def test_a_crop_larger_than_the_smallest_field_is_refused(uneven, tmp_path):
    config = composed_train("run_dir=run", *uneven, *STAIN)
    curated = open_curated(type(tmp_path)(config.curation.output_root) / "no_treatment")
    with pytest.raises(InputError) as caught:
        datamodule(curated, "stain.crop=160")
    assert str(caught.value) == (
        "stain.crop=160 is more than the smallest field has, 128 pixels: give stain.crop=128, or "
        "stain.crop=null stain.positive_crops=0"
    )
    for remedy in caught.value.remedies:
        datamodule(curated, *remedy.split(" "))
    small = made(tmp_path, [np.full((40, 50), 100)])
    with pytest.raises(InputError, match="40 pixels: give stain.crop=32, or"):
        datamodule(small)
    with pytest.raises(InputError, match="40 pixels: give stain.crop=null stain.positive_crops=0$"):
        datamodule(small, "stain.reduction=2")


def test_worker_processes_are_not_sent_the_pixels(consistent):
    curated, targets = consistent
    for made_of in (
        CropDataset(curated, targets, [0, 1], crop=64, multiple=32),
        FieldDataset(curated, targets, curated.manifest, multiple=32),
    ):
        made_of.__getitems__([CropKey(0)])
        assert len(pickle.dumps(made_of)) < 5_000


def test_an_orientation_of_places_is_that_of_their_pixels():
    pixels = torch.arange(64.0).view(1, 1, 8, 8).expand(8, 1, 8, 8)
    turned, orientations = orient(pixels, torch.arange(8)), torch.arange(8)
    np.testing.assert_array_equal(
        of_places(turned.numpy()), orient(torch.from_numpy(of_places(pixels.numpy())), orientations).numpy()
    )
    assert dataset.N_ORIENTATIONS == 8
