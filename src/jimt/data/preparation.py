"""What ``prepare.py`` and the datamodule both do: simulate where asked, then curate."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from jimt.config.curating import CurationConfig, EmptyFilterConfig
from jimt.config.data import DatasetConfig
from jimt.curation.curate import curate, find_raw_images
from jimt.curation.empty_filter import Embed
from jimt.curation.found import describe_dry_run, print_lines
from jimt.curation.hand_labels import read_hand_labels
from jimt.curation.hand_labels_only import keep_hand_labels_of
from jimt.errors import InputError
from jimt.system.locks import in_turn


def late_embed(config: EmptyFilterConfig) -> Embed:
    """The empty filter's network as a function; torch is imported and weights are loaded at its first call."""
    loaded: list[Embed] = []

    def embed(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        if not loaded:
            import torch

            from jimt.networks.backbones import FeatureExtractor

            device = config.device
            if device == "auto":
                device = "cuda" if torch.cuda.is_available() else "cpu"
            loaded.append(
                FeatureExtractor(
                    config.backbone,
                    config.weights,
                    device=device,
                    batch_size=config.batch_size,
                    precision=config.precision,
                )
            )
        return loaded[0](patches)

    return embed


def prepare(dataset: DatasetConfig, curation: CurationConfig) -> Path:
    """Curate a data set, simulating its raw images first where its config says how; returns the curated folder.

    Raises:
        InputError: If that cannot be done as asked.
    """
    console = Console()
    _simulate(dataset, curation, console)
    return curate(dataset, curation, embed=late_embed(curation.empty_filter), console=console)


def prepare_hand_labels(dataset: DatasetConfig, curation: CurationConfig) -> Path:
    """Keep the features of a data set's hand-labelled patches for others, simulating it first where asked.

    Raises:
        InputError: If that cannot be done as asked.
    """
    console = Console()
    _simulate(dataset, curation, console)
    return keep_hand_labels_of(dataset, curation, embed=late_embed(curation.empty_filter), console=console)


def _simulate(dataset: DatasetConfig, curation: CurationConfig, console: Console) -> None:
    simulation = dataset.simulation
    if simulation is not None:
        from jimt.synthetic import simulate_dataset

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
            )
        if is_new:
            console.print(
                f"simulated {simulation.n_wells * simulation.fields_per_well} raw image pairs in {dataset.root}"
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
            soft_wrap=True,
        )
        return
    finding = find_raw_images(dataset, curation, root)
    hand, stride = _labelled(dataset, curation), curation.patches.stride
    print_lines(describe_dry_run(dataset.name, root, finding, hand, stride=stride), Console())
    if not finding.images:
        raise InputError(f"no raw image in {root} can be used", advice="mend what is named above")


def _labelled(dataset: DatasetConfig, curation: CurationConfig) -> pd.DataFrame | None:
    """The hand labels; None where the curation asks for none."""
    if dataset.empty_labels is None or dataset.layout == "patches" or not curation.empty_filter.enabled:
        return None
    return read_hand_labels(
        Path(dataset.empty_labels), empty_word=dataset.empty_word, not_empty_word=dataset.not_empty_word
    )
