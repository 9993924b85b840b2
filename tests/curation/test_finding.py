import functools
import re

import pytest
from hydra import compose, initialize_config_dir

import jimt.config.hydra_schema  # noqa: F401 - registers the schemas
from conftest import REPOSITORY
from folders import touch
from jimt.curation.file_names import name_key
from jimt.curation.finding import find_pairs, find_patches, find_stacks
from jimt.curation.found import describe_finding
from jimt.curation.listing import list_files
from jimt.curation.raw_images import Finding
from jimt.errors import InputError
from jimt.vocabulary import DEAD, LIVE


@functools.cache
def words_of(dataset: str) -> dict[str, str]:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        config = compose("prepare", overrides=[f"dataset={dataset}"]).dataset
    return {key: config[key] for key in ("pattern", "brightfield", "fluorescence")}


@pytest.fixture
def pairs(tmp_path):
    """Pairs among empty files of these names, as ``conf/dataset/NAME.yaml`` reads them."""

    def find(dataset: str, *names: str, **changes: str) -> Finding:
        return find_pairs(touch(tmp_path, *names), tmp_path, **(words_of(dataset) | changes))

    return find


def scanr(stem: str, *channels: str) -> list[str]:
    return [f"{stem}--{channel}.tif" for channel in channels or ("Trans", "PI")]


# ---- Olympus ScanR


@pytest.mark.parametrize(
    ("stem", "group"),
    [
        ("MCF7 plate--W00001--P00001--Z00000--T00000", "W00001--P00001"),
        ("--W00012--P00003--Z00000--T00000", "W00012--P00003"),
        ("W00012--P00003--Z00000--T00000", "W00012--P00003"),
        ("a-b--c--W00001--P00002--Z00000--T00000", "W00001--P00002"),
        ("day 1/plate/exp--W00001--P00002--Z00000--T00000", "W00001--P00002"),
        ("day 1/--W00001--P00002--Z00000--T00000", "W00001--P00002"),
    ],
)
@pytest.mark.parametrize("dataset", ["no_treatment", "doxo"])
def test_scanr_names_are_paired_with_and_without_prefix_and_in_folders(tmp_path, pairs, dataset, stem, group):
    finding = pairs(dataset, *scanr(stem))
    (image,) = finding.images
    assert image.raw_image_id == stem
    assert image.group == group
    assert image.brightfield == tmp_path / f"{stem}--Trans.tif"
    assert image.fluorescence == tmp_path / f"{stem}--PI.tif"
    assert (finding.bad, finding.n_ignored) == ({}, 0)


def test_the_time_points_of_a_position_are_one_group_and_each_its_own_raw_image(pairs):
    stems = [f"exp--W00001--P00002--Z00000--T{time:05d}" for time in range(4)]
    finding = pairs("no_treatment", *(name for stem in stems for name in scanr(stem)))
    assert [image.raw_image_id for image in finding.images] == stems
    assert {image.group for image in finding.images} == {"W00001--P00002"}


def test_positions_and_wells_are_groups_of_their_own(pairs):
    stems = [f"--W{well:05d}--P{position:05d}--Z00000--T00000" for well in (1, 2) for position in (1, 2)]
    finding = pairs("no_treatment", *(name for stem in stems for name in scanr(stem)))
    assert len({image.group for image in finding.images}) == 4


def test_one_position_imaged_on_several_days_is_one_group(pairs):
    stem = "--W00001--P00001--Z00000--T00000"
    finding = pairs("no_treatment", *scanr(f"day1/{stem}"), *scanr(f"day2/{stem}"))
    assert len(finding.images) == 2
    assert len({image.raw_image_id for image in finding.images}) == 2
    assert len({image.group for image in finding.images}) == 1


