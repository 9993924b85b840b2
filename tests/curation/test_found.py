"""What names tell before anything is computed, and images found under other names, curated as under their own."""

import re
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from rich.console import Console

from conftest import SMALL, composed_prepare, listing_of, small_field
from jimt.curation.curate import curate, find_raw_images
from jimt.curation.manifest import open_curated
from jimt.data.preparation import list_raw_images
from jimt.errors import InputError

PLATES = ["dataset=no_treatment", "dataset.pattern='{plate}/{well}_s{field}_{channel}.tif'", "dataset.bit_depth=12"]


def curated(overrides: list[str], folder: Path) -> pd.DataFrame:
    config = composed_prepare(*overrides, f"curation.output_root={folder}")
    opened = open_curated(curate(*config, embed=None, console=Console(quiet=True)))
    pixels = [int(opened.store.field(row).astype(int).sum()) for row in range(len(opened.store))]
    return opened.manifest.assign(pixels=np.array(pixels)[opened.manifest["field"]])


@pytest.fixture
def plates(tmp_path) -> Path:
    """Two plates of three wells with two fields each, as text-book names, and files that do not belong."""
    root, rng = tmp_path / "plates", np.random.default_rng(0)
    for plate in ("P1", "P2"):
        (root / plate).mkdir(parents=True)
        for well in ("A1", "B02", "C 3"):
            for field in (1, 2):
                for channel, image in zip(("Trans", "PI"), small_field(rng), strict=True):
                    tifffile.imwrite(root / plate / f"{well}_s{field}_{channel}.tif", image)
    return root


def dry_run(capsys, *overrides: str) -> str:
    list_raw_images(*composed_prepare(*overrides))
    return capsys.readouterr().out


def test_a_dry_run_lists_everything_and_leaves_nothing(plates, tmp_path, capsys):
    (plates / "overview.png").touch()
    shutil.copy(plates / "P1/A1_s1_PI.tif", plates / "P1/A1_s1_DAPI.tif")
    (plates / "P2/C 3_s2_PI.tif").unlink()
    before = listing_of(tmp_path)
    lines = dry_run(capsys, *PLATES, f"dataset.root={plates}").splitlines()
    assert "P1/A1_s1  [group P1/A1]  P1/A1_s1_Trans.tif + P1/A1_s1_PI.tif" in lines
    assert "P2/C 3_s1  [group P2/C 3]  P2/C 3_s1_Trans.tif + P2/C 3_s1_PI.tif" in lines
    assert sum("[group" in line for line in lines) == 11
    values = dict(
        re.match(r"(\w+) reads \d+ values?, each in so many files: (.*)", line).groups()
        for line in lines
        if " reads " in line
    )
    assert values == {
        "plate": "P1 (13), P2 (11)",
        "well": "A1 (9), B02 (8), C 3 (7)",
        "field": "1 (13), 2 (11)",
        "channel": "DAPI (1), PI (11), Trans (12)",
    }
    assert (
        "groups, with their number of raw images: P1/A1 (2), P1/B02 (2), P1/C 3 (2), P2/A1 (2), P2/B02 (2), P2/C 3 (1)"
        in lines
    )
    assert "channels: Trans is bright-field, PI is fluorescence" in lines
    assert "not matched by dataset.pattern: overview.png" in lines
    assert "WARNING: cannot be used: P2/C 3_s2: its PI image is missing: copy it there, or remove its partner" in lines
    assert lines[-1] == (
        f"no_treatment: 11 raw images in 6 groups from 25 image files in {plates}, 1 unusable; a dry run, so nothing "
        "was computed or written"
    )
    assert listing_of(tmp_path) == before


def test_a_dry_run_reads_no_pixel(plates, tmp_path, capsys):
    for path in plates.rglob("*.tif"):
        path.write_bytes(b"")
    assert "12 raw images in 6 groups" in dry_run(capsys, *PLATES, f"dataset.root={plates}")


def test_a_dry_run_tells_whether_hand_labels_name_the_raw_images_that_are_there(plates, tmp_path, capsys):
    (tmp_path / "hand.csv").write_text("raw_image_id;y;x;label\nP1/A1_s1;0;0;bare\nP1/A1_s1;0;32;cells\nA1;0;0;bare\n")
    words = ["dataset.empty_labels=hand.csv", "dataset.empty_word=bare", "dataset.not_empty_word=cells"]
    told = dry_run(capsys, *PLATES, f"dataset.root={plates}", *words)
    assert "hand labels: 2 of 3 are of these raw images; the others name 1 that are not here, for example A1\n" in told
    assert "WARNING: 1 hand label is passed over, since no patch begins there, for example P1/A1_s1 y=0 x=32: " in told
    assert "hand labels" not in dry_run(capsys, *PLATES, f"dataset.root={plates}")


def test_a_dry_run_counts_in_the_order_of_numbers_and_says_where_groups_are_unknown(plates, tmp_path, capsys):
    (plates / "P1/A1_s1_Trans.tif").rename(plates / "P1/A1_s10_Trans.tif")
    (plates / "P1/A1_s1_PI.tif").rename(plates / "P1/A1_s10_PI.tif")
    assert "field reads 3 values, each in so many files: 1 (10), 2 (12), 10 (2)" in dry_run(
        capsys, *PLATES, f"dataset.root={plates}"
    )
    (tmp_path / "patches/live").mkdir(parents=True)
    (tmp_path / "patches/live/a.png").touch()
    config = composed_prepare(*PLATES, f"dataset.root={tmp_path / 'patches'}")
    config[0].layout, config[0].pattern = "patches", None
    list_raw_images(*config)
    assert "live/a  [group unknown]  live/a.png" in capsys.readouterr().out


