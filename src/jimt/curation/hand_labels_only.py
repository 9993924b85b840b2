"""Keeps the features of a data set's hand-labelled patches for other data sets, and curates nothing."""

import shutil
from pathlib import Path

from rich.console import Console

from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.curation.curate import find_raw_images
from jimt.curation.empty_filter import Embed
from jimt.curation.filter_stage import own_hand_labels
from jimt.curation.found import describe_finding, print_lines
from jimt.curation.hand_label_pool import hand_labels_path
from jimt.curation.read_stage import read_usable
from jimt.curation.store import FieldStore
from jimt.errors import InputError, filling_a_disk
from jimt.system.locks import in_turn


def keep_hand_labels_of(
    dataset: DatasetConfig, curation: CurationConfig, *, embed: Embed, console: Console, anew: bool = True
) -> Path:
    """Keep the features of a data set's hand-labelled patches for others, and curate nothing.

    Two data sets that are labelled by the thresholds of one, and whose filter is trained on both, would otherwise each
    have to be curated before the other.

    Args:
        dataset: Where the raw images lie, and the hand labels.
        curation: How patches are cut and features made.
        embed: Features of the empty filter's network.
        console: Where progress is shown.
        anew: Whether those that are kept already are replaced.

    Returns:
        The file.

    Raises:
        InputError: If there are no hand labels, or the raw images cannot be read as asked.
    """
    if not curation.empty_filter.enabled or dataset.layout == "patches":
        raise InputError(
            f"hand_labels_only=true is without effect for {dataset.name}, whose empty filter is off",
            remedies=("hand_labels_only=false",),
        )
    if dataset.empty_labels is None:
        raise InputError(
            f"{dataset.name} has no hand labels to keep",
            remedies=("dataset.empty_labels=FILE", "hand_labels_only=false"),
        )
    finding = find_raw_images(dataset, curation, Path(dataset.root))
    print_lines(describe_finding(finding), console)
    path = hand_labels_path(Path(curation.output_root), dataset.name)
    partial = path.with_name(f".{dataset.name}.hand_labels.partial")
    folder = Path(curation.output_root) / dataset.name  # whose curation works in the same places
    with in_turn(folder, what=f"curates {dataset.name} below {curation.output_root}"):
        if not anew and path.is_file():  # by the process that had the lock
            return path
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed, perhaps of other settings
        try:
            with filling_a_disk(path, remedies=("curation.output_root=FOLDER",)):
                manifest = read_usable(dataset, curation, finding, partial, console).manifest
                _, labelled, _ = own_hand_labels(dataset, curation, manifest, FieldStore(partial), embed)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    console.print(
        f"wrote {path}: features of {len(labelled.empty):,} hand-labelled patches, {int(labelled.empty.sum()):,} of "
        "them empty",
        markup=False,
        soft_wrap=True,
    )
    return path
