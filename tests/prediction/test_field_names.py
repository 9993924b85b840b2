"""What names tell of a field, by a pattern of one's own or that of a data set."""

from pathlib import Path

import pytest

from jimt.config.hydra_dataset import dataset_of_name
from jimt.config.patterns import parse_pattern
from jimt.errors import InputError
from jimt.prediction.inputs import Found, find_sources, names_of

PATTERN = "{plate}/{well}_s{field}_t{time}.png"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def find(*words: str, pattern: str | None, **options: object) -> Found:
    given = {"root": None, "leave_out": None, "channel": None, "time": None} | options
    reader = None if pattern is None else parse_pattern(pattern, setting="--pattern")
    return find_sources(words, pattern=reader, **given)


def by_dataset(name: str, *words: str, **options: object) -> Found:
    told = names_of(dataset_of_name(name))
    given = {"root": told.root, "leave_out": told.leave_out, "channel": told.channel, "time": None}
    return find_sources(words, pattern=told.pattern, **given | options)


def told(found: Found) -> list[tuple[str | None, ...]]:
    return [(s.name, s.plate, s.well, s.field, s.time) for s in found.sources]


def test_plate_well_field_and_time_are_read_wherever_the_folder_was_named():
    touch("lab/P1/a1_s1_t0.png", "lab/P1/A-01_s2_t0.png", "lab/P1/AB7_s1_t0.png")
    expected = [
        ("P1/A-01_s2_t0", "P1", "A01", "2", "0"),
        ("P1/a1_s1_t0", "P1", "A01", "1", "0"),
        ("P1/AB7_s1_t0", "P1", "AB07", "1", "0"),
    ]
    for words in (["lab"], ["lab/P1"], ["lab/P1/*"], [str(Path.cwd())], sorted(map(str, Path("lab/P1").iterdir()))):
        found = find(*words, pattern=PATTERN)
        assert sorted(told(found)) == sorted(expected)
        assert found.notes == ()


def test_without_a_pattern_nothing_is_guessed():
    touch("P1/A01_s1_t0.png")
    assert told(find("P1", pattern=None)) == [("A01_s1_t0", None, None, None, None)]


def test_wells_that_are_none_are_left_blank_and_told():
    touch("P1/A1_s1_t0.png", "P1/W00013_s1_t0.png", "P1/control_s1_t0.png")
    found = find("P1", pattern=PATTERN)
    assert [source.well for source in found.sources] == ["A01", None, None]
    assert found.notes == (
        "2 of the wells that names tell are none such as A01 or AB07, and left blank, for example control of "
        "control_s1_t0.png",
    )


def test_names_that_the_pattern_does_not_match_are_predicted_without_a_well_and_told():
    touch("P1/A1_s1_t0.png", "P1/overview.png")
    found = find("P1", pattern=PATTERN)
    assert told(found) == [("P1/A1_s1_t0", "P1", "A01", "1", "0"), ("overview", None, None, None, None)]
    assert found.notes == (
        f"--pattern={PATTERN} does not match 1 of 2 images, which are predicted without plate, well and field, for "
        "example overview.png",
    )


def refusal(*words: str, pattern: str | None, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        find(*words, pattern=pattern, **options)
    return str(caught.value)


def test_a_pattern_that_matches_nothing_is_refused_and_says_where_it_ends():
    touch("P1/A1-s1.png")
    assert refusal("P1", pattern="{well}_s{field}.png") == (
        "--pattern={well}_s{field}.png matches none of 1 images, for example A1-s1.png: _s is expected after {well} in "
        "A1-s1.png: mend it, or do without"
    )


def test_a_pattern_that_reads_a_name_in_two_ways_is_refused_by_its_own_name():
    touch("A_1_x.png")
    assert refusal("A_1_x.png", pattern="{well}_{field}.png").startswith("--pattern={well}_{field}.png can read ")


def test_the_same_field_twice_is_refused():
    touch("P1/A1_s1_t0.png", "P1/a01_s1_t0.png")
    assert refusal("P1", pattern=PATTERN) == (
        f"A1_s1_t0.png and a01_s1_t0.png are the same field by --pattern={PATTERN}: name one of them, or let the "
        "pattern tell them apart, as by {plate} or {channel}"
    )
    # two fields of one well are none, where the pattern reads no field
    touch("P1/A1_s2_t0.png")
    found = find("P1", pattern="{well:w}_*.png")
    assert {source.name for source in found.sources} == {"A1_s1_t0", "A1_s2_t0", "a01"}
    assert {source.well for source in found.sources} == {"A01"}


def test_only_bright_field_is_taken_where_names_tell_the_channel():
    touch("A1_BF.png", "A1_PI.png", "B1_BF.png", "thumb.png")
    pattern = "{well}_{channel}.png"
    found = find(".", pattern=pattern, channel="BF")
    assert told(found) == [("A1", None, "A01", None, None), ("B1", None, "B01", None, None)]
    assert [source.path.name for source in found.sources] == ["A1_BF.png", "B1_BF.png"]
    assert found.notes == (
        "--pattern={well}_{channel}.png does not match 1 of 4 images, which are passed over, since the names do not "
        "tell their channel, for example thumb.png",
    )
    assert refusal(".", pattern=pattern) == (
        "--pattern={well}_{channel}.png reads the channels BF, PI, and nothing says which is bright-field: give "
        "--channel WORD"
    )
    assert refusal(".", pattern=pattern, channel="bf").startswith(
        "no image has the channel bf, and --pattern={well}_{channel}.png reads the channels BF, PI"
    )


# ---- the pattern of a data set


def test_names_of_a_data_set_are_read_as_its_curation_reads_them(monkeypatch):
    monkeypatch.setenv("JIMT_DATA", "data")
    touch("data/mcf7/brightfield/e1__f1.png", "data/mcf7/pi/e1__f1.png")
    for path in Path("data").rglob("*.png"):
        path.rename(path.with_suffix(".tif"))
    for words in (["data/mcf7"], ["data/mcf7/brightfield"], ["data/mcf7/brightfield/e1__f1.tif"]):
        found = by_dataset("mcf7", *words)
        # empty files, so that none is opened; the raw_image_id is the manifest's
        assert [(source.name, source.path.parent.name) for source, _ in found.failed] == [("e1__f1", "brightfield")]


def test_a_simulated_plate_is_read_by_its_data_set():
    touch("x/W00001--P00002--Z00000--T00000--Trans.tif", "x/W00001--P00002--Z00000--T00000--PI.tif")
    ((source, _),) = by_dataset("synthetic_plate", "x").failed
    assert source.name == "W00001--P00002--Z00000--T00000"


def test_a_data_set_that_is_not_there_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="there is no data set mcf8: did you mean mcf7"):
        dataset_of_name("mcf8")
    with pytest.raises(InputError, match="there is no data set other: there are doxo, .*, and your own in jimt_conf"):
        dataset_of_name("other")


def test_a_data_set_of_ones_own_is_read():
    Path("jimt_conf/dataset").mkdir(parents=True)
    Path("jimt_conf/dataset/mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - layout/stack\n  - _self_\ndataset:\n  name: mine\n  root: raw\n"
        "  pattern: '{plate}/{well}_s{field}.tif'\n  brightfield_index: 2\n"
    )
    told = names_of(dataset_of_name("mine"))
    assert (told.pattern.text, told.root, told.channel_index) == ("{plate}/{well}_s{field}.tif", Path("raw"), 2)
