"""Reads the bright-field image of a source at the magnification that a model takes, and says what was done to it."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.config.checks import PIXEL_SIZE, check
from jimt.curation.copies import pixel_digest
from jimt.curation.decoding import BadImageError
from jimt.curation.images import check_type
from jimt.curation.magnification import resample
from jimt.curation.payload import payload, used_bits
from jimt.curation.pixel_sizes import PixelSize, differ
from jimt.prediction.answers import Picture, Source
from jimt.prediction.image_files import open_images
from jimt.prediction.planes import PlaneChoice, channel_number, read_plane

COLOURED: Final = 0.08
"""Of ``colour_spread``: noise of a colour camera gives up to 0.05, haematoxylin and eosin 0.15. An assumption."""


def check_pixel_size(um: float | None) -> None:
    """Refuse a size that no pixel of a microscope has.

    Raises:
        InputError: If ``--pixel-size`` is none.
    """
    if um is not None:
        check("--pixel-size", um, PIXEL_SIZE["holds"](um), PIXEL_SIZE["allowed"])


def read_picture(
    source: Source,
    *,
    channel: int | str | None,
    z: PlaneChoice,
    pixel_size: float | None,
    model_pixel_size: float | None,
    patch_size: int,
    bit_depth: int,
    bit_shift: int,
) -> Picture:
    """Read one source.

    Args:
        source: What to read.
        channel: Which channel of its file, by number from 0 or by its name in the file; None where there is one.
        z: Which plane.
        pixel_size: As the person at the keyboard says, micrometres, which wins; None to go by the file.
        model_pixel_size: Of the model's training, micrometres; None where it is not known, and nothing is resampled.
        patch_size: Of the model, pixels.
        bit_depth: Bits of a 16-bit pixel that carry the signal, as the model was trained.
        bit_shift: Zero bits below the signal.

    Raises:
        BadImageError: If it cannot be read or used; the message says why, without the file's name.
        InputError: If ``pixel_size`` is that of no microscope.
    """
    check_pixel_size(pixel_size)
    notes: list[str] = []
    with open_images(source.path) as stacks:
        if source.series >= len(stacks):
            raise BadImageError(f"has {len(stacks)} images, so no image {source.series}", advice="start anew")
        stack = stacks[source.series]
        number = channel_number(stack, channel)
        image = read_plane(stack, number, z, source.time_index or 0, notes)
        size, doubt = _pixel_size(stack.pixel_size, pixel_size, notes), stack.pixel_size.doubt
    image, coloured = _grey(image, notes)
    image = check_type(image)
    _check_bits(image, bit_depth=bit_depth, bit_shift=bit_shift)
    low, high, *_ = cv2.minMaxLoc(image)
    if low == high:
        raise BadImageError(f"is constant (every pixel {image.flat[0]})", advice="acquire or export it again")
    digest = pixel_digest(payload(image, bit_depth=bit_depth, bit_shift=bit_shift))
    shape, zoom = (image.shape[0], image.shape[1]), 1.0
    if size is None:
        why = doubt or "nothing tells its pixel size"
        notes.append(
            f"{why}; nor is the model's known"
            if model_pixel_size is None
            else f"{why}, which is taken for the model's, {model_pixel_size:.4g} \u00b5m"
        )
    elif model_pixel_size is None:
        notes.append(f"its pixel size is {size:.4g} \u00b5m, and the model's is not known, so it was not resampled")
    elif differ(size, model_pixel_size):
        zoom = size / model_pixel_size
        image = resample(image, zoom=zoom, bit_depth=bit_depth, bit_shift=bit_shift)
        notes.append(
            f"resampled from {size:.4g} \u00b5m a pixel to the model's {model_pixel_size:.4g} \u00b5m, "
            f"from {shape[1]} x {shape[0]} to {image.shape[1]} x {image.shape[0]} px"
        )
    if min(image.shape) < patch_size:
        told = "" if zoom == 1 else f" at the model's pixel size ({shape[1]} x {shape[0]} px in the file)"
        raise BadImageError(
            f"is {image.shape[1]} x {image.shape[0]} px{told}, smaller than a patch of {patch_size}",
            advice="give a larger image",
        )
    return Picture(image, shape, size, zoom, tuple(notes), coloured, digest)


def _grey(image: NDArray[Any], notes: list[str]) -> tuple[NDArray[Any], bool]:
    """Grey, and whether the image was coloured beyond the tint of its light."""
    if image.ndim == 2:
        return image, False
    if image.shape[2] < 3 or all(np.array_equal(image[..., 0], image[..., n]) for n in (1, 2)):
        return np.ascontiguousarray(image[..., 0]), False  # grey, with transparency perhaps
    colours = check_type(np.ascontiguousarray(image[..., :3]))
    if colours.dtype == np.int16:
        raise BadImageError("has colours of signed 16 bits", advice="export it as a grey image")
    spread = colour_spread(colours)
    notes.append(
        f"converted from colour to grey; its colours differ by {100 * spread:.2g} % beyond a tint of the light"
    )
    return cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), spread > COLOURED


def colour_spread(colours: NDArray[Any]) -> float:
    """How far colours differ from grey, as a share of their brightness: the mean over pixels of largest less smallest.

    Args:
        colours: Shape ``(height, width, 3)``. Each is divided by its median first, so that a tint of the light, which
            tells nothing of the specimen, is none.
    """
    pixels = colours.astype(np.float32)
    middle = np.median(pixels, axis=(0, 1))
    if not (middle > 0).all():
        return 1.0
    pixels /= middle
    return float(np.mean(pixels.max(axis=2) - pixels.min(axis=2)))


def _check_bits(image: NDArray[Any], *, bit_depth: int, bit_shift: int) -> None:
    """Refuse an image whose counts reach above the bits that a model goes by, which would cut off the highest.

    Raises:
        BadImageError: If bits above them differ between pixels.
    """
    if image.dtype not in (np.uint16, np.int16):
        return
    bits = used_bits(image, file="", channel="")
    if image.dtype == np.int16 and bits.set_in_any & ~bits.set_in_all & 0x8000:
        raise BadImageError(
            "has signed pixels, some of them negative",
            advice="export the camera's own counts, unsigned, with no background taken off",
        )
    varying = (bits.set_in_any & ~bits.set_in_all) >> bit_shift
    if varying.bit_length() > bit_depth:
        raise BadImageError(
            f"has counts of {varying.bit_length()} bits, and the model was trained on images of {bit_depth}",
            advice="export the camera's own counts, or train a model on images of this camera",
        )
    counts = payload(image, bit_depth=bit_depth, bit_shift=bit_shift)
    if counts.size and cv2.minMaxLoc(counts)[1] == 0:
        raise BadImageError(
            f"has no count in the {bit_depth} bits above {bit_shift} that the model goes by",
            advice="export the camera's own counts",
        )


def _pixel_size(told: PixelSize, given: float | None, notes: list[str]) -> float | None:
    """The size that is gone by, in micrometres; what contradicts it is noted.

    Raises:
        BadImageError: If pixels are no squares and nothing else was said.
    """
    if given is not None:
        if told.um is not None and differ(told.um, given):
            of_file = f"its file says {told.um:.4g} \u00b5m a pixel"
            notes.append(f"{of_file}, and {given:.4g} \u00b5m were taken, as --pixel-size or the data set says")
        return given
    if told.uneven is not None:
        width, height = told.uneven
        raise BadImageError(
            f"has pixels of {width:.4g} x {height:.4g} \u00b5m, which are no squares",
            advice="export it with square ones",
            remedies=("--pixel-size NUMBER",),
        )
    return told.um
