"""Every remedy of a curation is taken as it is printed, and mends what it says."""

import dataclasses
import errno
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from rich.console import Console

from conftest import small_field, write_pair
from jimt.curation import curate as curating
from jimt.curation import empty_filter
from jimt.curation import hand_labels_only as only
from jimt.curation.curate import find_raw_images
from jimt.curation.fluorescence import label_values
from jimt.curation.found import describe_finding
from jimt.curation.hand_label_pool import hand_labels_of_others, hand_labels_path, save_hand_labelled
from jimt.curation.hand_labels_only import keep_hand_labels_of
from jimt.curation.labels import fit_label_thresholds
from jimt.curation.manifest import MANIFEST, SUMMARY, read_beside, read_manifest
from jimt.curation.splits import Fold, folds_of, split_by_fold
from jimt.data.datamodule import LiveDeadDataModule
from jimt.data.preparation import OtherDataset, prepare
from jimt.synthetic import simulate_dataset
from jimt.system.files import read_json
from remedies import Lab, Place, check, composed_prepare, composed_train, marked

TINY_PATCHES = ["curation.patches.size=32", "curation.patches.stride=32", "curation.n_jobs=1"]
CUT_OFFS = ["curation.label.live_below=300", "curation.label.dead_above=450"]
FIT = ["curation.label.live_below=null", "curation.label.dead_above=null", "curation.label.min_patches=10"]
NAMES = "'--{well:w}--{position:w}--{z:w}--{t:w}--{channel}.tif'"


def pairs(lab: Lab, name: str = "no_treatment") -> list[str]:
    """Overrides of six fields of six patches."""
    root = lab.tmp_path / name
    rng = np.random.default_rng(0)
    for well in range(1, 7):
        raw_image_id = f"--W{well:05d}--P00001--Z00000--T00000"
        write_pair(root, raw_image_id, small_field(rng, width=96, height=64))
    off = "curation.empty_filter.enabled=false"
    return [f"dataset={name}", f"dataset.root={root}", *TINY_PATCHES, *CUT_OFFS, off]


def look(patches: np.ndarray) -> np.ndarray:
    """Two features of a patch, which tell those of nothing but background."""
    return np.log(np.stack([patches.std((1, 2)), patches.mean(1).std(1)], axis=1) + 0.1).astype(np.float32)


def curates(*overrides: str) -> Path:
    return curating.curate(*composed_prepare(*overrides), embed=look, console=Console(quiet=True))


def types_in(given: list[str], words: list[str]) -> None:
    """``python prepare.py`` with the overrides of a small data set before its own."""
    assert words[:2] == ["python", "prepare.py"]
    does = keep_hand_labels_of if "hand_labels_only=true" in words else curating.curate
    does(*composed_prepare(*given, *words[2:]), embed=look, console=Console(quiet=True))


def finds(*overrides: str) -> None:
    dataset, curation = composed_prepare(*overrides)
    describe_finding(find_raw_images(dataset, curation, Path(dataset.root)))


def every_image(root: Path, change) -> None:
    for path in root.glob("*.tif"):
        tifffile.imwrite(path, change(tifffile.imread(path)))


# ---- the folder of the curation


def of_a_curation(lab: Lab) -> None:
    given = pairs(lab)
    inside = f"curation.output_root={lab.tmp_path / 'no_treatment/curated'}"
    lab.mends(curates, *given, inside, fill={"FOLDER": "elsewhere"})

    def another_process(folder: Path, _: object) -> None:
        if folder.parent.name == "shared":
            summary = json.loads((folder / SUMMARY).read_text())
            (folder / SUMMARY).write_text(json.dumps(summary | {"fingerprint": "another"}))

    lab.monkeypatch.setattr(curating, "_print_results", another_process)
    lab.mends(curates, *given, "curation.output_root=shared", fill={"FOLDER": "own"})


def of_a_full_disk(lab: Lab) -> None:
    runs = curating.run_pipeline

    def fills_up(*arguments: object) -> None:
        if "full" in str(arguments[6]):
            raise OSError(errno.ENOSPC, "No space left on device")
        runs(*arguments)  # type: ignore[arg-type]

    lab.monkeypatch.setattr(curating, "run_pipeline", fills_up)
    lab.mends(curates, *pairs(lab), "curation.output_root=full", fill={"FOLDER": "elsewhere"})


