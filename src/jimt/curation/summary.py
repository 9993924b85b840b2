"""Counts of what every stage kept, and the data set's row of the paper's Table 1."""

import math
from typing import Any, Final

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from jimt.curation.audit import audit_in_words
from jimt.curation.exchanged import describe_exchanged
from jimt.curation.hand_labels import describe_off_grid
from jimt.curation.high_background import describe_high_backgrounds
from jimt.curation.label_stage import describe_other_patches
from jimt.curation.nuclei import describe_nuclei
from jimt.curation.patches import Scaling
from jimt.curation.saturation import describe_saturation
from jimt.curation.shift_consensus import describe_shift
from jimt.errors import ways_out
from jimt.vocabulary import DEAD, LIVE, Excluded, Split

_LITTLE_MORE: Final = 0.1
"""Of PI, by which dead patches must surpass live ones; in the paper's mixture they hold 145 % more."""
_MANY_UNUSED_BITS: Final = 3
"""Beyond a dim exposure; 32 grey levels are left."""


def count_stages(manifest: pd.DataFrame) -> dict[str, Any]:
    """Patches that entered, why patches left, and what each split holds."""
    used = manifest[manifest["split"].notna()]
    counts: dict[str, Any] = {
        "n_patches": len(manifest),
        "excluded": {reason.value: int((manifest["excluded"] == reason.value).sum()) for reason in Excluded},
        "without_cells": int(
            ((manifest["excluded"] == Excluded.AMBIGUOUS.value) & manifest["label_value"].isna()).sum()
        ),
        "live": int((used["label"] == LIVE).sum()),
        "dead": int((used["label"] == DEAD).sum()),
        "splits": {},
    }
    for split in Split:
        rows = used[used["split"] == split.value]
        counts["splits"][split.value] = {
            "live": int((rows["label"] == LIVE).sum()),
            "dead": int((rows["label"] == DEAD).sum()),
            "raw_images": int(rows["raw_image_id"].nunique()),
            "groups": int(rows["group"].nunique()),
        }
    return counts


