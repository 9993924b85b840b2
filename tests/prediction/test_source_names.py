"""Names of fields hold for any tree of files: unlike each other, no matter the order, whatever else is there."""

import random
from pathlib import Path

import pytest

from jimt.prediction.inputs import Found, find_sources
from jimt.prediction.source_names import file_stem, unique_names

STEMS = [
    "a",
    "A",
    "b",
    "a_s0",
    "a~2",
    "1_a",
    "x.y",
    "\u00fc",
    "u\u0308",
    "con",
    "a b",
    ".z",
    "-q",
    "a.jpg",
    " a",
    "\u65e5",
]
SUFFIXES = [".png", ".PNG", ".jpg", ".jpeg"]
FOLDERS = ["p", "P", "q", "p/r", "q/r", "p/r/s"]


def find(words: list[str]) -> Found:
    return find_sources(words, pattern=None, root=None, leave_out=None, channel=None, time=None)


@pytest.mark.parametrize("seed", range(20))
def test_names_and_stems_are_unlike_and_depend_on_no_other_file(seed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = random.Random(seed)
    files = sorted({f"{rng.choice(FOLDERS)}/{rng.choice(STEMS)}{rng.choice(SUFFIXES)}" for _ in range(25)})
    for name in files:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    words = sorted({name.split("/")[0] for name in files}) if seed % 2 else list(files)
    sources = find(words).sources
    assert len(sources) == len([name for name in files if not (seed % 2 and "/." in name)])  # hidden in folders
    for unlike in ([source.name for source in sources], [file_stem(source) for source in sources]):
        assert len({name.casefold() for name in unlike}) == len(unlike)
    named = {source.path: source.name for source in sources}
    assert not any(str(tmp_path) in name for name in named.values())
    rng.shuffle(words)
    assert {source.path: source.name for source in find(words).sources} == named
    Path("elsewhere").mkdir()
    Path("elsewhere/new.png").touch()
    assert named.items() < {source.path: source.name for source in find([*words, "elsewhere"]).sources}.items()


def test_a_name_that_looks_numbered_stays_that_file_s():
    paths = [Path(f"/x/{name}") for name in ("A.tif", "a.tif", "a~2.tif")]
    assert unique_names(["A", "a", "a~2"], paths, [""] * 3) == ["A", "a~3", "a~2"]


def test_one_stem_with_several_suffixes_is_told_apart_by_them():
    paths = [Path(f"/x/{name}") for name in ("a.tif", "a.png", "b.png")]
    assert unique_names(["a", "a", "b"], paths, [""] * 3) == ["a.tif", "a.png", "b"]
