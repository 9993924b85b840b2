"""The work on one raw image: read it, check it, convert it, measure its patches."""

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.curation.copies import pixel_digest
from jimt.curation.decoding import BadImageError
from jimt.curation.exchanged import look_exchanged
from jimt.curation.further_channels import FurtherChannels, measure_further
from jimt.curation.images import Image, check_pair, read_channels, read_page
from jimt.curation.no_data import no_data_mask
from jimt.curation.nuclei import NucleiSettings
from jimt.curation.patches import (
    Scaling,
    grey_histogram,
    histogram_percentile,
    patch_origins,
    to_8_bit,
    valid_percentiles,
    window_means,
)
from jimt.curation.payload import UsedBits, payload, used_bits
from jimt.curation.positive import PositiveSettings, measure_positive, positive_mask, positive_share
from jimt.curation.raw_images import RawImage
from jimt.system.memory import keep_freed_memory
from jimt.vocabulary import CHANNELS, FURTHER_CHANNELS


@dataclass(frozen=True)
class ReadSettings:
    """How one raw image is read."""

    layout: str
    indices: dict[str, int]
    """Layout ``stack``: the place of each channel, from 0, by the names of ``CHANNELS``."""
    bit_depth: int
    bit_shift: int
    patch_size: int
    stride: int
    background_percentile: float
    positive: PositiveSettings
    patches_positive: bool
    """Whether it is measured of each patch, too: where the label scale is no mean."""
    nuclei: NucleiSettings
    """How all nuclei are found, where there is a stain of them."""


@dataclass(frozen=True)
class FieldPatches:
    """One field in 8 bits and what was measured on its patches; arrays of shape ``(n_patches,)``.

    ``y``, ``x`` and ``mean_fluorescence`` are None for a published patch, ``background`` is NaN. Means and
    background are of pixels that hold data; of a patch without any the mean is NaN. ``digests`` identify the pixels of
    bright-field and fluorescence before they are scaled (``copies.py``).
    """

    raw: RawImage
    spool: Path
    """File of bright-field in 8 bits, fluorescence and no-data; whoever appends them to the field store deletes it."""
    spooled: tuple[int, ...]
    """Bytes of each in it: a published patch has no fluorescence, and there is no no-data where every pixel is data."""
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
    further: FurtherChannels


@dataclass(frozen=True)
class BadField:
    """A raw image that cannot be used, and why."""

    raw: RawImage
    reason: str


def _read(raw: RawImage, settings: ReadSettings) -> tuple[dict[str, Image], tuple[UsedBits, ...]]:
    """The images of each channel, by the names of ``CHANNELS``, and the bits that they use."""
    if settings.layout == "stack":
        stored = dict(
            zip(settings.indices, read_channels(raw.brightfield, indices=tuple(settings.indices.values())), strict=True)
        )
        files = dict.fromkeys(settings.indices, raw.brightfield)
    else:
        stored, files = {"brightfield": read_page(raw.brightfield)}, raw.files
        for name in list(files)[1:]:
            try:
                stored[name] = read_page(files[name])
            except BadImageError as error:
                raise error.about(f"its {CHANNELS[name]} image {files[name].name} {error.cause}") from error
    bits = tuple(used_bits(image, file=str(files[name]), channel=CHANNELS[name]) for name, image in stored.items())
    images = {
        name: payload(image, bit_depth=settings.bit_depth, bit_shift=settings.bit_shift)
        for name, image in stored.items()
    }
    brightfield = images["brightfield"]
    if settings.layout == "patches":
        if brightfield.shape != (settings.patch_size, settings.patch_size):
            raise BadImageError(
                f"is {brightfield.shape[1]} x {brightfield.shape[0]} px where a patch of "
                f"{settings.patch_size} x {settings.patch_size} is expected",
                advice="remove it",
                remedies=("curation.patches.size=NUMBER",),
            )
        return images, bits
    further = {CHANNELS[name]: images[name] for name in FURTHER_CHANNELS if name in images}
    check_pair(brightfield, images["fluorescence"], patch_size=settings.patch_size, further=further)
    return images, bits


def _spool(parts: list[NDArray[Any]], folder: Path) -> Path:
    # sent between processes, a field would be copied four times and take longer than all that is measured on it
    descriptor, name = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "wb") as spool:
        for part in parts:
            spool.write(np.ascontiguousarray(part).data)
    return Path(name)


def read_field(raw: RawImage, settings: ReadSettings, scaling: Scaling, folder: Path) -> FieldPatches | BadField:
    """Read one raw image and measure its patches; a bad image is an answer, so that all are found in one pass.

    Args:
        raw: The raw image.
        settings: How it is read.
        scaling: How bright-field becomes 8 bits.
        folder: Where the 8-bit pixels are left.
    """
    keep_freed_memory()
    cv2.setNumThreads(1)  # one image a process: threads would only take the other processes' cores
    try:
        images, bits = _read(raw, settings)
        brightfield, fluorescence = images["brightfield"], images.get("fluorescence")
        no_data = np.zeros(brightfield.shape, np.bool_)
        if fluorescence is not None:
            no_data = no_data_mask(brightfield, fluorescence)
        valid = ~no_data
        pixels = to_8_bit(brightfield, valid, scaling)
        height, width = pixels.shape
        parts, y, x, means, positive, share, background = [pixels], None, None, None, None, np.zeros(1), np.nan
        pi_area, further = np.nan, FurtherChannels()
        if fluorescence is not None:
            parts += [fluorescence, *[np.packbits(no_data)] * bool(no_data.any())]
            y, x = patch_origins(height, width, size=settings.patch_size, stride=settings.stride)
            means, share = window_means(fluorescence, no_data, y, x, size=settings.patch_size)
            (background,) = valid_percentiles(fluorescence, valid, (settings.background_percentile,))
            top = 2**settings.bit_depth - 1 if fluorescence.dtype.kind == "u" else np.inf
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
            spool=_spool(parts, folder),
            spooled=tuple(part.nbytes for part in parts),
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
            digests=(pixel_digest(brightfield), None if fluorescence is None else pixel_digest(fluorescence)),
            bits=bits,
            exchanged=fluorescence is not None and look_exchanged(brightfield, fluorescence, valid),
            further=further,
        )
    except BadImageError as error:
        return BadField(raw, str(error))


def brightfield_histogram(raw: RawImage, settings: ReadSettings) -> NDArray[np.int64] | None:
    """Grey values of one bright-field image, shape ``(65536,)``; None for an image that ``read_field`` will refuse."""
    try:
        images, _ = _read(raw, settings)
        brightfield, fluorescence = images["brightfield"], images.get("fluorescence")
        if brightfield.dtype.kind == "f":
            return None
        valid = np.ones(brightfield.shape, np.bool_)
        if fluorescence is not None:
            valid = ~no_data_mask(brightfield, fluorescence)
    except BadImageError:
        return None  # reported by read_field, which reads every image
    return grey_histogram(brightfield, valid)


def dataset_grey_range(
    histograms: Iterable[NDArray[np.int64] | None], *, low_percentile: float, high_percentile: float
) -> tuple[float, float] | None:
    """Two percentiles of all valid bright-field pixels of a data set; None where no image could be read."""
    total: NDArray[np.int64] | None = None
    for histogram in histograms:
        if histogram is not None:
            total = histogram.copy() if total is None else total + histogram
    if total is None:
        return None
    return histogram_percentile(total, low_percentile), histogram_percentile(total, high_percentile)
