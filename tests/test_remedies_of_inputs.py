"""Every remedy of images to be predicted, or simulated for it, is taken as it is printed, and mends what it says."""

import argparse
import sys
from pathlib import Path

import numpy as np
import pylibCZIrw
import pytest
import tifffile
from pylibCZIrw import czi

from answered import row
from jimt.config.hydra_dataset import dataset_of_name
from jimt.config.patterns import parse_pattern
from jimt.prediction.dose_answers import dose_answers
from jimt.prediction.dose_plan import check_dose_plan, read_dose_plan
from jimt.prediction.inputs import find_sources, names_of
from jimt.prediction.named_files import images_named
from jimt.prediction.parts import Parts
from jimt.prediction.pictures import read_picture
from jimt.prediction.time_series import check_onset, follow
from jimt.prediction.well_shares import well_rows
from remedies import Lab, Place, check, composed_prepare, marked


def reads(*words: str) -> None:
    """Find images and read them, by the flags that the command has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("images", nargs="*", default=["."])
    for flag in ("--pattern", "--channel"):
        parser.add_argument(flag)
    parser.add_argument("--z", type=lambda word: int(word) if word.isdecimal() else word, default="sharpest")
    parser.add_argument("--pixel-size", type=float)
    given = parser.parse_args(words)
    pattern = None if given.pattern is None else parse_pattern(given.pattern, setting="--pattern")
    in_names = given.channel if given.pattern is not None else None
    found = find_sources(given.images, pattern=pattern, root=None, leave_out=None, channel=in_names, time=None)
    for source in found.sources:
        read_picture(
            source,
            channel=None if in_names else given.channel,
            z=given.z,
            pixel_size=given.pixel_size,
            model_pixel_size=0.32,
            patch_size=64,
            bit_depth=16,
            bit_shift=0,
        )


def written(lab: Lab, name: str, *, factor: int = 1, **options: object) -> None:
    image = np.arange(80 * 80, dtype=np.uint16).reshape(80, 80)
    if "axes" in str(options):
        image = np.stack([image, factor * image + 1])
    lab.monkeypatch.chdir(lab.tmp_path)
    tifffile.imwrite(Path(name), image, photometric="minisblack", **options)


def of_channels(lab: Lab) -> None:
    written(lab, "a.ome.tif", metadata={"axes": "CYX"})
    lab.mends(reads, fill={"NUMBER": "1"})
    lab.mends(reads, "--channel", "5", fill={"NUMBER": "1"})


def of_planes(lab: Lab) -> None:
    written(lab, "a.ome.tif", metadata={"axes": "ZYX"})
    lab.mends(reads, "--z", "9", fill={"NUMBER": "1"})


def of_brightness(lab: Lab) -> None:
    written(lab, "a.ome.tif", metadata={"axes": "ZYX"}, factor=10)
    lab.mends(reads, fill={"NUMBER": "1"})


def of_uneven_pixels(lab: Lab) -> None:
    written(lab, "a.tif", resolution=(20_000, 40_000), resolutionunit="CENTIMETER")
    lab.mends(reads, fill={"NUMBER": "0.32"})


def of_channels_in_names(lab: Lab) -> None:
    written(lab, "A1_BF.tif")
    pattern = "--pattern={well}_{channel}.tif"
    lab.mends(reads, pattern, fill={"WORD": "BF"})
    lab.mends(reads, pattern, "--channel", "PI", fill={"WORD": "BF"})


def of_doses(lab: Lab) -> None:
    given = "dataset=synthetic_doses", "dataset.simulation.treated_dead_fraction=null"
    lab.mends(composed_prepare, *given, fill={"NUMBER": "0.9"})


def of_a_package(lab: Lab) -> None:
    written(lab, "a.tif")
    with czi.create_czi(str(lab.tmp_path / "a.czi")) as document:
        document.write(data=np.arange(80 * 80, dtype=np.uint16).reshape(80, 80, 1))

    def install(words: list[str]) -> None:
        assert words == ["pip", "install", "pylibCZIrw"]
        sys.modules["pylibCZIrw"] = pylibCZIrw

    lab.monkeypatch.setitem(sys.modules, "pylibCZIrw", None)
    lab.mends(reads, types=install)


def of_a_folder_that_is_taken(lab: Lab) -> None:
    def keeps(*words: str) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("--out", type=Path, default="taken")
        Parts(lab.tmp_path / parser.parse_args(words).out, {"model": "m"}, {})

    (lab.tmp_path / "taken").mkdir()
    (lab.tmp_path / "taken/thesis.docx").touch()
    lab.mends(keeps, fill={"FOLDER": "new"})
    Parts(lab.tmp_path / "other", {"model": "another"}, {})
    lab.mends(keeps, "--out", "other", fill={"FOLDER": "newer"})
    (lab.tmp_path / "other/.jimt/asked.json").write_text('{"asked": []}')
    lab.mends(keeps, "--out", "other", fill={"FOLDER": "newest"})


def of_images_among_answers(lab: Lab) -> None:
    def finds(*words: str) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("--out", type=Path, default="images")
        images_named(["images"], [], out=parser.parse_args(words).out)

    (lab.tmp_path / "images").mkdir()
    written(lab, "images/a.tif")
    lab.mends(finds, fill={"FOLDER": "new"})


def follows(*words: str) -> None:
    """Find what is followed over time, by the flags that the command has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pattern")
    parser.add_argument("--onset", type=float)
    given = parser.parse_args(words)
    pattern = None if given.pattern is None else parse_pattern(given.pattern, setting="--pattern")
    found = find_sources(["."], pattern=pattern, root=None, leave_out=None, channel=None, time=None)
    check_onset(given.onset, follow(found.sources, []))