def table_row(name: str, summary: dict[str, Any]) -> Table:
    """The data set's row of Table 1: raw image pairs, patches after curation, live / dead in all and in each split."""
    table = Table(
        title="The data set's row of Table 1",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    counts = summary["counts"]
    columns = {
        "\ndata set": name,
        "raw\nimages": f"{summary['n_raw_images']:,}",
        "\npatches": f"{counts['live'] + counts['dead']:,}",
        "all\nlive/dead": f"{counts['live']:,}/{counts['dead']:,}",
    }
    columns |= {f"{split}\nlive/dead": f"{n['live']:,}/{n['dead']:,}" for split, n in counts["splits"].items()}
    for title in columns:
        table.add_column(title, justify="left" if "data set" in title else "right", overflow="fold")
    table.add_row(*columns.values())
    return table


def describe(summary: dict[str, Any], thresholds: dict[str, Any]) -> list[str]:
    """Lines that tell what was dropped, by which thresholds, and what a reader must know before trusting the rest."""
    counts, excluded = summary["counts"], summary["counts"]["excluded"]
    bad, without = summary["bad_images"], counts["without_cells"]
    cell = "nucleus" if thresholds.get("scale") == "nuclei" else "counted cell"
    lines = [
        f"{counts['n_patches']:,} patches of {summary['n_raw_images']:,} raw images; left out: "
        f"{excluded['no_data']:,} with "
        f"too much no-data, {excluded['empty']:,} empty, {excluded['ambiguous'] - without:,} between the thresholds"
        f"{f', {without:,} without a {cell}' if without else ''}"
    ]
    if bad:
        lines.append(f"WARNING: {len(bad)} bad raw images were skipped (listed in summary.json)")
    lines += [f"WARNING: {line}" for line in describe_copies(summary["copies"], n_patches=excluded["copy"])]
    if summary["masked_offset"]:
        lines.append(f"{summary['masked_offset']:,} is added to every pixel of every file, and was taken off")
    if summary["unused_bits"] >= _MANY_UNUSED_BITS:
        lines.append(_describe_unused_bits(summary["unused_bits"], summary["scaling"]))
    if summary["look_exchanged"]:
        lines.append(
            describe_exchanged(summary["look_exchanged"], summary["n_raw_images"], summary["config"]["dataset"])
        )
    lines += summary["pixel_size"]["warnings"]
    lines += describe_saturation(summary["saturation"], n_fields=summary["n_raw_images"])
    if summary["shift"] is not None:
        lines += describe_shift(summary["shift"], n_fields=summary["n_raw_images"])
    if summary["nuclei"] is not None:
        lines += describe_nuclei(summary["nuclei"])
    lines.append(_describe_filter(summary["empty_filter"]))
    lines += _describe_unused_labels(summary["empty_filter"])
    lines += _describe_labels(thresholds)
    lines += describe_other_patches(summary, thresholds)
    if summary["high_backgrounds"]:
        lines += describe_high_backgrounds(summary["high_backgrounds"], summary["config"]["curation"]["label"])
    if summary["cells"] is not None:
        lines += summary["cells"]["warnings"]
    if summary["label_audit"] is not None:
        lines += audit_in_words(summary["label_audit"])
    if thresholds.get("n_left_out") and thresholds["source"] == f"fitted on {summary['dataset']}":
        lines.append(_describe_outliers(summary, thresholds))
    if not summary["group_known"]:
        lines.append(
            "WARNING: nothing tells which raw image a patch was cut from, so no split can be checked for "
            f"leaks: {ways_out(remedies=('dataset.pattern=PATTERN',))}"
        )
    return lines


def _describe_labels(thresholds: dict[str, Any]) -> list[str]:
    if thresholds["source"] == "class folders":
        return []
    if thresholds["source"] == "counted cells":
        return [f"labels: dead where {thresholds['live_below']:.4g} or more of the counted cells are dead, else live"]
    lines = [
        f"labels: live below {thresholds['live_below']:.4f}, dead above {thresholds['dead_above']:.4f} on the scale "
        f"{thresholds['scale']} ({thresholds['source']})"
    ]
    more = _more_of_the_dead(thresholds)
    if more is not None and more < _LITTLE_MORE:
        ways = ways_out(advice="look whether any cell is PI-positive, and whether PI is the PI channel")
        lines.append(
            f"WARNING: what is called dead holds only {100 * more:.2g} % more PI than what is called live, so labels "
            f"may part nothing but noise or background: {ways}"
        )
    return lines


def _more_of_the_dead(thresholds: dict[str, Any]) -> float | None:
    """How much more PI the mixture's component of dead patches holds than that of live ones, as a share of the latter.

    >>> _more_of_the_dead({"scale": "raw", "live_mean": 200.0, "dead_mean": 500.0})
    1.5
    """
    live, dead = thresholds.get("live_mean"), thresholds.get("dead_mean")
    if live is None or dead is None:
        return None
    if thresholds["scale"] == "log_background_ratio":
        return math.expm1(dead - live)
    return (dead - live) / live if thresholds["scale"] == "raw" and live > 0 else None


def _describe_unused_bits(n: int, scaling: dict[str, Any]) -> str:
    n_bits = Scaling(**scaling).range_bits
    levels = max(256 >> n, 1)
    of_camera = f"dataset.bit_depth={n_bits - n} curation.scaling.method=bit_depth"
    ways = ways_out(remedies=(of_camera, "curation.scaling.method=percentile_dataset"))
    return (
        f"WARNING: no bright-field pixel uses the upper {n} of {n_bits} bits, so {levels} of 256 grey levels are left "
        f"(the first remedy is for a camera that has no more bits): {ways}"
    )


def describe_copies(copies: dict[str, dict[str, str]], *, n_patches: int) -> list[str]:
    """Sentences on raw images that repeat others: those left out, and those that stayed, being of one group.

    Args:
        copies: As ``summary.json`` has them.
        n_patches: Patches that were left out.
    """
    lines = []
    if left_out := copies["left_out"]:
        name, reason = next(iter(left_out.items()))
        lines.append(
            f"{n_patches:,} patches of {len(left_out)} raw images were left out as copies (listed in "
            f"summary.json), for example {name}: it {reason}"
        )
    if repeated := copies["within_group"]:
        name, other = next(iter(repeated.items()))
        lines.append(
            f"{len(repeated)} raw image{'s repeat others' if len(repeated) > 1 else ' repeats another'} of the same "
            f"group, so their patches count twice (listed in summary.json), for example {name} repeats {other}"
        )
    return lines


def _describe_outliers(summary: dict[str, Any], thresholds: dict[str, Any]) -> str:
    n_left_out = thresholds["n_left_out"]
    fitted_range = f"{thresholds['fitted_from']:.4g} to {thresholds['fitted_to']:.4g}"
    told = f"{n_left_out:,} of {n_left_out + thresholds['n_patches']:,} patches took no part in the fit of the mixture"
    if summary["config"]["curation"]["label"]["fit_range"] is not None:
        return f"{told}, as curation.label.fit_range says; the others have values of {fitted_range}"
    ways = ways_out(advice="look at them", remedies=("curation.label.fit_range=[LOW,HIGH]",))
    return f"WARNING: {told}, since they lie far from all others ({fitted_range}), as debris does: {ways}"


def hand_labels_in_words(report: dict[str, Any]) -> str:
    """How many hand labels of which data sets a filter was trained on, from ``summary.json``."""
    of_each = [f"{n:,} of {name}" for name, n in report["n_labelled_of"].items()]
    if len(of_each) == 1:
        return f"{report['n_labelled']:,} hand labels of {next(iter(report['n_labelled_of']))}"
    return f"{report['n_labelled']:,} hand labels ({', '.join(of_each)})"


def _describe_unused_labels(report: dict[str, Any]) -> list[str]:
    """What became of hand labels that trained nothing; those off the grid are a mistake, the others need not be one."""
    if report["status"] != "trained":
        return []
    lines = []
    if report["n_off_grid"]:
        lines.append(describe_off_grid(report["n_off_grid"], report["off_grid_example"]))
    if report["n_absent"]:
        lines.append(f"hand labels of raw images that are not here, passed over: {report['n_absent']:,}")
    if report["n_left_out"]:
        lines.append(
            f"{report['n_left_out']:,} hand labels of patches with too much no-data, or of copies, passed over"
        )
    return lines


def _describe_filter(report: dict[str, Any]) -> str:
    if report["status"] == "trained":
        measured = (
            f"precision {report['precision']:.3f}, recall {report['recall']:.3f}, F1 "
            f"{report['f1']:.3f} of the empty class "
            f"over {report['n_folds']} folds by {report['folds_by']}"
            if report["n_folds"]
            else f"not cross-validated (one of the classes comes from one {report['folds_by']})"
        )
        told = f"empty filter: {hand_labels_in_words(report)}, {report['n_empty']} of them empty: {measured}"
        n_rarer = min(report["n_empty"], report["n_labelled"] - report["n_empty"])
        share = report["n_empty"] / report["n_labelled"]
        # Calling every patch empty has a recall of 1 and a precision of p, the share of empty ones, so an F1 of
        # 2 p / (1 + p): a filter that is not better has learned nothing. Below some 20 labels of a class a fold holds
        # four of them, and what it measures is chance.
        few, useless = n_rarer < 20, bool(report["n_folds"]) and report["f1"] <= 2 * share / (1 + share)
        if not few and not useless:
            return told
        why = "has learned no more than calling every patch empty" if useless else "has too few labels of one kind"
        ways = ways_out(
            advice="label more patches by hand, empty ones first", remedies=("curation.empty_filter.enabled=false",)
        )
        return f"WARNING: {told}; it {why}, and what it left out may hold cells: {ways}"
    if report["status"] == "no labels":
        ways = ways_out(remedies=("dataset.empty_labels=FILE", "curation.empty_filter.enabled=false"))
        return f"WARNING: no hand labels, so the empty filter passed EVERY patch, with cells or without: {ways}"
    return f"empty filter: {report['status']}, every patch passed"
