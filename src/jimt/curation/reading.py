"""The work on one raw image: read it, check it, convert it, measure its patches."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.curation.channels import ReadSettings, read_images
from jimt.curation.copies import pixel_digest
from jimt.curation.decoding import BadImageError
from jimt.curation.exchanged import look_exchanged
from jimt.curation.further_channels import FurtherChannels, measure_further
from jimt.curation.no_data import no_data_mask
from jimt.curation.patches import (
    Scaling,
    grey_histogram,
    patch_origins,
    to_8_bit,
    valid_percentiles,
    window_means,
)
from jimt.curation.payload import UsedBits
from jimt.curation.positive import measure_positive, positive_mask, positive_share
from jimt.curation.raw_images import RawImage
from jimt.curation.saturation import Saturation, saturation_of
from jimt.curation.shift import Evidence, shift_evidence, undo_shift
from jimt.system.memory import keep_freed_memory
from jimt.vocabulary import FURTHER_CHANNELS


@dataclass(frozen=True)
class Spool:
    """A file that pixels were left in by a worker of another machine; whoever appends them to the store deletes it."""

    path: Path
    n_bytes: tuple[int, ...]
    """Of each array in it."""


@dataclass(frozen=True)
class FieldPatches:
    """One field in 8 bits and what was measured on its patches; arrays of shape ``(n_patches,)``.

    ``y``, ``x`` and ``mean_fluorescence`` are None for a published patch, ``background`` is NaN. Means and
    background are of pixels that hold data; of a patch without any the mean is NaN. ``digests`` identify the pixels of
    bright-field and fluorescence before they are scaled (``copies.py``).
    """

    raw: RawImage
    pixels: tuple[NDArray[Any], ...] | Spool
    """Bright-field in 8 bits, fluorescence and no-data: a published patch has no fluorescence, and there is no no-data
    where every pixel is data."""
    fluorescence_type: str | None
    """Of its counts, as NumPy names it; None for a published patch."""
    height: int
    width: int
    y: NDArray[np.int32] | None
    x: NDArray[np.int32] | None
    no_data: NDArray[np.float64]
    mean_fluorescence: NDArray[np.float64] | None
    positive: NDArray[np.float64] | None
    """Share of PI-positive pixels, or number of PI-positive nuclei, where the label scale is one of them."""
    pi_area: float
    """Share of the field's valid pixels that are PI-positive; NaN of a published patch."""
    background: float
    digests: tuple[str | None, str | None]
    bits: tuple[UsedBits, ...]
    """Of its images, for ``check_bits`` to judge with those of all others."""
    exchanged: bool
    """Whether its channels look exchanged."""
    saturation: Saturation
    evidence: Evidence | None
    """Of how far its channels lie apart; None where it was not asked for."""
    further: FurtherChannels


@dataclass(frozen=True)
class BadField:
    """A raw image that cannot be used, and why."""

    raw: RawImage
    reason: str


def _spool(parts: Sequence[NDArray[Any]], folder: Path) -> Path:
    # sent between machines, a field would be copied four times and take longer than all that is measured on it
    descriptor, name = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "wb") as spool:
        for part in parts:
            spool.write(np.ascontiguousarray(part).data)
    return Path(name)