def of_times_without_a_pattern(lab: Lab) -> None:
    for hour in (0, 6):
        written(lab, f"A1_s1_{hour}h.tif")
    lab.mends(follows, "--onset", "0.3", fill={"PATTERN": "{well}_s{field}_{time}.tif"})


def of_a_time_that_is_twice(lab: Lab) -> None:
    for name in ("A1_left_0h", "A1_right_0h", "A1_left_6h", "A1_right_6h"):
        written(lab, f"{name}.tif")
    lab.mends(follows, "--pattern", "{well}_*_{time}.tif", fill={"PATTERN": "{well}_{field}_{time}.tif"})


def of_a_table_of_doses(lab: Lab) -> None:
    def reads_doses(*words: str) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("--doses", type=Path, default="nowhere.csv")
        read_dose_plan(parser.parse_args(words).doses)

    lab.monkeypatch.chdir(lab.tmp_path)
    Path("doses.csv").write_text("well,dose\nA1,0\n")
    lab.mends(reads_doses, fill={"FILE": "doses.csv"})


def of_doses_and_names(lab: Lab) -> None:
    def holds(*words: str) -> None:
        parser = argparse.ArgumentParser()
        for flag in ("--pattern", "--dataset"):
            parser.add_argument(flag)
        given = parser.parse_args(words)
        of_dataset = None if given.dataset is None else names_of(dataset_of_name(given.dataset)).pattern
        pattern = of_dataset if given.pattern is None else parse_pattern(given.pattern, setting="--pattern")
        channel = None if given.dataset is None else "Trans"
        found = find_sources(["."], pattern=pattern, root=None, leave_out=None, channel=channel, time=None)
        check_dose_plan(read_dose_plan(Path("doses.csv")), found.sources)

    written(lab, "A01--P00001--Z00000--T00000--Trans.tif")
    Path("doses.csv").write_text("well,dose\nA1,0\n")
    lab.mends(holds, fill={"PATTERN": "{well:w}--{rest}", "NAME": "synthetic_doses"})
    Path("doses.csv").write_text("well,dose,plate\nA1,0,P00001\n")
    lab.mends(holds, "--pattern", "{well:w}--{rest}", fill={"PATTERN": "{well:w}--{plate:w}--{rest}"})


def of_flagged_wells(lab: Lab) -> None:
    def answers(*words: str) -> None:
        rows = [row(n, well, well=well, flags=("unlike",)) for n, well in enumerate(("A01", "A02"))]
        wells = well_rows(rows, confidence=0.95, include_flagged="--include-flagged" in words)
        dose_answers(wells, read_dose_plan(Path("doses.csv")))

    lab.monkeypatch.chdir(lab.tmp_path)
    Path("doses.csv").write_text("well,dose\nA1,0\nA2,1\n")
    lab.mends(answers)


RUNS: dict[Place, object] = {
    ("prediction/time_series.py", "_refuse_twice"): of_a_time_that_is_twice,
    ("prediction/time_series.py", "check_onset"): of_times_without_a_pattern,
    ("prediction/named_files.py", "images_named"): of_images_among_answers,
    ("prediction/czi_stacks.py", "open_czi_stacks"): of_a_package,
    ("config/data.py", "SimulationConfig.__post_init__"): of_doses,
    ("prediction/field_names.py", "_of_channel"): of_channels_in_names,
    ("prediction/pictures.py", "_pixel_size"): of_uneven_pixels,
    ("prediction/planes.py", "_check_brightness"): of_brightness,
    ("prediction/planes.py", "channel_number"): of_channels,
    ("prediction/planes.py", "read_plane"): of_planes,
    ("prediction/dose_plan.py", "read_dose_plan"): of_a_table_of_doses,
    ("prediction/dose_plan.py", "check_dose_plan"): of_doses_and_names,
    ("prediction/dose_answers.py", "_of_compound"): of_flagged_wells,
    ("prediction/parts.py", "Parts.__init__"): of_a_folder_that_is_taken,
}


@pytest.mark.parametrize("place", marked(RUNS, set()))
def test_each_remedy_mends_what_it_says(place, request):
    check(place, RUNS[place], request)