def test_files_of_other_channels_and_other_names_are_counted_as_ignored(pairs):
    stem = "--W00001--P00001--Z00000--T00000"
    finding = pairs("no_treatment", *scanr(stem, "Trans", "PI", "DAPI", "GFP"), "overview.png", "W1/notes.tif")
    assert len(finding.images) == 1
    assert finding.n_ignored == 4


def test_a_group_must_take_part_in_every_match(pairs):
    pattern = r"^(?P<raw_image_id>(?P<group>W\d)?-?\w)_(?P<channel>Trans|PI)"
    with pytest.raises(InputError, match=r"dataset.pattern reads no group in b_PI.tif: let the named group group"):
        pairs("no_treatment", "W1-a_Trans.tif", "W1-a_PI.tif", "b_Trans.tif", "b_PI.tif", pattern=pattern)


# ---- mcf7


def test_mcf7_fields_are_grouped_by_experiment(pairs):
    names = [f"{folder}/{name}.tif" for folder in ("brightfield", "pi") for name in ("e1__a", "e1__b__c", "e2__a")]
    finding = pairs("mcf7", *names)
    assert [(image.raw_image_id, image.group) for image in finding.images] == [
        ("e1__a", "e1"),
        ("e1__b__c", "e1"),
        ("e2__a", "e2"),
    ]
    assert all(image.brightfield.parent.name == "brightfield" for image in finding.images)
    assert all(image.fluorescence.parent.name == "pi" for image in finding.images)


# ---- what can be wrong with pairs


@pytest.mark.parametrize("missing", ["Trans", "PI"])
def test_a_missing_partner_is_a_bad_image_that_names_the_channel(pairs, missing):
    stems = [f"--W0000{well}--P00001--Z00000--T00000" for well in (1, 2, 3)]
    names = [name for stem in stems for name in scanr(stem)]
    names.remove(f"{stems[1]}--{missing}.tif")
    finding = pairs("no_treatment", *names)
    assert [image.raw_image_id for image in finding.images] == [stems[0], stems[2]]
    assert finding.bad == {stems[1]: f"its {missing} image is missing: copy it there, or remove its partner"}


def test_two_images_for_one_id_are_a_bad_image_that_names_both(pairs):
    stem = "--W00001--P00001--Z00000--T00000"
    finding = pairs("no_treatment", *scanr(stem), f"{stem}--PI.tiff")
    assert finding.images == []
    assert finding.bad == {
        stem: f"2 PI images have this raw_image_id ({stem}--PI.tif, {stem}--PI.tiff): "
        "remove all but one, or let dataset.pattern tell them apart"
    }


def test_files_of_one_raw_image_in_two_groups_are_a_bad_image(pairs):
    pattern = r"^(?P<group>\w+)/(?P<raw_image_id>\w+)_(?P<channel>Trans|PI)"
    finding = pairs("no_treatment", "g1/a_Trans.tif", "g2/a_PI.tif", pattern=pattern)
    assert finding.bad == {"a": "its files give different groups (g1, g2): mend dataset.pattern"}


def test_a_pattern_that_matches_nothing_shows_a_file_it_did_not_match(tmp_path, pairs):
    with pytest.raises(InputError) as caught:
        pairs("no_treatment", "plate/img_001_bf.tif", "plate/img_001_pi.tif")
    assert str(caught.value) == (
        f"dataset.pattern matches none of the 2 images in {tmp_path}, for example plate/img_001_bf.tif: "
        "mend the pattern, or give dataset.pattern=PATTERN"
    )


def test_a_channel_word_that_no_file_has_lists_the_channels_there_are(tmp_path, pairs):
    stem = "--W00001--P00001--Z00000--T00000"
    with pytest.raises(InputError) as caught:
        pairs("no_treatment", *scanr(stem, "Trans", "Propidium", "DAPI"))
    assert str(caught.value) == (
        f"no image in {tmp_path} has the channel PI, and dataset.pattern reads the channels DAPI, Propidium, Trans: "
        "give dataset.fluorescence=WORD"
    )
    with pytest.raises(InputError, match=r"give dataset\.brightfield=WORD"):
        pairs("no_treatment", brightfield="BF", fluorescence="DAPI")


