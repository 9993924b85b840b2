"""Doses and wells together: curves by compound, controls, edges, and how all of it is told."""

import re
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from answered import HOSTILE, row
from galleries import written
from jimt.prediction.dose_answers import Doses, dose_answers
from jimt.prediction.dose_files import remove_doses, write_doses
from jimt.prediction.dose_plan import read_dose_plan
from jimt.prediction.dose_words import dose_rows, dose_sentences, dose_text
from jimt.prediction.well_shares import well_rows
from jimt.prediction.workbook import write_workbook

SERIES = (0.1, 0.3, 1, 3, 10, 30)


def share_of(dose: float, ec50: float | None, *, add: float = 0.0) -> float:
    effect = 0 if ec50 is None or dose == 0 else 1 / (1 + (ec50 / dose) ** 1.5)
    return 0.08 + 0.8 * effect + add


class Plate:
    """Fields of a plate and its table, well by well from B02 on."""

    def __init__(self) -> None:
        self.rows, self.lines = [], ["well,dose,compound,role,plate"]
        self._next = 0

    def add(self, dose: object, share: float | None, compound: str = "", role: str = "", *, plate="p", **told) -> str:
        well = f"{'BCDEFG'[self._next // 10]}{self._next % 10 + 2:02d}"
        self._next += 1
        quoted = compound.replace('"', '""')
        self.lines.append(f'{well},{dose},"{quoted}",{role},{plate}')
        given = {"well": well, "plate": plate, "dead_share": share} | told
        self.rows.append(row(len(self.rows), f"{plate}{well}", **given))
        return well

    def add_compound(self, name: str, ec50: float | None, *, n: int = 3, unit: str = " uM", **told) -> None:
        for number in range(n):
            for dose in SERIES:
                wobble = 0.015 * ((5 * number + 3 * SERIES.index(dose)) % 4 - 1.5)
                self.add(f"{dose}{unit}", share_of(dose, ec50, add=wobble), name, **told)

    def add_controls(self, n: int = 4) -> None:
        for number in range(n):
            self.add(0, 0.08 + 0.01 * number, "DMSO", "negative")
            self.add("", 0.9 + 0.01 * number, "digitonin", "positive")

    def answered(self, folder: Path) -> Doses:
        (folder / "table.csv").write_text("\n".join(self.lines) + "\n")
        wells = well_rows(self.rows, confidence=0.95, include_flagged=False)
        return dose_answers(wells, read_dose_plan(folder / "table.csv"))


@pytest.fixture(scope="module")
def plate() -> Plate:
    made = Plate()
    made.add_compound("doxo", 2.0)
    made.add_compound("water", None)
    made.add_controls()
    return made


@pytest.fixture(scope="module")
def found(plate, tmp_path_factory) -> Doses:
    return plate.answered(tmp_path_factory.mktemp("doses"))


def test_each_compound_has_a_row_with_its_ec50_and_one_without_effect_has_none(found):
    table = pd.DataFrame(list(dose_rows(found))).set_index("compound")
    assert table["unit"].unique().tolist() == ["µM"]
    doxo, water = table.loc["doxo"], table.loc["water"]
    assert doxo["ec50_low"] < 2.0 < doxo["ec50_high"]
    assert doxo["ec50"] == pytest.approx(2, rel=0.2)
    assert (doxo["n_wells"], doxo["n_vehicle_wells"], doxo["n_doses"]) == (18, 4, 6)
    assert water["verdict"] == "no effect"
    assert water[["ec50", "ec50_low", "ec50_high", "slope", "bound"]].isna().all()
    z = 1 - 3 * 2 * np.std([0, 0.01, 0.02, 0.03], ddof=1) / 0.82
    assert table["z_prime"].tolist() == pytest.approx([z, z])


def test_what_was_found_is_said_in_sentences(found):
    doxo, water, controls, edge = dose_sentences(found)
    assert re.fullmatch(
        r"doxo: EC50 [\d.]+ µM \(95 % over wells: [\d.]+ to [\d.]+\), slope [\d.]+ \([\d.]+ to [\d.]+\), dead share "
        r"from 0\.\d\d \(0\.\d\d to 0\.\d\d\) to 0\.\d\d \(0\.\d\d to [01]\.\d\d\)",
        doxo,
    )
    assert water.startswith("water: no effect told apart from chance at 0.1 to 30 µM (p = ")
    assert controls.endswith("of 4 negative and 4 positive control wells: controls lie well apart (0.5 or more)")
    assert edge.startswith("edge wells were not compared: no two wells at the edge and inside were given the same")


