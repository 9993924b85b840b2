"""Pictures of a field to look at: bright-field, and over it where cells are taken for dead or alive."""

import functools
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.figures.style import COLOURS, SCORE_COLOURS
from jimt.prediction.answers import FieldAnswer
from jimt.prediction.dead_places import dead_places
from jimt.system.files import write_whole
from jimt.vocabulary import DEAD

Picture = NDArray[np.uint8]
"""Shape ``(height, width, 3)``, in cv2's order of colours: blue, green, red."""

LARGEST: Final = 1200
"""Pixels of the longer side of a field's picture."""
_SMALLEST: Final = 512  # so that the legend below finds room
THUMBNAIL: Final = 240
"""Pixels of the width of a small picture."""
_QUALITY: Final = 82
_TINT: Final = 0.38  # of the colour over bright-field: cells stay to be seen below it
LEGEND: Final = 46
"""Pixels, of the strip below a picture."""
_MARGIN: Final = 14
_TEXT: Final = 14
_BARS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def write_picture(answer: FieldAnswer, path: Path, *, threshold: float) -> None:
    """Write a PNG: the map over bright-field, outlines of what is taken for dead, a legend, and a scale bar.

    Args:
        answer: Of the field.
        path: Of the file.
        threshold: Probability of death from which on a place is taken for dead.
    """
    height, width = answer.bright_field.shape
    factor = min(LARGEST / max(height, width), max(1.0, _SMALLEST / width))
    drawn = overlay(answer, factor=factor, threshold=threshold, line=2)
    if answer.row.pixel_size_um is not None:
        _draw_scale_bar(drawn, answer.row.pixel_size_um / answer.row.zoom / factor)
    words = legend(max(_SMALLEST, drawn.shape[1]), threshold=threshold)
    beside = ((0, 0), (0, words.shape[1] - drawn.shape[1]), (0, 0))  # of a field much higher than wide
    _write(np.concatenate([np.pad(drawn, beside, constant_values=255), words]), path)


def write_thumbnails(answer: FieldAnswer, field: Path, mapped: Path, *, threshold: float) -> None:
    """Write small JPEGs of one size: bright-field alone, and the map over it.

    Args:
        answer: Of the field.
        field: File of bright-field.
        mapped: File of the map over it.
        threshold: As of ``write_picture``.
    """
    factor = THUMBNAIL / answer.bright_field.shape[1]
    _write(_grey(answer, factor), field)
    _write(overlay(answer, factor=factor, threshold=threshold, line=1), mapped)


