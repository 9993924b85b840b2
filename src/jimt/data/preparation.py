"""What comes before every training: simulate where asked, curate what a curation needs, then curate.

A curation may need other data sets: the one whose thresholds label it (``curation.label.fit_on``), and those whose hand
labels train its empty filter (``curation.empty_filter.fit_on``).
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from jimt.config.curating import CurationConfig, EmptyFilterConfig
from jimt.config.data import DatasetConfig
from jimt.curation.counted_cells import read_cells
from jimt.curation.curate import curate, find_raw_images
from jimt.curation.empty_filter import Embed
from jimt.curation.found import describe_dry_run, print_lines
from jimt.curation.hand_label_pool import hand_labels_from, hand_labels_path
from jimt.curation.hand_labels import read_hand_labels
from jimt.curation.hand_labels_only import keep_hand_labels_of
from jimt.curation.label_stage import thresholds_from
from jimt.curation.listing import list_files
from jimt.curation.manifest import THRESHOLDS
from jimt.errors import InputError, as_typed, is_command
from jimt.system.locks import in_turn

if TYPE_CHECKING:
    from jimt.networks.backbones import FeatureExtractor


def late_embed(config: EmptyFilterConfig, *, size: int) -> Embed:
    """The empty filter's network as a function of patches of a size; torch and weights are loaded at its first call."""

    @functools.cache
    def extractor() -> "FeatureExtractor":
        import torch

        from jimt.networks.backbones import FeatureExtractor

        device = ("cuda" if torch.cuda.is_available() else "cpu") if config.device == "auto" else config.device
        name, weights, precision = config.backbone, config.weights, config.precision
        return FeatureExtractor(name, weights, device=device, batch_size=config.batch_size, precision=precision)

    def embed(field: Callable[[int], NDArray[np.uint8]], places: NDArray[np.int64]) -> NDArray[np.float32]:
        return extractor().of_places(field, places, size=size, whole=config.features == "field")

    return embed


@dataclass(frozen=True)
class OtherDataset:
    """How another data set is curated where a curation needs it."""

    dataset: DatasetConfig
    curation: CurationConfig
    anew: bool
    """Whether it is also curated where it stands with other settings: by jobs of one sweep, which come in any order."""


ConfigOf = Callable[[str], OtherDataset | None]
"""The config of a data set by its name; None where there is none."""


def prepare(dataset: DatasetConfig, curation: CurationConfig, *, config_of: ConfigOf | None = None) -> Path:
    """Curate a data set and before it what it needs of others, simulating raw images first where a config says how.

    What another data set has been curated to stays as it is.

    Args:
        dataset: Where the raw images lie and how they are read.
        curation: Every number from raw image to split.
        config_of: The config of another data set, by its name; None to take others as they stand.

    Returns:
        The curated folder.

    Raises:
        InputError: If that cannot be done as asked.
    """
    return _prepare(dataset, curation, config_of or (lambda name: None), under_way=(dataset.name,))


def _prepare(
    dataset: DatasetConfig, curation: CurationConfig, config_of: ConfigOf, *, under_way: tuple[str, ...]
) -> Path:
    """As ``prepare``, as part of the preparation of other data sets, which are not begun again."""
    console = Console()
    _simulate(dataset, curation, console)
    reference, labelled = _references(dataset, curation, config_of), _hand_labelled(dataset, curation, config_of)
    if reference or labelled:
        find_raw_images(dataset, curation, Path(dataset.root))  # what its own names tell is said first

    def other_of(name: str) -> OtherDataset | None:
        """Of the others this one is one, as it was asked for."""
        return OtherDataset(dataset, curation, anew=False) if name == dataset.name else config_of(name)

    for name, other in reference.items():
        if name not in under_way:
            with _told_of(name, f"whose thresholds label {dataset.name}"):
                _prepare(other.dataset, other.curation, other_of, under_way=(*under_way, name))
    for name, other in labelled.items():
        with _told_of(name, f"whose hand labels the empty filter of {dataset.name} is trained on"):
            _simulate(other.dataset, other.curation, console)
            embed = late_embed(other.curation.empty_filter, size=other.curation.patches.size)
            keep_hand_labels_of(other.dataset, other.curation, embed=embed, console=console, anew=False)
    embed = late_embed(curation.empty_filter, size=curation.patches.size)
    return curate(dataset, curation, embed=embed, console=console)


def _references(dataset: DatasetConfig, curation: CurationConfig, config_of: ConfigOf) -> dict[str, OtherDataset]:
    """The data set whose thresholds label this one, where it is yet to be curated and can be."""
    name = thresholds_from(dataset, curation)
    other = None if name is None else _readable(config_of(name), dataset, curation)
    if name is None or other is None:
        return {}
    is_curated = (Path(curation.output_root) / name / THRESHOLDS).is_file()
    return {name: other} if other.anew or not is_curated else {}