def read_field(raw: RawImage, settings: ReadSettings, scaling: Scaling, folder: Path | None) -> FieldPatches | BadField:
    """Read one raw image and measure its patches; a bad image is an answer, so that all are found in one pass.

    Args:
        raw: The raw image.
        settings: How it is read.
        scaling: How bright-field becomes 8 bits.
        folder: Where the pixels are left for another machine; None to give them back.
    """
    keep_freed_memory()
    cv2.setNumThreads(1)  # an image a core: OpenCV's own threads would only take those of the other images
    try:
        images, bits = read_images(raw, settings)
        brightfield, fluorescence = images["brightfield"], images.get("fluorescence")
        digests = pixel_digest(brightfield), None if fluorescence is None else pixel_digest(fluorescence)
        no_data = np.zeros(brightfield.shape, np.bool_)
        if fluorescence is not None:
            no_data = no_data_mask(brightfield, fluorescence)
            if raw.shift is not None:
                fluorescence, uncovered = undo_shift(fluorescence, raw.shift)
                no_data = no_data_mask(brightfield, fluorescence) | uncovered
                for name in images.keys() & set(FURTHER_CHANNELS):  # stains are imaged alike
                    images[name], _ = undo_shift(images[name], raw.shift)
        valid = ~no_data
        pixels = to_8_bit(brightfield, valid, scaling)
        height, width = pixels.shape
        parts, y, x, means, positive, share, background = [pixels], None, None, None, None, np.zeros(1), np.nan
        pi_area, further = np.nan, FurtherChannels()
        saturation, evidence = Saturation(0.0, np.nan), None
        if fluorescence is not None:
            parts += [fluorescence, *[np.packbits(no_data)] * bool(no_data.any())]
            y, x = patch_origins(height, width, size=settings.patch_size, stride=settings.stride)
            means, share = window_means(fluorescence, no_data, y, x, size=settings.patch_size)
            (background,) = valid_percentiles(fluorescence, valid, (settings.background_percentile,))
            top = 2**settings.bit_depth - 1 if fluorescence.dtype.kind == "u" else np.inf
            saturation = saturation_of(fluorescence, valid, top=top)
            if raw.seeks_shift:
                evidence = shift_evidence(brightfield, fluorescence, valid)
            mask = positive_mask(fluorescence, valid, settings.positive, saturated_at=top)
            pi_area = positive_share(mask, valid)
            if settings.patches_positive:
                positive = measure_positive(mask, no_data, y, x, settings.positive, size=settings.patch_size)
            further = measure_further(
                images,
                valid,
                mask,
                y,
                x,
                nuclei=settings.nuclei,
                positive=settings.positive,
                size=settings.patch_size,
                bit_depth=settings.bit_depth,
            )
        return FieldPatches(
            raw=raw,
            pixels=tuple(parts)
            if folder is None
            else Spool(_spool(parts, folder), tuple(part.nbytes for part in parts)),
            fluorescence_type=None if fluorescence is None else fluorescence.dtype.name,
            height=height,
            width=width,
            y=y,
            x=x,
            no_data=share,
            mean_fluorescence=means,
            positive=positive,
            pi_area=pi_area,
            background=background,
            digests=digests,
            bits=bits,
            exchanged=fluorescence is not None and look_exchanged(brightfield, fluorescence, valid),
            saturation=saturation,
            evidence=evidence,
            further=further,
        )
    except BadImageError as error:
        return BadField(raw, str(error))


def evidence_of(raw: RawImage, settings: ReadSettings) -> Evidence | None:
    """How well its channels fit for each shift; None where it was not asked for, or ``read_field`` will refuse it."""
    if not raw.seeks_shift:
        return None
    cv2.setNumThreads(1)
    try:
        images, _ = read_images(raw, settings)
        brightfield, fluorescence = images["brightfield"], images["fluorescence"]
        return shift_evidence(brightfield, fluorescence, ~no_data_mask(brightfield, fluorescence))
    except BadImageError:
        return None


def brightfield_histogram(raw: RawImage, settings: ReadSettings) -> NDArray[np.int64] | None:
    """Grey values of one bright-field image, shape ``(65536,)``; None for an image that ``read_field`` will refuse."""
    try:
        images, _ = read_images(raw, settings)
        brightfield, fluorescence = images["brightfield"], images.get("fluorescence")
        if brightfield.dtype.kind == "f":
            return None
        valid = np.ones(brightfield.shape, np.bool_)
        if fluorescence is not None:
            valid = ~no_data_mask(brightfield, fluorescence)
    except BadImageError:
        return None  # reported by read_field, which reads every image
    return grey_histogram(brightfield, valid)
