"""What stains beside PI tell of a field: all its nuclei by a nuclear stain, and the area that a live stain fills."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jimt.curation.images import Image
from jimt.curation.nuclei import Nuclei, NucleiSettings, find_nuclei
from jimt.curation.positive import PositiveSettings, positive_mask, positive_share


@dataclass(frozen=True)
class FurtherChannels:
    """Measured on the further stains of one field; None of a stain that it has not.

    Attributes:
        nuclei: All nuclei.
        n_nuclei: Those whose centre lies in each patch, shape ``(n_patches,)``.
        n_positive_nuclei: The PI-positive ones of these, likewise.
        live_stain_area: Share of the field's valid pixels that are positive for the live stain.
    """

    nuclei: Nuclei | None = None
    n_nuclei: NDArray[np.int32] | None = None
    n_positive_nuclei: NDArray[np.int32] | None = None
    live_stain_area: float | None = None

    def of_field(self) -> dict[str, float]:
        """Of the whole field, by the columns ``store.FURTHER``; of the stains that there are."""
        measured: dict[str, float] = {}
        if self.nuclei is not None:
            measured["n_nuclei"] = len(self.nuclei.centres)
            measured["n_positive_nuclei"] = int(self.nuclei.positive.sum())
            measured["nuclei_contrast"], measured["nuclei_focus"] = self.nuclei.contrast, self.nuclei.focus
        if self.live_stain_area is not None:
            measured["live_stain_area"] = self.live_stain_area
        return measured


def measure_further(
    images: dict[str, Image],
    valid: NDArray[np.bool_],
    pi_positive: NDArray[np.bool_],
    y: NDArray[np.int32],
    x: NDArray[np.int32],
    *,
    nuclei: NucleiSettings,
    positive: PositiveSettings,
    size: int,
    bit_depth: int,
) -> FurtherChannels:
    """Measure the further stains of one field.

    Args:
        images: Of each channel, by the names of ``CHANNELS``, shape ``(height, width)``.
        valid: Which pixels of bright-field and PI are data, likewise.
        pi_positive: Which pixels are PI-positive, likewise.
        y: Upper edge of each patch, shape ``(n_patches,)``.
        x: Left edge, likewise.
        nuclei: What is a nucleus.
        positive: What is positive for the live stain: the same as for PI.
        size: Side of a patch, pixels.
        bit_depth: Of the camera, whose largest count is positive.
    """
    found = n_nuclei = n_positive = area = None
    if "nuclei" in images:
        found = find_nuclei(images["nuclei"], valid, pi_positive, nuclei)
        n_nuclei, n_positive = found.count(y, x, size=size)
    if "live_stain" in images:
        stain = images["live_stain"]
        top = 2**bit_depth - 1 if stain.dtype.kind == "u" else np.inf
        area = positive_share(positive_mask(stain, valid, positive, saturated_at=top), valid)
    return FurtherChannels(found, n_nuclei, n_positive, area)