def _hand_labelled(dataset: DatasetConfig, curation: CurationConfig, config_of: ConfigOf) -> dict[str, OtherDataset]:
    """Data sets whose hand labels this one's empty filter needs, where they are yet to be kept and can be."""
    found = {}
    for name in hand_labels_from(dataset, curation):
        other = _readable(config_of(name), dataset, curation)
        if other is None or other.dataset.empty_labels is None or other.dataset.layout == "patches":
            continue
        if not hand_labels_path(Path(curation.output_root), name).is_file():
            found[name] = other
    return found


def _readable(other: OtherDataset | None, dataset: DatasetConfig, curation: CurationConfig) -> OtherDataset | None:
    """Another data set that is curated to the same place; None where it has no images, or those of this data set."""
    if other is None:
        return None
    same = all(getattr(other.dataset, key) == getattr(dataset, key) for key in ("root", "pattern", "leave_out"))
    if same and not other.anew:  # an experiment's YAML has set the root of whatever data set it is run with
        return None
    if other.dataset.simulation is None:
        try:
            list_files(Path(other.dataset.root), advice="", remedies=())
        except InputError:
            return None
    return dataclasses.replace(other, curation=dataclasses.replace(other.curation, output_root=curation.output_root))


@contextlib.contextmanager
def _told_of(name: str, why: str) -> Iterator[None]:
    """Say of which data set an error is; its remedies are settings of that one's own curation."""
    try:
        yield
    except InputError as error:
        command = f"jimt prepare {as_typed('dataset', name)}"
        raise InputError(
            f"{name}, {why}, cannot be curated ({error.cause})",
            advice=error.advice,
            remedies=tuple(one if is_command(one) else f"{command} {one}" for one in error.remedies),
            listed=error.listed,
        ) from error


def prepare_hand_labels(dataset: DatasetConfig, curation: CurationConfig) -> Path:
    """Keep the features of a data set's hand-labelled patches for others, simulating it first where asked.

    Raises:
        InputError: If that cannot be done as asked.
    """
    console = Console()
    _simulate(dataset, curation, console)
    embed = late_embed(curation.empty_filter, size=curation.patches.size)
    return keep_hand_labels_of(dataset, curation, embed=embed, console=console)


def _simulate(dataset: DatasetConfig, curation: CurationConfig, console: Console) -> None:
    simulation = dataset.simulation
    if simulation is not None:
        from jimt.synthetic import DoseResponse, Microscope, simulate_dataset

        response, other = simulation.dose_response, simulation.microscope
        root = Path(dataset.root)
        with in_turn(root, what=f"simulates {root}"):
            is_new = simulate_dataset(
                root,
                n_wells=simulation.n_wells,
                fields_per_well=simulation.fields_per_well,
                height=simulation.height,
                width=simulation.width,
                dead_fraction=simulation.dead_fraction,
                difficulty=simulation.difficulty,
                seed=simulation.seed,
                patch_size=simulation.patch_size,
                stride=simulation.stride,
                n_jobs=curation.n_jobs,
                treated_dead_fraction=simulation.treated_dead_fraction,
                dose_response=None
                if response is None
                else DoseResponse(tuple(response.doses), response.ec50, response.hill_slope),
                microscope=None if other is None else Microscope(other.pixel_size, other.light, other.contrast),
            )
        if is_new:
            console.print(
                f"simulated {simulation.n_wells * simulation.fields_per_well} raw image pairs in {dataset.root}",
                markup=False,
            )


def list_raw_images(dataset: DatasetConfig, curation: CurationConfig) -> None:
    """Print what the names of a data set's files tell, and compute and write nothing.

    Raises:
        InputError: If there are no images, or their names cannot be read as asked.
    """
    root = Path(dataset.root)
    simulation = dataset.simulation
    if simulation is not None and not root.exists():
        n_pairs = simulation.n_wells * simulation.fields_per_well
        Console().print(
            f"{dataset.name}: {n_pairs} raw image pairs will be simulated in {root}; a dry run, so nothing was "
            "computed or written",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        return
    finding = find_raw_images(dataset, curation, root)
    hand, stride = _labelled(dataset, curation), curation.patches.stride
    print_lines(describe_dry_run(dataset.name, root, finding, hand, stride=stride), Console())
    if dataset.cells is not None:
        cells = read_cells(Path(dataset.cells))
        n_here = int(cells["raw_image_id"].isin({image.raw_image_id for image in finding.images}).sum())
        print_lines([f"counted cells: {n_here:,} of {len(cells):,} are of these raw images"], Console())
    if not finding.images:
        raise InputError(f"no raw image in {root} can be used", advice="mend what is named above")


def _labelled(dataset: DatasetConfig, curation: CurationConfig) -> pd.DataFrame | None:
    """The hand labels; None where the curation asks for none."""
    if dataset.empty_labels is None or dataset.layout == "patches" or not curation.empty_filter.enabled:
        return None
    return read_hand_labels(
        Path(dataset.empty_labels), empty_word=dataset.empty_word, not_empty_word=dataset.not_empty_word
    )