def test_wells_at_the_edge_that_die_more_are_said(tmp_path):
    made = Plate()
    made.add_compound("doxo", 2.0, n=2)
    names = [f"A{number:02d}" for number in range(2, 14)]
    edges = [row(100 + n, well, well=well, plate="p", dead_share=share_of(dose, 2.0, add=0.1))
             for n, (well, dose) in enumerate(zip(names[:6], SERIES, strict=False))]  # fmt: skip
    made.rows += edges
    made.lines += [f"{each.well},{dose} uM,doxo,,p" for each, dose in zip(edges, SERIES, strict=True)]
    edge = dose_sentences(made.answered(tmp_path))[-1]
    assert re.match(r"edge wells have more dead, by \+0\.1\d\d \(\+0\.0\d+ to \+0\.1\d+\) \(6 wells at the edge", edge)
    assert edge.endswith("12 inside that were given the same): doses that lie at the edge are shifted by it")


def sentence_of(made: Plate, folder: Path, compound: str = "doxo") -> str:
    return next(line for line in dose_sentences(made.answered(folder)) if line.startswith(compound))


def test_an_ec50_beyond_the_doses_is_a_bound(tmp_path):
    made = Plate()
    made.add_compound("doxo", 60.0)
    made.add_controls()
    told = sentence_of(made, tmp_path)
    bound = re.match(r"doxo: EC50 above ([\d.]+) µM: its 95 % interval reaches beyond the highest dose, 30 µM", told)
    assert float(bound[1]) <= 30
    (told,) = dose_rows(made.answered(tmp_path))
    assert (told["verdict"], told["ec50"], told["ec50_high"]) == ("above", None, None)


def test_one_dose_one_replicate_and_no_vehicle_are_said_and_mended_by_more(tmp_path):
    made = Plate()
    made.add(5, 0.8, "doxo")
    made.add(0, 0.1, "DMSO")
    assert sentence_of(made, tmp_path) == (
        "doxo: no curve: 2 different doses, that of 0 among them, and a curve takes 4"
    )
    made = Plate()
    made.add_compound("doxo", 2.0, n=1)
    told = sentence_of(made, tmp_path)
    assert "; no well of the vehicle, so the dead share without the compound is extrapolated" in told
    assert "; one well of each dose, so the interval trusts the shape of the curve" in told
    made.add_compound("doxo", 2.0, n=2)
    made.add_controls(1)
    told = sentence_of(made, tmp_path)
    assert "EC50" in told
    assert "vehicle" not in told
    assert "one well" not in told


def test_wells_whose_fields_are_all_flagged_are_left_out_and_said(tmp_path):
    made = Plate()
    made.add_compound("doxo", 2.0, flags=("unlike",))
    made.add_controls()
    told = sentence_of(made, tmp_path)
    assert told.startswith("doxo: no curve: 1 dose, that of 0 among them")
    assert told.endswith("18 of its 18 wells have no dead share that counts: give --include-flagged")


def test_plates_are_told_apart_and_a_table_without_plates_holds_for_all(tmp_path):
    made = Plate()
    made.add_compound("doxo", 2.0, n=2)
    made.add_controls(1)
    made.lines = [line.rpartition(",")[0] for line in made.lines]
    made.rows += [
        row(100 + each.number, f"q{each.well}", well=each.well, plate="q", dead_share=0.3) for each in made.rows
    ]
    told = dose_sentences(made.answered(tmp_path))
    assert told[0].startswith("plate p: doxo: EC50 ")
    assert any(line.startswith("plate q: doxo: no effect") for line in told)
    assert [each["plate"] for each in dose_rows(made.answered(tmp_path))] == ["p", "q"]


