import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from jimt.curation.high_background import high_backgrounds
from jimt.curation.summary import count_stages, describe, table_row
from jimt.vocabulary import DEAD, LIVE, Excluded

# Table 1 of the paper, live and dead; the test row of No treatment as printed has the two exchanged
TOTALS = {"No treatment": (10_464, 11_384), "Doxo/Paclitaxel": (5_081, 51_551)}
RAW_IMAGES = {"No treatment": 339, "Doxo/Paclitaxel": 964}
SPLITS = {
    "No treatment": {"train": (8_680, 9_480), "val": (891, 925), "test": (893, 979)},
    "Doxo/Paclitaxel": {"train": (4_195, 42_966), "val": (437, 4_314), "test": (449, 4_271)},
}
PRINTED_TEST_ROW = (979, 893)


def manifest_of(splits: dict[str, tuple[int, int]]) -> pd.DataFrame:
    rows = [
        (split, label)
        for split, counts in splits.items()
        for label, count in zip((LIVE, DEAD), counts, strict=True)
        for _ in range(count)
    ]
    table = pd.DataFrame(rows, columns=["split", "label"])
    image = np.arange(len(table)) // 64
    table["raw_image_id"] = table["split"] + "-" + image.astype(str)
    table["group"] = table["split"] + "-" + (image // 4).astype(str)
    table["excluded"], table["label_value"] = None, 300.0
    return table


def printed(table) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize("name", TOTALS)
def test_the_splits_of_table_1_sum_to_its_totals(name):
    counts = count_stages(manifest_of(SPLITS[name]))
    assert (counts["live"], counts["dead"]) == TOTALS[name]
    for split, (live, dead) in SPLITS[name].items():
        assert (counts["splits"][split]["live"], counts["splits"][split]["dead"]) == (live, dead)


def test_the_test_row_as_printed_in_the_paper_breaks_the_sum():
    counts = count_stages(manifest_of(SPLITS["No treatment"] | {"test": PRINTED_TEST_ROW}))
    assert (counts["live"], counts["dead"]) == (10_550, 11_298)
    assert counts["live"] + counts["dead"] == sum(TOTALS["No treatment"])  # so the two were exchanged


@pytest.mark.parametrize("name", TOTALS)
def test_the_table_row_reads_as_table_1(name):
    summary = {"counts": count_stages(manifest_of(SPLITS[name])), "n_raw_images": RAW_IMAGES[name]}
    text = printed(table_row(name, summary))
    live_dead = [f"{live:,}/{dead:,}" for live, dead in [TOTALS[name], *SPLITS[name].values()]]
    row = next(line for line in text.splitlines() if name in line)
    numbers = row.replace(name, "").replace(" / ", "/").split()
    assert numbers == [f"{RAW_IMAGES[name]:,}", f"{sum(TOTALS[name]):,}", *live_dead]


def test_the_splits_of_the_paper_are_near_10_to_1_to_1():
    for name, splits in SPLITS.items():
        for label in (0, 1):
            assert splits["train"][label] / TOTALS[name][label] == pytest.approx(10 / 12, abs=0.02)


def test_raw_images_and_groups_of_each_split_are_counted_once():
    table = pd.DataFrame(
        {
            "split": ["train", "train", "train", "val", "test", "test", None],
            "label": [LIVE, LIVE, DEAD, DEAD, LIVE, DEAD, LIVE],
            "raw_image_id": ["a", "a", "b", "c", "d", "e", "f"],
            "group": ["w1", "w1", "w1", "w2", "w3", "w4", "w5"],
            "excluded": [None] * 6 + [Excluded.EMPTY.value],
            "label_value": 300.0,
        }
    )
    splits = count_stages(table)["splits"]
    assert splits["train"] == {"live": 2, "dead": 1, "raw_images": 2, "groups": 1}
    assert splits["val"] == {"live": 0, "dead": 1, "raw_images": 1, "groups": 1}
    assert splits["test"] == {"live": 1, "dead": 1, "raw_images": 2, "groups": 2}


def test_every_patch_is_used_or_excluded_for_a_reason_that_is_counted():
    used = manifest_of(SPLITS["No treatment"])
    reasons = ["no_data"] * 3 + ["empty"] * 5 + ["copy"] * 2 + ["ambiguous"] * 7
    left_out = pd.DataFrame({"excluded": reasons, "label": [None] * 10 + [-1] * 7, "raw_image_id": "x", "group": "x"})
    left_out["label_value"] = [np.nan] * 10 + [300.0] * 4 + [np.nan] * 3
    both = pd.concat([used.astype({"label": "Int8"}), left_out.astype({"label": "Int8"})], ignore_index=True)
    for column in ("split", "excluded", "raw_image_id", "group"):  # as the parquet file is read
        both[column] = both[column].astype("category")
    counts = count_stages(both)
    assert counts["n_patches"] == 21_848 + 17
    assert counts["excluded"] == {"no_data": 3, "empty": 5, "ambiguous": 7, "copy": 2}
    assert counts["without_cells"] == 3  # of the seven, where labels are of counted cells
    assert counts["live"] + counts["dead"] + sum(counts["excluded"].values()) == counts["n_patches"]


# ---- what a reader must know


def lines(**changes) -> str:
    summary = {
        "counts": count_stages(manifest_of({"train": (2, 2), "val": (1, 1), "test": (1, 1)})),
        "n_raw_images": 3,
        "masked_offset": 0,
        "unused_bits": 0,
        "bad_images": {},
        "copies": {"left_out": {}, "within_group": {}},
        "look_exchanged": [],
        "saturation": {"fields": 0},
        "pixel_size": {"um": None, "told_by": None, "warnings": []},
        "shift": None,
        "high_backgrounds": {},
        "nuclei": None,
        "cells": None,
        "label_audit": None,
        "config": {"dataset": {"layout": "pairs", "brightfield": "Trans", "fluorescence": "PI"}},
        "empty_filter": {"status": "off"},
        "group_known": True,
    }
    thresholds = {"source": "fitted on x", "scale": "raw", "live_below": 258.97, "dead_above": 396.89}
    return "\n".join(describe(summary | changes, changes.get("thresholds", thresholds)))


def test_a_curation_without_trouble_warns_of_nothing():
    text = lines()
    assert "WARNING" not in text
    assert "8 patches of 3 raw images" in text
    assert "live below 258.9700, dead above 396.8900 on the scale raw (fitted on x)" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bad_images": {"a.tif": "is missing", "b.tif": "is missing"}}, "2 bad raw images were skipped"),
        (
            {"copies": {"left_out": {"b.tif": "has the pixels of a.tif"}, "within_group": {}}},
            "patches of 1 raw images were left out as copies (listed in summary.json), for example b.tif: it has the",
        ),
        (
            {"copies": {"left_out": {}, "within_group": {"b.tif": "a.tif", "c.tif": "a.tif"}}},
            "2 raw images repeat others of the same group, so their patches count twice",
        ),
        ({"empty_filter": {"status": "no labels"}}, "the empty filter passed EVERY patch"),
        ({"look_exchanged": ["a"]}, "the channels look exchanged in 1 of 3 raw images, for example a"),
        ({"group_known": False}, "no split can be checked for leaks"),
    ],
)
def test_what_weakens_a_result_is_a_warning(changes, words):
    (warning,) = [line for line in lines(**changes).splitlines() if line.startswith("WARNING")]
    assert words in warning


