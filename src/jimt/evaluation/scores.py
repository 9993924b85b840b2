"""Scores of the test split: alone in reading it, each patch once, on one device, also after training on many."""

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.copies import DIGESTS
from jimt.curation.folds import Fold, split_by_fold
from jimt.curation.manifest import Curated, open_curated
from jimt.curation.store import cut_patches, places_of, read_field_names
from jimt.errors import InputError
from jimt.statistics.calibration import live_score
from jimt.vocabulary import Excluded, Split

if TYPE_CHECKING:
    from jimt.models.checkpoint import Record
    from jimt.models.predictor import Predictor

SCORE_COLUMNS = ["raw_image_id", "group", "file", "y", "x", "label", "mean_fluorescence", "label_value", "score"]
"""Of ``test_scores.csv``; ``file`` is the bright-field image below the data set's folder, or the published patch."""
_BESIDE = ["field", "logit"]
SHARE_COLUMNS = ["share_of", "predicted_share"]
"""Of a model that predicts maps: the dead share of a patch's whole field."""


def training_data(record: "Record", curated_folder: Path | None, checkpoint: Path) -> Curated:
    """The curated data set a checkpoint was trained on, its split that of the training.

    Args:
        record: Of the checkpoint.
        curated_folder: The curated data set; None for the one the record names.
        checkpoint: The file, for the message.

    Raises:
        InputError: If it is absent, or another one.
    """
    where = curated_folder or Path(record.curated_folder)
    if not where.is_dir():
        raise InputError(f"{where} is missing", advice="curate it again", remedies=("--curated FOLDER",))
    curated = open_curated(where)
    if record.fold is not None:
        curated = dataclasses.replace(curated, manifest=split_by_fold(curated.manifest, Fold(**record.fold)))
    if (
        curated.summary["fingerprint"] != record.curation_fingerprint
        or splits_digest(curated.manifest) != record.splits_digest
    ):
        raise InputError(
            f"{curated.folder} is not the curation {checkpoint} was trained on, so test patches may have "
            "been trained on",
            advice=f"curate {record.dataset} with the run's own settings again, or train again",
        )
    return without_adapted(curated, record, trained_on=True)


def own_data(record: "Record", checkpoint: Path) -> Curated:
    """As ``training_data``, for a command that takes no other curated data set than the one the record names."""
    try:
        return training_data(record, None, checkpoint)
    except InputError as error:
        raise error.without("--curated FOLDER") from error


def without_adapted(curated: Curated, record: "Record", *, trained_on: bool) -> Curated:
    """A data set without the fields that a model was adapted to: it was told their PI, whatever their files are called.

    Args:
        curated: The data set.
        record: Of the model.
        trained_on: Whether the model was trained on this data set: then those of the training split stay.

    Raises:
        InputError: If nothing is left to test on.
    """
    if record.adaptation is None:
        return curated
    digests = read_field_names(curated.folder)[list(DIGESTS)]
    known = digests.index[digests.isin(record.adaptation.digests).any(axis=1)]
    manifest = curated.manifest
    kept = ~manifest["field"].isin(known)
    if trained_on:
        kept |= manifest["split"] == Split.TRAIN.value
    tested = manifest["split"] == Split.TEST.value
    if tested.any() and not (tested & kept).any():
        raise InputError(
            f"the model was adapted to all fields of {curated.summary['dataset']} that it could be tested on",
            advice="adapt it to fewer of them, or test the model as it was before",
        )
    return dataclasses.replace(curated, manifest=manifest[kept].reset_index(drop=True))


def splits_digest(manifest: pd.DataFrame) -> str:
    """Identify which patch is in which split, whoever edited the manifest."""
    columns = ["field", "y", "x", "label", "split"]
    return hashlib.sha256(manifest[columns].to_csv(index=False).encode()).hexdigest()


def score_test_split(predictor: "Predictor", curated: Curated) -> pd.DataFrame:
    """Scores of the test split of a data set, and of the patches between the thresholds in its groups.

    Args:
        predictor: The model.
        curated: The data set.

    Returns:
        A table of the columns of ``test_scores.csv``, of ``field`` (its number in the store) and ``logit`` (live above
        dead, before the temperature), of ``n_cells`` and ``n_dead`` where cells were counted, and of ``share_of`` and
        ``predicted_share`` of its field where maps are predicted; in the order of the manifest.
    """
    return score_split(predictor, curated, Split.TEST)


def score_split(predictor: "Predictor", curated: Curated, split: Split) -> pd.DataFrame:
    """Likewise of any split, for what must not be fitted on the test."""
    manifest = curated.manifest
    test = (manifest["split"] == split.value).to_numpy()
    groups = set(manifest.loc[test, "group"].dropna())
    between = (manifest["excluded"] == Excluded.AMBIGUOUS.value) & manifest["group"].isin(groups)
    rows = manifest[test | between.to_numpy(bool)].reset_index(drop=True)
    logits = predictor.logits(curated.store, rows)
    columns = all_score_columns(curated)
    if predictor.checkpoint.task == "stain":
        shares = predictor.shares(curated.store, np.unique(rows["field"]).tolist())
        rows, columns = rows.merge(shares, on="field", how="left"), [*columns, *SHARE_COLUMNS]
    return rows.assign(
        file=read_field_names(curated.folder)["file"].to_numpy(object)[rows["field"].to_numpy()],
        score=live_score(logits, temperature=predictor.checkpoint.output.temperature),
        logit=logits[:, 1] - logits[:, 0],
    )[columns]


def all_score_columns(curated: Curated) -> list[str]:
    """Columns of the table that ``score_test_split`` gives."""
    counted = ["n_cells", "n_dead"] if curated.summary["cells"] is not None else []
    return [*SCORE_COLUMNS, *_BESIDE, *counted]


def read_scores(path: Path) -> pd.DataFrame:
    """A table of scored patches; names stay text, such as 001 and NA, and an empty one is missing."""
    return pd.read_csv(path, dtype={"raw_image_id": str, "group": str}, keep_default_na=False, na_values=[""])


def rows_of_test(record: "Record", curated_folder: Path | None, checkpoint: Path) -> tuple[Curated, pd.DataFrame]:
    """The curated data set of a checkpoint, and the rows that it is tested on, in the order of ``test_scores.csv``.

    Arguments are those of ``training_data``.

    Raises:
        InputError: If the data set is absent, or not the training's.
    """
    curated = training_data(record, curated_folder, checkpoint)
    return curated, curated.manifest[curated.manifest["split"] == Split.TEST.value]


class TestPatches:
    """The patches of some rows of a manifest, cut when they are asked for.

    Args:
        curated: The data set.
        rows: Rows of its manifest.
    """

    __test__ = False  # pytest takes the name for a test

    def __init__(self, curated: Curated, rows: pd.DataFrame) -> None:
        self._curated, self._places = curated, places_of(rows)

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Patches of an array of indices, shape ``(n, size, size)``."""
        return cut_patches(self._curated.store.field, self._places[index], size=self._curated.summary["patch_size"])