# ---- names that are written in several ways


@pytest.mark.parametrize(
    ("one", "other"), [("A1", "A01"), ("b2", "B02"), ("B02", "B 02"), ("B-2", "b_002"), ("W1--P2", "W00001--P00002")]
)
def test_two_ways_to_write_one_well_or_position_are_one_group(pairs, one, other):
    names = [
        f"{name}.{field}_{channel}.tif" for name in (one, other, "C3") for field in "xy" for channel in ("BF", "PI")
    ]
    pattern = r"^(?P<raw_image_id>(?P<group>[^.]+)\.(?P<field>.))_(?P<channel>BF|PI)\.tif$"
    finding = pairs("mcf7", *names, pattern=pattern, brightfield="BF", fluorescence="PI")
    groups = {image.raw_image_id.partition(".")[0]: image.group for image in finding.images}
    assert groups[one] == groups[other] != groups["C3"]
    assert (len(finding.images), finding.bad) == (6, {})
    (told,) = describe_finding(finding)
    assert {one, other} == set(re.fullmatch(r"group (.*) is also written (.*): one group, so that .*", told).groups())


@pytest.mark.parametrize(
    ("one", "other"), [("A1", "A10"), ("A1", "B1"), ("1.5 uM", "1.05 uM"), ("1 12", "11 2"), ("p1", "p1b")]
)
def test_names_that_differ_in_more_than_their_writing_stay_apart(one, other):
    assert name_key(one) != name_key(other)


def test_experiments_and_positions_of_our_data_sets_are_not_made_one(pairs):
    stems = [f"--W{well:05d}--P{position:05d}--Z00000--T00000" for well in (1, 10, 100) for position in (1, 10)]
    assert len({image.group for image in pairs("no_treatment", *(n for s in stems for n in scanr(s))).images}) == 6


def test_a_partner_under_another_way_of_writing_is_named(pairs):
    names = ["A1_BF.tif", "A01_PI.tif", "A2_BF.tif", "A2_PI.tif"]
    finding = pairs("mcf7", *names, pattern="{well}_{channel}.tif", brightfield="BF", fluorescence="PI")
    assert finding.bad == {
        "A1": "its PI image is missing, and A01 has one: give both files one name",
        "A01": "its BF image is missing, and A1 has one: give both files one name",
    }


def test_channels_and_class_folders_are_equal_in_both_unicode_forms(tmp_path, pairs):
    names = [f"{well}_{channel}.tif" for well in ("A1", "A2") for channel in ("Gru\u0308n", "PI")]
    finding = pairs("mcf7", *names, pattern="{well}_{channel}.tif", brightfield="Gr\u00fcn", fluorescence="PI")
    assert [image.raw_image_id for image in finding.images] == ["A1", "A2"]
    files = touch(tmp_path / "patches", "lebend ja\u0308/a.png", "dead/b.png")
    found = find_patches(
        files, tmp_path / "patches", pattern=None, live_folder="lebend j\u00e4", dead_folder="dead", keep_folders=True
    )
    assert [image.label for image in found.images] == [DEAD, LIVE]


def test_half_a_plate_with_suffixes_in_capitals_is_read(pairs):
    names = [f"W1_{well}_{channel}.{'TIF' if well > 2 else 'tif'}" for well in range(4) for channel in ("BF", "PI")]
    pattern = r"^(?P<raw_image_id>(?P<group>W1)_\d)_(?P<channel>BF|PI)\.tif$"
    finding = pairs("mcf7", *names, "W1_4_BF.TIF", "W1_4_PI.tif", pattern=pattern, brightfield="BF", fluorescence="PI")
    assert (len(finding.images), finding.n_ignored) == (5, 0)


# ---- files that are passed over


