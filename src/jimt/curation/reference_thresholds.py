"""Thresholds that a data set is labelled by without a fit of its own: those of another data set, or given ones."""

from pathlib import Path
from typing import Any

from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.curation.manifest import THRESHOLDS, read_beside
from jimt.errors import InputError, as_typed


def thresholds_from(dataset: DatasetConfig, curation: CurationConfig) -> str | None:
    """Name of the data set whose thresholds label this one; None where these are its own, or given, or not needed.

    Raises:
        InputError: If settings of a fit are given where none is made.
    """
    label = curation.label
    if dataset.layout == "patches" or label.live_below is not None or label.fit_on == dataset.name:
        return None
    if label.fit_range is not None:
        raise InputError(
            f"curation.label.fit_range is without effect for {dataset.name}, which takes the thresholds of "
            f"{label.fit_on} (curation.label.fit_on)",
            advice=f"give it where {label.fit_on} is curated",
            remedies=("curation.label.fit_range=null", as_typed("curation.label.fit_on", dataset.name)),
        )
    return label.fit_on


def reference_thresholds(dataset: DatasetConfig, curation: CurationConfig) -> dict[str, Any] | None:
    """Thresholds of another data set (paper: "No treatment" labels both), or fixed ones; None to fit them here."""
    label = curation.label
    if dataset.layout == "patches":
        return {"source": "class folders"}
    if label.live_below is not None and label.dead_above is not None:
        return {
            "source": "given in the config",
            "scale": label.scale,
            "background_percentile": label.background_percentile,
            "live_below": label.live_below,
            "dead_above": label.dead_above,
        }
    if thresholds_from(dataset, curation) is None:
        return None
    path = Path(curation.output_root) / label.fit_on / THRESHOLDS
    thresholds = read_beside(path)
    for key in ("scale", "background_percentile"):
        wanted = getattr(label, key)
        if thresholds.get(key) != wanted:
            raise InputError(
                f"the thresholds in {path} are for curation.label.{key}={thresholds.get(key)}, not {wanted}",
                remedies=(
                    f"curation.label.{key}={thresholds.get(key)}",
                    f"jimt prepare {as_typed('dataset', label.fit_on)} curation.label.{key}={wanted}",
                ),
            )
    return thresholds | {"source": f"fitted on {label.fit_on}"}
