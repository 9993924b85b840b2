"""Hand labels of several data sets for one empty filter: each keeps the features of its own for the others.

The paper trains one filter on patches of both its data sets ("Empty patches").
"""

import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.errors import InputError, as_list_typed, as_typed
from jimt.system.files import digest_of_file


@dataclass(frozen=True)
class HandLabelled:
    """The hand-labelled patches of one data set, or of several pooled.

    Attributes:
        dataset: Its name; of several, all names.
        made_with: The settings, by name, that features must share to be pooled.
        features: Shape ``(n, n_features)``.
        empty: Hand labels, shape ``(n,)``.
        raw_image_ids: Raw image of each, likewise.
        groups: Group of each; None where groups are not known.
        y: Top of each in pixels.
        x: Left of each in pixels.
    """

    dataset: str
    made_with: dict[str, str | int]
    features: NDArray[np.float32]
    empty: NDArray[np.bool_]
    raw_image_ids: NDArray[np.str_]
    groups: NDArray[np.str_] | None
    y: NDArray[np.int32]
    x: NDArray[np.int32]


def hand_labels_path(output_root: Path, dataset: str) -> Path:
    """Where a data set keeps its hand-labelled patches for others."""
    return output_root / f"{dataset}.hand_labels.npz"


def how_to_make(dataset: str) -> str:
    """The command that writes the file of a data set."""
    return f"jimt prepare {as_typed('dataset', dataset)} hand_labels_only=true"


def features_made_with(curation: CurationConfig) -> dict[str, str | int]:
    """The settings, by name, that features of two data sets must share to train one filter."""
    settings = curation.empty_filter
    made_with: dict[str, str | int] = {
        "curation.empty_filter.backbone": settings.backbone,
        "curation.empty_filter.weights": settings.weights,
        "curation.empty_filter.features": settings.features,
        "curation.empty_filter.precision": settings.precision,
        "curation.patches.size": curation.patches.size,
    }
    if (weights := Path(settings.weights)).is_file():  # another file may have come to bear the name
        made_with["curation.empty_filter.weights (SHA-256)"] = digest_of_file(weights)
    return made_with


def save_hand_labelled(path: Path, labelled: HandLabelled) -> None:
    """Write hand-labelled patches aside and rename the file; the same ones give the same bytes."""
    arrays: dict[str, NDArray[Any]] = {
        "dataset": np.array(labelled.dataset),
        "made_with": np.array(json.dumps(labelled.made_with, sort_keys=True)),
    }
    for name in ("features", "empty", "raw_image_ids", "groups", "y", "x"):
        if (values := getattr(labelled, name)) is not None:
            arrays[name] = values
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.tmp")
    with partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    partial.replace(path)


def load_hand_labelled(path: Path, dataset: str, *, made_with: dict[str, str | int]) -> tuple[HandLabelled, str]:
    """Read what another data set has kept, and the digest of that file.

    Args:
        path: The file.
        dataset: The data set whose it should be.
        made_with: Settings that its features must have been made with.

    Raises:
        InputError: If it is absent, damaged, of another data set, or made with other settings.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing", remedies=(how_to_make(dataset),))
    try:
        with path.open("rb") as file, np.load(file) as kept:
            labelled = HandLabelled(
                str(kept["dataset"]),
                json.loads(str(kept["made_with"])),
                kept["features"],
                kept["empty"],
                kept["raw_image_ids"],
                kept.get("groups"),
                kept["y"],
                kept["x"],
            )
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged", remedies=(how_to_make(dataset),)) from error
    if labelled.dataset != dataset:
        raise InputError(f"{path} holds hand labels of {labelled.dataset}", remedies=(how_to_make(dataset),))
    for setting in sorted(made_with.keys() | labelled.made_with.keys()):
        kept_with, wanted = labelled.made_with.get(setting), made_with.get(setting)
        if kept_with != wanted:
            raise InputError(
                f"the features in {path} are for {setting}={kept_with}, not {wanted}",
                remedies=_to_agree(dataset, setting, kept_with, made_with),
            )
    return labelled, digest_of_file(path)


def _to_agree(dataset: str, setting: str, kept_with: str | int | None, wanted: dict[str, str | int]) -> tuple[str, ...]:
    """What makes the features of two data sets alike in a setting."""
    setting, _, of_file = setting.partition(" ")
    there = f"{how_to_make(dataset)} {setting}={wanted[setting]}"  # of a file, its own name again
    return (there,) if of_file else (f"{setting}={kept_with}", there)


def pool(parts: Sequence[HandLabelled]) -> HandLabelled:
    """Put hand-labelled patches of several data sets, made with the same settings, one after another.

    Groups and raw images of one name in two data sets stay apart; groups are known where they are in all.
    """

    def named(names: NDArray[np.str_], part: HandLabelled) -> NDArray[np.str_]:
        return np.array([f"{part.dataset}/{name}" for name in names])  # no data set's name has a slash

    groups = [named(part.groups, part) for part in parts if part.groups is not None]
    return HandLabelled(
        dataset=", ".join(part.dataset for part in parts),
        made_with=parts[0].made_with,
        features=np.concatenate([part.features for part in parts]),
        empty=np.concatenate([part.empty for part in parts]),
        raw_image_ids=np.concatenate([named(part.raw_image_ids, part) for part in parts]),
        groups=np.concatenate(groups) if len(groups) == len(parts) else None,
        y=np.concatenate([part.y for part in parts]),
        x=np.concatenate([part.x for part in parts]),
    )


def hand_labels_from(dataset: DatasetConfig, curation: CurationConfig) -> list[str]:
    """Names of the other data sets whose hand labels train this one's empty filter; none where no filter is trained."""
    settings = curation.empty_filter
    unlabelled = dataset.name in settings.fit_on and dataset.empty_labels is None
    if not settings.enabled or dataset.layout == "patches" or unlabelled:
        return []
    return [name for name in settings.fit_on if name != dataset.name]


def hand_labels_of_others(
    dataset: DatasetConfig, curation: CurationConfig
) -> tuple[dict[str, HandLabelled] | None, dict[str, str]]:
    """Hand-labelled patches of the other data sets that the empty filter is trained on, and the digest of each file.

    None where no filter is trained: it is off, or none of the data sets has hand labels.

    Raises:
        InputError: If some have hand labels and others none, or what another has kept cannot be used.
    """
    settings = curation.empty_filter
    if not settings.enabled or dataset.layout == "patches":
        return None, {}
    paths = {
        name: hand_labels_path(Path(curation.output_root), name) for name in settings.fit_on if name != dataset.name
    }
    if dataset.name in settings.fit_on and dataset.empty_labels is None:
        if there := [name for name, path in paths.items() if path.is_file()]:
            raise InputError(
                f"the empty filter of {dataset.name} is trained on the hand labels of "
                f"{', '.join(settings.fit_on)}, and dataset.empty_labels names none of {dataset.name}",
                remedies=("dataset.empty_labels=FILE", as_list_typed("curation.empty_filter.fit_on", there)),
            )
        return None, {}
    made_with = features_made_with(curation)
    kept = {name: load_hand_labelled(path, name, made_with=made_with) for name, path in paths.items()}
    return {name: labelled for name, (labelled, _) in kept.items()}, {
        name: digest for name, (_, digest) in kept.items()
    }
