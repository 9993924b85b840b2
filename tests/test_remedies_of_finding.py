"""Every remedy of what a folder and its images hold is taken as it is printed, and mends what it says."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from curations import BY_NUMBER, CUT_OFFS, FIT, NAMES, TINY_PATCHES, curates, every_image, finds, pairs, patches
from jimt.data.datamodule import open_for_training
from jimt.data.preparation import prepare
from jimt.synthetic import simulate_dataset
from remedies import Lab, Place, check, composed_prepare, composed_train, marked

# ---- names and folders


def of_what_is_left_out(lab: Lab) -> None:
    lab.mends(finds, *pairs(lab), "dataset.leave_out='*'")


def of_pairs_read_as_stacks(lab: Lab) -> None:
    given = pairs(lab)
    lab.mends(finds, *given, "dataset.layout=stack")


def of_few_groups(lab: Lab) -> None:
    """Two plates of three wells each."""
    given = pairs(lab)
    root = lab.tmp_path / "no_treatment"
    for path in sorted(root.glob("*.tif")):
        well, channel = int(path.name[3:8]), path.stem.rpartition("-")[2]
        to = root / f"plate{well % 2}" / f"W{well}_{channel}.tif"
        to.parent.mkdir(exist_ok=True)
        path.rename(to)
    pattern = "dataset.pattern='{plate}/{well}_{channel}.tif'"
    lab.mends(curates, *given, pattern, "dataset.group=[plate]")


def of_names(lab: Lab) -> None:
    lab.mends(finds, *pairs(lab), "dataset.pattern='{well}_{channel}.png'", fill={"PATTERN": NAMES})


def of_channels(lab: Lab) -> None:
    lab.mends(finds, *pairs(lab), "dataset.fluorescence=GFP", fill={"WORD": "PI"})


def of_files_passed_over(lab: Lab) -> None:
    given = pairs(lab)
    for number in range(4):
        tifffile.imwrite(lab.tmp_path / f"no_treatment/thumb{number}.tif", np.zeros((4, 4), np.uint8))
    lab.mends(finds, *given, fill={"PATTERN": "'thumb*'"})
    by_round = lab.tmp_path / "rounds"
    for path in sorted((lab.tmp_path / "no_treatment").glob("*--*.tif")):
        for number in range(2):
            to = by_round / f"round{number}" / f"{path.name[2:8]}_t{number}_{path.stem.rpartition('--')[2]}.tif"
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)
    given += [f"dataset.root={by_round}", "dataset.pattern='{group}/{well}_t{time}_{channel}.tif'"]
    lab.mends(finds, *given, fill={"PATTERN": "'{round}/{well}_t{time}_{channel}.tif'"})


def of_times_of_a_position(lab: Lab) -> None:
    given = pairs(lab)
    for path in sorted((lab.tmp_path / "no_treatment").glob("*.tif")):
        shutil.copy(path, path.with_name(path.name.replace("T00000", "T00001")))
    pattern = "dataset.pattern='--{well:w}--{position:w}--{z:w}--{time:w}--{channel}.tif'"
    lab.mends(finds, *given, pattern, "dataset.group=[well,time]")


def of_folders(lab: Lab) -> None:
    given = pairs(lab)
    (lab.tmp_path / "empty").mkdir()
    for folder in ("nowhere", "empty"):
        lab.mends(finds, *given, f"dataset.root={folder}", fill={"FOLDER": str(lab.tmp_path / "no_treatment")})
    simulated = ["dataset.simulation.n_wells=3", "dataset.simulation.fields_per_well=1", *TINY_PATCHES]
    simulated += ["dataset.root=simulated", *CUT_OFFS, "curation.empty_filter.enabled=false"]

    def simulates(words: list[str]) -> None:
        lab.monkeypatch.setattr("jimt.data.preparation.curate", lambda *_, **__: Path())
        prepare(*composed_prepare(*words[2:], *simulated))

    lab.mends(finds, "dataset=synthetic", *simulated, types=simulates)


def of_published_patches(lab: Lab) -> None:
    given = patches(lab, "train", "val", "test")
    words = "dataset.live_folder=alive", "dataset.dead_folder=gone"
    found = {"dataset.live_folder=WORD dataset.dead_folder=WORD": "dataset.live_folder=live dataset.dead_folder=dead"}
    lab.mends(finds, *given, *words, fill=found)
    shutil.copytree(lab.tmp_path / "published/train", lab.tmp_path / "published/more")
    lab.mends(finds, *given, "curation.split.keep_folders=true")


def of_a_folder_that_may_be_a_split(lab: Lab) -> None:
    given = patches(lab, "train", "val", "test", "test2")
    lab.mends(finds, *given, "curation.split.keep_folders=true")


def of_a_class_that_a_folder_lacks(lab: Lab) -> None:
    given = patches(lab, "train", "val", "test", "test2")
    shutil.rmtree(lab.tmp_path / "published/test/live")
    shutil.rmtree(lab.tmp_path / "published/test2")
    lab.mends(curates, *given, "curation.split.keep_folders=true")


def of_a_leak(lab: Lab) -> None:
    given = patches(lab, "train", "val", "test")
    for path in sorted((lab.tmp_path / "published").rglob("val?_*.tif")):
        path.rename(path.with_name(path.name.replace("val", "train")))
    lab.mends(curates, *given, f"dataset.pattern={BY_NUMBER}", "curation.split.keep_folders=true")


def of_unknown_groups(lab: Lab) -> None:
    lab.mends(curates, *patches(lab, "train", "val", "test"), fill={"PATTERN": BY_NUMBER})


def of_unknown_groups_in_training(lab: Lab) -> None:
    def sets_up(*overrides: str) -> None:
        curates(*overrides)
        config = composed_train(*overrides, "run_dir=run")
        open_for_training(Path(config.curation.output_root) / config.dataset.name, fold=None)

    with pytest.warns(UserWarning, match="nothing tells which raw image"):
        lab.mends(sets_up, *patches(lab, "train", "val", "test"), fill={"PATTERN": BY_NUMBER})


# ---- what images hold


def of_raw_images_that_cannot_be_used(lab: Lab) -> None:
    lab.mends(curates, *patches(lab, "train", "val", "test"), "curation.align=true")
    given = pairs(lab)
    (lab.tmp_path / "no_treatment/--W00001--P00001--Z00000--T00000--PI.tif").write_bytes(b"")
    lab.mends(curates, *given)


def of_channels_of_a_stack(lab: Lab) -> None:
    given = [*stacks(lab), "dataset.layout=stack"]
    lab.mends(curates, *given, "dataset.fluorescence_index=5", fill=STACK)
    lab.mends(curates, *given, "dataset.nuclei_index=5")


STACK = {
    "dataset.brightfield_index=NUMBER dataset.fluorescence_index=NUMBER": (
        "dataset.brightfield_index=0 dataset.fluorescence_index=1"
    )
}


def stacks(lab: Lab) -> list[str]:
    given = pairs(lab)
    root = lab.tmp_path / "no_treatment"
    for path in root.glob("*--Trans.tif"):
        other = path.with_name(path.name.replace("Trans", "PI"))
        both = np.stack([tifffile.imread(path), tifffile.imread(other)])
        other.unlink()
        tifffile.imwrite(path, both, photometric="minisblack")
    return given


def of_several_pages(lab: Lab) -> None:
    given = stacks(lab)
    for path in (lab.tmp_path / "no_treatment").glob("*--Trans.tif"):
        shutil.copy(path, path.with_name(path.name.replace("Trans", "PI")))
    lab.mends(
        curates, *given, beside={"dataset.layout=stack": ("dataset.leave_out='--{w:w}--{p:w}--{z:w}--{t:w}--PI.tif'",)}
    )


def of_images_below_a_patch(lab: Lab) -> None:
    given = pairs(lab)
    smaller = {"NUMBER": "32"}
    lab.mends(curates, *given, "curation.patches.size=80", fill=smaller)


def of_published_patches_of_another_size(lab: Lab) -> None:
    given = patches(lab, "train", "val", "test", side=48)
    lab.mends(curates, *given, fill={"NUMBER": "48"})


def of_floating_point(lab: Lab) -> None:
    given = pairs(lab)
    every_image(lab.tmp_path / "no_treatment", lambda image: image.astype(np.float32) / 2)
    lab.mends(curates, *given, "curation.scaling.method=full_range", *FIT)


def of_bits(lab: Lab) -> None:
    given = pairs(lab)
    root = lab.tmp_path / "no_treatment"
    lab.mends(curates, *given, "dataset.bit_depth=8")
    every_image(root, lambda image: image << 4)
    lab.mends(curates, *given, "dataset.bit_depth=12")
    every_image(root, lambda image: (image >> 4) + 32768)
    lab.mends(curates, *given, "dataset.bit_depth=16")


def of_a_shift(lab: Lab) -> None:
    lab.mends(curates, *pairs(lab), "dataset.bit_depth=12", "dataset.bit_shift=4")


def of_unused_bits(lab: Lab) -> None:
    lab.mends(curates, *pairs(lab), "dataset.bit_depth=16", "curation.scaling.method=full_range")


def of_exchanged_channels(lab: Lab) -> None:
    size = {"height": 192, "width": 224, "patch_size": 64, "stride": 32}
    root = lab.tmp_path / "simulated"
    dead = {"difficulty": 0.5, "dead_fraction": 0.5}
    simulate_dataset(root, n_wells=3, fields_per_well=1, **size, **dead, seed=1, n_jobs=1)
    given = ["dataset=no_treatment", f"dataset.root={root}", "curation.n_jobs=1", "curation.empty_filter.enabled=false"]
    given += ["curation.patches.size=64", "curation.patches.stride=32"]
    given += ["curation.label.live_below=300", "curation.label.dead_above=300"]
    lab.mends(curates, *given, "dataset.bit_depth=16", "dataset.brightfield=PI", "dataset.fluorescence=Trans")


def of_channels_that_lie_apart(lab: Lab) -> None:
    root = lab.tmp_path / "simulated"
    size = {"height": 384, "width": 448, "patch_size": 64, "stride": 32}
    simulate_dataset(root, n_wells=3, fields_per_well=3, **size, difficulty=0.3, dead_fraction=0.7, seed=1, n_jobs=1)
    for path in root.glob("*PI.tif"):
        tifffile.imwrite(path, np.roll(tifffile.imread(path), 10, 0))
    given = ["dataset=no_treatment", f"dataset.root={root}", "dataset.bit_depth=16", "curation.n_jobs=1"]
    given += ["curation.patches.size=64", "curation.patches.stride=32", "curation.empty_filter.enabled=false"]
    lab.mends(curates, *given, "curation.label.live_below=300", "curation.label.dead_above=300")


RUNS: dict[Place, object] = {
    ("curation/curate.py", "refuse_few_groups"): of_few_groups,
    ("curation/finding.py", "find_stacks"): of_pairs_read_as_stacks,
    ("curation/finding.py", "leave_out"): of_what_is_left_out,
    ("curation/file_names.py", "read_names"): of_names,
    ("curation/file_names.py", "_check_times"): of_times_of_a_position,
    ("curation/finding.py", "find_pairs"): of_channels,
    ("curation/finding.py", "find_patches"): of_published_patches,
    ("curation/finding.py", "_split_of_folders"): of_a_folder_that_may_be_a_split,
    ("curation/found.py", "describe_finding"): of_files_passed_over,
    ("curation/listing.py", "list_files"): of_folders,
    ("curation/read_stage.py", "read_usable"): of_raw_images_that_cannot_be_used,
    ("curation/images.py", "read_channels"): of_channels_of_a_stack,
    ("curation/images.py", "check_pair"): of_images_below_a_patch,
    ("curation/channels.py", "read_images"): of_published_patches_of_another_size,
    ("curation/tiff.py", "read_tiff_page"): of_several_pages,
    ("curation/patches.py", "to_8_bit"): of_floating_point,
    ("curation/payload.py", "check_bits"): of_bits,
    ("curation/payload.py", "_shifted"): of_a_shift,
    ("curation/shift_consensus.py", "describe_shift"): of_channels_that_lie_apart,
    ("curation/exchanged.py", "describe_exchanged"): of_exchanged_channels,
    ("curation/summary.py", "describe"): of_unknown_groups,
    ("curation/summary.py", "_describe_unused_bits"): of_unused_bits,
    ("curation/splits.py", "check_both_classes"): of_a_class_that_a_folder_lacks,
    ("curation/splits.py", "check_no_leak"): of_a_leak,
    ("data/datamodule.py", "open_for_training"): of_unknown_groups_in_training,
}


SLOW: set[Place] = {  # several curations each
    ("curation/listing.py", "list_files"),
    ("data/datamodule.py", "open_for_training"),
}


@pytest.mark.parametrize("place", marked(RUNS, SLOW), ids=":".join)
def test_each_remedy_is_taken_and_mends_what_it_says(place, request):
    check(place, RUNS[place], request)
