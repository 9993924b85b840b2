"""Fields are read, asked and written at the same time; what is done stays done, and one failure is of one field."""

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from jimt.errors import InputError
from jimt.prediction.answers import FieldAnswer, FieldRow, Source
from jimt.prediction.engine import predict_fields
from jimt.prediction.parts import Parts

QUIET = Console(quiet=True)
ASKED = {"model": "m", "images": ["a"]}


def sources_in(folder: Path, n: int) -> list[Source]:
    found = []
    for number in range(n):
        path = folder / f"{number}.tif"
        path.write_bytes(bytes(number + 1))
        found.append(Source(number, path, f"field {number}", well="A01"))
    return found


def answer_to(source: Source, share: float = 0.5) -> FieldAnswer:
    row = FieldRow(
        source.number, str(source.path), source.name, None, "A01", None, None, dead_share=share, flags=("unlike",)
    )
    patches = pd.DataFrame({"y": [0], "x": [0.5], "score": [0.1 + 0.2], "empty": [None], "uncertain": [False]})
    return FieldAnswer(row, np.zeros((4, 4), np.uint8), patches, 4.0, 4, np.zeros((1, 1), np.float32))


def test_each_field_is_written_once_and_what_is_done_is_not_done_again(tmp_path):
    sources = sources_in(tmp_path, 7)
    asked: list[int] = []
    written: list[int] = []

    def ask(source: Source, opened: int) -> FieldAnswer:
        assert opened == source.number * 10  # what was read of this very field
        asked.append(source.number)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return answer_to(source)

    def run(ask) -> dict[int, str]:
        return predict_fields(
            sources,
            Parts(tmp_path / "out", ASKED, {}),
            read=lambda source: source.number * 10,
            asks=[ask],
            write=lambda answer: written.append(answer.row.number),
            console=QUIET,
        )

    with pytest.raises(KeyboardInterrupt):
        run(ask)
    before = set(written)
    assert before <= {0, 1, 2}
    assert run(lambda source, opened: answer_to(source)) == {}
    assert sorted(written) == list(range(7))
    assert run(lambda source, opened: pytest.fail("it is done")) == {}


def test_a_field_that_cannot_be_read_or_answered_ends_none_of_the_others(tmp_path):
    sources = sources_in(tmp_path, 5)

    def read(source: Source) -> None:
        if source.number == 1:
            raise InputError("is damaged", advice="copy it again")

    def ask(source: Source, opened: None) -> FieldAnswer:
        if source.number == 3:
            raise InputError("is too small")
        return answer_to(source)

    parts = Parts(tmp_path / "out", ASKED, {})
    failed = predict_fields(sources, parts, read=read, asks=[ask], write=lambda answer: None, console=QUIET)
    assert failed == {1: "is damaged: copy it again", 3: "is too small"}
    assert [parts.has(source) for source in sources] == [True, False, True, False, True]


def test_a_fault_that_nobody_foresaw_is_not_taken_for_a_bad_field(tmp_path):
    def write(answer: FieldAnswer) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        predict_fields(
            sources_in(tmp_path, 3),
            Parts(tmp_path / "out", ASKED, {}),
            read=lambda source: None,
            asks=[lambda source, opened: answer_to(source)],
            write=write,
            console=QUIET,
        )


def test_no_more_than_a_few_fields_are_in_memory_however_many_there_are(tmp_path):
    alive, most, lock = 0, 0, threading.Lock()

    class Image:
        def __init__(self) -> None:
            nonlocal alive, most
            with lock:
                alive += 1
                most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            with lock:
                alive -= 1

    predict_fields(
        sources_in(tmp_path, 40),
        Parts(tmp_path / "out", ASKED, {}),
        read=lambda source: Image(),
        asks=[lambda source, opened: answer_to(source)],
        write=lambda answer: None,
        console=QUIET,
    )
    assert most <= 5


def test_two_fields_are_asked_at_once_each_by_one_who_is_asked_nothing_else_meanwhile(tmp_path):
    both, lock = threading.Barrier(2), threading.Lock()
    busy: set[str] = set()

    def asking(name: str):
        def ask(source: Source, opened: None) -> FieldAnswer:
            with lock:
                assert name not in busy
                busy.add(name)
            if source.number < 2:
                both.wait(20)  # neither goes on before both are asked
            with lock:
                busy.remove(name)
            if source.number == 5:
                raise InputError("is too small")
            return answer_to(source)

        return ask

    sources, parts = sources_in(tmp_path, 9), Parts(tmp_path / "out", ASKED, {})
    asks = [asking("one"), asking("other")]
    failed = predict_fields(
        sources, parts, read=lambda source: None, asks=asks, write=lambda answer: None, console=QUIET
    )
    assert failed == {5: "is too small"}
    assert [parts.has(source) for source in sources] == [n != 5 for n in range(9)]


def test_a_part_gives_back_what_was_put_in_to_the_last_bit(tmp_path):
    (source,) = sources_in(tmp_path, 1)
    parts = Parts(tmp_path / "out", ASKED, {})
    answer = answer_to(source, share=1 / 3)
    parts.add(source, answer.row, answer.patches)
    row, patches = Parts(tmp_path / "out", ASKED, {}).read(source)
    assert row == answer.row
    pd.testing.assert_frame_equal(patches, answer.patches)


