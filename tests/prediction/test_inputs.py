"""Which fields a command is asked to predict: files, folders, globs, positions and time points, and their names."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from jimt.config.patterns import parse_pattern
from jimt.errors import InputError
from jimt.prediction.answers import Source
from jimt.prediction.inputs import Found, find_sources
from jimt.prediction.source_names import file_stem

IMAGE = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*names: str, image: np.ndarray = IMAGE, **options: object) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(name, image, photometric="minisblack", **options)


def find(*words: str, pattern: str | None = None, **options: object) -> Found:
    given = {"root": None, "leave_out": None, "channel": None, "time": None} | options
    reader = None if pattern is None else parse_pattern(pattern, setting="--pattern")
    return find_sources(words, pattern=reader, **given)


def names(found: Found) -> list[str]:
    return [source.name for source in found.sources]


def paths(found: Found) -> list[str]:
    return [source.path.as_posix() for source in found.sources]


# ---- what is named


def test_files_of_folders_come_sorted_as_a_person_sorts_whatever_the_order_of_the_words():
    write("p/s10.tif", "p/s9.tif", "p/sub/s1.tif", "q/S2.tiff")
    Path("p/notes.txt").touch()
    Path("p/.hidden.tif").touch()
    expected = ["p/s9.tif", "p/s10.tif", "p/sub/s1.tif", "q/S2.tiff"]
    assert paths(find("p", "q")) == paths(find("q", "p")) == expected
    assert [source.number for source in find("p", "q").sources] == [0, 1, 2, 3]
    assert names(find("p")) == ["s9", "s10", "sub/s1"]


def test_a_glob_that_no_shell_expanded_finds_files_and_folders():
    write("plate1/A1.tif", "plate2/A1.tif", "plate2/deep/B1.tif", "other/C1.tif")
    assert paths(find("plate*/*.tif")) == ["plate1/A1.tif", "plate2/A1.tif"]
    assert paths(find("plate?")) == ["plate1/A1.tif", "plate2/A1.tif", "plate2/deep/B1.tif"]
    assert paths(find("**/B1.tif")) == ["plate2/deep/B1.tif"]
    absolute = str(Path.cwd() / "plate*")
    assert names(find(absolute)) == ["plate1/A1", "plate2/A1", "plate2/deep/B1"]


def test_a_file_whose_name_holds_the_characters_of_a_glob_is_that_file():
    write("A[1].tif", "A1.tif")
    assert paths(find("A[1].tif")) == ["A[1].tif"]
    Path("A[1].tif").unlink()
    assert paths(find("A[1].tif")) == ["A1.tif"]


def test_pictures_among_the_answers_are_not_asked_of():
    write("lab/a.tif", "lab/out/maps/a.png", "lab/out2/b.tif")
    assert paths(find("lab", out=Path("lab/out"))) == ["lab/a.tif", "lab/out2/b.tif"]
    with pytest.raises(InputError, match="every image that was named lies in lab/out, where the answers go"):
        find("lab/out", out=Path("lab/out"))


def test_a_file_named_twice_is_one_field():
    write("p/a.tif", "p/b.tif")
    Path("link.tif").symlink_to("p/a.tif")
    found = find("p", "p/a.tif", "./p/a.tif", "p/*.tif", "link.tif")
    assert paths(found) == ["link.tif", "p/b.tif"]
    assert found.notes == ("1 file is named in several ways and taken once, for example link.tif",)
    assert find("p", "p/a.tif").notes == ()


def test_images_behind_links_are_found_and_loops_end():
    write("disk/a.tif")
    Path("raw").mkdir()
    Path("raw/far").symlink_to("../disk")
    Path("disk/back").symlink_to("../raw")
    found = find("raw")
    assert paths(found) == ["raw/far/a.tif"]
    assert found.notes == ("far/back leads to the folder itself, which is read already",)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "there is neither a file nor a folder nowhere: check how it is spelt"),
        (["nothing*.tif"], "nothing matches nothing*.tif: check how it is spelt"),
        ([""], "there is neither a file nor a folder without a name: check how it is spelt"),
    ],
)
def test_a_word_that_names_nothing_is_refused(words, sentence):
    with pytest.raises(InputError) as caught:
        find(*words)
    assert str(caught.value) == sentence


def test_no_image_at_all_says_what_was_looked_for_and_what_is_there():
    Path("raw").mkdir()
    Path("raw/a.txt").touch()
    Path("raw/b.oir").touch()
    with pytest.raises(InputError) as caught:
        find("raw")
    assert str(caught.value) == (
        "there is no image in raw (TIFF, OME-TIFF, PNG, JPEG or CZI was looked for): name files of images, or folders "
        "that hold some\n  1 file of Olympus OIR is passed over, for example raw/b.oir: export it as OME-TIFF, for "
        "example by Bio-Formats in Fiji"
    )


def test_a_file_that_cannot_be_opened_fails_alone_and_keeps_its_place():
    write("a.tif", "c.tif")
    Path("b.tif").write_bytes(b"no image")
    Path("d.tif").touch()
    Path("e.oir").write_bytes(b"x")
    found = find("a.tif", "b.tif", "c.tif", "d.tif", "e.oir")
    assert [(source.number, source.name) for source in found.sources] == [(0, "a"), (2, "c")]
    assert [(source.number, source.name) for source, _ in found.failed] == [(1, "b"), (3, "d"), (4, "e.oir")]
    reasons = [reason for _, reason in found.failed]
    assert reasons[0].startswith("is not a TIFF, or damaged (")
    assert reasons[1] == "is empty (zero bytes): copy or export it again"
    assert reasons[2] == (
        "is a file of Olympus OIR, and TIFF, OME-TIFF, PNG, JPEG or CZI is read: export it as OME-TIFF, for example by "
        "Bio-Formats in Fiji"
    )


@pytest.mark.skipif(os.name == "nt", reason="names there are text")
def test_a_name_that_is_no_text_fails_alone():
    write("good.tif")
    Path(os.fsdecode(b"raw\xff.tif")).write_bytes(Path("good.tif").read_bytes())
    found = find(".")
    assert names(found) == ["good"]
    ((source, reason),) = found.failed
    assert str(source.path).encode() == b"raw\\udcff.tif"
    assert reason == "has a name that is no text in UTF-8: rename the file or folder"


# ---- several positions and time points


def test_time_points_of_a_file_are_fields_of_their_own():
    write("a.tif", image=np.stack([IMAGE] * 3), imagej=True, metadata={"axes": "TYX"})
    write("b.tif")
    found = find("a.tif", "b.tif")
    assert [(s.name, s.time_index, s.time) for s in found.sources] == [
        ("a_t000", 0, "0"),
        ("a_t001", 1, "1"),
        ("a_t002", 2, "2"),
        ("b", None, None),
    ]
    found = find("a.tif", "b.tif", time=2)
    assert names(found) == ["a_t002"]
    ((source, reason),) = found.failed
    assert (source.name, reason) == ("b", "has one time point, so no 2 (counted from 0)")
    assert names(find("a.tif", "b.tif", time=0)) == ["a_t000", "b"]


def test_positions_of_a_file_are_fields_of_their_own():
    with tifffile.TiffWriter("a.ome.tif", ome=True) as tif:
        for n in range(3):
            stack = np.stack([IMAGE + n] * (2 if n == 2 else 1))
            tif.write(stack, photometric="minisblack", metadata={"axes": "TYX"})
    found = find("a.ome.tif")
    assert [(s.name, s.series, s.time_index) for s in found.sources] == [
        ("a_s0", 0, None),
        ("a_s1", 1, None),
        ("a_s2_t000", 2, 0),
        ("a_s2_t001", 2, 1),
    ]


# ---- names


def test_equal_names_in_several_folders_are_told_apart_by_these():
    write("x/p1/A1.tif", "x/p2/A1.tif", "y/p1/A1.tif", "x/p1/B1.tif")
    assert names(find("x/p1", "x/p2")) == ["p1/A1", "B1", "p2/A1"]
    assert names(find("x/p1", "x/p2", "y/p1")) == ["x/p1/A1", "B1", "p2/A1", "y/p1/A1"]
    # one more file elsewhere changes no name
    write("x/p1/sub/C1.tif", "x/p0/D1.tif")
    assert set(names(find("x/p1", "x/p2"))) < set(names(find("x/p0", "x/p1", "x/p2")))


def test_names_that_files_cannot_bear_side_by_side_are_told_apart():
    write("a.tif", "A.tif", "b.tif", "b.tiff", "c_t001.tif", "u\u0308.tif", "\u00fc.tif")
    write("c.tif", image=np.stack([IMAGE] * 2), imagej=True, metadata={"axes": "TYX"})
    sources = find(".").sources
    assert len({source.name.casefold() for source in sources}) == len(sources) == 9
    stems = [file_stem(source) for source in sources]
    assert len({stem.casefold() for stem in stems}) == len(stems)
    assert {"c_t000"} < set(names(find(".")))


@pytest.mark.parametrize(
    "name",
    [
        "con",
        "NUL.a",
        "a.",
        "a/b",
        "a\\b",
        "../up",
        ".hidden",
        "-rf",
        "a\nb",
        "a" * 300,
        "\u6f22" * 90,
        "<script>",
        "",
        " ",
        "a:b",
        'a"b',
        "=cmd|x",
        "a\u202eb",
        "x" * 99 + ".",
    ],
)
def test_a_file_may_be_called_by_the_stem_on_any_system(name):
    stem = file_stem(Source(0, Path("a.tif"), name))
    assert stem == file_stem(Source(7, Path("b.tif"), name))
    assert len(stem) <= 111
    assert len(stem.encode()) <= 200
    assert not set(stem) & set('<>:"/\\|?*')
    assert stem.isprintable()
    assert stem[-1] not in ". "
    assert stem[0] not in ".- "
    assert stem.split(".")[0].lower() not in {"con", "nul", "prn", "aux"}
    (Path.cwd() / stem).touch()


def test_stems_of_unlike_names_are_unlike():
    given = ["a/b", "a_b", "a\\b", "a b", "\u00fc", "u", "x" * 200, "x" * 201, "con", "_con"]
    given.append(file_stem(Source(0, Path("a.tif"), "a/b")))  # one that looks as if it had been changed
    assert len({file_stem(Source(0, Path("a.tif"), name)).casefold() for name in given}) == len(given)