def test_of_several_times_the_last_is_told_and_all_are_drawn_with_their_time(tmp_path, monkeypatch):
    monkeypatch.setattr("jimt.figures.style.DPI", 50)
    made = Plate()
    made.add_compound("doxo", 2.0, n=1)
    made.add_controls(1)
    at_last, made.rows = made.rows, []
    for time, effect in (("2h", 0.5), ("30min", 0.0), ("1d", 1.0)):
        for each in at_last:
            share = 0.08 + effect * (each.dead_share - 0.08)
            given = {"well": each.well, "plate": "p", "time": time, "dead_share": share}
            if (each.well, time) != ("B02", "1d"):  # one well stops early
                made.rows.append(row(len(made.rows), f"{each.well}_{time}", **given))
    found = made.answered(tmp_path)
    assert [plate.key[1] for plate in found.plates] == ["30min", "2h", "1d"]
    told = dose_sentences(found)
    assert told[0].startswith("plate p, time 1d: doxo: EC50 ")
    assert not any("30min" in line or "2h" in line for line in told)
    assert told[-1] == "this is of the last time; doses.csv and the figures have 2 earlier ones too"
    shown = write_doses(found, tmp_path, label="dead share")
    assert [words for words, _ in shown.figures] == ["plate p, time 1d"]
    assert [words for words, _ in shown.earlier] == ["plate p, time 30min", "plate p, time 2h"]
    assert pd.read_csv(tmp_path / "doses.csv", encoding="utf-8-sig")["time"].tolist() == ["30min", "2h", "1d"]
    page = written(tmp_path, made.rows, pictures=False, doses=shown).read_text()
    assert "Dose-response curves of 2 earlier times" in page
    assert page.index("dose_response_p_1d.png") < page.index("dose_response_p_30min.png")


def test_the_vehicle_of_a_compound_is_its_own_and_that_of_none_is_shared(tmp_path):
    made = Plate()
    for compound, at_zero in (("doxo", 0.05), ("taxol", 0.4)):
        made.add_compound(compound, 2.0, n=1)
        made.add(0, at_zero, compound)
    made.add(0, 0.1, "DMSO")
    of = {each.name: sorted(each.shares[each.doses == 0]) for each in made.answered(tmp_path).plates[0].compounds}
    assert of == {"doxo": [0.05, 0.1], "taxol": [0.1, 0.4]}


def test_names_are_nothing_but_text_in_table_page_workbook_and_figure(tmp_path, monkeypatch):
    monkeypatch.setattr("jimt.figures.style.DPI", 50)
    made = Plate()
    for name in [name for name in HOSTILE if not re.search(r"[\n\r\udce9]", name)][:7]:
        made.add(5, 0.5, name)
    made.add_controls(1)
    found = made.answered(tmp_path)
    shown = write_doses(found, tmp_path, label="dead share")
    table = pd.read_csv(tmp_path / "doses.csv", encoding="utf-8-sig")
    assert "'=cmd|' /C calc'!A0" in table["compound"].tolist()
    assert not table["sentence"].str.match(r"[=+\-@]").any()
    page = written(tmp_path, made.rows, pictures=False, doses=shown).read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;: no curve" in page
    assert "<script>alert(1)" not in page
    assert '<img src="dose_response_p.png"' in page
    wells = well_rows(made.rows, confidence=0.95, include_flagged=False)
    path = tmp_path / "book.xlsx"
    write_workbook(made.rows, wells, [], path, include_flagged=False, doses=list(dose_rows(found)), most_rows=0)
    sheet = openpyxl.load_workbook(path)["doses"]
    assert sheet["C2"].value == "=cmd|' /C calc'!A0"
    assert sheet["C2"].data_type == "s"


def test_what_was_written_of_doses_is_removed_and_nothing_else(found, tmp_path, monkeypatch):
    monkeypatch.setattr("jimt.figures.style.DPI", 50)
    (tmp_path / "plate_p.png").touch()
    assert not remove_doses(tmp_path)
    write_doses(found, tmp_path, label="dead share")
    before = (tmp_path / "doses.csv").read_bytes()
    write_doses(found, tmp_path, label="dead share")
    assert (tmp_path / "doses.csv").read_bytes() == before
    assert remove_doses(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["plate_p.png"]


@pytest.mark.parametrize(("dose", "text"), [(0.00012345, "0.000123"), (99999.0, "100000"), (2e-9, "2e-09"), (3.0, "3")])
def test_a_dose_has_three_digits_that_count(dose, text):
    assert dose_text(dose, None) == text
