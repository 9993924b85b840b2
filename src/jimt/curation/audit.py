"""How well labels by fluorescence agree with cells that were counted.

A cell counts as dead as its table says; where that comes from PI itself, as with masks, the audit tells what a patch's
label keeps of it, and not whether PI tells death.
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from jimt.curation.counted_cells import field_truth, thresholds_of_share
from jimt.curation.field_fluorescence import label_values
from jimt.curation.labels import label_patches
from jimt.statistics.estimates import estimates
from jimt.statistics.share_agreement import limits_of_agreement
from jimt.statistics.value_text import value_text
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

METRICS_OF_AUDIT = ("auroc", "auroc_within_groups", "mean_auroc_of_groups", "auroc_within_raw_images")


def label_audit(manifest: pd.DataFrame, cells: pd.DataFrame, *, dead_share: float, confidence: float) -> dict[str, Any]:
    """Agreement of a curation's labels with its counted cells; None is what cannot be had.

    Args:
        manifest: Every patch, labelled, with ``n_cells`` and ``n_dead``.
        cells: As ``counted_cells.read_cells`` gives them.
        dead_share: A patch is dead where at least this share of its cells is.
        confidence: Coverage of the intervals over groups.

    Returns:
        The counts; areas under the ROC curve of the label value, pooled and within groups and raw images, of all
        patches that hold a cell; Cohen's kappa of those with a label; both for each group; and for each field the
        share of its patches that are labelled dead, with the dead share of its cells: their difference's mean (bias),
        limits of agreement (Bland and Altman, Lancet 327, 1986) and mean absolute value.
    """
    rows = manifest[manifest["label_value"].notna() & (manifest["n_cells"] > 0)]
    shares = label_values(rows["n_dead"].to_numpy(float), rows["n_cells"].to_numpy(float), scale="cells")
    live_below, dead_above = thresholds_of_share(dead_share)
    truth = label_patches(shares, live_below=live_below, dead_above=dead_above).astype(np.int64)
    value = rows["label_value"].to_numpy(float)
    found = estimates(
        truth,
        -value,
        rows["group"].to_numpy(object),
        rows["raw_image_id"].to_numpy(object),
        names=METRICS_OF_AUDIT,
        confidence=confidence,
        seed=0,  # of a calibration error alone
    )
    labels = rows["label"].to_numpy(int)
    parts = rows.assign(truth=truth, label=labels).groupby("group", observed=True)
    return {
        "dead_share": dead_share,
        "patches": len(rows),
        "dead": int((truth == DEAD).sum()),
        "confidence": confidence,
        "metrics": {
            name: {"value": _known(estimate.value), "interval_groups": estimate.interval_groups, "note": estimate.note}
            for name, estimate in found.items()
        },
        "kappa": _kappa(truth, labels),
        "groups": [{"group": str(name), **_of_group(part)} for name, part in parts],
        "fields": _of_fields(manifest, cells),
    }


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _kappa(truth: Any, labels: Any) -> float | None:
    labelled = labels != AMBIGUOUS
    if min(len(np.unique(each[labelled])) for each in (truth, labels)) < 2:
        return None  # one class throughout: agreement by chance is all there is
    return float(cohen_kappa_score(truth[labelled], labels[labelled]))


def _of_group(part: pd.DataFrame) -> dict[str, Any]:
    truth, labels = part["truth"].to_numpy(), part["label"].to_numpy()
    area = estimates(truth, -part["label_value"].to_numpy(float), None, names=("auroc",), confidence=0.95, seed=0)[
        "auroc"
    ].value
    return {
        "patches": len(part),
        "dead": int((truth == DEAD).sum()),
        "labelled_live": int((labels == LIVE).sum()),
        "labelled_dead": int((labels == DEAD).sum()),
        "auroc": _known(area),
        "kappa": _kappa(truth, labels),
    }


def _of_fields(manifest: pd.DataFrame, cells: pd.DataFrame) -> dict[str, Any]:
    labelled = manifest[manifest["label"].isin([LIVE, DEAD])]
    by_label = (labelled["label"] == DEAD).groupby(labelled["raw_image_id"].astype(str)).mean()
    truth = field_truth(cells).set_index("raw_image_id")
    both = truth.join(by_label.rename("labelled_dead"), how="inner")
    difference = (both["labelled_dead"] - both["dead_share"]).to_numpy(float)
    if len(difference) < 2:
        return {"n": len(difference), "bias": None, "limits": None, "mean_absolute_error": None}
    return {
        "n": len(difference),
        "bias": float(difference.mean()),
        "limits": limits_of_agreement(difference),
        "mean_absolute_error": float(np.abs(difference).mean()),
    }


def audit_in_words(audit: dict[str, Any]) -> list[str]:
    """The audit for the terminal and the report."""
    pooled, within = (audit["metrics"][name] for name in METRICS_OF_AUDIT[:2])
    fields = audit["fields"]
    lines = [
        f"labels against counted cells ({audit['patches']:,} patches that hold one, {audit['dead']:,} of them with "
        f"{100 * audit['dead_share']:.0f} % or more dead): AUROC {_text(pooled)}, within groups {_text(within)}, kappa "
        f"{value_text(audit['kappa'], None)}"
    ]
    if fields["bias"] is not None:
        low, high = fields["limits"]
        lines.append(
            f"share of patches labelled dead less dead share of cells, {fields['n']} fields: {fields['bias']:+.3f} "
            f"(limits of agreement {low:+.3f} to {high:+.3f})"
        )
    return lines


def _text(metric: dict[str, Any]) -> str:
    text = value_text(metric["value"], metric["interval_groups"])
    return text if metric["value"] is not None else f"{text} ({metric['note']})"
