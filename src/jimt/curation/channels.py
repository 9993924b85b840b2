"""Reads the channels of one raw image, and refuses what cannot be used."""

from dataclasses import dataclass

from jimt.curation.decoding import BadImageError
from jimt.curation.images import Image, check_pair, read_channels, read_page
from jimt.curation.nuclei import NucleiSettings
from jimt.curation.payload import UsedBits, payload, used_bits
from jimt.curation.positive import PositiveSettings
from jimt.curation.raw_images import RawImage
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


def read_images(raw: RawImage, settings: ReadSettings) -> tuple[dict[str, Image], tuple[UsedBits, ...]]:
    """The images of each channel, by the names of ``CHANNELS``, and the bits that they use.

    Raises:
        BadImageError: If one cannot be read, or does not fit the others.
    """
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
