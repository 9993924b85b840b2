"""What data there are and how patches got their labels (paper: Table 1, Figs. 1 to 3)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.audit import audit_in_words
from jimt.curation.field_fluorescence import UNITS, fluorescence_of_field, fluorescence_patches, threshold_in_unit
from jimt.curation.manifest import MANIFEST, Curated, open_curated
from jimt.errors import InputError
from jimt.figures import curation as figures
from jimt.figures.labelling import LabelledValues, fluorescence_histograms, labelled_patches
from jimt.report.blocks import Block, Drawing, Table, attempt
from jimt.report.sections.conditions_section import condition_blocks
from jimt.report.sections.counts_section import count_blocks
from jimt.report.sections.filter_section import empty_filter_blocks
from jimt.report.thumbnails import patches_of
from jimt.statistics.metrics import METRICS
from jimt.statistics.value_text import NO_VALUE, interval_text, number_text, percent_text, value_text
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
    yield from condition_blocks(curated)
    yield from attempt("The figure of raw image pairs", raw_pair_blocks(curated))
    yield from attempt("The figure of sample patches", sample_blocks(curated))
    yield from attempt("The figures of the empty filter", empty_filter_blocks(curated))
    yield from attempt("The figures of the labels", label_blocks(curated))
    yield from audit_blocks(curated)


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
        if columns := [name for name in wanted if name in counts]:
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
        labelled = used[used["label"] == label]
        one_an_image = labelled.iloc[rng.permutation(len(labelled))].drop_duplicates("raw_image_id")
        parts.append(pd.concat([one_an_image, labelled.drop(one_an_image.index)])[:_N_SAMPLES])
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


def labelled_values(curated: Curated) -> LabelledValues:
    """The patches that got a label, or were discarded between the thresholds."""
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
    return LabelledValues(
        rows["label_value"].to_numpy(float),
        rows["label"].to_numpy(int),
        groups.to_numpy(object),
        thresholds["live_below"],
        thresholds["dead_above"],
        components,
    )


def audit_blocks(curated: Curated) -> Iterator[Block]:
    """How well the labels agree with cells that were counted; nothing where none were."""
    audit = curated.summary["label_audit"]
    if audit is None:
        return
    kappa = value_text(audit["kappa"], None)
    yield Table(
        "Labels against counted cells",
        ["metric", "value", f"{percent_text(audit['confidence'])} over groups"],
        [
            *(
                [METRICS[name].words, number_text(found["value"]), interval_text(found["interval_groups"])]
                for name, found in audit["metrics"].items()
            ),
            ["Cohen's kappa of labelled patches", kappa, NO_VALUE],
        ],
        " ".join(f"{line[0].upper()}{line[1:]}." for line in audit_in_words(audit)),
    )
    yield Table(
        "Labels against counted cells, group by group",
        ["group", "patches", "dead by cells", "labelled live", "labelled dead", "AUROC", "kappa"],
        [
            [
                row["group"],
                *(f"{row[key]:,}" for key in ("patches", "dead", "labelled_live", "labelled_dead")),
                number_text(row["auroc"]),
                number_text(row["kappa"]),
            ]
            for row in audit["groups"]
        ],
        "",
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
        low, high = (threshold_in_unit(thresholds, name) for name in ("live_below", "dead_above"))
        in_units = f" They are {low:.3f} and {high:.3f} {unit}."
    n_sigma = thresholds.get("n_sigma")
    rule = f" Each threshold lies {n_sigma:g} standard deviation inside its component." if n_sigma is not None else ""
    yield Drawing(
        "fluorescence_histograms",
        "Mean fluorescence of the patches",
        f"Lines: the two components of the mixture; dashed: the thresholds.{rule}{in_units} (Fig. 3a)",
        fluorescence_histograms(data_sets, scale=scale),
    )
    yield Drawing(
        "labelled_patches",
        "Patches by mean fluorescence",
        "A column is a group: what a split may not divide. Dashed: the thresholds (Fig. 3b).",
        labelled_patches(data_sets, scale=scale, seed=curated.summary["config"]["curation"]["seed"]),
    )
