"""The same image under two names: told by its pixels, whatever file holds them."""

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
from rich.console import Console

from jimt.curation.copies import find_copies, pixel_digest
from jimt.curation.curate import curate
from jimt.curation.manifest import open_curated
from jimt.errors import InputError

pytestmark = pytest.mark.stack
FIELD = "--W{:05d}--P{:05d}--Z00000--T00000"


def run(config):
    return open_curated(curate(*config, embed=None, console=Console(quiet=True)))


def said(call) -> str:
    with pytest.raises(InputError) as told:
        call()
    return str(told.value)


# ---- pixels


def test_a_digest_is_of_grey_values_and_size_alone():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 60), np.uint8)
    alike = [image, image.astype(np.uint16), image.astype(np.float32), np.asfortranarray(image), image.copy()]
    assert len({pixel_digest(each) for each in alike}) == 1
    brighter = image.astype(np.uint16)
    brighter[7, 9] += 1
    others = [brighter, image.T, image[::-1], image.reshape(60, 40), image.astype(np.float32) + 0.5]
    assert len({pixel_digest(each) for each in [image, *others]}) == 6
    assert pixel_digest(np.full((4, 4), 7, np.uint8)) is None  # a blank image is a copy of no other


def fields_of(*rows: tuple[str, str | None, str | None, str | None, int | None]) -> pd.DataFrame:
    columns = ["file", "group", "brightfield_digest", "fluorescence_digest", "label"]
    return pd.DataFrame(rows, columns=columns)


def test_in_a_chain_of_shared_channels_only_what_shares_with_another_group_goes():
    # a and b share bright-field, b and c fluorescence, so c is a copy of nothing where b is gone; e repeats d
    found = find_copies(
        fields_of(
            ("a", "w1", "1", "10", None),
            ("b", "w2", "1", "11", None),
            ("c", "w3", "2", "11", None),
            ("d", "w4", "4", "12", None),
            ("e", "w4", "4", "13", None),
            ("f", "w5", None, None, None),
            ("g", "w6", None, None, None),
        )
    )
    assert sorted(found.leaking) == [1]
    assert found.within_group == {"e": "d"}
    assert found.leaking[1].startswith("has the bright-field pixels of a, which is of group w1 and not w2")


def test_a_copy_in_another_group_is_told_of_a_raw_image_of_that_group():
    # a and b of one group share bright-field, b and c of another fluorescence
    found = find_copies(
        fields_of(("a", "A", "1", "10", None), ("b", "A", "1", "11", None), ("c", "B", "2", "11", None))
    )
    assert found.within_group == {"b": "a"}
    assert list(found.leaking) == [2]
    assert found.leaking[2].startswith("has the fluorescence pixels of b, which is of group A and not B, so a split")


@pytest.mark.parametrize(
    ("groups", "left_out"),
    [
        ("ABB", [0]),
        ("ABBCCC", [0, 1, 2]),
        ("BAAB", [1, 2]),  # as many of each: those of the first stay
        ("AB", [1]),
        ((None, "B", "B"), [0]),
        ((None, None, None), [1, 2]),
    ],
)
def test_the_group_with_most_of_the_copies_stays(groups, left_out):
    found = find_copies(fields_of(*((f"f{i}", group, "1", "2", None) for i, group in enumerate(groups))))
    assert sorted(found.leaking) == left_out
    staying = [group for i, group in enumerate(groups) if i not in left_out]
    assert len(found.within_group) == len(staying) - 1
    for number, reason in found.leaking.items():
        named = int(reason.partition("pixels of f")[2][0])
        assert named not in left_out
        assert groups[named] is None or groups[named] != groups[number]


# ---- pairs


@pytest.fixture
def twice(small_pairs):
    """Well 1 exported again as well 7, in another encoding."""
    for channel in ("Trans", "PI"):
        image = tifffile.imread(small_pairs / f"{FIELD.format(1, 2)}--{channel}.tif")
        path = small_pairs / f"{FIELD.format(7, 2)}--{channel}.tif"
        tifffile.imwrite(path, image.astype(">u2"), byteorder=">", compression="zlib", rowsperstrip=16)
    return small_pairs


def test_an_image_under_two_ids_in_two_groups_is_refused_by_name(twice, small, prepare_config):
    told = said(lambda: run(prepare_config(*small)))
    assert told.startswith(
        "1 of 13 raw images cannot be used: mend or remove them, or give curation.on_bad_image=skip\n"
    )
    assert f"{FIELD.format(7, 2)}--Trans.tif: has the bright-field pixels and fluorescence pixels of" in told
    assert f"{FIELD.format(1, 2)}--Trans.tif, which is of group W00001--P00002 and not W00007--P00002" in told


