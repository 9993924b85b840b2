"""Changes a bright-field image in 8 bits towards those of another microscope, one property at a time."""

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.curation.magnification import resample_known
from jimt.statistics.image_quality import noise_sd

Kind = Literal["resample", "blur", "stretch", "brighten", "noise"]


@dataclass(frozen=True)
class Change:
    """What is done to every image of a data set alike, so that what differs between its fields stays.

    Attributes:
        kind: ``resample``: to so many pixels for one. ``blur``: by a Gaussian of so many pixels' standard deviation.
            ``stretch``: contrast about the mean grey level, by a factor. ``brighten``: all grey levels, by a factor.
            ``noise``: as much is added as makes what is there stronger by a factor.
        by: That number.
    """

    kind: Kind
    by: float

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return self.by != (0.0 if self.kind == "blur" else 1.0)

    def in_words(self) -> str:
        """What is done.

        >>> Change("resample", 1.55).in_words(), Change("blur", 0.7).in_words()
        ('resampled x 1.55', 'smoothed, 0.70 px')
        """
        words = {
            "resample": f"resampled x {self.by:.3g}",
            "blur": f"smoothed, {self.by:.2f} px",
            "stretch": f"contrast x {self.by:.3g}",
            "brighten": f"brightness x {self.by:.3g}",
            "noise": f"noise x {self.by:.3g}",
        }
        return words[self.kind] if self.changes else "nothing to change"


def change_image(
    pixels: NDArray[np.uint8], no_data: NDArray[np.bool_], change: Change, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """An image after a change, and which of its pixels are no data; these keep their grey level.

    Args:
        pixels: In 8 bits, shape ``(height, width)``.
        no_data: Which of them are no data, likewise.
        change: What is done.
        rng: Of noise that is added.

    Raises:
        BadImageError: If it would have to be enlarged too far, or nothing would be left of it.
    """
    valid = ~no_data
    if not change.changes or not valid.any():
        return pixels, no_data
    if change.kind == "resample":
        return resample_known(pixels, no_data, zoom=change.by)
    image: NDArray[Any] = pixels.astype(np.float32)
    mean = float(image[valid].mean())
    image[no_data] = mean
    if change.kind == "blur":
        image = cv2.GaussianBlur(image, (0, 0), change.by, borderType=cv2.BORDER_REFLECT)
    elif change.kind == "stretch":
        image = mean + change.by * (image - mean)
    elif change.kind == "brighten":
        image = image * change.by
    else:
        added = noise_sd(image, valid) * np.sqrt(max(change.by**2 - 1, 0.0))
        image = image + added * rng.standard_normal(image.shape, np.float32)
    changed = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    changed[no_data] = pixels[no_data]
    return changed, no_data
