"""Every remedy of labels and of the empty filter is taken as it is printed, and mends what it says."""

import dataclasses
import errno
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from curations import (
    CUT_OFFS,
    FIT,
    curates,
    every_image,
    pairs,
    types_in,
)
from jimt.curation import filter_stage
from jimt.curation import hand_labels_only as only
from jimt.curation.field_fluorescence import label_values
from jimt.curation.hand_label_pool import hand_labels_of_others, hand_labels_path, save_hand_labelled
from jimt.curation.label_stage import reference_thresholds
from jimt.curation.labels import fit_label_thresholds, split_zero_inflated
from remedies import Lab, Place, check, composed_prepare, marked

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
    constant = {"G": np.full(200, 7.0), "PI": two_kinds(100, 100)}
    lab.mends(partial(fits, constant), "dataset.fluorescence=G", fill=fill)


def of_too_few_patches(lab: Lab) -> None:
    fill = {"NUMBER": "300"}
    few, many = {"raw": two_kinds(5, 5)}, {"raw": two_kinds(100, 100)}
    lab.mends(partial(fits, few), fill=fill)
    lab.mends(partial(fits, many), "curation.label.fit_range=[0,10]", fill=fill)


def of_patches_of_one_kind(lab: Lab) -> None:
    def splits(*overrides: str) -> None:
        dataset, curation = composed_prepare("dataset=no_treatment", *overrides)
        label = curation.label
        if label.live_below is None and label.fit_on == dataset.name:
            shared = {name: getattr(label, name) for name in ("n_sigma", "min_patches", "min_weight")}
            split_zero_inflated(np.zeros(200), least=0.06, power=2, **shared)

    lab.mends(splits, fill={"NUMBER": "0.3", "NAME": "doxo"})


def counted(lab: Lab, *names: str) -> str:
    path = lab.tmp_path / "cells.csv"
    path.write_text("raw_image_id,y,x,dead\n" + "".join(f"{name},5,5,1\n{name},5,40,0\n" for name in names))
    return str(path)


def of_a_table_of_cells_that_is_missing(lab: Lab) -> None:
    lab.mends(curates, *pairs(lab), *FIT, "dataset.cells=nowhere.csv")


def of_cells_of_nothing_here(lab: Lab) -> None:
    given = [*pairs(lab), *FIT]
    lab.mends(curates, *given, f"dataset.cells={counted(lab, 'elsewhere')}")
    outside = Path(counted(lab, "--W00001--P00001--Z00000--T00000"))
    outside.write_text(outside.read_text().replace(",5,", ",500,"))
    lab.mends(curates, *given, f"dataset.cells={outside}")
    table = counted(lab, *(f"--W{well:05d}--P00001--Z00000--T00000" for well in range(1, 7)))
    by_cells = [each for each in given if not each.startswith("curation.label.")]
    lab.mends(curates, *by_cells, "curation.label.scale=cells", fill={"FILE": table})


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


def of_a_mean_of_zero(lab: Lab) -> None:
    def values(*overrides: str) -> None:
        scale = composed_prepare(*overrides)[1].label.scale
        label_values(np.array([0.0]), np.array([10.0]), scale=scale)

    lab.mends(values, "curation.label.scale=log_background_ratio")


def of_nuclei_that_no_stain_shows(lab: Lab) -> None:
    def asks(*overrides: str) -> None:
        reference_thresholds(*composed_prepare(*overrides))

    given = ["dataset=no_treatment", *CUT_OFFS, "curation.label.scale=nuclei"]
    lab.mends(asks, *given, fill={"WORD": "DAPI"})
    lab.mends(asks, *given, "dataset.layout=stack", fill={"NUMBER": "2"})


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
    keeps(["jimt", "prepare", "dataset=doxo", "hand_labels_only=true", of_a_file])
    weights.write_bytes(b"another")
    lab.mends(others, *first, of_a_file, types=keeps)


