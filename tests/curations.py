"""Small curations whose remedies are run: fields and published patches, and what a person would type."""

from pathlib import Path

import numpy as np
import tifffile
from rich.console import Console

from conftest import small_field, write_pair
from jimt.curation import curate as curating
from jimt.curation.curate import find_raw_images
from jimt.curation.found import describe_finding
from jimt.curation.hand_labels_only import keep_hand_labels_of
from jimt.curation.store import cut_patches
from remedies import Lab, composed_prepare

TINY_PATCHES = ["curation.patches.size=32", "curation.patches.stride=32", "curation.n_jobs=1"]
CUT_OFFS = ["curation.label.live_below=300", "curation.label.dead_above=450"]
FIT = ["curation.label.live_below=null", "curation.label.dead_above=null", "curation.label.min_patches=10"]
NAMES = "'--{well:w}--{position:w}--{z:w}--{t:w}--{channel}.tif'"


def pairs(lab: Lab, name: str = "no_treatment") -> list[str]:
    """Overrides of six fields of six patches."""
    root = lab.tmp_path / name
    rng = np.random.default_rng(0)
    for well in range(1, 7):
        raw_image_id = f"--W{well:05d}--P00001--Z00000--T00000"
        write_pair(root, raw_image_id, small_field(rng, width=96, height=64))
    off = "curation.empty_filter.enabled=false"
    return [f"dataset={name}", f"dataset.root={root}", *TINY_PATCHES, *CUT_OFFS, off]


def embeds(look, *, size: int):
    """What a curation asks for features, of a function of patches."""
    return lambda field, places: look(cut_patches(field, places, size=size))


def look(patches: np.ndarray) -> np.ndarray:
    """Two features of a patch, which tell those of nothing but background."""
    return np.log(np.stack([patches.std((1, 2)), patches.mean(1).std(1)], axis=1) + 0.1).astype(np.float32)


def curates(*overrides: str) -> Path:
    return curating.curate(*composed_prepare(*overrides), embed=embeds(look, size=32), console=Console(quiet=True))


def types_in(given: list[str], words: list[str]) -> None:
    """``jimt prepare`` with the overrides of a small data set before its own."""
    assert words[:2] == ["jimt", "prepare"]
    does = keep_hand_labels_of if "hand_labels_only=true" in words else curating.curate
    does(*composed_prepare(*given, *words[2:]), embed=embeds(look, size=32), console=Console(quiet=True))


def finds(*overrides: str) -> None:
    dataset, curation = composed_prepare(*overrides)
    describe_finding(find_raw_images(dataset, curation, Path(dataset.root)))


def every_image(root: Path, change) -> None:
    for path in root.glob("*.tif"):
        tifffile.imwrite(path, change(tifffile.imread(path)))


def patches(lab: Lab, *folders: str, side: int = 32) -> list[str]:
    """Overrides of published patches, two of each class in each folder."""
    rng = np.random.default_rng(0)
    for folder in folders:
        for label, spread in (("live", 10), ("dead", 60)):
            for number in range(2):
                path = lab.tmp_path / "published" / folder / label / f"{folder or 'all'}{number}_{label}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(path, rng.normal(2000, spread, (side, side)).astype(np.uint16))
    off = "curation.empty_filter.enabled=false"
    words = ["dataset=no_treatment", "dataset.layout=patches", "dataset.pattern=null"]
    return [*words, f"dataset.root={lab.tmp_path / 'published'}", *TINY_PATCHES, off]


BY_NUMBER = r"'(?P<raw_image_id>(?P<group>[a-z]+\d)_)'"
