"""Names of files read by placeholders or a regular expression, whatever system wrote them."""

import itertools
import re
import unicodedata

import pytest

from jimt.config.data import check_pattern
from jimt.config.patterns import group_names, parse_pattern
from jimt.errors import InputError

PLATES = "{plate}/{well}_s{field}_{channel}.tif"


def parsed(text: str):
    return parse_pattern(text, setting="dataset.pattern")


def refused(text: str, *, layout: str = "pairs", group: list[str] | None = None) -> str:
    with pytest.raises(InputError) as told:
        check_pattern(text, layout=layout, group=group)
    return str(told.value)


# ---- placeholders


@pytest.mark.parametrize(
    ("pattern", "path", "values", "raw_image_id"),
    [
        (PLATES, "P1/A01_s3_PI.tif", "P1 A01 3 PI", "P1/A01_s3"),
        (PLATES, "day 1/B 02_s10_BF 2.tif", "day 1|B 02|10|BF 2", "day 1/B 02_s10"),
        ("{channel}/{experiment}__{field}.tif", "pi/e1__a.tif", "pi e1 a", "e1__a"),
        ("{plate}/{channel}/{well}.tif", "P1/BF/A1.tif", "P1 BF A1", "P1/A1"),
        ("{plate}/{well}/{channel}.tif", "P1/A1/BF.tif", "P1 A1 BF", "P1/A1"),
        ("{channel}-{well}.tif", "BF-A1.tif", "BF A1", "A1"),
        ("{plate}/{plate}_{well}_{channel}.tif", "P1/P1_A1_BF.tif", "P1 A1 BF", "P1/P1_A1"),
        ("{plate}_{well:w}_{field:d}_{channel:w}.tif", "ex_20_A01_3_BF.tif", "ex_20 A01 3 BF", "ex_20_A01_3"),
        ("*_{well:w}_s{field:d}_{channel:w}.tif", "2021-01-02_x_A1_s1_BF.tif", "A1 1 BF", "A1_s1"),
        ("**/{well}_{channel}.tif", "a/b/A1_BF.tif", "A1 BF", "a/b/A1"),
        ("**/{well}_{channel}.tif", "A1_BF.tif", "A1 BF", "A1"),
        ("{well}_{channel}", "A1_BF.ome.tif", "A1 BF", "A1"),
        ("{well}.({channel})+.tif", "A1.(BF)+.tif", "A1 BF", "A1.()+"),
    ],
)
def test_placeholders_read_a_path_and_name_the_raw_image_without_its_channel(pattern, path, values, raw_image_id):
    reading = parsed(pattern).read(path)
    assert list(reading.values.values()) == values.split("|" if "|" in values else " ")
    assert reading.raw_image_id == raw_image_id


@pytest.mark.parametrize(
    "path", ["P1/A01_3_PI.tif", "A01_s3_PI.tif", "a/P1/A01_s3_PI.tif", "P1/A01_s_PI", "P1/A01_s3_PI.tiff"]
)
def test_a_path_that_does_not_fit_is_not_read(path):
    assert parsed(PLATES).read(path) is None


def test_every_path_is_read_in_the_one_way_there_is_or_refused():
    """Against a count by hand: all ways to cut a name into texts that are joined by the pattern's own signs."""
    for n_words, n_texts in itertools.product(range(1, 6), range(1, 4)):
        path = "_".join("abcde"[:n_words])
        pattern = parsed("_".join(["{one}", "{two}", "{three}"][:n_texts]))
        ways = list(itertools.combinations(range(1, n_words), n_texts - 1)) if n_words >= n_texts else []
        if len(ways) > 1:
            with pytest.raises(InputError, match=rf"can read {path} in two ways, {{\w+}} as [\w]+ or as "):
                pattern.read(path)
        else:
            reading = pattern.read(path)
            assert (reading is not None) == (len(ways) == 1)
            if reading is not None:
                ends = [0, *ways[0], n_words]
                assert list(reading.values.values()) == ["_".join("abcde"[a:b]) for a, b in itertools.pairwise(ends)]


def test_the_remedy_for_two_ways_of_reading_works():
    path = "exp_2021_A01_s1_BF.tif"
    with pytest.raises(InputError) as told:
        parsed("{experiment}_{well}_s{field}_{channel}.tif").read(path)
    assert str(told.value).endswith(
        f"can read {path} in two ways, {{experiment}} as exp or as exp_2021: say more; {{name}} reads any text without "
        "a slash, {name:d} digits, {name:w} letters and digits"
    )
    reading = parsed("{experiment}_{well:w}_s{field:d}_{channel:w}.tif").read(path)
    assert reading.values == {"experiment": "exp_2021", "well": "A01", "field": "1", "channel": "BF"}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("P1/A01-s3_PI.tif", "_s is expected after {well} in A01-s3_PI.tif"),
        ("A01_s3_PI.tif", "/ is expected after {plate} in A01_s3_PI.tif"),
        ("P1/A01_s3_PI.png", ".tif is expected after {channel} in PI.png"),
    ],
)
def test_a_path_that_is_not_matched_is_told_where(path, said):
    assert parsed(PLATES).explain(path) == f": {said}"
    assert parsed("(?P<group>x)").explain(path) == ""