@pytest.mark.parametrize(
    ("n_matched", "n_others", "loudness"), [(198, 2, ""), (90, 10, "WARNING: "), (50, 50, "WARNING, READ THIS FIRST: ")]
)
def test_files_that_are_passed_over_are_counted_with_three_examples_louder_the_more_there_are(
    tmp_path, n_matched, n_others, loudness
):
    files = [tmp_path / f"w{n}.tif" for n in range(n_matched)] + [tmp_path / f"x{n:02d}.tif" for n in range(n_others)]
    finding = find_stacks(files, tmp_path, pattern="w{well:d}.tif")
    (line,) = describe_finding(finding)
    share = f"{100 * n_others / (n_matched + n_others):.1f} %"
    examples = "x00.tif, x01.tif, x02.tif" if n_others > 2 else "x00.tif, x01.tif"
    start = f"{loudness}{n_others} of {n_matched + n_others} image files ({share}) are passed over by their names or "
    assert line.startswith(f"{start}folders, for example {examples}")
    assert line.endswith("dataset.leave_out=PATTERN") == bool(loudness)


def test_channels_of_no_use_are_counted_calmly(pairs):
    finding = pairs("no_treatment", *scanr("--W00001--P00001--Z00000--T00000", "Trans", "PI", "DAPI"))
    assert describe_finding(finding) == ["1 of 3 image files (33.3 %) is of channels that are not used: DAPI (1)"]


# ---- the folder


def test_a_missing_folder_says_how_to_get_the_data(tmp_path):
    with pytest.raises(InputError) as caught:
        list_files(tmp_path / "gone", advice="download it from X", remedies=("dataset.root=FOLDER",))
    assert str(caught.value) == f"{tmp_path / 'gone'} is missing: download it from X, or give dataset.root=FOLDER"


def test_a_folder_without_images_says_how_to_get_the_data(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError) as caught:
        list_files(tmp_path, advice="download it from X", remedies=("dataset.root=FOLDER",))
    assert (
        str(caught.value) == f"{tmp_path} holds no TIFF or PNG image: download it from X, or give dataset.root=FOLDER"
    )


def test_images_are_listed_sorted_and_hidden_ones_left_out(tmp_path):
    root = tmp_path / ".hidden" / "raw"  # the folder itself may lie in a hidden one
    hidden = ["._b.tif", ".thumbnails/a.png", "a/.cache/c.tif"]
    files = touch(root, "b.TIF", "a/z.ome.tiff", "a/c.png", "a/d.PNG", "readme.md", "x.jpg", *hidden)
    assert [path.relative_to(root).as_posix() for path in files] == ["a/c.png", "a/d.PNG", "a/z.ome.tiff", "b.TIF"]


# ---- stacks


def test_stacks_are_one_file_for_each_raw_image(tmp_path):
    files = touch(tmp_path, "w1/a.tif", "w1/b.tif", "w2/a.tif", "overview.png")
    finding = find_stacks(files, tmp_path, pattern=r"^(?P<raw_image_id>(?P<group>w\d)/\w)\.tif$")
    assert [(image.raw_image_id, image.group) for image in finding.images] == [
        ("w1/a", "w1"),
        ("w1/b", "w1"),
        ("w2/a", "w2"),
    ]
    assert all(image.fluorescence is None for image in finding.images)
    assert finding.n_ignored == 1


def test_two_stacks_for_one_id_are_a_bad_image(tmp_path):
    files = touch(tmp_path, "w1/a.tif", "w2/a.tif", "w2/b.tif")
    finding = find_stacks(files, tmp_path, pattern=r"^(?P<group>w\d)/(?P<raw_image_id>\w)\.tif$")
    assert [image.raw_image_id for image in finding.images] == ["b"]
    assert finding.bad == {
        "a": "2 files have this raw_image_id (w1/a.tif, w2/a.tif): "
        "remove all but one, or let dataset.pattern tell them apart"
    }
