"""The second stage: the empty filter is trained on hand labels, and drops patches without cells."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.curation.empty_filter import Embed, empty_scores, fit_empty_filter, save_empty_filter
from jimt.curation.hand_label_pool import HandLabelled, features_made_with, hand_labels_path, pool, save_hand_labelled
from jimt.curation.hand_labels import read_hand_labels, unused_labels
from jimt.curation.manifest import FILTER, FILTER_LABELS
from jimt.curation.store import FieldStore, places_of
from jimt.errors import InputError
from jimt.vocabulary import Excluded


def own_hand_labels(
    dataset: DatasetConfig, curation: CurationConfig, manifest: pd.DataFrame, store: FieldStore, embed: Embed
) -> tuple[pd.DataFrame, HandLabelled, dict[str, int | str | None]]:
    """Features of this data set's hand-labelled patches, kept in a file for other data sets.

    Returns:
        Rows of the manifest, what was kept, and ``unused_labels``.
    """
    assert dataset.empty_labels is not None  # curate checks it
    hand = read_hand_labels(
        Path(dataset.empty_labels), empty_word=dataset.empty_word, not_empty_word=dataset.not_empty_word
    )
    kept = manifest[manifest["excluded"].isna()]
    rows = kept.drop(columns="empty", errors="ignore").merge(hand, on=["raw_image_id", "y", "x"], how="inner")
    if not len(rows):
        raise InputError(
            f"none of the {len(hand)} hand labels in {dataset.empty_labels} is of a patch of this data set",
            advice="check its raw_image_id, and that y and x are multiples of curation.patches.stride",
        )
    labelled = HandLabelled(
        dataset=dataset.name,
        made_with=features_made_with(curation),
        features=embed(store.field, places_of(rows)),
        empty=rows["empty"].to_numpy(bool),
        raw_image_ids=rows["raw_image_id"].to_numpy(str),
        groups=rows["group"].to_numpy(str) if rows["group"].notna().all() else None,
        y=rows["y"].to_numpy(np.int32),
        x=rows["x"].to_numpy(np.int32),
    )
    save_hand_labelled(hand_labels_path(Path(curation.output_root), dataset.name), labelled)
    return rows, labelled, unused_labels(hand, manifest)


def drop_empty(
    dataset: DatasetConfig,
    curation: CurationConfig,
    others: dict[str, HandLabelled] | None,
    manifest: pd.DataFrame,
    partial: Path,
    embed: Embed,
    console: Console,
) -> dict[str, Any]:
    """Score every patch by the empty filter and mark those without cells; the manifest is changed in place.

    Returns:
        What ``summary.json`` says of the filter.

    Raises:
        InputError: If it cannot be trained, or passes no patch.
    """
    settings = curation.empty_filter
    manifest["empty_score"] = np.full(len(manifest), np.nan, np.float32)
    manifest["empty"] = pd.array([None] * len(manifest), dtype="boolean")
    if not settings.enabled:
        return {"status": "off"}
    if dataset.layout == "patches":
        return {"status": "off for published patches"}
    if others is None:
        return {"status": "no labels"}
    store, parts = FieldStore(partial), dict(others)
    unused: dict[str, int | str | None] = {"n_absent": 0, "n_off_grid": 0, "n_left_out": 0, "off_grid_example": None}
    field = {name: np.full(len(part.empty), -1, np.int32) for name, part in others.items()}  # of those none is here
    if dataset.name in settings.fit_on:
        rows, parts[dataset.name], unused = own_hand_labels(dataset, curation, manifest, store, embed)
        field[dataset.name] = rows["field"].to_numpy(np.int32)
    pooled = pool([parts[name] for name in settings.fit_on])
    pipeline, report, held_out = fit_empty_filter(
        pooled.features,
        pooled.empty,
        pooled.raw_image_ids,
        pooled.groups,
        kernel=settings.kernel,
        regularisation=settings.regularisation,
        n_folds=settings.n_folds,
        seed=curation.seed,
    )
    np.savez_compressed(
        partial / FILTER_LABELS,
        features=pooled.features,
        empty=pooled.empty,
        held_out_score=held_out,
        field=np.concatenate([field[name] for name in settings.fit_on]),
        y=pooled.y,
        x=pooled.x,
    )
    kept = manifest[manifest["excluded"].isna()]
    progress = Progress(
        TextColumn("looking for empty patches"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    with progress:
        task = progress.add_task("embed", total=len(kept))
        for _, part in kept.groupby("field", sort=False):
            scores = empty_scores(pipeline, embed(store.field, places_of(part)))
            manifest.loc[part.index, "empty_score"] = scores
            manifest.loc[part.index, "empty"] = scores > 0
            progress.advance(task, len(part))
    manifest.loc[manifest["empty"].fillna(False).to_numpy(bool), "excluded"] = Excluded.EMPTY.value
    save_empty_filter(pipeline, partial / FILTER)
    if manifest["excluded"].notna().all():
        raise InputError(
            "every patch is empty by the empty filter, or has too much no-data",
            advice="check the words of the hand labels (dataset.empty_word, dataset.not_empty_word)",
            remedies=("curation.empty_filter.enabled=false",),
        )
    return {
        "status": "trained",
        "backbone": settings.backbone,
        "features": settings.features,
        "precision_of_features": settings.precision,
        "n_labelled_of": {name: len(parts[name].empty) for name in settings.fit_on},
        **dataclasses.asdict(report),
        **unused,
    }
