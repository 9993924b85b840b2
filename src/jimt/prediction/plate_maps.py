"""Plate maps of the mean dead shares of wells, a PNG for each plate and time."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

import pandas as pd

from jimt.figures.plate import PlateWell, draw_plate
from jimt.figures.style import png
from jimt.prediction.answer_tables import printable
from jimt.prediction.time_points import time_ranks
from jimt.prediction.well_shares import natural
from jimt.system.files import write_whole
from jimt.vocabulary import ShareOf

SHARE_WORDS: Final[dict[ShareOf, str]] = {
    "nuclei": "dead share of nuclei",
    "area": "dead share of the area of cells",
    "patches": "dead share of patches with cells",
}
_LONGEST: Final = 80  # characters of a name within that of a file

PlateKey = tuple[str | None, str | None]
"""Plate and time."""


def plates_of(wells: pd.DataFrame) -> dict[PlateKey, list[PlateWell]]:
    """The wells of each plate and time, from what ``well_rows`` gives."""
    plates: dict[PlateKey, list[PlateWell]] = {}
    for row in wells.to_dict("records"):
        well = PlateWell(
            name=row["well"],
            share=row["dead_share"],
            n_counted=row["n_counted"],
            n_left_out=row["n_fields"] - row["n_counted"],
            has_flags=row["n_flagged"] > 0,
        )
        plates.setdefault((row["plate"], row["time"]), []).append(well)
    return {key: plates[key] for key in in_order(plates)}


def in_order(keys: Collection[PlateKey]) -> list[PlateKey]:
    """Plates as a person sorts them, each by time.

    >>> in_order([("p10", "6h"), ("p9", "6h"), ("p9", "30min")])
    [('p9', '30min'), ('p9', '6h'), ('p10', '6h')]
    """
    ranks = time_ranks(time for _, time in keys)
    return sorted(keys, key=lambda key: (natural(key[0]), ranks[key[1]]))


def plate_name(key: PlateKey) -> str:
    """A plate and time in words.

    >>> plate_name(("p7", "3")), plate_name((None, None))
    ('plate p7, time 3', 'plate')
    """
    plate, time = key
    words = "plate" if plate is None else f"plate {printable(plate)}"
    return words if time is None else f"{words}, time {printable(time)}"


def plate_files(keys: list[PlateKey], *, kind: str) -> dict[PlateKey, str]:
    """A file name for each plate and time that every system takes, and no other has in other letters.

    >>> list(plate_files([("p/1", None), ("P 1", None), (None, "3")], kind="plate").values())
    ['plate_p_1.png', 'plate_P_1_2.png', 'plate_3.png']
    """
    names: dict[PlateKey, str] = {}
    taken: set[str] = set()
    for key in keys:
        words = [re.sub(r"[^\w.-]+", "_", printable(part))[:_LONGEST] for part in key if part is not None]
        stem = name = "_".join([kind, *words])
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.casefold())
        names[key] = f"{name}.png"
    return names


def share_label(wells: pd.DataFrame) -> str:
    """What the dead share of wells is of, in words."""
    share_of = next(iter(wells["share_of"].dropna()), None)
    return SHARE_WORDS[share_of] if share_of is not None else "dead share"


def write_plate_maps(wells: pd.DataFrame, folder: Path) -> dict[PlateKey, str]:
    """Draw every plate at every time.

    Args:
        wells: As ``well_rows`` gives them.
        folder: Where the pictures go.

    Returns:
        The names of the files, by plate and time; none where no name tells a well.
    """
    plates = plates_of(wells)
    names = plate_files(list(plates), kind="plate")
    label = f"mean {share_label(wells)}"
    for key, name in names.items():
        write_whole(folder / name, png(draw_plate(plates[key], title=plate_name(key), label=label)))
    return names