def overlay(answer: FieldAnswer, *, factor: float, threshold: float, line: int) -> Picture:
    """Bright-field with the map as a veil, in the colours of scores; none where nothing is known.

    Bright-field is drawn as the network took it. Were its contrast stretched, a field without contrast would look good.

    Args:
        answer: Of the field.
        factor: Pixels of the picture for one of bright-field.
        threshold: Places from it on are outlined.
        line: Width of outlines, pixels.
    """
    picture = _grey(answer, factor)
    height, width = picture.shape[:2]
    known = np.isfinite(answer.dead_map)
    colours = SCORE_COLOURS(1 - np.nan_to_num(answer.dead_map), bytes=True)[..., 2::-1]
    shown = [
        _of_places(values, answer, (height, width))
        for values in (
            colours.astype(np.uint8),
            known.astype(np.uint8),
            dead_places(answer, threshold=threshold).astype(np.uint8),
        )
    ]
    veil, there, dead = shown
    cv2.copyTo(cv2.addWeighted(picture, 1 - _TINT, veil, _TINT, 0), there, picture)
    lines, _ = cv2.findContours(dead, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if line > 1:  # a rim, without which a thin line is clearer
        cv2.drawContours(picture, lines, -1, (255, 255, 255), line + 2, cv2.LINE_AA)
    cv2.drawContours(picture, lines, -1, _bgr(COLOURS[DEAD]), line, cv2.LINE_AA)
    return picture


def _of_places(values: NDArray[np.uint8], answer: FieldAnswer, shape: tuple[int, int]) -> NDArray[Any]:
    """A map as large as a picture; the last places may lie partly outside the field."""
    height, width = answer.bright_field.shape
    rows, columns = (
        np.minimum((np.arange(n) + 0.5) * length / n // answer.place, last - 1).astype(np.intp)
        for n, length, last in zip(shape, (height, width), values.shape, strict=False)
    )
    return np.asarray(values.take(columns, axis=1).take(rows, axis=0))


def _grey(answer: FieldAnswer, factor: float) -> Picture:
    height, width = (max(1, round(factor * length)) for length in answer.bright_field.shape)
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(answer.bright_field, (width, height), interpolation=way)
    return np.repeat(resized[..., None], 3, axis=2)


def _bgr(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return blue, green, red


@functools.cache
def _font() -> Any:
    return cv2.FontFace("sans")  # OpenCV's own, so that a picture is the same on every machine


def write_text(picture: Picture, text: str, x: int, y: int, *, colour: tuple[int, int, int], size: int) -> int:
    """Write within a picture, from the left end of the line that letters stand on; gives where it ends."""
    (end, _), _ = cv2.putText(picture, text, (x, y), colour, _font(), size, 400)
    return int(end)


def _draw_scale_bar(picture: Picture, pixel_size: float) -> None:
    """A bar of a round length of at most a third of the width, with its length above it."""
    height, width = picture.shape[:2]
    length = max((bar for bar in _BARS if bar <= width * pixel_size / 3), default=None)
    if length is None:  # a width of less than three micrometres is no field's
        return
    n_pixels, thick, text = round(length / pixel_size), 6, f"{length} µm"
    corner = (_MARGIN, height - _MARGIN - thick)
    dimmed = picture[height - 2 * _MARGIN - thick - _TEXT :, : max(n_pixels, 9 * len(text)) + 2 * _MARGIN]
    dimmed[:] = (dimmed * 0.35).astype(np.uint8)
    cv2.rectangle(picture, corner, (corner[0] + n_pixels, corner[1] + thick), (255, 255, 255), cv2.FILLED)
    write_text(picture, text, corner[0], corner[1] - 6, colour=(255, 255, 255), size=_TEXT)


def legend(width: int, *, threshold: float) -> Picture:
    """The strip below a picture: what the colours mean, and the outline.

    Args:
        width: Pixels.
        threshold: Probability that is outlined.
    """
    strip = np.full((LEGEND, width, 3), 255, np.uint8)
    black, line, gap = (30, 30, 30), LEGEND // 2 + 5, min(28, width // 36)
    x = write_text(strip, "living", gap, line, colour=black, size=_TEXT) + 8
    long = min(160, width // 8)
    ramp = SCORE_COLOURS(np.linspace(1, 0, long), bytes=True)[None, :, 2::-1]
    strip[line - 14 : line + 4, x : x + long] = 128 * (1 - _TINT) + _TINT * ramp  # as it looks over a grey image
    cv2.rectangle(strip, (x, line - 14), (x + long, line + 4), (90, 90, 90), 1)
    x = write_text(strip, "dead", x + long + 8, line, colour=black, size=_TEXT) + gap
    cv2.line(strip, (x, line - 5), (x + 22, line - 5), _bgr(COLOURS[DEAD]), 2)
    x = write_text(strip, f"P(dead) ≥ {threshold:g}", x + 30, line, colour=black, size=_TEXT) + gap
    write_text(strip, "untouched: no cells", x, line, colour=black, size=_TEXT)
    return strip


def _write(picture: Picture, path: Path) -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    if path.suffix == ".png":  # 1 to 7 % larger than at level 3, in less than half the time
        options = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG]
    done, encoded = cv2.imencode(path.suffix, picture, options)
    assert done
    write_whole(path, encoded.tobytes())
