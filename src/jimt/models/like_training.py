"""Whether a field looks like those of the training: what a checkpoint knows of them, and the reasons it gives."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from jimt.curation.patches import patch_origins
from jimt.data.fields import Fields
from jimt.statistics.familiarity import Spread
from jimt.statistics.image_quality import MEASURES, measure_image
from jimt.statistics.image_spectrum import log_spectrum

UNLIKE: Final = "unlike"
"""The flag of a field whose features lie too far off, beside those of ``image_quality.MEASURES``."""
TEXTURE: Final = "texture"
"""Likewise whose contrast is spread over other scales (``image_spectrum``). A network answers for what it was trained
to tell apart, and may have no feature of what else is new."""
DISTANCES: Final = (UNLIKE, TEXTURE)
"""What flags a field; a measure says why it may be flagged, since each kind that flags by itself widens all limits."""
_MAX_WINDOWS: Final = 16
"""Of a field; patches side by side, by which its features are taken."""
_MAX_NO_DATA: Final = 0.5  # share of a window
_FAR: Final = {
    UNLIKE: "unlike the training data to the network",
    TEXTURE: "its details are of other sizes or strengths than in the training data",
}
_MOST_ZOOM: Final = 2.0
"""Times that an image may be enlarged or reduced to the model's pixel size: what is enlarged more lacks the details
that the network goes by, whatever it looks like."""


@dataclass(frozen=True)
class StoredSpread:
    """A ``familiarity.Spread`` in float32, as a checkpoint holds it; of nothing known empty."""

    mean: Tensor
    directions: Tensor
    variances: Tensor
    rest: float

    def distance(self, features: NDArray[np.floating]) -> float:
        """Of the mean of the windows of one field, shape ``(n_windows, n_features)``."""
        mean, directions, variances = (
            part.numpy().astype(np.float64) for part in (self.mean, self.directions, self.variances)
        )
        spread = Spread(mean, directions, variances, self.rest)
        return float(spread.distances(features.mean(axis=0, dtype=np.float64)[None])[0])


@dataclass(frozen=True)
class Reference:
    """What is known of the training's fields.

    Attributes:
        n_fields: It was fitted on.
        n_groups: That these are of.
        unknown: Why no limit is known; None where they are.
        features: How the network's features of fields are spread.
        texture: Likewise their spectra.
        measures: Centre and standard deviation of each of ``image_quality.MEASURES``, of its logarithm.
        limits: Of both distances and of each measure's deviation in standard deviations, of whole fields.
        limits_of_window: Likewise, of fields of a single window, whose features scatter more.
        n_windows: Windows of a field, in the middle.
        interval: Of the limit of the features' distance, in units of it, over groups.
        false_alarms: Share of the fields of further groups that any flag is raised for.
    """

    n_fields: int
    n_groups: int
    unknown: str | None
    features: StoredSpread
    texture: StoredSpread
    measures: dict[str, tuple[float, float]]
    limits: dict[str, float]
    limits_of_window: dict[str, float]
    n_windows: float
    interval: tuple[float, float] | None
    false_alarms: float

    def limit(self, name: str, *, n_windows: int) -> float:
        """The limit of a field of so many windows: its square falls with their inverse, as a variance does."""
        whole, single = self.limits[name], self.limits_of_window[name]
        if self.n_windows <= 1 or n_windows >= self.n_windows:
            return whole
        share = (1 / n_windows - 1 / self.n_windows) / (1 - 1 / self.n_windows)
        return float(np.sqrt(whole**2 + share * (single**2 - whole**2)))


@dataclass(frozen=True)
class Flag:
    """One reason not to trust a field.

    Attributes:
        name: ``unlike``, ``texture``, ``focus``, ``contrast``, ``noise``, ``colour``, ``pixel_size``.
        reason: As a sentence with the number found and that expected.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Familiarity:
    """How like the training's fields a field is.

    Attributes:
        distance: Of features or of the spectrum, whichever is farther off, in units of the limit: above 1 is unlike;
            None where no limit is known.
        flags: Reasons not to trust it.
    """

    distance: float | None
    flags: tuple[Flag, ...]


