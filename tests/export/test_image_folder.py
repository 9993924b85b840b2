"""``jimt export --dataset NAME --format imagefolder``: what is read back as ``layout/patches`` is what was written."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from conftest import composed_prepare
from jimt.curation.curate import curate
from jimt.curation.manifest import MANIFEST, Curated, open_curated
from jimt.export.export import main
from jimt.export.image_folder import write_image_folder
from jimt.vocabulary import LABEL_NAMES

NAMES = ("plain", "P1/A 01", "ünïcode 日本", "100%", 'quo"te:*?', "a@b", "x" * 80)
"""What groups and raw images may be called, by many patterns."""


def used(curated: Curated) -> pd.DataFrame:
    rows = curated.manifest
    return rows[rows["split"].notna()].astype({"split": str, "group": str, "raw_image_id": str})


def pixels(curated: Curated, row, size: int = 64) -> bytes:
    y, x = (0 if pd.isna(place) else int(place) for place in (row.y, row.x))
    return curated.store.field(row.field)[y : y + size, x : x + size].tobytes()


def described(curated: Curated) -> list[tuple]:
    """Of each patch its pixels, group, raw image, split and label, in an order of its own."""
    return sorted(
        (pixels(curated, row), row.group, row.raw_image_id, row.split, int(row.label))
        for row in used(curated).itertuples()
    )


def read_back(folder: Path) -> Curated:
    """The folder curated by the settings beside it, copied to where it says."""
    own = Path("jimt_conf/dataset")
    own.mkdir(parents=True)
    shutil.copy(folder / "dataset.yaml", own / "no_treatment_patches.yaml")
    where = ["curation.output_root=read_back", "curation.n_jobs=1"]
    dataset, curation = composed_prepare("dataset=no_treatment_patches", *where)
    return open_curated(curate(dataset, curation, embed=None, console=Console(quiet=True)))


@pytest.fixture
def curated(uneven) -> Curated:
    return open_curated(Path(composed_prepare(*uneven)[1].output_root) / "no_treatment")


def test_patches_groups_and_splits_are_read_back(curated, tmp_path):
    out = tmp_path / "out"
    main(["--dataset", "no_treatment", "--format", "imagefolder", "--curated", str(curated.folder), "--out", str(out)])
    assert described(read_back(out)) == described(curated)


def test_the_table_says_where_each_file_was_cut(curated, tmp_path):
    write_image_folder(curated.folder, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/patches.csv")
    assert len(table) == len(used(curated)) == len(list(tmp_path.glob("out/*/*/*.png")))
    rows = used(curated).set_index(["raw_image_id", "y", "x"])
    for line in table.itertuples():
        row = rows.loc[(line.raw_image_id, line.y, line.x)]
        assert (line.group, line.split, line.label) == (row["group"], row["split"], LABEL_NAMES[row["label"]])
        assert line.path.startswith(f"{line.split}/{line.label}/")
        image = cv2.imread(str(tmp_path / "out" / line.path), cv2.IMREAD_UNCHANGED)
        field = curated.store.field(row["field"])
        np.testing.assert_array_equal(image, field[line.y : line.y + 64, line.x : line.x + 64])


@pytest.mark.parametrize("seed", range(3))
def test_names_of_any_kind_are_told_apart(curated, tmp_path, seed):
    """Groups stay the same ones, whatever they are called; the table has their names as they are."""
    folder = Path(shutil.copytree(curated.folder, tmp_path / "curated"))
    manifest = pd.read_parquet(folder / MANIFEST)
    groups = sorted(manifest["group"].unique())
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    words = [f"{NAMES[number % len(NAMES)]} {'abcdefghijklmnop'[number]}" for number in order]
    called = dict(zip(groups, words, strict=True))
    manifest["group"] = manifest["group"].map(called)
    manifest["raw_image_id"] = "raw/" + manifest["group"].astype(str)
    manifest.to_parquet(folder / MANIFEST)
    renamed = open_curated(folder)
    write_image_folder(folder, tmp_path / "out")
    assert set(pd.read_csv(tmp_path / "out/patches.csv")["group"]) == set(used(renamed)["group"])
    for path in tmp_path.glob("out/*/*/*.png"):
        assert re.search(r'[<>:"/\\|?*]', path.name) is None  # what Windows takes in no name
    back = read_back(tmp_path / "out")

    def by_patch(of: Curated) -> dict[bytes, tuple[str, str]]:
        return {pixels(of, row): (row.group, row.split) for row in used(of).itertuples()}

    ours, theirs = by_patch(renamed), by_patch(back)
    assert ours.keys() == theirs.keys()
    assert all(ours[key][1] == theirs[key][1] for key in ours)
    pairs = {(ours[key][0], theirs[key][0]) for key in ours}
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})


def test_a_folder_that_holds_something_is_left_as_it_is(curated, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    with pytest.raises(SystemExit) as ended:
        main(["--dataset", "a", "--format", "imagefolder", "--curated", str(curated.folder), "--out", "out"])
    assert str(ended.value) == "error: out is there already: delete it, or give --out FOLDER"
    assert [path.name for path in tmp_path.glob("out/*")] == ["mine"]
