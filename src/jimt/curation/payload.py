"""Which bits of 16-bit pixels carry the signal: one answer for a whole data set, never image by image.

A 12-bit camera's counts lie in 16-bit files in several ways: as they are, with 32768 added (a ScanR's signed 16 bit),
or shifted to the upper end. What a single image shows is chance: a dim one of a 14-bit camera looks like 12 bits. So
every image is masked alike, by the config alone, and what the bits of all images together say is checked afterwards.
"""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.errors import InputError

_WORD = 0xFFFF
_TOP = 0x8000  # the sign of a signed 16-bit number


@dataclass(frozen=True)
class UsedBits:
    """What the pixels of one image have in common; zeros, which an alignment pads with, are passed over.

    Attributes:
        file: Where it was read from.
        channel: ``bright-field`` or ``fluorescence``.
        kind: ``8-bit``, ``16-bit``, ``signed 16-bit`` or ``floating-point``.
        set_in_any: Bits that are set in at least one pixel; 0 unless the kind has 16 bits.
        set_in_all: Bits that are set in every pixel, likewise; all bits where there is no pixel but zeros.
    """

    file: str
    channel: str
    kind: str
    set_in_any: int
    set_in_all: int


def used_bits(image: NDArray[Any], *, file: str, channel: str) -> UsedBits:
    """Measure what ``check_bits`` goes by, of an image as it stands in its file."""
    if image.dtype not in (np.uint16, np.int16):
        return UsedBits(file, channel, "8-bit" if image.dtype == np.uint8 else "floating-point", 0, _WORD)
    kind = "16-bit" if image.dtype == np.uint16 else "signed 16-bit"
    words = image.view(np.uint16)
    filled = words if words.min(initial=_WORD) > 0 else words[words > 0]
    return UsedBits(
        file,
        channel,
        kind,
        int(np.bitwise_or.reduce(filled, axis=None)),
        int(np.bitwise_and.reduce(filled, axis=None)),  # of no pixel: all bits, which changes no other image's
    )


def payload(image: NDArray[Any], *, bit_depth: int, bit_shift: int) -> NDArray[Any]:
    """The counts in a 16-bit image: shifted down, then the bits above ``bit_depth`` cut off; other types as they are.

    >>> payload(np.array([[32768 + 4095, 32768]], np.uint16), bit_depth=12, bit_shift=0)
    array([[4095,    0]], dtype=uint16)
    >>> payload(np.array([[4095 << 4, 16]], np.uint16), bit_depth=12, bit_shift=4)
    array([[4095,    1]], dtype=uint16)
    """
    if image.dtype not in (np.uint16, np.int16):
        return image
    words = image.view(np.uint16)
    if bit_shift:
        words = words >> np.uint16(bit_shift)
    if bit_depth < 16 and words.size and cv2.minMaxLoc(words)[1] >= 1 << bit_depth:
        words = words & np.uint16((1 << bit_depth) - 1)
    return words


def check_bits(images: Sequence[UsedBits], *, bit_depth: int, bit_shift: int) -> int:
    """Check that every pixel of a data set was read as what it is.

    Args:
        images: Every image that was read.
        bit_depth: Bits that carry the signal.
        bit_shift: Zero bits below them.

    Returns:
        The bits above ``bit_depth`` that are set in every pixel of the data set: an offset, which was masked.

    Raises:
        InputError: If they were misread, with the settings that fit. It concerns the data set, not one image: to skip
            images whose high bits are set would be to skip the brightest.
    """
    _check_kinds(images)
    images = [image for image in images if image.kind.endswith("16-bit")]
    _check_signs(images)
    if bit_shift:
        images = _shifted(images, bit_shift)
    in_any = functools.reduce(operator.or_, (image.set_in_any for image in images), 0)
    in_all = functools.reduce(operator.and_, (image.set_in_all for image in images), in_any)
    high = _WORD & ~((1 << bit_depth) - 1)
    fitting = max((in_any & ~in_all).bit_length(), 8)
    _check_same_offset(images, high)
    if in_any & ~in_all & high:
        wide = [image for image in images if (image.set_in_any & ~in_all).bit_length() > bit_depth]
        many = f"dataset.bit_depth={bit_depth} does not fit {_some(wide, images)}"
        if bit_shift == 0 and not in_any & ((1 << (16 - bit_depth)) - 1):
            raise InputError(
                f"{many} (every pixel is a multiple of {1 << (16 - bit_depth)}, so the counts stand in the upper bits)",
                remedies=(f"dataset.bit_shift={16 - bit_depth}",),
            )
        raise InputError(
            f"{many} (pixels have counts of {fitting} bits; the camera may have more)",
            remedies=(f"dataset.bit_depth={fitting}",),
        )
    if bit_depth == 16 and in_all & _TOP:
        raise InputError(
            f"every pixel has {_TOP} added (signed counts stored as unsigned ones), for example in "
            f"{images[0].file}, and the counts are of {fitting} bits or more, above which bits can be "
            "masked",
            remedies=(f"dataset.bit_depth={fitting}",),
        )
    return in_all & high


