"""The last stages: patches are labelled by their fluorescence, and split into train, validation and test."""

import dataclasses
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.curation.counted_cells import thresholds_of_share
from jimt.curation.field_fluorescence import label_values, refuse_no_background
from jimt.curation.labels import LabelThresholds, fit_label_thresholds, label_patches, split_zero_inflated
from jimt.curation.manifest import THRESHOLDS, read_beside
from jimt.curation.read_stage import measures_patches, no_words, positive_settings
from jimt.curation.splits import check_both_classes, split_groups
from jimt.errors import InputError, as_typed
from jimt.vocabulary import AMBIGUOUS, POSITIVE_SCALES, Excluded, Split

_BEHIND_FILTER: Final = "behind_empty_filter"
"""Of ``thresholds.json``: whether they were fitted to the patches that a filter of empty ones left."""
_SECTIONS: Final = {
    "positive": "curation.label.positive",
    "nuclei": "curation.nuclei",
    "patch_size": "curation.patches.size",
}
"""Settings that thresholds hang on, by what ``thresholds.json`` calls them."""


def label_patches_of(
    dataset: DatasetConfig,
    curation: CurationConfig,
    manifest: pd.DataFrame,
    fields: pd.DataFrame,
    reference: dict[str, Any] | None,
) -> dict[str, Any]:
    """Label the patches that are kept, and mark those between the thresholds; the manifest is changed in place.

    Returns:
        The thresholds, and where they came from: what ``thresholds.json`` holds.

    Raises:
        InputError: If no patch is kept, or no thresholds can be fitted.
    """
    settings = curation.label
    manifest["label_value"] = np.full(len(manifest), np.nan)
    manifest["label"] = pd.array([None] * len(manifest), dtype="Int8")
    if dataset.layout == "patches":
        manifest["label"] = pd.array(fields["label"].to_numpy(int)[manifest["field"].to_numpy()], dtype="Int8")
        return {"source": "class folders", "scale": None, "live_below": None, "dead_above": None}
    kept = manifest["excluded"].isna().to_numpy()
    if not kept.any():
        limit = curation.patches.max_no_data
        raise InputError(
            f"every patch has more than {100 * limit:.0f} % no-data pixels",
            remedies=("curation.patches.max_no_data=NUMBER",),
        )
    values = _label_values(settings.scale, manifest[kept], fields)
    if reference is None:
        fitted = _fit(curation, values[np.isfinite(values)])  # patches without a nucleus have none
        reference = {"source": f"fitted on {dataset.name}", "n_sigma": settings.n_sigma, **dataclasses.asdict(fitted)}
        reference |= {_BEHIND_FILTER: bool(manifest["empty_score"].notna().any())}
    reference |= measured_by(curation)
    labels = label_patches(values, live_below=reference["live_below"], dead_above=reference["dead_above"])
    manifest.loc[kept, "label_value"] = values
    manifest.loc[kept, "label"] = labels
    manifest.loc[kept & (manifest["label"] == AMBIGUOUS).fillna(False).to_numpy(bool), "excluded"] = (
        Excluded.AMBIGUOUS.value
    )
    return reference


def describe_other_patches(summary: dict[str, Any], thresholds: dict[str, Any]) -> list[str]:
    """What to know of thresholds that were fitted behind an empty filter, where there is none here, or the reverse."""
    there, here = thresholds.get(_BEHIND_FILTER), summary["empty_filter"]["status"] == "trained"
    if there is None or there == here:
        return []
    how = {True: "behind an empty filter", False: "without an empty filter"}
    return [
        f"WARNING: the thresholds were {thresholds['source']} {how[there]}, and {summary['dataset']} is curated "
        f"{how[here]}: with one curation.empty_filter.enabled for both, other patches would be live or dead"
    ]


def measured_by(curation: CurationConfig) -> dict[str, Any]:
    """What of the settings says what is measured: thresholds hold for another data set where these are the same."""
    settings = curation.label
    measured = {"scale": settings.scale, "background_percentile": settings.background_percentile}
    if not measures_patches(settings):
        return measured
    positive = dataclasses.asdict(positive_settings(settings))
    nuclei = {"nuclei": dataclasses.asdict(curation.nuclei)} if settings.scale == "nuclei" else {}
    return {**measured, "positive": positive, **nuclei, "patch_size": curation.patches.size}


def _label_values(scale: str, rows: pd.DataFrame, fields: pd.DataFrame) -> NDArray[np.float64]:
    if scale == "cells":
        return label_values(rows["n_dead"].to_numpy(float), rows["n_cells"].to_numpy(float), scale=scale)
    background = fields["background"].to_numpy(float)[rows["field"].to_numpy()]
    if scale == "nuclei":
        refuse_no_background(background)
        return label_values(rows["n_positive_nuclei"].to_numpy(float), rows["n_nuclei"].to_numpy(float), scale=scale)
    measured = "positive" if scale in POSITIVE_SCALES else "mean_fluorescence"
    return label_values(rows[measured].to_numpy(float), background, scale=scale)


