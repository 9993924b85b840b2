"""Fields whose PI background is far above that of their group's others, as where all of a confluent field is dead."""

from typing import Any, Final

import pandas as pd

from jimt.errors import ways_out

_TIMES: Final = 3.0
"""The background of the group's median field; on mcf7 no field of a group of three or more reaches 2."""
_FEWEST: Final = 3
"""Fields of a group, without which nothing is usual."""


def high_backgrounds(fields: pd.DataFrame) -> dict[str, float]:
    """Fields far above their group, and how many times its median field's background theirs is.

    Where PI is everywhere alike nothing stands out of it, and the scales of PI-positive area and nuclei read live.

    Args:
        fields: ``raw_image_id``, ``group`` and ``background`` of each; null where none was measured.

    >>> names, background = ["a", "b", "c", "d"], [100.0, 110.0, 90.0, 600.0]
    >>> high_backgrounds(pd.DataFrame({"raw_image_id": names, "group": "A1", "background": background}))
    {'d': 5.7}
    """
    known = fields[fields["background"].notna() & (fields["background"] > 0)]
    of_group = known.groupby(known["group"].astype(str))["background"]
    times = known["background"] / of_group.transform("median")
    high = (times > _TIMES) & (of_group.transform("size") >= _FEWEST)
    return {str(name): round(float(n), 1) for name, n in zip(known["raw_image_id"][high], times[high], strict=True)}


def describe_high_backgrounds(high: dict[str, float], settings: dict[str, Any]) -> list[str]:
    """The warning, on the scales that it concerns.

    Args:
        high: As ``high_backgrounds`` gives them.
        settings: Of the labels, by their names.
    """
    if not high or not settings["scale"].startswith("positive"):
        return []
    worst = max(high, key=lambda name: high[name])
    ways = ways_out(advice="look whether all cells there are dead, and leave it out if so")
    return [
        f"WARNING: the PI background of {len(high):,} raw image{'s' * (len(high) > 1)} is over {_TIMES:g} times that "
        f"of the group's median field, most in {worst} ({high[worst]:g} times), and where PI is everywhere alike "
        f"nothing stands out, so that the dead read as live: {ways}"
    ]
