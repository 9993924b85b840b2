"""Where the fields come from that patches are cut from: a curated store, or images of one's own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jimt.curation.image_changes import Change, change_image
from jimt.curation.no_data import no_data_mask
from jimt.curation.patches import Scaling, to_8_bit
from jimt.curation.payload import payload
from jimt.curation.store import FieldStore
from jimt.errors import InputError


class RawFields:
    """Bright-field images as their files hold them, turned into 8 bits as the training's were.

    Args:
        images: Arrays of shape ``(height, width)``, uint8, uint16 or floating-point; read one at a time, so that a
            sequence that opens files holds one of them.
        scaling: How counts become 8 bits.
        bit_depth: Bits of a 16-bit pixel that carry the signal.
        bit_shift: Zero bits below the signal.
    """

    def __init__(self, images: Sequence[NDArray[Any]], *, scaling: Scaling, bit_depth: int, bit_shift: int) -> None:
        self._images, self._scaling = images, scaling
        self._bit_depth, self._bit_shift = bit_depth, bit_shift
        self._last: tuple[int, NDArray[np.uint8], NDArray[np.bool_]] | None = None

    def __len__(self) -> int:
        return len(self._images)

    def field(self, index: int) -> NDArray[np.uint8]:
        """One field in 8 bits, shape ``(height, width)``.

        Raises:
            InputError: If it has not two dimensions, or numbers that the scaling cannot convert.
        """
        return self._read(index)[0]

    def no_data(self, index: int) -> NDArray[np.bool_]:
        """Which pixels of one field are no data, shape ``(height, width)``; errors as of ``field``."""
        return self._read(index)[1]

    def _read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        if self._last is not None and self._last[0] == index:
            return self._last[1:]
        stored = np.asarray(self._images[index])
        if stored.ndim != 2:
            raise InputError(
                f"image {index} has the shape {stored.shape}, and one bright-field channel, (height, width), is wanted"
            )
        image = payload(stored, bit_depth=self._bit_depth, bit_shift=self._bit_shift)
        no_data = no_data_mask(image, image)
        self._last = index, to_8_bit(image, ~no_data, self._scaling), no_data
        return self._last[1:]


class ChangedFields:
    """Fields whose images are changed as they are read; no image is kept but the last.

    Args:
        fields: As they are.
        changes: What is done to each, one after the other.
        seed: Of noise that is added, which is the same at every reading.
    """

    def __init__(self, fields: FieldStore | RawFields, changes: Sequence[Change], *, seed: int) -> None:
        self._fields, self.changes, self._seed = fields, tuple(changes), seed
        self._last: tuple[int, NDArray[np.uint8], NDArray[np.bool_]] | None = None

    def __len__(self) -> int:
        return len(self._fields)

    @property
    def zoom(self) -> float:
        """Pixels of an image for one of those before."""
        return float(np.prod([change.by for change in self.changes if change.kind == "resample"]))

    def field(self, index: int) -> NDArray[np.uint8]:
        """One field in 8 bits, shape ``(height, width)``; errors as of ``change_image``."""
        return self._read(index)[0]

    def no_data(self, index: int) -> NDArray[np.bool_]:
        """Which pixels of one field are no data, likewise."""
        return self._read(index)[1]

    def _read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        if self._last is None or self._last[0] != index:
            pixels, no_data = self._fields.field(index), self._fields.no_data(index)
            rng = np.random.default_rng([self._seed, index])
            for change in self.changes:
                pixels, no_data = change_image(pixels, no_data, change, rng)
            self._last = index, pixels, no_data
        return self._last[1:]


Fields = FieldStore | RawFields | ChangedFields
"""8-bit fields by number: ``field`` gives one, ``no_data`` which of its pixels are none."""