def of_a_range_to_fit_on(lab: Lab) -> None:
    curates(*pairs(lab), *FIT)
    lab.mends(curates, *pairs(lab, "doxo"), *FIT, "curation.label.fit_range=[0,4000]")


def of_another_that_cannot_be_curated(lab: Lab) -> None:
    first = [*pairs(lab), *FIT]
    (lab.tmp_path / "no_treatment/--W00001--P00001--Z00000--T00000--PI.tif").write_bytes(b"")

    def prepares(*overrides: str) -> None:
        prepare(*composed_prepare(*overrides), config_of=lambda name: OtherDataset(*composed_prepare(*first), False))

    lab.mends(prepares, *pairs(lab, "doxo"), *FIT, types=partial(types_in, first))


def of_thresholds_of_another(lab: Lab) -> None:
    first = [*pairs(lab), *FIT]
    second = [*pairs(lab, "doxo"), *FIT]
    curates(*first)
    scale = "curation.label.scale=background_subtracted"
    lab.mends(curates, *second, scale, types=partial(types_in, first))


def of_a_curation_that_is_missing(lab: Lab) -> None:
    path = Path("data/curated/no_treatment") / MANIFEST
    lab.mends(lambda: read_manifest(path), types=partial(types_in, pairs(lab)))


def of_a_file_of_values(lab: Lab) -> None:
    summary = Path("data/curated/no_treatment") / SUMMARY
    lab.mends(lambda: read_beside(summary), types=partial(types_in, pairs(lab)))
    path = lab.tmp_path / "values.json"
    for damaged in ("{", "[]"):
        path.write_text(damaged)
        lab.mends(lambda: read_json(path, remedies=("python prepare.py",)), types=lambda words: path.write_text("{}"))


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


def patches(lab: Lab, *folders: str, side: int = 32) -> list[str]:
    """Overrides of published patches, two of each class in each folder."""
    rng = np.random.default_rng(0)
    for folder in folders:
        for label, spread in (("live", 10), ("dead", 60)):
            for number in range(2):
                path = lab.tmp_path / "published" / folder / label / f"{folder or 'all'}{number}_{label}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(path, rng.normal(2000, spread, (side, side)).astype(np.uint16))
    off = "curation.empty_filter.enabled=false"
    words = ["dataset=no_treatment", "dataset.layout=patches", "dataset.pattern=null"]
    return [*words, f"dataset.root={lab.tmp_path / 'published'}", *TINY_PATCHES, off]


BY_NUMBER = r"'(?P<raw_image_id>(?P<group>[a-z]+\d)_)'"


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
        rest = {
            "batch_size": 4,
            "accumulate": 1,
            "eval_batch_size": 4,
            "num_workers": 0,
            "seed": 0,
            "fold": None,
            "repeats": False,
        }
        settings = {"mean": (0.5,) * 3, "std": (0.5,) * 3} | rest
        LiveDeadDataModule(config.dataset, config.curation, config.augmentation, **settings).setup("fit")

    with pytest.warns(UserWarning, match="nothing tells which raw image"):
        lab.mends(sets_up, *patches(lab, "train", "val", "test"), fill={"PATTERN": BY_NUMBER})


# ---- what images hold


def of_a_bad_image(lab: Lab) -> None:
    given = pairs(lab)
    (lab.tmp_path / "no_treatment/--W00001--P00001--Z00000--T00000--PI.tif").write_bytes(b"")
    lab.mends(curates, *given)


def of_channels_of_a_stack(lab: Lab) -> None:
    lab.mends(curates, *stacks(lab), "dataset.layout=stack", "dataset.fluorescence_index=5", fill=STACK)


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


# ---- labels


def fits(values: dict[str, np.ndarray], *overrides: str) -> None:
    dataset, curation = composed_prepare("dataset=no_treatment", *overrides)
    label = curation.label
    if label.live_below is not None or label.fit_on != dataset.name:
        return
    names = ("n_sigma", "n_init", "tolerance", "min_patches", "min_weight", "fit_range")
    settings = {name: getattr(label, name) for name in names}
    of = values.get(label.scale, values.get(dataset.fluorescence))
    assert of is not None
    fit_label_thresholds(of, **settings, seed=0)


def two_kinds(live: int, dead: int, *, sd: float = 10.0, apart: float = 300.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(200, sd, live), rng.normal(200 + apart, sd, dead)])