def test_a_dry_run_of_a_data_set_that_would_be_simulated_simulates_nothing(tmp_path, capsys):
    assert "48 raw image pairs will be simulated in data/synthetic" in dry_run(capsys, "dataset=synthetic")
    assert list(tmp_path.iterdir()) == []


def test_the_group_is_chosen_among_the_placeholders(plates):
    groups = {
        setting: {
            raw.group
            for raw in find_raw_images(*composed_prepare(*PLATES, f"dataset.root={plates}", *setting), plates).images
        }
        for setting in ((), ("dataset.group=[plate]",), ("dataset.group=[well]",))
    }
    assert list(groups.values()) == [
        {f"{plate}/{well}" for plate in ("P1", "P2") for well in ("A1", "B02", "C 3")},
        {"P1", "P2"},
        {"A1", "B02", "C 3"},
    ]


def test_placeholders_curate_as_the_regular_expression_that_says_the_same(plates, tmp_path):
    expression = r"^(?P<raw_image_id>(?P<group>[^/]+/[^/_]+)_s\d)_(?P<channel>\w+)\.tif$"
    same = ["dataset=no_treatment", f"dataset.pattern='{expression}'", f"dataset.root={plates}", *SMALL]
    pd.testing.assert_frame_equal(
        curated([*PLATES, f"dataset.root={plates}", *SMALL], tmp_path / "a"), curated(same, tmp_path / "b")
    )


def test_links_suffixes_in_capitals_and_a_macs_names_give_the_pixels_and_labels_of_plain_files(plates, tmp_path):
    pattern = "dataset.pattern='Süd/{plate}/{well}_s{field}_{channel}.tif'"
    plain, odd, disk = tmp_path / "plain", tmp_path / "odd", tmp_path / "disk"
    shutil.copytree(plates, plain / "Süd")
    shutil.copytree(plates, disk)
    name = unicodedata.normalize("NFD", "Süd")
    (odd / name).mkdir(parents=True)
    (odd / name / "P1").symlink_to(disk / "P1")
    (odd / name / "P2").symlink_to(disk / "P2")
    (disk / "P1/again").symlink_to(odd)
    for path in list(disk.rglob("B*.tif")):
        path.rename(path.with_suffix(".TIF"))
    expected = curated([*PLATES, pattern, f"dataset.root={plain}", *SMALL], tmp_path / "a")
    found = curated([*PLATES, pattern, f"dataset.root={odd}", *SMALL], tmp_path / "b")
    pd.testing.assert_frame_equal(found, expected)


def test_a_link_in_place_of_an_image_that_leads_nowhere_is_refused_by_name(plates):
    image = plates / "P1/A1_s1_PI.tif"
    image.unlink()
    image.symlink_to("gone.tif")
    with pytest.raises(
        InputError, match=r"P1/A1_s1_Trans.tif: its fluorescence image A1_s1_PI.tif is missing: copy it"
    ):
        curated([*PLATES, f"dataset.root={plates}", *SMALL], plates.parent / "a")


def test_raw_data_are_the_same_before_and_after_a_curation(plates, tmp_path):
    before = listing_of(plates)
    curated([*PLATES, f"dataset.root={plates}", *SMALL], tmp_path / "a")
    assert listing_of(plates) == before
    with pytest.raises(InputError, match="lies in the raw data's folder .*plates: give curation.output_root=FOLDER"):
        curated([*PLATES, f"dataset.root={plates}", *SMALL], plates / "results")
    assert listing_of(plates) == before


def test_files_that_are_passed_over_are_told_on_the_screen_before_the_work_and_when_it_is_done(plates, tmp_path):
    (plates / "overview.png").touch()
    config = composed_prepare(*PLATES, f"dataset.root={plates}", *SMALL)
    for _ in range(2):
        with (tmp_path / "screen").open("w") as screen:
            curate(*config, embed=None, console=Console(file=screen, width=80))
        first = (tmp_path / "screen").read_text().splitlines()[0]
        assert first.startswith(
            "WARNING: 1 of 25 image files (4.0 %) is passed over by their names or folders, for example"
        )
        assert "overview.png: mend dataset.pattern, or give dataset.leave_out=PATTERN" in first
    quiet = composed_prepare(*PLATES, f"dataset.root={plates}", "dataset.leave_out='overview.*'", *SMALL)  # the remedy
    with (tmp_path / "screen").open("w") as screen:
        curate(*quiet, embed=None, console=Console(file=screen, width=80))
    assert "passed over" not in (tmp_path / "screen").read_text()


def test_a_dry_run_without_any_usable_raw_image_is_an_error(small, small_pairs, prepare_config, capsys):
    for n, path in enumerate(sorted({path.name.rpartition("--")[0] for path in small_pairs.iterdir()})):
        (small_pairs / f"{path}--{('Trans', 'PI')[n % 2]}.tif").unlink()
    with pytest.raises(InputError, match="no raw image in .* can be used: mend what is named above"):
        list_raw_images(*prepare_config(*small))
    assert capsys.readouterr().out.count("WARNING: cannot be used: ") == 12
