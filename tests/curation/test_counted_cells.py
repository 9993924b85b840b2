import numpy as np
import pandas as pd
import pytest

from jimt.curation.counted_cells import COLUMNS, count_cells, field_truth, read_cells, warnings_of
from jimt.errors import InputError

SIZE = 10


def patches(*fields: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fields of 30 x 20 pixels, each cut into six patches that meet."""
    grid = [(y, x) for y in (0, 10, 20) for x in (0, 10)]
    manifest = pd.DataFrame(
        [{"field": number, "y": y, "x": x} for number in range(len(fields)) for y, x in grid]
    ).astype({"y": "Int32", "x": "Int32"})
    return manifest, pd.DataFrame({"raw_image_id": fields, "height": 30, "width": 20})


def cells_of(**places: list[tuple[float, float, bool]]) -> pd.DataFrame:
    rows = [(name, y, x, dead) for name, found in places.items() for y, x, dead in found]
    return pd.DataFrame(rows, columns=["raw_image_id", "y", "x", "dead"])


def test_a_cell_counts_in_the_patch_its_centre_lies_in_and_in_no_other():
    manifest, fields = patches("a", "b")
    rng = np.random.default_rng(0)
    found = {name: [(*rng.uniform(0, (30, 20)), rng.random() < 0.3) for _ in range(50)] for name in ("a", "b")}
    counts = count_cells(cells_of(**found), manifest, fields, size=SIZE, move=False)
    assert counts.n_cells.sum() == 100
    assert counts.n_dead.sum() == sum(dead for cells in found.values() for *_, dead in cells)
    first = [dead for y, x, dead in found["a"] if y < 10 and x < 10]
    assert (counts.n_cells[0], counts.n_dead[0]) == (len(first), sum(first))


def test_a_field_that_was_not_counted_has_no_counts_and_one_without_dead_cells_has_none_dead():
    manifest, fields = patches("a", "b")
    counts = count_cells(cells_of(b=[(1, 1, False)]), manifest, fields, size=SIZE, move=False)
    assert np.isnan(counts.n_cells[:6]).all()
    assert counts.n_cells[6:].tolist() == [1, 0, 0, 0, 0, 0]
    assert counts.n_dead[6:].tolist() == [0] * 6
    assert counts.n_fields == 1


def test_cells_of_no_use_are_told_and_not_counted(tmp_path):
    manifest, fields = patches("a")
    cells = cells_of(a=[(1, 1, True), (1, 1, True), (30, 1, True), (1, -0.5, False)], z=[(1, 1, True)] * 3)
    counts = count_cells(cells, manifest, fields, size=SIZE, move=False)
    assert (counts.n_absent, counts.n_outside, counts.n_twice) == (3, 2, 1)
    assert counts.n_cells.sum() == counts.n_dead.sum() == 1
    lines = warnings_of(counts, tmp_path / "cells.csv")
    assert [line.split(" cells of ")[0] for line in lines[:3]] == [f"WARNING: {n} of 7" for n in (3, 2, 1)]
    assert "every cell" in lines[3]
    assert counts.kept.to_dict("list") == {"raw_image_id": ["a"], "y": [1], "x": [1], "dead": [True]}
    assert all(line.startswith("WARNING") for line in lines)
    both = cells_of(a=[(1, 1, True), (2, 2, False)])
    assert warnings_of(count_cells(both, manifest, fields, size=SIZE, move=False), tmp_path) == []


def test_cells_on_fluorescence_count_where_they_do_on_bright_field_and_those_that_leave_it_are_told(tmp_path):
    manifest, fields = patches("a", "b", "c")
    rng = np.random.default_rng(3)
    fields["shift_y"] = pd.array([4, -3, None], "Int16")
    fields["shift_x"] = pd.array([-2, 5, None], "Int16")
    shifts = {"a": (4, -2), "b": (-3, 5), "c": (0, 0)}  # nothing moves where the shift is not known
    on_brightfield, on_fluorescence = [], []
    for name, shift in shifts.items():
        for place in rng.integers(-16, (136, 96), (150, 2)) / 4:
            cell, dead = place + shift, bool(rng.random() < 0.4)
            if 0 <= cell[0] < 30 and 0 <= cell[1] < 20:  # it was seen there
                on_brightfield.append((name, *place, dead))
                on_fluorescence.append((name, *cell, dead))
    seen, given = (pd.DataFrame(found, columns=COLUMNS) for found in (on_brightfield, on_fluorescence))
    expected = count_cells(seen, manifest, fields, size=SIZE, move=False)
    counts = count_cells(given, manifest, fields, size=SIZE, move=True)
    assert counts.n_cells.tolist() == expected.n_cells.tolist()
    assert counts.n_dead.tolist() == expected.n_dead.tolist()
    pd.testing.assert_frame_equal(counts.kept.reset_index(drop=True), expected.kept.reset_index(drop=True))
    assert (counts.n_outside, counts.n_moved_out) == (0, expected.n_outside)
    assert len(given) == len(counts.kept) + counts.n_moved_out
    (line,) = warnings_of(counts, tmp_path / "cells.csv")
    assert line.startswith(f"WARNING: {counts.n_moved_out} of {len(given)} cells of ")
    assert line.endswith("they leave their field where they are moved onto bright-field, as fluorescence is")


def test_cells_that_are_all_of_one_kind_or_all_in_a_corner_are_a_warning(tmp_path):
    manifest, fields = patches("a")
    rng = np.random.default_rng(2)
    places = rng.uniform(0.1, (29.9, 19.9), (80, 2))
    for scale, dead, words in (
        (1.0, rng.random(80) < 0.3, []),
        (0.31, rng.random(80) < 0.3, ["upper left quarter"]),  # as where they are in micrometres
        (1.0, np.ones(80, bool), ["every cell"]),
        (1.0, np.zeros(80, bool), ["every cell"]),
    ):
        cells = cells_of(a=[(*place, kind) for place, kind in zip(places * scale, dead, strict=True)])
        lines = warnings_of(count_cells(cells, manifest, fields, size=SIZE, move=False), tmp_path)
        assert len(lines) == len(words)
        assert all(word in line for word, line in zip(words, lines, strict=True))


def test_turning_a_field_with_its_cells_turns_its_counts():
    manifest, fields = patches("a")
    rng = np.random.default_rng(1)
    found = [(*rng.uniform(0.1, (29.9, 19.9)), rng.random() < 0.5) for _ in range(60)]
    counts = count_cells(cells_of(a=found), manifest, fields, size=SIZE, move=False)
    turned = count_cells(
        cells_of(a=[(30 - y, 20 - x, dead) for y, x, dead in found]), manifest, fields, size=SIZE, move=False
    )
    assert turned.n_cells.tolist() == counts.n_cells[::-1].tolist()
    assert turned.n_dead.tolist() == counts.n_dead[::-1].tolist()


@pytest.mark.parametrize(
    "text",
    [
        "raw_image_id,y,x,dead\na,1.5,2,1\nb,3,4,0\n",
        "raw_image_id, y, x, dead\na, 1.5, 2, 1\nb, 3, 4, 0\n",
        "dead;note;x;y;raw_image_id\nTRUE;big;2,0;1,5;a\nfalse;;4;3;b\n",
        "\ufeffraw_image_id\ty\tx\tdead\r\na\t1.5\t2\tTrue\r\nb\t3\t4\t0\r\n",
    ],
)
def test_a_table_is_read_as_a_spreadsheet_saves_it(tmp_path, text):
    path = tmp_path / "cells.csv"
    path.write_text(text, encoding="utf-8")
    cells = read_cells(path)
    assert cells.to_dict("list") == {"raw_image_id": ["a", "b"], "y": [1.5, 3], "x": [2, 4], "dead": [True, False]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raw_image_id,y,x\na,1,2\n", "lacks the column dead: it needs raw_image_id,y,x,dead"),
        ("raw_image_id,y,x,dead\na,1,2,1\na,one,2,1\n", "line 3, is no cell (y 'one', x '2', dead '1')"),
        ("raw_image_id,y,x,dead\na,1,2,maybe\n", "line 2, is no cell (y '1', x '2', dead 'maybe')"),
        ("raw_image_id,y,x,dead\n001,10,20,5,1\n", "cannot be read as a table"),  # a decimal comma among commas
        ("raw_image_id,y,x,dead\n\na,1,2,1\n\na,one,2,1\n", "line 5, is no cell"),
        ("raw_image_id,y,x,dead\na,1,2,1\na,3,4,0\na,3,4,1\n", "1 cells both dead and alive, for example of a at y=3"),
        ("raw_image_id,y,x,dead\na,nan,2,1\n", "line 2, is no cell (y 'nan'"),
        ("", "cannot be read as a table"),
    ],
)
def test_a_table_that_is_none_is_refused_by_its_line(tmp_path, text, said):
    path = tmp_path / "cells.csv"
    path.write_text(text)
    with pytest.raises(InputError) as told:
        read_cells(path)
    assert said in str(told.value)


def test_an_absent_table_is_named_with_the_way_out(tmp_path):
    with pytest.raises(InputError, match="missing: put the counted cells there, or give dataset.cells=null"):
        read_cells(tmp_path / "cells.csv")


def test_the_dead_share_of_a_field_is_dead_of_all_its_cells():
    truth = field_truth(cells_of(a=[(1, 1, True), (2, 2, False), (3, 3, False)], b=[(1, 1, False)]))
    assert truth.set_index("raw_image_id")["dead_share"].to_dict() == pytest.approx({"a": 1 / 3, "b": 0})