@pytest.mark.parametrize(
    ("pattern", "chosen", "group"),
    [
        (PLATES, None, ("plate", "well")),
        (PLATES, ["plate"], ("plate",)),
        ("{experiment}/{plate}/{well}/{field}_{time}_{channel}.tif", None, ("experiment", "plate", "well")),
        ("{experiment}_{field}_{channel}.tif", None, ("experiment",)),
        ("{plate}/{group}_{field}_{channel}.tif", None, ("group",)),
        ("{donor}_{drug}_{channel}.tif", ["drug", "donor"], ("drug", "donor")),
        ("(?P<raw_image_id>(?P<plate>p.)(?P<well>w.)).(?P<channel>.)", ["plate", "well"], ("plate", "well")),
    ],
)
def test_the_group_is_what_stands_above_a_field_or_what_is_chosen(pattern, chosen, group):
    check_pattern(pattern, layout="pairs", group=chosen)
    assert group_names(parsed(pattern), chosen) == group


def test_a_pattern_that_does_not_tell_the_group_says_which_setting_does():
    pattern = "{donor}_{field}_{channel}.tif"
    assert refused(pattern) == (
        f"dataset.pattern={pattern} does not tell which of donor, field a split may not divide: give "
        "dataset.group=[donor], or dataset.group=[field]"
    )
    check_pattern(pattern, layout="pairs", group=["donor"])  # the remedy


@pytest.mark.parametrize(
    ("pattern", "layout", "group", "said"),
    [
        (
            "{plate}/{well}.tif",
            "pairs",
            None,
            "lacks the placeholder channel: write {channel} for the part of the path",
        ),
        ("{well}_{n}.png", "patches", None, "lacks the placeholder raw_image_id: write {raw_image_id} for the part of"),
        (
            PLATES,
            "pairs",
            ["wel"],
            "dataset.group=['wel'] is not allowed: it takes names of dataset.pattern (plate, well, ",
        ),
        (PLATES, "pairs", [], "dataset.group=[] is not allowed"),
        (PLATES, "pairs", ["channel"], "dataset.group=['channel'] is not allowed"),
        (
            "{group}_{channel}",
            "pairs",
            ["group"],
            "reads a group, so dataset.group is without effect: give dataset.group=null",
        ),
        (
            "{plate}/{well}_{channel.tif",
            "pairs",
            None,
            "holds a brace that belongs to no placeholder: {name} reads any",
        ),
        ("{plate}/{well:x}_{channel}.tif", "pairs", None, "holds {well:x}, which is no placeholder: {name} reads any"),
        ("{plate}/{2}_{channel}.tif", "pairs", None, "holds {2}, which is no placeholder"),
    ],
)
def test_a_pattern_that_cannot_be_used_says_what_to_write(pattern, layout, group, said):
    assert said in refused(pattern, layout=layout, group=group)


def test_published_patches_are_grouped_by_their_raw_image_unless_the_pattern_says_more():
    check_pattern("{split}/{class}/{raw_image_id}_{n:d}.png", layout="patches", group=None)


# ---- names as systems write them


@pytest.mark.parametrize(
    "pattern", ["Versuch_Grün/{well}_{channel}.tif", r"^Versuch_Grün/(?P<well>\w+)_(?P<channel>\w+)\.tif$"]
)
@pytest.mark.parametrize(("of_pattern", "of_file"), list(itertools.product(["NFC", "NFD"], repeat=2)))
def test_the_composed_and_the_decomposed_form_of_a_name_are_equal(pattern, of_pattern, of_file):
    path = unicodedata.normalize(of_file, "Versuch_Grün/Süd_Hellfeld ä.tif".replace(" ", ""))
    reading = parsed(unicodedata.normalize(of_pattern, pattern)).read(path)
    assert reading.values == {"well": "S\u00fcd", "channel": "Hellfeld\u00e4"}


@pytest.mark.parametrize("suffix", ["tif", "TIF", "Tif", "tiF"])
@pytest.mark.parametrize("written", ["tif", "TIF", "Tif"])
@pytest.mark.parametrize(
    "pattern", ["{{well}}_{{channel}}.{}", r"(?P<raw_image_id>(?P<well>.*))_(?P<channel>\w+)\.{}$"]
)
def test_the_case_of_the_suffix_never_matters(suffix, written, pattern):
    reading = parsed(pattern.format(written)).read(f"A1_BF.{suffix}")
    assert (reading.values["channel"], reading.raw_image_id) == ("BF", "A1")


def test_the_case_of_the_rest_of_a_name_matters():
    assert parsed("{well}_BF.tif").read("A1_bf.tif") is None


@pytest.mark.parametrize("dataset_pattern", [r"^a{2}(?P<channel>x{1,3})$", r"^x{2}"])
def test_repetitions_of_a_regular_expression_are_no_placeholders(dataset_pattern):
    assert parsed(dataset_pattern).names == tuple(re.compile(dataset_pattern).groupindex)
