"""What a user reads when raw images or settings cannot be used; nothing half-written is left behind."""

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from rich.console import Console

from conftest import small_field, write_pair
from jimt.curation.curate import curate
from jimt.curation.manifest import open_curated
from jimt.errors import InputError

FIRST = "--W00001--P00001--Z00000--T00000"
TRANS, PI = f"{FIRST}--Trans.tif", f"{FIRST}--PI.tif"


def run(config) -> Path:
    return curate(*config, embed=lambda _, places: np.zeros((len(places), 1), np.float32), console=Console(quiet=True))


def missing_partner(root: Path) -> None:
    (root / PI).unlink()


def two_images_for_one_id(root: Path) -> None:
    (root / PI).with_suffix(".tiff").write_bytes((root / PI).read_bytes())


def truncated(root: Path) -> None:
    (root / TRANS).write_bytes((root / TRANS).read_bytes()[:20_000])


def zero_bytes(root: Path) -> None:
    (root / TRANS).write_bytes(b"")


def not_an_image(root: Path) -> None:
    (root / TRANS).write_text("a spreadsheet, renamed")


def several_pages(root: Path) -> None:
    tifffile.imwrite(root / TRANS, np.stack([tifffile.imread(root / TRANS)] * 3), photometric="minisblack")


def unequal_sizes(root: Path) -> None:
    tifffile.imwrite(root / PI, tifffile.imread(root / PI)[:, :-2])


def smaller_than_a_patch(root: Path) -> None:
    write_pair(root, FIRST, small_field(np.random.default_rng(0), width=60, height=160))


def constant(root: Path) -> None:
    tifffile.imwrite(root / PI, np.full((160, 192), 100, np.uint16))


def not_a_number(root: Path) -> None:
    image = tifffile.imread(root / TRANS).astype(np.float32)
    image[3, 4] = np.nan
    tifffile.imwrite(root / TRANS, image)


BAD_IMAGES = [
    (missing_partner, FIRST, "its PI image is missing: copy it there, or remove its partner"),
    (two_images_for_one_id, FIRST, "2 PI images have this raw_image_id .*PI.tif, .*PI.tiff.*: remove all but one"),
    (truncated, TRANS, r"is cut off \(20000 bytes of \d+\): copy or export it again"),
    (zero_bytes, TRANS, r"is empty \(zero bytes\): copy or export it again"),
    (not_an_image, TRANS, "is not a TIFF, or damaged .*: export it again"),
    (several_pages, TRANS, "has 3 pages where one is expected: export one page"),
    (unequal_sizes, TRANS, "bright-field is 192 x 160 px and fluorescence 190 x 160: export both at one size"),
    (
        smaller_than_a_patch,
        TRANS,
        "is 60 x 160 px, smaller than a patch of 64: remove it, or give curation.patches.size=NUMBER",
    ),
    (constant, TRANS, r"fluorescence is constant \(every pixel 100\): acquire or export it again"),
    (not_a_number, TRANS, "holds NaN or infinite pixels: export it again as 8- or 16-bit integers"),
]


@pytest.mark.parametrize(("spoil", "name", "sentence"), BAD_IMAGES, ids=[case[0].__name__ for case in BAD_IMAGES])
def test_a_bad_raw_image_is_named_with_its_remedy_or_skipped_and_counted(
    small, small_pairs, prepare_config, tmp_path, spoil, name, sentence
):
    spoil(small_pairs)
    with pytest.raises(
        InputError, match=f"(?s)1 of 12 raw images cannot be used.*{re.escape(name)}: .*{sentence}"
    ) as told:
        run(prepare_config(*small))
    assert "curation.on_bad_image=skip" in str(told.value)
    assert not list((tmp_path / "data/curated").rglob("*"))
    curated = open_curated(run(prepare_config(*small, "curation.on_bad_image=skip")))
    assert list(curated.summary["bad_images"]) == [name]
    assert curated.summary["n_raw_images"] == 11
    assert FIRST not in set(curated.manifest["raw_image_id"])