def of_a_mixture(lab: Lab) -> None:
    fill = {"WORD": "PI", "NUMBER": "300"}
    few, many = {"raw": two_kinds(5, 5)}, {"raw": two_kinds(100, 100)}
    lab.mends(partial(fits, few), fill=fill)
    lab.mends(partial(fits, many), "curation.label.fit_range=[0,10]", fill=fill)
    constant = {"G": np.full(200, 7.0), "PI": two_kinds(100, 100)}
    lab.mends(partial(fits, constant), "dataset.fluorescence=G", fill=fill)


def of_its_components(lab: Lab) -> None:
    fill = {"NUMBER": "300", "NAME": "doxo", "LOW": "0", "HIGH": "600"}
    rng = np.random.default_rng(0)
    debris = np.concatenate([two_kinds(300, 300), rng.normal(60000, 5, 6)])
    lab.mends(partial(fits, {"raw": debris}), "curation.label.fit_range=[0,99999]", fill=fill)
    crossing = {"raw": two_kinds(200, 200, sd=30, apart=100), "log_background_ratio": two_kinds(200, 200)}
    lab.mends(partial(fits, crossing), "curation.label.n_sigma=2", fill=fill)


def of_outliers(lab: Lab) -> None:
    rng = np.random.default_rng(0)
    far = np.concatenate([two_kinds(300, 300), rng.normal(20000, 300, 30)])
    lab.mends(partial(fits, {"raw": far, "log_background_ratio": two_kinds(300, 300)}))


def of_a_background_of_zero(lab: Lab) -> None:
    def values(*overrides: str) -> None:
        label = composed_prepare(*overrides)[1].label
        background = np.percentile([0, 0, 5, 9], label.background_percentile)
        label_values(np.array([100.0]), np.array([background]), scale=label.scale)

    lowest = "curation.label.background_percentile=0"
    lab.mends(values, "curation.label.scale=log_background_ratio", lowest, fill={"NUMBER": "90"})


def of_outliers_that_were_left_out(lab: Lab) -> None:
    given = [*pairs(lab), *FIT]
    root = lab.tmp_path / "no_treatment"
    path = root / "--W00001--P00001--Z00000--T00000--PI.tif"
    image = tifffile.imread(path)
    image[:32, 64:96] = 3900
    tifffile.imwrite(path, image)
    few = "curation.label.min_weight=0.1"
    lab.mends(curates, *given, few, fill={"LOW": "0", "HIGH": "1000"})


def of_no_data(lab: Lab) -> None:
    given = pairs(lab)
    every_image(lab.tmp_path / "no_treatment", lambda image: np.where(np.arange(len(image))[:, None] % 2, image, 0))
    lab.mends(curates, *given, fill={"NUMBER": "0.6"})


# ---- splits


def manifest_of(groups: list[str | None], labels: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"group": groups, "label": labels, "split": "train"})


def of_folds(lab: Lab) -> None:
    known = manifest_of(["a", "b", "c"] * 2, [0, 0, 0, 1, 1, 1])
    unknown = known.assign(group=None)

    def folds(*overrides: str) -> None:
        config = composed_train("run_dir=run", *overrides, name="crossval")
        folds_of(unknown if config.dataset.pattern is None else known, n_folds=config.crossval.n_folds)

    lab.mends(folds, "dataset=no_treatment", "crossval.n_folds=5")
    published = "dataset=no_treatment", "dataset.layout=patches", "dataset.pattern=null", "crossval.n_folds=3"
    lab.mends(folds, *published, fill={"PATTERN": BY_NUMBER})


def of_a_fold(lab: Lab) -> None:
    manifest = manifest_of([*"abcdef"], [0, 1, 0, 1, 0, 1])

    def splits(*overrides: str) -> None:
        config = composed_train(
            "run_dir=run", "crossval.n_folds=6", "crossval.validation=true", *overrides, name="crossval"
        )
        n_folds = config.crossval.n_folds
        split_by_fold(manifest, Fold(n_folds, 0, 1 if config.crossval.validation else None))

    lab.mends(splits)


# ---- the empty filter


