"""A plate whose wells die at known times: what the command says of when, of what moved, and what it leaves."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile

from conftest import TINY_PROBE, composed_train, small_field
from jimt.training.run import train
from predicting import predicts

PATTERN = ("--pattern", "{plate}/{well}_s{field}_{time}.tif")
HOURS = (0, 6, 12, 18, 24)
DEAD = {
    "A1": (0.1, 0.2, 0.8, 0.9, 0.9),
    "A2": (0.0, 0.1, 0.1, 0.8, 0.9),
    "A3": (0.1, 0.1, 0.2, 0.1, 0.2),
}
"""Share of the width of each field that is dead, at each time."""


def field_of(share: float, *, seed: int) -> np.ndarray:
    """Bright-field as the model has learned it, so much of it dead from the right."""
    image, _ = small_field(np.random.default_rng(seed), width=384, height=128)  # dead from the middle on
    first = round(192 * share)
    return image[:, first : first + 192]


def write_plate(folder: Path) -> Path:
    (folder / "P1").mkdir(parents=True)
    for seed, (well, hour, field) in enumerate((w, h, f) for w in DEAD for h in HOURS for f in (1, 2)):
        image = field_of(DEAD[well][HOURS.index(hour)], seed=seed)
        if (well, hour, field) == ("A3", 12, 2):  # the lamp flickers
            image = (image // 2).astype(np.uint16)
        tifffile.imwrite(folder / f"P1/{well}_s{field}_{hour}h.tif", image)
    return folder


@pytest.fixture(scope="module")
def run(uneven, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dying") / "run"
    train(composed_train(*uneven, *TINY_PROBE, "probe=tiles", "probe.layer=layer3", f"run_dir={folder}"))
    return folder


@pytest.fixture(scope="module")
def plate(tmp_path_factory) -> Path:
    return write_plate(tmp_path_factory.mktemp("plate"))


@pytest.fixture(scope="module")
def out(run, plate, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("answers") / "out"
    assert predicts(run, plate, *PATTERN, "--include-flagged", "--excel", "--out", folder) in (0, 4)
    return folder


def test_wells_die_when_they_do_and_one_that_does_not_is_censored(out):
    onsets = pd.read_csv(out / "onset.csv").set_index("well")
    assert onsets["onset"].to_dict() == {"A01": 12, "A02": 18, "A03": pytest.approx(np.nan, nan_ok=True)}
    assert onsets["onset_after"].dropna().to_dict() == {"A01": 6, "A02": 12}
    assert onsets["passing"].tolist() == ["passed", "passed", "never"]
    assert onsets.loc["A03", "sentence"].startswith("A03 of plate P1: not within 24 h")
    assert set(onsets["unit"]) == {"h"}


def test_the_table_of_times_has_every_field_by_time_and_the_well_is_the_mean_of_its_positions(out):
    times = pd.read_csv(out / "times.csv")
    fields = pd.read_csv(out / "fields.csv")
    assert len(times) == len(fields) == 30
    assert all(times.groupby("position")["elapsed"].is_monotonic_increasing)
    assert times["position"].unique().tolist() == [f"P1/A0{well}/{field}" for well in (1, 2, 3) for field in (1, 2)]
    by_hand = fields.groupby(["well", "time"])["dead_share"].mean()
    found = times.groupby(["well", "time"])["well_dead_share"].first()
    np.testing.assert_allclose(found, by_hand.loc[found.index], atol=1e-5)
    wells = pd.read_csv(out / "wells.csv").set_index(["well", "time"])
    np.testing.assert_allclose(times.groupby(["well", "time"])["well_low"].first(), wells["low"].sort_index())


def test_light_that_differs_at_one_time_is_flagged_there_alone(out):
    times = pd.read_csv(out / "times.csv")
    lit = times[times["flags"].fillna("").str.contains("light_drift")]
    assert lit["raw_image_id"].tolist() == ["P1/A3_s2_12h"]


def test_each_position_has_a_film_of_its_times_in_order_and_of_bounded_size(out):
    films = sorted((out / "films").iterdir())
    assert len(films) == 6
    done, film = cv2.imreadanimation(str(films[0]))
    assert done
    assert len(film.frames) == len(HOURS)
    assert max(film.frames[0].shape[:2]) <= 512 + 26 + 46
    # A1 dies from the right: the share of orange pixels rises
    orange = [float((frame[..., 2].astype(int) > frame[..., 0].astype(int) + 20).mean()) for frame in film.frames]
    assert orange[4] > orange[2] > 2 * orange[1]


def test_page_paper_and_workbook_tell_it(out):
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "A01 of plate P1: 12 h (not yet at 6 h" in page
    for linked in re.findall(r'<img src="([^"]+)"', page):
        assert (out / linked).is_file()
    assert page.count('loading="lazy"') == 6
    assert "time_course_wells.png" in page
    paper = (out / "METHODS.md").read_text(encoding="utf-8")
    assert "6 positions were followed over up to 5 time points, to 24 h (as the names of the images tell it)." in paper
    assert "- A03 of plate P1: not within 24 h" in paper
    sheet = pd.read_excel(out / "predictions.xlsx", sheet_name="onset")
    assert sheet["onset"].dropna().tolist() == [12, 18]
    assert len(pd.read_excel(out / "predictions.xlsx", sheet_name="times")) == 30


def test_another_threshold_asks_nothing_of_the_model_again(run, plate, out, capsys):
    command = (run, plate, *PATTERN, "--include-flagged", "--out", out)
    assert predicts(*command, "--onset", "0.15") in (0, 4)
    told = capsys.readouterr().out
    assert "30 of 30 fields are done already" in told
    assert "share of 0.15 or more that holds at the next 2 times, or at those that are left: in 3 of 3 wells" in told
    assert "A01 of plate P1: 6 h (not yet at 0 h" in told
    assert "A03 of plate P1: 24 h, the last time alone (not yet at 18 h" in told
    assert predicts(*command, "--onset", "1.5") == 2
    assert "--onset=1.5 is not allowed: it takes a share above 0, up to 1" in capsys.readouterr().err
    assert predicts(*command) in (0, 4)


def test_wells_that_were_given_the_same_have_an_onset_over_wells(run, plate, out, tmp_path, capsys):
    given = Path(shutil.copytree(out, tmp_path / "given"))
    (tmp_path / "doses.csv").write_text("well,dose,compound\nA1,10 uM,drug <b>\nA2,10 uM,drug <b>\nA3,0,\n")
    command = (run, plate, *PATTERN, "--include-flagged", "--out", given)
    assert predicts(*command, "--doses", tmp_path / "doses.csv") in (0, 4)
    told = capsys.readouterr().out
    assert "30 of 30 fields are done already" in told
    assert "negative control of plate P1: not within 24 h" in told
    onsets = pd.read_csv(given / "onset.csv")
    treated = onsets[onsets["treatment"] == "drug <b> 10 µM"].iloc[0]
    wells = pd.read_csv(given / "wells.csv").set_index(["time", "well"])["dead_share"].unstack()
    of_both = wells[["A01", "A02"]].mean(axis=1)
    first = min(hour for hour in HOURS if of_both[f"{hour}h"] >= 0.5)
    assert (treated["onset"], treated["n_wells"], treated["n_positions"]) == (first, 2, 4)
    assert onsets["well"].dropna().tolist() == ["A01", "A02", "A03"]
    page = (given / "index.html").read_text(encoding="utf-8")
    assert "drug &lt;b&gt; 10 µM of plate P1: 18 h" in page
    assert "drug <b>" not in page
    assert (given / "time_course_treatments.png").is_file()


def test_without_several_times_nothing_is_written_of_time_and_an_onset_is_refused(run, plate, tmp_path, capsys):
    (tmp_path / "one/P1").mkdir(parents=True)
    for path in sorted((plate / "P1").glob("A1_s?_0h.tif")):
        (tmp_path / "one/P1" / path.name).symlink_to(path)
    command = (run, tmp_path / "one", *PATTERN, "--include-flagged", "--out", tmp_path / "out")
    assert predicts(*command, "--onset", "0.3") == 2
    assert "--onset 0.3 is of positions that were imaged at several times, and none was" in capsys.readouterr().err
    assert predicts(*command) in (0, 4)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *(".jimt", "fields.csv", "wells.csv", "patches.csv", "index.html", "METHODS.md"),
        *("maps", "outlines", "thumbnails", "plate_P1_0h.png"),
    }
    assert "Over time" not in (tmp_path / "out/index.html").read_text(encoding="utf-8")


def test_a_time_twice_or_without_its_unit_is_refused_before_anything_is_written(run, tmp_path, capsys):
    for name in ("A1_s1_6h", "A1_s1_06h", "A1_s1_12h"):
        tifffile.imwrite(tmp_path / f"{name}.tif", field_of(0.5, seed=0))
    command = (run, tmp_path, "--pattern", "{well}_s{field}_{time}.tif", "--out", tmp_path / "out")
    assert predicts(*command) == 2
    assert "A1_s1_6h.tif are both of the time 06h of the position A01/1: name one of them" in (capsys.readouterr().err)
    (tmp_path / "A1_s1_06h.tif").rename(tmp_path / "A1_s1_18.tif")
    assert predicts(*command) == 2
    assert "has a unit and 18 of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
