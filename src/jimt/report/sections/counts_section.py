"""What data there are, what was dropped and why (paper: Table 1)."""

from collections.abc import Iterator
from typing import Any

from jimt.curation.manifest import Curated
from jimt.curation.summary import describe_copies, hand_labels_in_words
from jimt.paper import CUT_OFFS, EMPTY_FILTER, RAW_IMAGES, SPLIT_COUNTS
from jimt.report.blocks import Block, Table, Text
from jimt.statistics.value_text import percent_text
from jimt.vocabulary import SCALES


def count_blocks(curated: Curated, *, splits: bool = True) -> Iterator[Block]:
    """Table 1, what was dropped and why, and what a reader must know before trusting the rest."""
    summary, thresholds = curated.summary, curated.thresholds
    counts = summary["counts"]
    rows = [[summary["dataset"], *_table_1(summary["n_raw_images"], counts["splits"])]]
    paper = SPLIT_COUNTS.get(summary["dataset"])
    if paper is not None:
        rows.append([f"{summary['dataset']} (paper)", *_table_1(RAW_IMAGES[summary["dataset"]], paper)])
    header = ["data set", "raw images", "patches", "live", "dead", "train live/dead", "val live/dead", "test live/dead"]
    caption = "Raw images, and the patches that were kept and labelled."
    if not splits:
        header, rows = header[:5], [row[:5] for row in rows]
        caption += " Every one of them is tested on once, in its fold."
    if paper is not None:
        caption += (
            " The paper's test counts of No treatment stand here the other way round than printed, as its sums ask."
        )
    yield Table("Table 1", header, rows, caption, quoted=[1] if paper is not None else [])
    excluded, total = counts["excluded"], counts["n_patches"]
    kept, copied = counts["live"] + counts["dead"], excluded["copy"]
    copies = [["copies", f"{copied:,}", _percent(copied, total), "pixels of another raw image"]] if copied else []
    without = counts.get("without_cells", 0)  # which label by counted cells
    cells = [["without cells", f"{without:,}", _percent(without, total), "no counted cell"]] if without else []
    between = excluded["ambiguous"] - without
    limit = percent_text(summary["config"]["curation"]["patches"]["max_no_data"])
    no_data = f"more than {limit} of the pixels are exactly 0 in both channels, or padding of one"
    yield Table(
        "What was kept and what was dropped",
        ["patches", "number", "share", "why"],
        [
            ["cut from the raw images", f"{total:,}", "100 %", _patches_in_words(curated)],
            ["no data", f"{excluded['no_data']:,}", _percent(excluded["no_data"], total), no_data],
            ["empty", f"{excluded['empty']:,}", _percent(excluded["empty"], total), _filter_in_words(summary)],
            ["between the thresholds", f"{between:,}", _percent(between, total), _thresholds_in_words(thresholds)],
            *cells,
            *copies,
            ["labelled live or dead", f"{kept:,}", _percent(kept, total), ""],
        ],
    )
    for line in describe_copies(summary["copies"], n_patches=copied):
        yield Text(f"{line}.", is_warning=True)
    if summary["bad_images"]:
        worst = next(iter(summary["bad_images"].items()))
        yield Text(
            f"{len(summary['bad_images'])} raw images could not be used and were left out, for example {worst[0]}: it "
            f"{worst[1]}.",
            is_warning=True,
        )
    if not summary["group_known"]:
        yield Text(
            "Nothing tells which raw image a patch was cut from, so no split could be checked for leaks, and no "
            "interval is over groups.",
            is_warning=True,
        )
    if summary["empty_filter"]["status"] == "no labels":
        yield Text("There were no hand labels, so patches without cells are in all that follows.", is_warning=True)


def _table_1(n_raw_images: int, splits: dict[str, dict[str, int]]) -> list[str]:
    live, dead = (sum(splits[split][label] for split in splits) for label in ("live", "dead"))
    counts = [f"{splits[split]['live']:,}/{splits[split]['dead']:,}" for split in ("train", "val", "test")]
    return [f"{n_raw_images:,}", f"{live + dead:,}", f"{live:,}", f"{dead:,}", *counts]


def _percent(part: int, total: int) -> str:
    return f"{100 * part / total:.1f} %" if total else "-"


def _patches_in_words(curated: Curated) -> str:
    patches = curated.summary["config"]["curation"]["patches"]
    if curated.summary["config"]["dataset"]["layout"] == "patches":
        return "published as patches"
    return f"{patches['size']} px, every {patches['stride']} px"


def _filter_in_words(summary: dict[str, Any]) -> str:
    report = summary["empty_filter"]
    if report["status"] != "trained":
        status = str(report["status"])
        return {"off": "the filter was off", "no labels": "no hand labels, so no filter"}.get(status, status)
    measured = "not cross-validated"
    if report["n_folds"]:
        measured = (
            f"cross-validated by {report['folds_by']}: precision {report['precision']:.3f}, recall "
            f"{report['recall']:.3f}, F1 {report['f1']:.3f}"
        )
    of = "each patch" if report["features"] == "patches" else "the field, averaged over each patch"
    return (
        f"SVM on {report['backbone']} features of {of}, {hand_labels_in_words(report)}, {report['n_empty']} of them "
        f"empty; {measured} (paper: {EMPTY_FILTER})"
    )


def _thresholds_in_words(thresholds: dict[str, Any]) -> str:
    if thresholds["live_below"] is None:
        return "labels came with the patches"
    paper = ""
    if thresholds["scale"] == "raw":
        paper = f" (paper: {CUT_OFFS['live_below']} and {CUT_OFFS['dead_above']})"
    return (
        f"live below {thresholds['live_below']:.4g}, dead above {thresholds['dead_above']:.4g} on "
        f"{SCALES[thresholds['scale']]}, {thresholds['source']}{paper}{_left_out_in_words(thresholds)}"
    )


def _left_out_in_words(thresholds: dict[str, Any]) -> str:
    if not thresholds.get("n_left_out"):
        return ""
    return (
        f"; {thresholds['n_left_out']:,} patches outside {thresholds['fitted_from']:.4g} to "
        f"{thresholds['fitted_to']:.4g} took no part in the fit"
    )