def labelled(lab: Lab, name: str = "no_treatment", *, words: tuple[str, str] = ("bare", "cells")) -> list[str]:
    given = [each for each in pairs(lab, name) if "empty_filter" not in each]
    rows = [
        (f"--W{well:05d}--P00001--Z00000--T00000", y, x, words[int(y > 0)])
        for well in range(1, 7)
        for y in (0, 32)
        for x in (0, 32)
    ]
    for path in (lab.tmp_path / name).glob("*--Trans.tif"):
        image = tifffile.imread(path)
        image[:32] = 2000 + image[:32] // 1000  # nothing but background
        tifffile.imwrite(path, image)
    table = pd.DataFrame(rows, columns=["raw_image_id", "y", "x", "label"])
    table.to_csv(lab.tmp_path / f"{name}.csv", index=False)
    labels = f"dataset.empty_labels={lab.tmp_path / name}.csv"
    either = ["dataset.empty_word=bare", "dataset.not_empty_word=cells", labels]
    return [*given, *either, "curation.empty_filter.weights=random", f"curation.empty_filter.fit_on=[{name}]"]


def of_hand_labels_of_one_kind(lab: Lab) -> None:
    lab.mends(curates, *labelled(lab, words=("cells", "cells")))


def of_hand_labels_that_are_missing(lab: Lab) -> None:
    lab.mends(curates, *labelled(lab), "dataset.empty_labels=nowhere.csv")


def of_words(lab: Lab) -> None:
    fill = {
        "dataset.empty_word=WORD dataset.not_empty_word=WORD": "dataset.empty_word=bare dataset.not_empty_word=cells"
    }
    lab.mends(curates, *labelled(lab), "dataset.empty_word=leer", fill=fill)


def of_no_hand_labels(lab: Lab) -> None:
    given = labelled(lab)
    lab.mends(curates, *given, "dataset.empty_labels=null", fill={"FILE": str(lab.tmp_path / "no_treatment.csv")})
    few = lab.mends(curates, *given)
    assert few.text.startswith("label more patches by hand")


def of_hand_labels_of_another(lab: Lab) -> None:
    both = "curation.empty_filter.fit_on=[no_treatment,doxo]"
    first, second = [*labelled(lab), both], [*labelled(lab, "doxo"), both]
    path = hand_labels_path(Path("data/curated"), "doxo")

    def others(*overrides: str) -> None:
        hand_labels_of_others(*composed_prepare(*overrides))

    keeps = partial(types_in, second)
    lab.mends(others, *first, types=keeps)
    path.write_bytes(b"PK")
    lab.mends(others, *first, types=keeps)
    kept, _ = hand_labels_of_others(*composed_prepare(*first))
    assert kept is not None
    save_hand_labelled(path, dataclasses.replace(kept["doxo"], dataset="elsewhere"))
    lab.mends(others, *first, types=keeps)
    lab.mends(others, *first, "curation.empty_filter.backbone=resnet34", types=keeps)
    weights = lab.tmp_path / "weights.pth"
    weights.write_bytes(b"one")
    of_a_file = f"curation.empty_filter.weights={weights}"
    keeps(["python", "prepare.py", "dataset=doxo", "hand_labels_only=true", of_a_file])
    weights.write_bytes(b"another")
    lab.mends(others, *first, of_a_file, types=keeps)


def of_a_data_set_without_among_some_with(lab: Lab) -> None:
    both = "curation.empty_filter.fit_on=[no_treatment,doxo]"
    first, second = [*labelled(lab), both], [*labelled(lab, "doxo"), both]
    types_in(second, ["python", "prepare.py", "dataset=doxo", "hand_labels_only=true"])

    def others(*overrides: str) -> None:
        hand_labels_of_others(*composed_prepare(*overrides))

    lab.mends(others, *first, "dataset.empty_labels=null", fill={"FILE": str(lab.tmp_path / "no_treatment.csv")})


def of_hand_labels_only(lab: Lab) -> None:
    def keeps(*overrides: str) -> None:
        types_in([], ["python", "prepare.py", *overrides])

    given = [*labelled(lab), "hand_labels_only=true"]
    lab.mends(keeps, *given, "curation.empty_filter.enabled=false")
    lab.mends(keeps, *given, "dataset.empty_labels=null", fill={"FILE": str(lab.tmp_path / "no_treatment.csv")})
    kept = only.keep_hand_labels

    def fills_up(dataset, curation, finding, partial_folder, *rest):
        if "full" in str(partial_folder):
            raise OSError(errno.ENOSPC, "No space left on device")
        return kept(dataset, curation, finding, partial_folder, *rest)

    lab.monkeypatch.setattr(only, "keep_hand_labels", fills_up)
    lab.mends(keeps, *given, "curation.output_root=full", fill={"FOLDER": "elsewhere"})


def of_a_filter_that_passes_none(lab: Lab) -> None:
    lab.monkeypatch.setattr(empty_filter, "empty_scores", lambda _, features: np.ones(len(features)))
    lab.mends(curates, *labelled(lab))


