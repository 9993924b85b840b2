"""What data there are, what was dropped and why, how patches got their labels (paper: Table 1, Figs. 1 to 3)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.fluorescence_images import UNITS, fluorescence_of_field, fluorescence_patches, value_in_unit
from jimt.curation.manifest import MANIFEST, Curated, open_curated
from jimt.curation.summary import describe_copies, hand_labels_in_words
from jimt.errors import InputError
from jimt.figures import curation as figures
from jimt.paper import CUT_OFFS, EMPTY_FILTER, RAW_IMAGES, SPLIT_COUNTS
from jimt.report.blocks import Block, Drawing, Table, Text, attempt
from jimt.report.sections.filter_section import empty_filter_blocks
from jimt.report.thumbnails import patches_of
from jimt.vocabulary import DEAD, LIVE, SCALES

_N_FIELDS = 3
_N_SAMPLES = 4


def curation_blocks(curated: Curated, *, splits: bool = True) -> Iterator[Block]:
    """Tables and figures from raw images to labels; a part that cannot be made says why.

    Args:
        curated: The data set.
        splits: Whether Table 1 tells train, validation and test, which a cross-validation does not use.
    """
    yield from count_blocks(curated, splits=splits)
    yield from attempt("The figure of raw image pairs", raw_pair_blocks(curated))
    yield from attempt("The figure of sample patches", sample_blocks(curated))
    yield from attempt("The figures of the empty filter", empty_filter_blocks(curated))
    yield from attempt("The figures of the labels", label_blocks(curated))


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
    yield Table(
        "What was kept and what was dropped",
        ["patches", "number", "share", "why"],
        [
            ["cut from the raw images", f"{total:,}", "100 %", _patches_in_words(curated)],
            ["no data", f"{excluded['no_data']:,}", _percent(excluded["no_data"], total), _no_data_in_words(curated)],
            ["empty", f"{excluded['empty']:,}", _percent(excluded["empty"], total), _filter_in_words(summary)],
            [
                "between the cut-offs",
                f"{excluded['ambiguous']:,}",
                _percent(excluded["ambiguous"], total),
                _cut_offs_in_words(thresholds),
            ],
            *[["copies", f"{copied:,}", _percent(copied, total), "pixels of another raw image"]] * bool(copied),
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
    of_splits = [f"{splits[split]['live']:,}/{splits[split]['dead']:,}" for split in ("train", "val", "test")]
    return [f"{n_raw_images:,}", f"{live + dead:,}", f"{live:,}", f"{dead:,}", *of_splits]


def _percent(part: int, total: int) -> str:
    return f"{100 * part / total:.1f} %" if total else "-"


def _patches_in_words(curated: Curated) -> str:
    patches = curated.summary["config"]["curation"]["patches"]
    if curated.summary["config"]["dataset"]["layout"] == "patches":
        return "published as patches"
    return f"{patches['size']} px, every {patches['stride']} px"


def _no_data_in_words(curated: Curated) -> str:
    limit = curated.summary["config"]["curation"]["patches"]["max_no_data"]
    return f"more than {100 * limit:g} % of the pixels are exactly 0 in both channels, or padding of one"


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
    return (
        f"SVM on {report['backbone']} features, {hand_labels_in_words(report)}, {report['n_empty']} of them empty; "
        f"{measured} (paper: {EMPTY_FILTER})"
    )


def _cut_offs_in_words(thresholds: dict[str, Any]) -> str:
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


def _outcomes(rows: pd.DataFrame) -> NDArray[np.object_]:
    labels = rows["label"].map({LIVE: "live", DEAD: "dead"}).astype(object)
    return np.where(rows["excluded"].notna(), rows["excluded"].astype(object), labels)


def raw_pair_blocks(curated: Curated) -> Iterator[Block]:
    """Fig. 1: raw images and what became of their patches; an InputError where the data set is published patches."""
    scale = curated.thresholds["scale"]
    if scale is None:
        raise InputError(f"{curated.summary['dataset']} holds published patches, which have no fluorescence images")
    manifest = curated.manifest.assign(outcome=_outcomes(curated.manifest))
    manifest = manifest[manifest["y"].notna()]
    counts = manifest.groupby(["raw_image_id", "outcome"], observed=True).size().unstack(fill_value=0)
    chosen: list[str] = []
    for wanted in (["live"], ["dead"], ["ambiguous", "empty", "no_data"]):
        columns = [name for name in wanted if name in counts]
        if columns:
            order = counts[columns].sum(axis=1).sort_values(ascending=False, kind="stable")
            chosen += [str(name) for name in order.index if str(name) not in chosen][:1]
    fields = []
    for name in chosen[:_N_FIELDS]:
        rows = manifest[manifest["raw_image_id"] == name]
        field = int(rows["field"].iloc[0])
        brightfield, fluorescence = curated.store.field(field), fluorescence_of_field(curated, field)
        y, x = (rows[column].to_numpy(int) for column in ("y", "x"))
        fields.append(figures.FieldView(name, brightfield, fluorescence, y, x, rows["outcome"].to_numpy(object)))
    yield Drawing(
        "raw_pairs",
        "Raw image pairs and what became of their patches",
        "Bright-field above, propidium iodide below: the raw images with most live, most dead and most discarded "
        "patches. Thin lines are edges of patches, which overlap; a mark at a patch's centre tells its label (Fig. 1).",
        figures.raw_pairs(fields, patch_size=curated.summary["patch_size"], unit=f"PI ({UNITS[scale]})"),
    )


def sample_blocks(curated: Curated) -> Iterator[Block]:
    """Fig. 2a: live and dead patches above their fluorescence; an InputError as in ``raw_pair_blocks``."""
    used = curated.manifest[curated.manifest["split"].notna()]
    rng = np.random.default_rng(curated.summary["config"]["curation"]["seed"])
    parts = []
    for label in (LIVE, DEAD):
        of = used[used["label"] == label]
        one_an_image = of.iloc[rng.permutation(len(of))].drop_duplicates("raw_image_id")
        more = of.drop(one_an_image.index)
        parts.append(pd.concat([one_an_image, more])[:_N_SAMPLES])
    rows = pd.concat(parts)
    fluorescence = fluorescence_patches(curated, rows)
    unit = UNITS[curated.thresholds["scale"]]
    yield Drawing(
        "sample_patches",
        "Live and dead patches",
        "Drawn at random, each from another raw image where there are enough; bright-field above its propidium iodide, "
        f"with the mean over the patch ({unit}) (Fig. 2a).",
        figures.sample_patches(
            patches_of(curated, rows),
            fluorescence,
            rows["label"].to_numpy(int),
            np.nanmean(fluorescence, axis=(1, 2)),
            unit=f"PI ({unit})",
        ),
    )


def labelled_values(curated: Curated) -> figures.LabelledValues:
    """The patches that got a label, or were discarded between the cut-offs."""
    thresholds = curated.thresholds
    rows = curated.manifest[curated.manifest["label_value"].notna()]
    components = None
    if thresholds.get("live_mean") is not None and thresholds["source"] == f"fitted on {curated.summary['dataset']}":
        weight, mean, sd = (
            tuple(thresholds[f"{label}_{name}"] for label in ("live", "dead")) for name in ("weight", "mean", "sd")
        )
        fitted = thresholds["n_patches"] / len(rows)  # the others took no part
        components = ((fitted * weight[0], mean[0], sd[0]), (fitted * weight[1], mean[1], sd[1]))
    groups = rows["group"].astype(object).where(rows["group"].notna(), rows["raw_image_id"].astype(object))
    return figures.LabelledValues(
        rows["label_value"].to_numpy(float),
        rows["label"].to_numpy(int),
        groups.to_numpy(object),
        thresholds["live_below"],
        thresholds["dead_above"],
        components,
    )


def label_blocks(curated: Curated) -> Iterator[Block]:
    """Fig. 3: histogram and labelled patches; an InputError where labels came with the patches."""
    thresholds = curated.thresholds
    if thresholds["scale"] is None:
        raise InputError("the labels came with the patches, so there is no fluorescence behind them")
    data_sets = {curated.summary["dataset"]: labelled_values(curated)}
    reference = curated.folder.parent / str(curated.summary["config"]["curation"]["label"]["fit_on"])
    if reference.name != curated.summary["dataset"] and (reference / MANIFEST).is_file():
        other = open_curated(Path(reference))
        data_sets = {other.summary["dataset"]: labelled_values(other)} | data_sets
    scale = SCALES[thresholds["scale"]]
    unit = UNITS[thresholds["scale"]]
    in_units = ""
    if thresholds["scale"] == "log_background_ratio":
        low, high = (value_in_unit(thresholds[key], scale=thresholds["scale"]) for key in ("live_below", "dead_above"))
        in_units = f" They are {low:.3f} and {high:.3f} {unit}."
    n_sigma = thresholds.get("n_sigma")
    rule = f" Each lies {n_sigma:g} standard deviation inside its component." if n_sigma is not None else ""
    yield Drawing(
        "fluorescence_histograms",
        "Mean fluorescence of the patches",
        f"Lines: the two components of the mixture; dashed: the cut-offs.{rule}{in_units} (Fig. 3a)",
        figures.fluorescence_histograms(data_sets, scale=scale),
    )
    yield Drawing(
        "labelled_patches",
        "Patches by mean fluorescence",
        "A column is a group, that is what a split may not divide. Dashed: the cut-offs (Fig. 3b).",
        figures.labelled_patches(data_sets, scale=scale, seed=curated.summary["config"]["curation"]["seed"]),
    )
