"""Which fields have gaps in the monolayer and which are out of focus.

Spread evenly rather than drawn, so that a dozen fields already hold every kind; still, no field depends on how many
others there are.
"""

from typing import Final

import numpy as np

EVEN_STEPS: Final = (1 / 1.32471796, 1 / 1.32471796**2)
"""Of the R2 low-discrepancy sequence (M. Roberts, 2018): multiples of both fill 0 to 1 evenly, modulo 1."""

# assumption: enough of each kind for about 30 labelled empty patches in a dozen fields of 672 x 560 px
GAPPED_FIELDS: Final = 0.5  # share of fields with a gap in the monolayer
GAP: Final = (0.35, 0.6)  # share of such a field that is bare
HOLES: Final = (0.0, 0.08)  # share of the other fields
LOST_FIELDS: Final = 0.08  # share of fields wholly out of focus
BLURRED_FIELDS: Final = 0.2  # share of fields out of focus, wholly or in part
BLURRED: Final = (0.2, 0.5)  # share of a field that is out of focus in part


def plan_field(rng: np.random.Generator, *, well: int, position: int, seed: int) -> tuple[float, float]:
    """Decide how much of a field is bare and how much is out of focus.

    Args:
        rng: Source of randomness of this field.
        well: Its well, from 1.
        position: Its position in the well, from 1.
        seed: Of the data set; shifts which fields are of which kind.

    Returns:
        Bare share and unfocused share of the field, each 0 to 1.
    """
    gap_start, blur_start = np.random.default_rng(np.random.SeedSequence(seed)).random(2)
    gap = (gap_start + well * EVEN_STEPS[0] + position * EVEN_STEPS[1]) % 1
    blur = (blur_start + well * EVEN_STEPS[1] + position * EVEN_STEPS[0]) % 1
    bare = float(rng.uniform(*(GAP if gap < GAPPED_FIELDS else HOLES)))
    if blur >= BLURRED_FIELDS:
        return bare, 0.0
    unfocused = float(rng.uniform(*BLURRED))
    return bare, 1.0 if blur < LOST_FIELDS else unfocused