RUNS: dict[Place, object] = {
    ("curation/curate.py", "curate"): of_a_curation,
    ("curation/curate.py", "refuse_few_groups"): of_few_groups,
    ("curation/finding.py", "find_stacks"): of_pairs_read_as_stacks,
    ("curation/curate.py", "_replace"): of_a_full_disk,
    ("curation/reference_thresholds.py", "reference_thresholds"): of_thresholds_of_another,
    ("curation/reference_thresholds.py", "thresholds_from"): of_a_range_to_fit_on,
    ("data/preparation.py", "_told_of"): of_another_that_cannot_be_curated,
    ("curation/manifest.py", "read_manifest"): of_a_curation_that_is_missing,
    ("system/files.py", "read_json"): of_a_file_of_values,
    ("curation/finding.py", "leave_out"): of_what_is_left_out,
    ("curation/file_names.py", "read_names"): of_names,
    ("curation/finding.py", "find_pairs"): of_channels,
    ("curation/published_patches.py", "find_patches"): of_published_patches,
    ("curation/published_patches.py", "_split_of_folders"): of_a_folder_that_may_be_a_split,
    ("curation/found.py", "describe_finding"): of_files_passed_over,
    ("curation/listing.py", "list_files"): of_folders,
    ("curation/read_stage.py", "read_usable"): of_a_bad_image,
    ("curation/label_stage.py", "label_patches_of"): of_no_data,
    ("curation/images.py", "read_channels"): of_channels_of_a_stack,
    ("curation/images.py", "check_pair"): of_images_below_a_patch,
    ("curation/reading.py", "_read"): of_published_patches_of_another_size,
    ("curation/tiff.py", "read_tiff_page"): of_several_pages,
    ("curation/patches.py", "to_8_bit"): of_floating_point,
    ("curation/payload.py", "check_bits"): of_bits,
    ("curation/payload.py", "_shifted"): of_a_shift,
    ("curation/exchanged.py", "describe_exchanged"): of_exchanged_channels,
    ("curation/labels.py", "fit_label_thresholds"): of_a_mixture,
    ("curation/labels.py", "_check"): of_its_components,
    ("curation/labels.py", "_hang_on"): of_outliers,
    ("curation/fluorescence.py", "label_values"): of_a_background_of_zero,
    ("curation/summary.py", "describe"): of_unknown_groups,
    ("curation/summary.py", "_describe_unused_bits"): of_unused_bits,
    ("curation/summary.py", "_describe_outliers"): of_outliers_that_were_left_out,
    ("curation/summary.py", "_describe_filter"): of_no_hand_labels,
    ("curation/splits.py", "folds_of"): of_folds,
    ("curation/splits.py", "split_by_fold"): of_a_fold,
    ("curation/splits.py", "check_both_classes"): of_a_class_that_a_folder_lacks,
    ("curation/splits.py", "check_no_leak"): of_a_leak,
    ("curation/empty_filter.py", "fit_empty_filter"): of_hand_labels_of_one_kind,
    ("curation/hand_label_pool.py", "load_hand_labelled"): of_hand_labels_of_another,
    ("curation/hand_label_pool.py", "hand_labels_of_others"): of_a_data_set_without_among_some_with,
    ("curation/hand_labels_only.py", "keep_hand_labels_of"): of_hand_labels_only,
    ("curation/hand_labels.py", "read_hand_labels"): of_hand_labels_that_are_missing,
    ("curation/hand_labels.py", "_with_words"): of_words,
    ("curation/filter_stage.py", "drop_empty"): of_a_filter_that_passes_none,
    ("data/datamodule.py", "LiveDeadDataModule.setup"): of_unknown_groups_in_training,
}


SLOW: set[Place] = {  # several curations each
    ("curation/hand_label_pool.py", "load_hand_labelled"),
    ("curation/hand_labels_only.py", "keep_hand_labels_of"),
    ("curation/summary.py", "_describe_filter"),
    ("curation/listing.py", "list_files"),
    ("curation/reference_thresholds.py", "reference_thresholds"),
    ("data/datamodule.py", "LiveDeadDataModule.setup"),
}


@pytest.mark.parametrize("place", marked(RUNS, SLOW), ids=":".join)
def test_each_remedy_is_taken_and_mends_what_it_says(place, request):
    check(place, RUNS[place], request)
