"""What a network is to predict of each place of a field: the stain, and where nuclei lie.

A place is a square of ``vocabulary.STRIDE`` pixels. Targets are computed once for each field and kept beside the
curation, in half precision: a quarter of a byte for each pixel of a field and output.
"""

import dataclasses
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.config.stain import StainConfig
from jimt.curation.manifest import Curated
from jimt.curation.positive import PositiveSettings, positive_mask, smoothed
from jimt.errors import InputError
from jimt.system.files import digest_of, write_whole
from jimt.system.locks import in_turn
from jimt.vocabulary import STRIDE

MIN_VALID: Final = 0.5
"""Share of a place's pixels that are data, from which on it is known."""
_DARKEST: Final = 0.6  # of the background: what is darker is noise, whose logarithm would outweigh the stain
_BRIGHTEST: Final = 20.0  # times the background: what is brighter is a matter of dye and camera


@dataclass(frozen=True)
class TargetSettings:
    """What targets depend on beside the curation.

    Attributes:
        outputs: Which of ``vocabulary.OUTPUTS``, in this order.
        nuclei_of: ``cells``, ``nuclei`` or None, as ``stain.nuclei_of``.
        nucleus_radius: Of the disc that a nucleus is drawn as, pixels.
        smoothing: Standard deviation that PI is smoothed with before its logarithm, pixels.
    """

    outputs: tuple[str, ...]
    nuclei_of: str | None
    nucleus_radius: float
    smoothing: float


def target_settings(stain: StainConfig) -> TargetSettings:
    """What targets a training is asked for."""
    weights = {"log_pi": stain.log_pi, "positive": stain.positive, "dead": stain.nuclei, "live": stain.nuclei}
    outputs = tuple(name for name, weight in weights.items() if weight > 0)
    return TargetSettings(outputs, stain.nuclei_of, stain.nucleus_radius, stain.smoothing)


