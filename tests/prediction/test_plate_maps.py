"""Plate maps from the fields of a command."""

import cv2

from answered import HOSTILE, failed, row
from jimt.prediction.plate_maps import plates_of, write_plate_maps
from jimt.prediction.well_shares import well_rows


def wells_of(rows):
    return well_rows(rows, confidence=0.95, include_flagged=False)


def test_a_plate_holds_its_wells_with_what_counts_and_what_does_not():
    rows = [
        row(0, "a", plate="p1", well="A01", dead_share=0.2),
        row(1, "b", plate="p1", well="A01", dead_share=0.4),
        row(2, "c", plate="p1", well="A01", dead_share=0.9, flags=("focus",)),
        failed(3, "d", "damaged", plate="p2", well="B02"),
    ]
    plates = plates_of(wells_of(rows))
    assert list(plates) == [("p1", None), ("p2", None)]
    (one,), (other,) = plates.values()
    assert (one.name, round(one.share, 6), one.n_counted, one.n_left_out, one.has_flags) == ("A01", 0.3, 2, 1, True)
    assert (other.name, other.share, other.n_counted, other.n_left_out, other.has_flags) == ("B02", None, 0, 1, False)


def test_every_plate_and_time_has_a_picture_whatever_it_is_called(tmp_path):
    rows = [row(n, f"f{n}", plate=name, well="A01", time="1") for n, name in enumerate([*HOSTILE, "p", "P", "x" * 400])]
    names = write_plate_maps(wells_of(rows), tmp_path)
    assert len(names) == len(rows)
    assert len({name.casefold() for name in names.values()}) == len(rows)
    assert sorted(names.values()) == sorted(path.name for path in tmp_path.iterdir())
    assert all(cv2.imread(str(path)) is not None for path in tmp_path.iterdir())


def test_there_is_no_plate_where_no_name_tells_a_well(tmp_path):
    assert write_plate_maps(wells_of([row()]), tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
