"""A film of each position: its map over bright-field, from one time to the next, as an animated WebP.

OpenCV writes it, which is there already. WebP and not GIF: a frame takes a tenth, and keeps its colours.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.prediction.answer_tables import printable
from jimt.prediction.answers import FieldRow, Source
from jimt.prediction.field_files import DEAD, MAPS, stem_of
from jimt.prediction.overlays import LEGEND, Picture, legend, write_text
from jimt.prediction.position_images import read_picture_file
from jimt.prediction.source_names import file_stem
from jimt.prediction.time_answers import FollowedField, FollowedPosition
from jimt.prediction.time_series import Series
from jimt.system.files import write_whole

FILMS: Final = "films"
"""Folder of the output folder."""
SIDE: Final = 512
"""Pixels of the longer side of the field in a film."""
MOST_FRAMES: Final = 60
"""Of a longer series, so many time points spread evenly."""
_TITLE: Final = 26  # pixels, of the strip above
_LAST, _EACH = 1500, 350  # milliseconds
_QUALITY: Final = 70


def film_name(followed: FollowedPosition) -> str:
    """The name of its file."""
    return f"{file_stem(Source(0, Path(), followed.position.name))}.webp"


def write_film(followed: FollowedPosition, series: Series, out: Path) -> bool:
    """Write the film of a position.

    Args:
        followed: The position.
        series: That it is of.
        out: The output folder, which holds the maps of its fields.

    Returns:
        Whether there is one: it takes the maps of two time points.
    """
    shown = [(field, drawn) for field in spread(followed.fields) if (drawn := _map_of(field.row, out)) is not None]
    if len(shown) < 2:
        return False
    size = tuple(max(picture.shape[axis] for _, picture in shown) for axis in (0, 1))
    words = legend(max(SIDE, size[1]), threshold=DEAD)
    film: Any = cv2.Animation()
    film.frames = [
        np.concatenate([_title(field, followed, series, words.shape[1]), _padded(drawn, size, words.shape[1]), words])
        for field, drawn in shown
    ]
    film.durations = np.array([_EACH] * (len(shown) - 1) + [_LAST])
    film.loop_count = 0
    done, encoded = cv2.imencodeanimation(".webp", film, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    assert done
    (out / FILMS).mkdir(exist_ok=True)
    write_whole(out / FILMS / film_name(followed), encoded.tobytes())
    return True


def spread(fields: Sequence[FollowedField]) -> Iterator[FollowedField]:
    """At most ``MOST_FRAMES`` of the time points that have an answer, the first and the last among them."""
    answered = [field for field in fields if field.row.failed is None]
    places = np.linspace(0, len(answered) - 1, min(len(answered), MOST_FRAMES)).round().astype(int)
    yield from (answered[place] for place in places)


def _map_of(row: FieldRow, out: Path) -> Picture | None:
    """The picture of a field without its legend, as small as a film has it; None where it has gone."""
    picture = read_picture_file(out / MAPS / f"{stem_of(row)}.png", cv2.IMREAD_COLOR)
    if picture is None or picture.shape[0] <= LEGEND or row.height is None or row.width is None:
        return None
    height = picture.shape[0] - LEGEND
    width = min(picture.shape[1], round(height * row.width / row.height))  # without what fills up to the legend's
    factor = SIDE / max(height, width)
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    size = (max(1, round(factor * width)), max(1, round(factor * height)))
    return np.asarray(cv2.resize(picture[:height, :width], size, interpolation=way), np.uint8)


def _padded(picture: Picture, size: Sequence[int], width: int) -> NDArray[np.uint8]:
    below, beside = size[0] - picture.shape[0], width - picture.shape[1]
    return np.pad(picture, ((0, below), (0, beside), (0, 0)), constant_values=255)


def _title(field: FollowedField, followed: FollowedPosition, series: Series, width: int) -> Picture:
    """The strip above: time, dead share, flags and the name of the position."""
    strip = np.full((_TITLE, width, 3), 255, np.uint8)
    share = "" if field.row.dead_share is None else f"dead {100 * field.row.dead_share:.0f} %"
    flags = ", ".join(field.flags)
    words = [series.text(field.time), share, flags, printable(followed.position.name)]
    write_text(strip, "   ".join(word for word in words if word), 8, 18, colour=(30, 30, 30), size=14)
    return strip