def _fit(curation: CurationConfig, values: NDArray[np.float64]) -> LabelThresholds:
    settings = curation.label
    assert settings.n_sigma is not None  # LabelConfig checks it; counted cells are not fitted
    shared: dict[str, Any] = {
        "n_sigma": settings.n_sigma,
        "min_patches": settings.min_patches,
        "min_weight": settings.min_weight,
    }
    if settings.scale in POSITIVE_SCALES:
        area = settings.positive.min_area / curation.patches.size**2
        least = math.sqrt(area if settings.scale == "positive_area" else 0.5)
        return split_zero_inflated(values, least=least, power=2, **shared)
    if settings.scale == "nuclei":  # between no nucleus of a patch and one
        return split_zero_inflated(values, least=float(values[values > 0].min(initial=1)) / 2, power=1, **shared)
    try:
        return fit_label_thresholds(
            values,
            n_init=settings.n_init,
            tolerance=settings.tolerance,
            fit_range=settings.fit_range,
            seed=curation.seed,
            **shared,
        )
    except InputError as error:  # which may name the scale that is used already
        raise error.without(as_typed("curation.label.scale", settings.scale)) from error


def split_patches(
    dataset: DatasetConfig, curation: CurationConfig, manifest: pd.DataFrame, fields: pd.DataFrame
) -> None:
    """Give each labelled patch its split, by group or by the folders of published patches; in place.

    Raises:
        InputError: If no split leaves both classes in each part.
    """
    settings = curation.split
    manifest["split"] = no_words(len(manifest), Split)
    used = manifest["excluded"].isna().to_numpy()
    known = manifest["group"].notna().to_numpy()
    groups = np.where(known, manifest["group"].to_numpy(object), manifest["raw_image_id"].to_numpy(object))[used]
    published = fields["split"].to_numpy(object)[manifest["field"].to_numpy()]
    if dataset.layout == "patches" and pd.notna(published).all():
        manifest.loc[used, "split"] = published[used]
        check_both_classes(manifest)
    else:
        assignment = split_groups(
            groups,
            manifest.loc[used, "label"].to_numpy(np.int8),
            ratio=(settings.train, settings.val, settings.test),
            seed=curation.seed,
        )
        manifest.loc[used, "split"] = [assignment[str(group)].value for group in groups]


def thresholds_from(dataset: DatasetConfig, curation: CurationConfig) -> str | None:
    """Name of the data set whose thresholds label this one; None where these are its own, or given, or not needed.

    Raises:
        InputError: If settings of a fit are given where none is made.
    """
    label = curation.label
    if dataset.layout != "patches" and label.scale == "cells" and label.fit_on != dataset.name:
        raise InputError(
            f"curation.label.fit_on={label.fit_on} is without effect for {dataset.name}, which is labelled by counted "
            "cells (curation.label.scale)",
            remedies=(as_typed("curation.label.fit_on", dataset.name),),
        )
    if (
        dataset.layout == "patches"
        or label.scale == "cells"
        or label.live_below is not None
        or label.fit_on == dataset.name
    ):
        return None
    if label.fit_range is not None:
        raise InputError(
            f"curation.label.fit_range is without effect for {dataset.name}, which takes the thresholds of "
            f"{label.fit_on} (curation.label.fit_on)",
            advice=f"give it where {label.fit_on} is curated",
            remedies=("curation.label.fit_range=null", as_typed("curation.label.fit_on", dataset.name)),
        )
    return label.fit_on


def _refuse_without_nuclei(dataset: DatasetConfig) -> None:
    if "nuclei" not in dataset.channels():
        setting = "dataset.nuclei_index=NUMBER" if dataset.layout == "stack" else "dataset.nuclei=WORD"
        raise InputError(
            "curation.label.scale=nuclei needs a stain of all nuclei, such as Hoechst, of each raw image",
            remedies=(setting,),
        )


def reference_thresholds(dataset: DatasetConfig, curation: CurationConfig) -> dict[str, Any] | None:
    """Thresholds of another data set (paper: "No treatment" labels both), or fixed ones; None to fit them here."""
    label = curation.label
    fitted_on = thresholds_from(dataset, curation)
    if dataset.layout == "patches":
        return {"source": "class folders"}
    if label.scale == "nuclei":
        _refuse_without_nuclei(dataset)
    if label.live_below is not None and label.dead_above is not None:
        given = {"source": "given in the config", "live_below": label.live_below, "dead_above": label.dead_above}
        return given | measured_by(curation)
    if label.scale == "cells":
        live_below, dead_above = thresholds_of_share(label.dead_share)
        return {"source": "counted cells", "live_below": live_below, "dead_above": dead_above}
    if fitted_on is None:
        return None
    path = Path(curation.output_root) / fitted_on / THRESHOLDS
    thresholds = read_beside(path)
    for key, wanted in measured_by(curation).items():
        if key in _SECTIONS and thresholds.get(key) != wanted:
            setting = _SECTIONS[key]
            raise InputError(
                f"the thresholds in {path} are for another {setting}",
                advice=f"give the same as {label.fit_on} has, or curate {label.fit_on} again with this one",
            )
        if thresholds.get(key) != wanted:
            raise InputError(
                f"the thresholds in {path} are for curation.label.{key}={thresholds.get(key)}, not {wanted}",
                remedies=(
                    f"curation.label.{key}={thresholds.get(key)}",
                    f"jimt prepare {as_typed('dataset', label.fit_on)} curation.label.{key}={wanted}",
                ),
            )
    return thresholds | {"source": f"fitted on {label.fit_on}"}