def test_published_patches_have_no_thresholds_to_tell():
    text = lines(thresholds={"source": "class folders", "scale": None, "live_below": None, "dead_above": None})
    assert "thresholds" in text  # of the patches left out, here none
    assert "live below" not in text


NO_UNUSED = {"n_absent": 0, "n_off_grid": 0, "n_left_out": 0, "off_grid_example": None}


@pytest.mark.parametrize("n_folds", [0, 5])
def test_the_quality_of_the_empty_filter_is_told_or_that_it_was_not_measured(n_folds):
    report = {"status": "trained", "n_labelled": 452, "n_empty": 226, "n_folds": n_folds} | NO_UNUSED
    report |= {"folds_by": "group", "n_labelled_of": {"no_treatment": 226, "doxo": 226}}
    report |= (
        {"precision": 0.8, "recall": 0.87, "f1": 0.833} if n_folds else dict.fromkeys(("precision", "recall", "f1"))
    )
    text = lines(empty_filter=report)
    assert "452 hand labels (226 of no_treatment, 226 of doxo), 226 of them empty: " in text
    assert ("F1 0.833 of the empty class over 5 folds by group" in text) == (n_folds == 5)
    assert ("not cross-validated" in text) == (n_folds == 0)


@pytest.mark.parametrize(
    ("n_labelled", "n_empty", "f1", "why"),
    [
        (607, 39, 0.744, None),  # mcf7
        (452, 226, 0.833, None),  # the paper's two
        (600, 40, 0.0, "it has learned no more than calling every patch empty"),
        (100, 50, 2 / 3, "it has learned no more"),  # precision 0.5, recall 1
        (100, 50, 0.67, None),
        (607, 19, 0.9, "it has too few labels of one kind"),
        (607, 590, 0.99, "it has too few labels of one kind"),
    ],
)
def test_a_filter_that_cannot_be_trusted_is_a_warning(n_labelled, n_empty, f1, why):
    report = {"status": "trained", "n_labelled": n_labelled, "n_empty": n_empty, "n_folds": 5} | NO_UNUSED
    report |= {"folds_by": "group", "n_labelled_of": {"x": n_labelled}, "precision": f1, "recall": f1, "f1": f1}
    (line,) = [line for line in lines(empty_filter=report).splitlines() if "empty filter:" in line]
    assert line.startswith("WARNING: ") == (why is not None)
    assert why is None or (why in line and line.endswith("or give curation.empty_filter.enabled=false"))