def test_all_bad_images_are_found_in_one_pass(small, small_pairs, prepare_config):
    zero_bytes(small_pairs)
    for well, spoil in ((2, constant), (3, missing_partner), (4, not_an_image)):
        other = f"--W{well:05d}--P00001--Z00000--T00000"
        for path in (small_pairs / TRANS, small_pairs / PI):  # spoil the first, then hand its files to another well
            path.rename(path.with_suffix(".kept"))
            (small_pairs / path.name.replace(FIRST, other)).rename(path)
        spoil(small_pairs)
        for path in (small_pairs / TRANS, small_pairs / PI):
            if path.exists():
                path.rename(small_pairs / path.name.replace(FIRST, other))
            path.with_suffix(".kept").rename(path)
    with pytest.raises(InputError) as told:
        run(prepare_config(*small))
    lines = str(told.value).splitlines()
    assert lines[0].startswith("4 of 12 raw images cannot be used")
    assert [re.search(r"W\d+", line)[0] for line in lines[1:]] == ["W00001", "W00002", "W00003", "W00004"]


def test_skipping_every_image_is_still_an_error(small, small_pairs, prepare_config):
    for path in small_pairs.glob("*--PI.tif"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="12 of 12 raw images cannot be used"):
        run(prepare_config(*small, "curation.on_bad_image=skip"))


def test_an_absent_channel_of_a_stack_is_named(small, small_pairs, prepare_config, tmp_path):
    root = tmp_path / "stacks"
    root.mkdir()
    for number in range(4):
        tifffile.imwrite(root / f"well{number}.tif", np.stack(small_field(np.random.default_rng(number))))
    dataset, curation = prepare_config(*small)
    dataset.root, dataset.layout, dataset.pattern = str(root), "stack", r"(?P<group>(?P<raw_image_id>well\d))"
    assert open_curated(run((dataset, curation))).summary["n_raw_images"] == 4
    dataset.fluorescence_index = 2
    with pytest.raises(
        InputError, match="well0.tif: has 2 channels, so no channel 2 .counted from 0.: give dataset.brightfield_index"
    ):
        run((dataset, curation))


def test_an_absent_folder_says_how_to_get_the_data(prepare_config):
    with pytest.raises(InputError, match="nowhere is missing: download every part of the split zip"):
        run(prepare_config("dataset=no_treatment", "dataset.root=nowhere"))


def test_an_empty_folder_says_so(prepare_config, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no TIFF or PNG image"):
        run(prepare_config("dataset=no_treatment", f"dataset.root={tmp_path / 'empty'}"))


def test_a_pattern_that_matches_nothing_shows_a_name_it_should_match(small, prepare_config):
    dataset, curation = prepare_config(*small)
    dataset.pattern = "(?P<group>(?P<raw_image_id>plate))(?P<channel>x)"
    with pytest.raises(InputError, match="matches none of the 24 images .* for example --W00001.*: mend the pattern"):
        run((dataset, curation))


def test_one_class_alone_is_refused(small, prepare_config, tmp_path):
    with pytest.raises(InputError, match="no patch is dead, and one class alone cannot be learned or tested"):
        run(prepare_config(*small, "curation.label.live_below=4000", "curation.label.dead_above=4000"))
    assert not list((tmp_path / "data/curated").rglob("*"))


def test_fewer_groups_than_splits_are_refused(small, small_pairs, prepare_config):
    for path in small_pairs.glob("*W0000[2-6]*"):
        path.unlink()
    with pytest.raises(InputError, match="2 groups cannot fill train, val and test: add raw images of other wells"):
        run(prepare_config(*small))


def test_no_data_everywhere_is_refused(small, small_pairs, prepare_config):
    for path in small_pairs.glob("*.tif"):
        image = tifffile.imread(path)
        image[::2] = 0
        tifffile.imwrite(path, image)
    with pytest.raises(
        InputError, match="every patch has more than 5 % no-data pixels: give curation.patches.max_no_data=NUMBER"
    ):
        run(prepare_config(*small))
