"""In what the images of two data sets differ, and by how much each kind of difference tells their fields apart."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.cell_area import cell_area
from jimt.curation.manifest import Curated
from jimt.curation.pixel_sizes import SAME, differ
from jimt.curation.store import read_field_names
from jimt.models.reference import spread_over_groups
from jimt.statistics.image_looks import LOOKS, looks_of
from jimt.statistics.separation import Separation, Typical, separation, typical
from jimt.statistics.weighted_patches import Floats

PIXEL_SIZE: Final = "pixel_size"
DENSITY: Final = "density"
DIFFERENCES: Final = {
    PIXEL_SIZE: "pixel size, µm",
    "brightness": "brightness, grey levels",
    "contrast": "contrast, SD over mean",
    "noise": "noise, SD over mean",
    "detail": "detail, fine over coarse",
    DENSITY: "density",
}
"""What is measured, in words."""
DENSITY_OF: Final = {"counted": "cells in 1 mm²", "area": "area with cells"}
"""What a density is of, in words: cells where both data sets have them counted and their pixel sizes are known."""
_LEAST: Final = 1e-6  # of a density, whose logarithm is taken, where there is no cell
_MAX_FIELDS: Final = 300
"""Of a data set that are measured, spread over its groups."""


@dataclass(frozen=True)
class Looks:
    """What was measured of a data set.

    Attributes:
        name: Of the data set.
        fields: A row for each field, by its number in the store: ``group``, one of each of ``LOOKS``, ``area``, the
            share of its pixels that are of cells, and ``counted``, cells in 1 mm², NaN where these are not known.
        pixel_size: Micrometres; None where that is not known.
    """

    name: str
    fields: pd.DataFrame
    pixel_size: float | None

    @property
    def groups(self) -> NDArray[np.object_] | None:
        """Group of each field; None where nothing tells."""
        groups = self.fields["group"]
        return None if groups.isna().any() else groups.to_numpy(object)

    def density_beside(self, other: "Looks") -> str:
        """Which of ``DENSITY_OF`` can be told of both."""
        known = all(np.isfinite(looks.fields["counted"]).all() for looks in (self, other))
        return "counted" if known else "area"

    def values(self, name: str, *, density: str) -> Floats:
        """A measure of each field, above 0; of ``pixel_size`` there is none."""
        values = self.fields[density if name == DENSITY else name].to_numpy(np.float64)
        return np.asarray(np.maximum(values, _LEAST))


def measure(curated: Curated) -> Looks:
    """Measure the fields of a data set that hold labelled patches."""
    names, summary = read_field_names(curated.folder), curated.summary
    used = np.unique(curated.manifest.loc[curated.manifest["split"].notna(), "field"]).tolist()
    groups = names["group"].astype(object)
    chosen = spread_over_groups({int(n): str(groups[n]) for n in used}, most=_MAX_FIELDS)
    pixel_size, counted = summary["pixel_size"]["um"], summary["cells"]
    rows: dict[int, dict[str, Any]] = {}
    for number in chosen:
        pixels, valid = curated.store.field(number), ~curated.store.no_data(number)
        n_cells = None if counted is None else counted["by_field"].get(str(names["raw_image_id"][number]))
        mm2 = None if pixel_size is None else valid.sum() * pixel_size**2 / 1e6
        rows[number] = {
            "group": groups[number],
            **looks_of(pixels, valid),
            "area": float(cell_area(pixels, valid).sum() / max(valid.sum(), 1)),
            "counted": np.nan if n_cells is None or mm2 is None else n_cells[0] / mm2,
        }
    fields = pd.DataFrame.from_dict(rows, orient="index")
    return Looks(str(summary["dataset"]), fields, pixel_size)


@dataclass(frozen=True)
class Difference:
    """One kind of difference between two data sets.

    Attributes:
        name: Of ``DIFFERENCES``.
        words: What it is, with its unit.
        first: Of the first data set; None where it is not known.
        second: Likewise of the second.
        separation: How far it tells them apart; None where it is not known.
        note: What else there is to say of it.
    """

    name: str
    words: str
    first: Typical | None
    second: Typical | None
    separation: Separation | None
    note: str = ""

    def as_plain(self) -> dict[str, Any]:
        """As ``transfer.json`` has it."""
        return dataclasses.asdict(self)

    @property
    def rank(self) -> tuple[float, float]:
        """By which differences are ranked, the smallest first."""
        found = self.separation
        return (0.0, 0.0) if found is None else (-round(found.area, 6), -found.standard_deviations)


def differences(first: Looks, second: Looks, *, confidence: float, seed: int) -> list[Difference]:
    """All kinds of differences between two data sets, what tells them apart best first.

    Args:
        first: Of one data set.
        second: Of the other.
        confidence: Coverage of the intervals over groups.
        seed: Of the resampling.
    """
    density = first.density_beside(second)
    found = [_of_pixel_size(first, second)]
    compared = (*LOOKS, DENSITY)
    for name in compared:
        values = first.values(name, density=density), second.values(name, density=density)
        one, other = (
            typical(each, looks.groups, confidence=confidence, seed=seed)
            for each, looks in zip(values, (first, second), strict=True)
        )
        apart = separation(
            values, (first.groups, second.groups), confidence=confidence, n_compared=len(compared), seed=seed
        )
        words = f"density, {DENSITY_OF[density]}" if name == DENSITY else DIFFERENCES[name]
        found.append(Difference(name, words, one, other, apart))
    return sorted(found, key=lambda each: each.rank)


def _of_pixel_size(first: Looks, second: Looks) -> Difference:
    """No field needs to be measured for it: it is what the files or the settings say."""
    sizes = [first.pixel_size, second.pixel_size]
    one, other = (None if size is None else Typical(size, None) for size in sizes)
    unknown = [looks.name for looks in (first, second) if looks.pixel_size is None]
    words = DIFFERENCES[PIXEL_SIZE]
    if first.pixel_size is None or second.pixel_size is None:
        note = f"the pixel size of {' and of '.join(unknown)} is not known"
        return Difference(PIXEL_SIZE, words, one, other, None, note)
    if not differ(first.pixel_size, second.pixel_size):
        note = f"the same to {100 * SAME:.0f} %"
        return Difference(PIXEL_SIZE, words, one, other, Separation(0.5, None, 0.0, False), note)
    far = abs(float(np.log(second.pixel_size / first.pixel_size))) / SAME
    return Difference(PIXEL_SIZE, words, one, other, Separation(1.0, None, far, True))