class StainTargets:
    """Targets of the fields of a curated data set, kept on disk.

    Args:
        curated: The data set.
        settings: What they depend on.

    Raises:
        InputError: If the data set has not what they are made of.
    """

    def __init__(self, curated: Curated, settings: TargetSettings) -> None:
        self._curated, self._settings = curated, settings
        recorded = curated.summary["config"]
        if recorded["dataset"]["layout"] == "patches":
            raise InputError(
                f"{curated.summary['dataset']} holds published patches, which have no fluorescence images to predict",
                remedies=("task=patch",),
            )
        label = recorded["curation"]["label"]
        self._positive = PositiveSettings(
            **label["positive"], percentile=label["background_percentile"], count_nuclei=False
        )
        self._saturated_at = float(2 ** int(recorded["dataset"]["bit_depth"]) - 1)
        self._nuclei = None if settings.nuclei_of is None else _nuclei(curated, settings)
        depends_on = [dataclasses.asdict(settings), dataclasses.asdict(self._positive)]
        self._folder = curated.folder / "targets" / digest_of(depends_on)[:16]

    def __getstate__(self) -> dict[str, Any]:
        # a process that cuts crops reads what is kept: a memory map of the fields would travel with all its pixels
        return self.__dict__ | {"_curated": None, "_nuclei": None}

    def prepare(self, fields: Iterable[int]) -> None:
        """Compute and keep those of some fields that are not there yet, one process at a time."""
        missing = [field for field in fields if not self._path(field).is_file()]
        if not missing:
            return
        with in_turn(self._folder, what=f"makes targets of {self._curated.folder}"):
            self._folder.mkdir(exist_ok=True)
            for field in missing:
                path = self._path(field)
                if not path.is_file():  # by the process that had the lock
                    content = io.BytesIO()
                    np.save(content, self.compute(field).astype(np.float16))
                    write_whole(path, content.getbuffer())

    def read(self, field: int) -> NDArray[np.float16]:
        """Targets of one field, shape ``(n_outputs, height, width)`` in places, as a view; NaN: nothing is known."""
        targets: NDArray[np.float16] = np.load(self._path(field), mmap_mode="r")
        return targets

    def refuse_one_kind(self, fields: Iterable[int]) -> None:
        """Raise where no place of some fields is PI-positive, or every one: there is nothing to tell apart.

        Raises:
            InputError: So.
        """
        if "positive" not in self._settings.outputs:
            return
        n_positive = n_known = 0
        index = self._settings.outputs.index("positive")
        for field in fields:
            values = np.asarray(self.read(field)[index])
            n_known += int(np.isfinite(values).sum())
            n_positive += int((values > 0.5).sum())
        if 0 < n_positive < n_known:
            return
        what = "no place" if n_positive == 0 else "every place"
        raise InputError(
            f"{what} of the fields to train on is PI-positive (curation.label.positive.ratio={self._positive.ratio:g})",
            advice="look at the fluorescence",
            remedies=("curation.label.positive.ratio=NUMBER", self._without("positive")),
        )

    def with_dead(self, targets: NDArray[np.float16]) -> NDArray[np.bool_]:
        """Which places of a field are in a dead nucleus, or PI-positive where none is known, from what ``read`` gives.

        What is PI-positive and no known nucleus, such as a lymphocyte, is no place to learn nuclei from.
        """
        of = dict(zip(self._settings.outputs, targets, strict=True))
        for output, least in (("dead", 0.5), ("positive", 0.5), ("log_pi", float(np.log(self._positive.ratio)))):
            if output in of and (found := np.asarray(of[output] > least)).any():
                return found
        return np.zeros(targets.shape[1:], np.bool_)

    def _path(self, field: int) -> Path:
        return self._folder / f"{field}.npy"

    def compute(self, field: int) -> NDArray[np.float32]:
        """Targets of one field as ``read`` gives them, computed anew."""
        store, settings = self._curated.store, self._settings
        counts, valid, background = store.fluorescence(field), ~store.no_data(field), store.background(field)
        if "log_pi" in settings.outputs and not background > 0:
            raise InputError(
                f"field {field} has a PI background of {background:g}, and no multiple of it can be predicted",
                remedies=(self._without("log_pi"),),
            )
        known = places(valid) >= MIN_VALID
        made = []
        for output in settings.outputs:
            if output == "log_pi":
                level = places(smoothed(counts, valid, sd=settings.smoothing) * valid) / np.maximum(places(valid), 1e-6)
                values = np.log(np.clip(level / background, _DARKEST, _BRIGHTEST))
            elif output == "positive":
                mask = positive_mask(counts, valid, self._positive, saturated_at=self._saturated_at)
                values = places(mask) / np.maximum(places(valid), 1e-6)
            else:
                values = self._discs(field, valid.shape, dead=output == "dead")
            made.append(np.where(known, values, np.nan))
        return np.stack(made).astype(np.float32)

    def _without(self, output: str) -> str:
        """What leaves an output out, and another one in where there is none beside it."""
        alone = self._settings.outputs == (output,)
        other = "positive" if output == "log_pi" else "log_pi"
        return f"stain.{output}=0" + f" stain.{other}=1" * alone

    def _discs(self, field: int, shape: tuple[int, ...], *, dead: bool) -> NDArray[np.float64]:
        assert self._nuclei is not None
        table, counted = self._nuclei
        if field not in counted:
            return np.full([-(-side // STRIDE) for side in shape], np.nan)
        here = table[(table["field"] == field) & (table["dead"] == dead)]
        return discs(here[["y", "x"]].to_numpy(float), shape, radius=self._settings.nucleus_radius)


def _nuclei(curated: Curated, settings: TargetSettings) -> tuple[pd.DataFrame, set[int]]:
    """Where nuclei lie, ``field, y, x, dead``, and the fields in which they were looked for.

    Raises:
        InputError: If they were not.
    """
    source = settings.nuclei_of
    table = curated.cells() if source == "cells" else curated.nuclei()
    if table is None:
        is_stack = curated.summary["config"]["dataset"]["layout"] == "stack"
        of_stain = ("stain of all nuclei", "nuclei", "nuclei_index=NUMBER" if is_stack else "nuclei=WORD")
        what, setting, given = ("counted cells", "cells", "cells=FILE") if source == "cells" else of_stain
        alone = set(settings.outputs) == {"dead", "live"}
        raise InputError(
            f"{curated.summary['dataset']} has no {what} to learn from (dataset.{setting})",
            remedies=("stain.nuclei=0 stain.nuclei_of=null" + " stain.log_pi=1" * alone, f"dataset.{given}"),
        )
    # a field without a counted cell was not counted; all were looked through for stained nuclei
    fields = table["field"] if source == "cells" else curated.manifest["field"]
    return table, set(fields.unique().tolist())


def places(pixels: NDArray[np.generic], *, tile: int = STRIDE) -> NDArray[np.float64]:
    """Mean of the pixels of each place; what of a place lies beyond the field counts as 0.

    >>> places(np.ones((4, 6)))
    array([[1. , 0.5]])

    Args:
        pixels: Shape ``(height, width)``.
        tile: Side of a place, pixels.
    """
    height, width = (-(-side // tile) for side in pixels.shape)
    padded = np.zeros((height * tile, width * tile))
    padded[: pixels.shape[0], : pixels.shape[1]] = pixels
    return np.asarray(padded.reshape(height, tile, width, tile).mean((1, 3)))


def discs(centres: NDArray[np.float64], shape: tuple[int, ...], *, radius: float) -> NDArray[np.float64]:
    """Which places lie within a radius of a centre, as 0 and 1.

    >>> discs(np.array([[9.5, 9.5]]), (20, 20), radius=4.0).astype(int)[1:4, 1:4]  # the middle of a place
    array([[0, 1, 0],
           [1, 1, 1],
           [0, 1, 0]])

    Args:
        centres: y and x in pixels, shape ``(n, 2)``.
        shape: Of the field, pixels.
        radius: Pixels.
    """
    y, x = (np.arange(-(-side // STRIDE)) * STRIDE + (STRIDE - 1) / 2 for side in shape)
    inside = np.zeros((len(y), len(x)))
    for centre_y, centre_x in centres:
        rows, columns = (
            slice(np.searchsorted(axis, centre - radius), np.searchsorted(axis, centre + radius, side="right"))
            for axis, centre in ((y, centre_y), (x, centre_x))
        )
        near = (y[rows, None] - centre_y) ** 2 + (x[columns] - centre_x) ** 2 <= radius**2
        inside[rows, columns] = np.maximum(inside[rows, columns], near)
    return inside