def windows_of(fields: Fields, number: int, *, size: int) -> pd.DataFrame:
    """Patches side by side of one field, by which its features are taken: ``field``, ``y`` and ``x``.

    Those that hold data, or where all are mostly without them, those with most; of many so many as are spread over all.

    Args:
        fields: That the number counts in.
        number: Of the field.
        size: Side of a patch, pixels.
    """
    height, width = fields.field(number).shape
    y, x = patch_origins(height, width, size=size, stride=size)
    no_data = fields.no_data(number)
    known = np.ones(len(y), np.bool_)
    if no_data.any():
        shares = [no_data[top : top + size, left : left + size].mean() for top, left in zip(y, x, strict=True)]
        known = np.array(shares) <= max(_MAX_NO_DATA, min(shares))
    chosen = np.flatnonzero(known)
    chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, _MAX_WINDOWS).round().astype(int))]
    return pd.DataFrame({"field": np.full(len(chosen), number, np.int32), "y": y[chosen], "x": x[chosen]})


def spectra_of(
    pixels: NDArray[np.uint8], valid: NDArray[np.bool_], rows: pd.DataFrame, *, size: int
) -> NDArray[np.float64]:
    """Spectrum of each window of a field, shape ``(n_windows, N_BANDS)``; arguments as of ``judge``."""
    places = zip(rows["y"].tolist(), rows["x"].tolist(), strict=True)
    windows = [np.s_[y : y + size, x : x + size] for y, x in places]
    return np.stack([log_spectrum(pixels[window], valid[window]) for window in windows])


def judge(
    reference: Reference,
    features: NDArray[np.float32] | None,
    pixels: NDArray[np.uint8],
    valid: NDArray[np.bool_],
    rows: pd.DataFrame,
    *,
    size: int,
    colour: bool,
    pixel_size: float | None,
    zoom: float,
) -> Familiarity:
    """How like the training's fields one field is.

    Args:
        reference: What is known of these.
        features: Of its windows, shape ``(n_windows, n_features)``; None where no limit is known.
        pixels: The field in 8 bits, at the model's pixel size, shape ``(height, width)``.
        valid: Which pixels are data, likewise.
        rows: Its windows, as ``windows_of`` gives them.
        size: Side of a window, pixels.
        colour: Whether its file's colours differ from grey.
        pixel_size: Of its file, micrometres; None where that is not known.
        zoom: Pixels here for one of the file's.
    """
    flags = []
    if colour:
        flags.append(Flag("colour", "the file is in colour, and the images of the training are grey"))
    if not 1 / _MOST_ZOOM <= zoom <= _MOST_ZOOM:
        told = "" if pixel_size is None else f" from {pixel_size:.3g} µm a pixel"
        done = "enlarged" if zoom > 1 else "reduced"
        reason = (
            f"{done}{told} {max(zoom, 1 / zoom):.1f} times to the pixel size of the training, and more than "
            f"{_MOST_ZOOM:g} times leaves little of what the model looks at"
        )
        flags.append(Flag("pixel_size", reason))
    if features is None:
        return Familiarity(None, tuple(flags))
    n = len(features)
    spectra = spectra_of(pixels, valid, rows, size=size)
    far = {
        UNLIKE: reference.features.distance(features) / reference.limit(UNLIKE, n_windows=n),
        TEXTURE: reference.texture.distance(spectra) / reference.limit(TEXTURE, n_windows=n),
    }
    for name, distance in far.items():
        if distance > 1:
            reason = f"{_FAR[name]}: {distance:.2f} times the limit"
            flags.append(Flag(name, reason))
    if not any(distance > 1 for distance in far.values()):
        return Familiarity(max(far.values()), tuple(flags))
    for (name, measure), value in zip(MEASURES.items(), measure_image(pixels, valid), strict=True):
        centre, sd = reference.measures[name]
        reach = reference.limit(name, n_windows=n) * sd
        if abs(value - centre) > reach:
            low, high, found = np.exp([centre - reach, centre + reach, value])
            what = measure.high if value > centre else measure.low
            expected = f"the limits by the training's fields are {_digits(low)} and {_digits(high)}"
            flags.append(Flag(measure.flag, f"{what}: {measure.called} {_digits(found)}, and {expected}"))
    return Familiarity(max(far.values()), tuple(flags))


def _digits(value: float) -> str:
    return f"{value:.3g}"