def test_each_of_the_remedies_works(twice, small, prepare_config, capsys):
    config = prepare_config(*small, "curation.on_bad_image=skip")
    skipped = open_curated(curate(*config, embed=None, console=Console(width=300)))
    copied = skipped.manifest[skipped.manifest["excluded"] == "copy"]
    assert set(copied["raw_image_id"]) == {FIELD.format(7, 2)}
    assert len(copied) == 20 == skipped.summary["counts"]["excluded"]["copy"]
    assert copied["split"].isna().all()
    assert "WARNING: 20 patches of 1 raw images were left out as copies" in capsys.readouterr().out
    by_day = prepare_config(*small)
    by_day[0].pattern = r"^(?P<raw_image_id>(?P<group>day\d)/.*)--(?P<channel>[^-]+)\.tif$"
    for path in sorted(twice.iterdir()):
        day = twice / f"day{1 + (int(path.name[3:8]) - 1) % 6}"  # well 7 on the day of well 1
        day.mkdir(exist_ok=True)
        path.rename(day / path.name)
    assert run(by_day).summary["copies"]["within_group"] == {
        f"day1/{FIELD.format(7, 2)}--Trans.tif": f"day1/{FIELD.format(1, 2)}--Trans.tif"
    }
    for channel in ("Trans", "PI"):
        (twice / f"day1/{FIELD.format(7, 2)}--{channel}.tif").unlink()
    whole = run(prepare_config(*small))
    assert whole.summary["copies"] == {"left_out": {}, "within_group": {}}


def test_a_copy_within_its_group_stays_and_is_told(small_pairs, small, prepare_config, capsys):
    for channel in ("Trans", "PI"):  # the same place, a later time
        name = f"{FIELD.format(1, 2)}--{channel}.tif"
        (small_pairs / name.replace("T00000", "T00001")).write_bytes((small_pairs / name).read_bytes())
    curated = open_curated(curate(*prepare_config(*small), embed=None, console=Console(width=300)))
    assert curated.summary["n_raw_images"] == 13
    assert not (curated.manifest["excluded"] == "copy").any()
    assert "WARNING: 1 raw image repeats another of the same group" in capsys.readouterr().out


@pytest.mark.parametrize("channel", ["Trans", "PI"])
def test_one_shared_channel_is_enough(small_pairs, small, prepare_config, channel):
    name = "--W{:05d}--P00001--Z00000--T00000--{}.tif"
    (small_pairs / name.format(3, channel)).write_bytes((small_pairs / name.format(2, channel)).read_bytes())
    words = "bright-field" if channel == "Trans" else "fluorescence"
    assert f"has the {words} pixels of {name.format(2, 'Trans')}" in said(lambda: run(prepare_config(*small)))


def test_an_interrupted_curation_finds_copies_of_what_it_read_before(twice, small, prepare_config, monkeypatch):
    from jimt.curation import read_stage

    real = read_stage.FieldWriter.add

    def stops(writer, result):
        real(writer, result)
        if writer.n_images == 7:
            writer.commit()
            raise KeyboardInterrupt

    monkeypatch.setattr(read_stage.FieldWriter, "add", stops)
    with pytest.raises(KeyboardInterrupt):
        run(prepare_config(*small))
    monkeypatch.setattr(read_stage.FieldWriter, "add", real)
    assert "which is of group W00001--P00002 and not W00007--P00002" in said(lambda: run(prepare_config(*small)))


# ---- published patches


@pytest.fixture
def published(tmp_path, prepare_config):
    """Config and folder of published patches: two live and two dead ones of each of five raw images, in folders."""
    root = tmp_path / "published"
    rng = np.random.default_rng(0)
    for split, images in (("train", (1, 2, 3)), ("val", (4,)), ("test", (5,))):
        for label in ("live", "dead"):
            (root / split / label).mkdir(parents=True)
            for image in images:
                for patch in range(2):
                    cv2.imwrite(str(root / split / label / f"raw{image}_{patch}.png"), rng.integers(0, 256, (64, 64)))
    config = prepare_config(
        "dataset=no_treatment", f"dataset.root={root}", "curation.patches.size=64", "curation.n_jobs=1"
    )
    config[0].layout, config[0].pattern, config[0].name = "patches", None, "published"
    return config, root


@pytest.mark.parametrize("pattern", [None, r"(?P<raw_image_id>raw\d+)_\d"])
def test_a_patch_that_was_published_twice_is_refused_and_can_be_left_out_once(published, pattern):
    config, root = published
    config[0].pattern = pattern
    image = cv2.imread(str(root / "test/live/raw5_0.png"), cv2.IMREAD_UNCHANGED)
    tifffile.imwrite(root / "train/live/raw1_9.tif", image)
    told = said(lambda: run(config))
    assert "train/live/raw1_9.tif: has the bright-field pixels of test/live/raw5_0.png" in told
    config[1].on_bad_image = "skip"
    curated = run(config)
    assert curated.summary["counts"]["excluded"]["copy"] == 1
    assert curated.summary["counts"]["splits"]["test"]["live"] == 2  # the test split stays as it was published
    assert curated.summary["counts"]["splits"]["train"]["live"] == 6


def test_a_patch_in_both_class_folders_is_neither(published):
    config, root = published
    (root / "train/dead/raw1_9.png").write_bytes((root / "train/live/raw1_0.png").read_bytes())
    told = said(lambda: run(config))
    assert told.startswith("2 of 21 raw images cannot be used")
    assert "train/live/raw1_0.png: has the pixels of train/dead/raw1_9.png and is live where that is dead" in told
    config[1].on_bad_image = "skip"
    curated = run(config)
    assert curated.summary["counts"]["splits"]["train"] == {"live": 5, "dead": 6, "raw_images": 11, "groups": 0}


def test_blank_patches_are_no_copies_of_one_another(published):
    config, root = published
    for split in ("train", "test"):
        cv2.imwrite(str(root / split / "live/raw_blank.png"), np.full((64, 64), 255, np.uint8))
    assert run(config).summary["copies"] == {"left_out": {}, "within_group": {}}
