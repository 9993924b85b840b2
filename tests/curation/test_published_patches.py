"""Published patches: the class and the split that folders tell."""

from pathlib import Path

import pytest

import jimt.config.hydra_schema  # noqa: F401 - registers the schemas
from folders import touch
from jimt.curation.finding import find_patches
from jimt.curation.raw_images import Finding
from jimt.errors import InputError
from jimt.vocabulary import DEAD, LIVE, Split


def patches(root: Path, *names: str, pattern: str | None = None, keep_folders: bool = True) -> Finding:
    return find_patches(
        touch(root, *names), root, pattern=pattern, live_folder="live", dead_folder="dead", keep_folders=keep_folders
    )


def test_class_folders_label_and_split_folders_split(tmp_path):
    names = [f"{split}/{label}/p.png" for split in ("train", "val", "test") for label in ("live", "dead")]
    images = patches(tmp_path, *names, "train/unsure/p.png").images
    found = {image.raw_image_id: (image.label, image.split, image.group) for image in images}
    assert found == {
        f"{split}/{label}/p": (value, Split(split), None)
        for split in ("train", "val", "test")
        for label, value in (("live", LIVE), ("dead", DEAD))
    }
    assert patches(tmp_path).n_ignored == 1


@pytest.mark.parametrize(
    "words",
    [
        ("Train", "Val", "Test"),
        ("TRAIN", "VAL", "TEST"),
        ("training", "valid", "testing"),
        ("Training", "Validation", "Test"),
        ("train_set", "validation set", "test-data"),
        ("TrainSet", "val_split", "testset"),
    ],
)
def test_split_and_class_folders_are_known_however_they_are_written(tmp_path, words):
    names = [f"{word}/{label}/{word}.png" for word in words for label in ("Live", "DEAD")]
    found = [(image.brightfield.stem, image.label, image.split) for image in patches(tmp_path, *names).images]
    splits = dict(zip(words, (Split.TRAIN, Split.VAL, Split.TEST), strict=True))
    assert sorted(found) == sorted((word, label, splits[word]) for word in words for label in (LIVE, DEAD))


def test_a_split_folder_may_hold_folders_of_plates(tmp_path):
    names = [f"{split}/plate 1/{label}/p.png" for split in ("train", "val", "test") for label in ("live", "dead")]
    assert [image.split for image in patches(tmp_path, *names).images] == [
        Split.TEST,
        Split.TEST,
        Split.TRAIN,
        Split.TRAIN,
        Split.VAL,
        Split.VAL,
    ]


def test_folders_that_only_begin_like_a_split_are_none(tmp_path):
    names = [f"{folder}/{label}/p.png" for folder in ("trained", "testosterone", "value") for label in ("live", "dead")]
    assert {image.split for image in patches(tmp_path, *names).images} == {None}


@pytest.mark.parametrize(("folder", "split"), [("test2", "test"), ("Train 2024", "train"), ("val_new", "val")])
def test_a_folder_that_may_be_a_split_is_refused_by_name(tmp_path, folder, split):
    names = [f"{folder}/live/a.png", "dead/b.png"]
    with pytest.raises(InputError) as caught:
        patches(tmp_path, *names)
    assert str(caught.value) == (
        f"the folder {folder} in {tmp_path} may hold published patches of the split {split}, or of none: name it "
        f"{split}, or otherwise, or give curation.split.keep_folders=false"
    )
    assert len(patches(tmp_path, keep_folders=False).images) == 2


def test_class_folders_that_capitals_alone_tell_apart_are_taken_as_they_are_written(tmp_path):
    files = touch(tmp_path, "a/1.png", "A/2.png")
    found = find_patches(files, tmp_path, pattern=None, live_folder="a", dead_folder="A", keep_folders=True)
    assert {image.brightfield.stem: image.label for image in found.images} == {"1": LIVE, "2": DEAD}


def test_class_folders_alone_leave_the_split_to_us(tmp_path):
    finding = patches(tmp_path / "train", "live/a.png", "dead/a.png")  # the data set's own folder splits nothing
    assert {image.split for image in finding.images} == {None}
    assert len({image.raw_image_id for image in finding.images}) == 2


def test_published_splits_can_be_passed_over(tmp_path):
    finding = patches(tmp_path, "train/live/a.png", "test/dead/a.png", "live/b.png", keep_folders=False)
    assert {image.split for image in finding.images} == {None}


def test_patches_partly_outside_the_split_folders_are_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        patches(tmp_path, "train/live/a.png", "train/dead/a.png", "val/live/a.png", "dead/b.png")
    assert str(caught.value) == (
        f"1 of 4 patches in {tmp_path} lie outside the folders train, val and test: move them there, "
        "or give curation.split.keep_folders=false"
    )


def test_a_pattern_tells_the_raw_image_and_the_group_of_a_patch(tmp_path):
    names = ["train/live/w1_img3_0.png", "train/dead/w1_img3_1.png", "test/live/w2_img1_0.png", "test/dead/odd.png"]
    with_group = patches(tmp_path, *names, pattern=r"(?P<raw_image_id>(?P<group>w\d)_img\d)_\d")
    assert [(image.raw_image_id, image.group) for image in with_group.images] == [
        ("w2_img1", "w2"),
        ("w1_img3", "w1"),
        ("w1_img3", "w1"),
    ]
    assert with_group.n_ignored == 1
    without_group = patches(tmp_path, pattern=r"(?P<raw_image_id>w\d_img\d)_\d")
    assert {image.group for image in without_group.images} == {"w1_img3", "w2_img1"}
    with pytest.raises(InputError, match="matches none of the 4 images"):
        patches(tmp_path, pattern=r"(?P<raw_image_id>nothing)")


def test_patches_outside_class_folders_name_the_keys_to_set(tmp_path):
    with pytest.raises(InputError) as caught:
        patches(tmp_path, "train/alive/a.png")
    assert str(caught.value) == (
        f"{tmp_path} has no image in a folder named live or dead: give "
        "dataset.live_folder=WORD dataset.dead_folder=WORD"
    )