def unused_bits(images: Sequence[UsedBits], *, range_bits: int, bit_shift: int) -> int:
    """How many of the upper bits of a range no bright-field pixel uses; each halves the grey levels that are left.

    >>> unused_bits([UsedBits("a.tif", "bright-field", "16-bit", 0x0FFF, 0)], range_bits=16, bit_shift=0)
    4

    Args:
        images: Every image that was read.
        range_bits: Bits of the range that becomes 8 bits.
        bit_shift: Zero bits below them.

    Returns:
        0 also where no bright-field image has 16 bits; bits that are set in every pixel are an offset, no use.
    """
    brightfield = [image for image in images if image.channel == "bright-field" and image.kind.endswith("16-bit")]
    if not brightfield:
        return 0
    in_any = functools.reduce(operator.or_, (image.set_in_any for image in brightfield))
    in_all = functools.reduce(operator.and_, (image.set_in_all for image in brightfield))
    return max(range_bits - ((in_any & ~in_all) >> bit_shift).bit_length(), 0)


def _check_kinds(images: Sequence[UsedBits]) -> None:
    """Means of 8 and of 16 bits cannot be compared, nor either with those of floating-point numbers."""
    first: dict[str, UsedBits] = {}
    for image in images:
        if image.channel == "fluorescence":
            first.setdefault(image.kind.removeprefix("signed "), image)
    if len(first) > 1:
        found = " and ".join(f"{kind} in {image.file}" for kind, image in first.items())
        raise InputError(f"the fluorescence is {found}", advice="export all in one type")


def _check_signs(images: Sequence[UsedBits]) -> None:
    negative = [
        image for image in images if image.kind.startswith("signed") and image.set_in_any & ~image.set_in_all & _TOP
    ]
    if negative:
        raise InputError(
            f"signed pixels are negative in {_some(negative, images)}",
            advice="export the camera's own counts, unsigned, with no background taken off",
        )


def _shifted(images: Sequence[UsedBits], bit_shift: int) -> list[UsedBits]:
    if odd := [image for image in images if image.set_in_any & ((1 << bit_shift) - 1)]:
        raise InputError(
            f"dataset.bit_shift={bit_shift} does not fit {_some(odd, images)} (pixels are no multiples of "
            f"{1 << bit_shift})",
            remedies=("dataset.bit_shift=0",),
        )
    return [
        replace(image, set_in_any=image.set_in_any >> bit_shift, set_in_all=image.set_in_all >> bit_shift)
        for image in images
    ]


def _check_same_offset(images: Sequence[UsedBits], high: int) -> None:
    """Refuse 32768 added to some images alone.

    Where the bits above the payload show it, these say so; at 16 bits, fluorescence whose darkest pixel has half of
    the range does, which no camera gives.
    """
    if high:
        offset = [image for image in images if image.set_in_any & high == image.set_in_all & high == _TOP]
    else:
        offset = [
            image for image in images if image.channel == "fluorescence" and image.set_in_any & image.set_in_all & _TOP
        ]
    plain = [image for image in images if image.set_in_any and not image.set_in_all & _TOP]
    by_depth = [image for image in plain if not image.set_in_any & high]
    if offset and (by_depth if high else plain):
        raise InputError(
            f"{_TOP} is added to every pixel of {_some(offset, images)}, and not of {plain[0].file}",
            advice="export all in one way, or remove these",
        )


def _some(some: Sequence[UsedBits], all_images: Sequence[UsedBits]) -> str:
    return f"{len(some)} of {len(all_images)} images, for example {some[0].file}"