def test_a_filter_trained_on_the_hand_labels_of_another_data_set_says_so():
    report = {"status": "trained", "n_labelled": 1200, "n_empty": 39, "n_folds": 0, "folds_by": "group"} | NO_UNUSED
    assert "1,200 hand labels of mcf7, 39 of them empty:" in lines(
        empty_filter=report | {"n_labelled_of": {"mcf7": 1200}}
    )


def test_patches_without_a_counted_cell_are_not_said_to_lie_between_the_thresholds():
    table = manifest_of({"train": (2, 2), "val": (1, 1), "test": (1, 1)})
    left_out = pd.DataFrame({"excluded": ["ambiguous"] * 3, "label_value": [np.nan, np.nan, 0.3]})
    counts = count_stages(pd.concat([table, left_out], ignore_index=True))
    assert "0 empty, 1 between the thresholds, 2 without a counted cell" in lines(counts=counts)


@pytest.mark.parametrize(
    ("scale", "live", "dead", "percent"),
    [
        ("raw", 299.0, 299.5, "0.17"),
        ("raw", 200.0, 500.0, None),
        ("log_background_ratio", 0.0128, 0.0138, "0.1"),
        ("log_background_ratio", 0.1, 0.9, None),
        ("background_subtracted", 0.0, 0.1, None),
    ],
)
def test_labels_that_part_nothing_but_noise_are_a_warning(scale, live, dead, percent):
    fitted = {"source": "fitted on x", "scale": scale, "live_below": live, "dead_above": dead}
    text = lines(thresholds=fitted | {"live_mean": live, "dead_mean": dead})
    assert ("holds only" in text) == (percent is not None)
    if percent is not None:
        assert f"WARNING: what is called dead holds only {percent} % more PI than what is called live" in text


def test_counted_cells_are_told_by_their_share():
    told = lines(thresholds={"source": "counted cells", "scale": "cells", "live_below": 0.25, "dead_above": 0.2499})
    assert "labels: dead where 0.25 or more of the counted cells are dead, else live" in told


def test_a_field_whose_background_is_far_above_its_groups_is_a_warning_where_area_is_told():
    told = {}
    for scale in ("positive_area", "raw"):
        config = {"dataset": {"layout": "pairs"}, "curation": {"label": {"scale": scale}}}
        told[scale] = lines(high_backgrounds={"a": 3.4, "b": 8.0}, config=config)
    assert "WARNING: the PI background of 2 raw images is over 3 times" in told["positive_area"]
    assert "most in b (8 times)" in told["positive_area"]
    assert "WARNING" not in told["raw"]


def test_no_field_of_a_small_group_or_without_a_background_is_far_above_others():
    names, background = ["a", "b", "c", "d", "e"], [100.0, 900.0, np.nan, np.nan, 0.0]
    fields = pd.DataFrame({"raw_image_id": names, "group": ["A"] * 4 + ["B"], "background": background})
    assert high_backgrounds(fields) == {}