def of_a_data_set_without_among_some_with(lab: Lab) -> None:
    both = "curation.empty_filter.fit_on=[no_treatment,doxo]"
    first, second = [*labelled(lab), both], [*labelled(lab, "doxo"), both]
    types_in(second, ["jimt", "prepare", "dataset=doxo", "hand_labels_only=true"])

    def others(*overrides: str) -> None:
        hand_labels_of_others(*composed_prepare(*overrides))

    lab.mends(others, *first, "dataset.empty_labels=null", fill={"FILE": str(lab.tmp_path / "no_treatment.csv")})


def of_hand_labels_only(lab: Lab) -> None:
    def keeps(*overrides: str) -> None:
        types_in([], ["jimt", "prepare", *overrides])

    given = [*labelled(lab), "hand_labels_only=true"]
    lab.mends(keeps, *given, "curation.empty_filter.enabled=false")
    lab.mends(keeps, *given, "dataset.empty_labels=null", fill={"FILE": str(lab.tmp_path / "no_treatment.csv")})
    kept = only.read_usable

    def fills_up(dataset, curation, finding, partial_folder, *rest):
        if "full" in str(partial_folder):
            raise OSError(errno.ENOSPC, "No space left on device")
        return kept(dataset, curation, finding, partial_folder, *rest)

    lab.monkeypatch.setattr(only, "read_usable", fills_up)
    lab.mends(keeps, *given, "curation.output_root=full", fill={"FOLDER": "elsewhere"})


def of_a_filter_that_passes_none(lab: Lab) -> None:
    lab.monkeypatch.setattr(filter_stage, "empty_scores", lambda _, features: np.ones(len(features)))
    lab.mends(curates, *labelled(lab))


RUNS: dict[Place, object] = {
    ("curation/label_stage.py", "label_patches_of"): of_no_data,
    ("curation/labels.py", "fit_label_thresholds"): of_a_mixture,
    ("curation/labels.py", "_too_few"): of_too_few_patches,
    ("curation/labels.py", "_of_one_kind"): of_patches_of_one_kind,
    ("curation/counted_cells.py", "read_cells"): of_a_table_of_cells_that_is_missing,
    ("curation/pipeline.py", "_count_cells"): of_cells_of_nothing_here,
    ("curation/labels.py", "_check"): of_its_components,
    ("curation/labels.py", "_hang_on"): of_outliers,
    ("curation/field_fluorescence.py", "label_values"): of_a_mean_of_zero,
    ("curation/field_fluorescence.py", "refuse_no_background"): of_a_background_of_zero,
    ("curation/label_stage.py", "_refuse_without_nuclei"): of_nuclei_that_no_stain_shows,
    ("curation/summary.py", "_describe_outliers"): of_outliers_that_were_left_out,
    ("curation/summary.py", "_describe_filter"): of_no_hand_labels,
    ("curation/empty_filter.py", "fit_empty_filter"): of_hand_labels_of_one_kind,
    ("curation/hand_label_pool.py", "load_hand_labelled"): of_hand_labels_of_another,
    ("curation/hand_label_pool.py", "hand_labels_of_others"): of_a_data_set_without_among_some_with,
    ("curation/hand_labels_only.py", "keep_hand_labels_of"): of_hand_labels_only,
    ("curation/hand_labels.py", "read_hand_labels"): of_hand_labels_that_are_missing,
    ("curation/hand_labels.py", "_with_words"): of_words,
    ("curation/filter_stage.py", "drop_empty"): of_a_filter_that_passes_none,
}


SLOW: set[Place] = {  # several curations each
    ("curation/hand_label_pool.py", "load_hand_labelled"),
    ("curation/hand_labels_only.py", "keep_hand_labels_of"),
    ("curation/summary.py", "_describe_filter"),
}


@pytest.mark.parametrize("place", marked(RUNS, SLOW), ids=":".join)
def test_each_remedy_is_taken_and_mends_what_it_says(place, request):
    check(place, RUNS[place], request)