def test_a_field_whose_file_has_changed_is_predicted_anew(tmp_path):
    (source,) = sources_in(tmp_path, 1)
    parts = Parts(tmp_path / "out", ASKED, {})
    answer = answer_to(source)
    parts.add(source, answer.row, answer.patches)
    source.path.write_bytes(b"another image")
    assert not Parts(tmp_path / "out", ASKED, {}).has(source)


def test_a_field_keeps_its_answer_where_another_comes_before_it(tmp_path):
    (source,) = sources_in(tmp_path, 1)
    parts = Parts(tmp_path / "out", ASKED, {})
    answer = answer_to(source)
    parts.add(source, answer.row, answer.patches)
    moved = Source(4, source.path, source.name)
    assert parts.read(moved)[0].number == 4


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            ASKED | {"model": "other"},
            "another prediction, which differs in: model: give another folder, or give --out FOLDER",
        ),
        (ASKED | {"images": ["b"], "z": 1}, "another prediction, which differs in: images, z"),
    ],
)
def test_the_folder_of_another_prediction_is_refused(tmp_path, asked, said):
    Parts(tmp_path / "out", ASKED, {})
    with pytest.raises(InputError, match=said):
        Parts(tmp_path / "out", asked, {})


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.docx").write_text("all of it")
    with pytest.raises(InputError, match="out holds something else than a prediction"):
        Parts(tmp_path / "out", ASKED, {})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.docx"]


def damaged(whole: bytes) -> Iterator[bytes]:
    """What disks, editors and other programs make of a file."""
    yield from (b"", b"{}", b"[]", b"\xff\xfe", b"[" * 100_000, whole[:-1], whole[: len(whole) // 2], whole + b"\n")
    yield whole.replace(b"0.5", b"0.7")
    yield whole.replace(b"0.5", b'"x"')
    for place in range(0, len(whole), 7):
        yield whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


def test_a_field_whose_part_is_damaged_is_predicted_anew(tmp_path):
    (source,) = sources_in(tmp_path, 1)
    parts = Parts(tmp_path / "out", ASKED, {})
    answer = answer_to(source)
    parts.add(source, answer.row, answer.patches)
    (part,) = (tmp_path / "out/.jimt").glob(32 * "?" + ".part")
    for damage in damaged(part.read_bytes()):
        part.write_bytes(damage)
        again = Parts(tmp_path / "out", ASKED, {})
        assert not again.has(source)
        with pytest.raises(InputError, match=r"is damaged: run the same command again"):
            again.read(source)
    part.unlink()
    part.mkdir()
    assert not again.has(source)


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b"{}", b'{"asked": []}', b'{"asked": null}', b'{"asked"', b"\xff\xfe", b"[" * 100_000]
)
def test_a_damaged_note_of_what_was_asked_is_told_and_another_folder_is_free(tmp_path, damage):
    Parts(tmp_path / "out", ASKED, {})
    (tmp_path / "out/.jimt/asked.json").write_bytes(damage)
    with pytest.raises(InputError, match=r"asked.json is damaged: give another folder, or give --out FOLDER"):
        Parts(tmp_path / "out", ASKED, {})
    Parts(tmp_path / "other", ASKED, {})


def test_a_command_that_was_killed_before_it_noted_what_was_asked_goes_on(tmp_path):
    (tmp_path / "out/.jimt").mkdir(parents=True)
    (tmp_path / "out/.run.lock").touch()
    (tmp_path / "out/.jimt/.asked.json.partial").write_text("{")
    Parts(tmp_path / "out", ASKED, {})
    assert (tmp_path / "out/.jimt/asked.json").is_file()


def test_a_field_whose_pi_has_changed_or_was_added_is_predicted_anew(tmp_path):
    (tmp_path / "pi").mkdir()
    (source,), (pi,) = sources_in(tmp_path, 1), sources_in(tmp_path / "pi", 1)
    answer = answer_to(source)
    Parts(tmp_path / "out", ASKED, {}).add(source, answer.row, answer.patches)
    parts = Parts(tmp_path / "out", ASKED, {0: pi})
    assert not parts.has(source)
    parts.add(source, answer.row, answer.patches)
    assert Parts(tmp_path / "out", ASKED, {0: pi}).has(source)
    pi.path.write_bytes(b"another stain")
    assert not Parts(tmp_path / "out", ASKED, {0: pi}).has(source)


def test_a_field_takes_its_well_from_the_name_as_it_is_read_now(tmp_path):
    (source,) = sources_in(tmp_path, 1)
    answer = answer_to(source)
    Parts(tmp_path / "out", ASKED, {}).add(source, answer.row, answer.patches)
    moved = dataclasses.replace(source, well="B07", plate="p2")
    row = Parts(tmp_path / "out", ASKED, {}).row(moved)
    assert (row.plate, row.well) == ("p2", "B07")
