"""What has to be done to the images of one data set so that they are as those of another in one property, or in all.

Every field is changed by the same amount, by which the medians of both data sets differ: a change of its own for each
field would also take away what tells dead cells from living ones, since dead ones change contrast and detail.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from jimt.curation.image_changes import Change
from jimt.curation.manifest import Curated
from jimt.curation.pixel_sizes import differ
from jimt.data.fields import ChangedFields
from jimt.errors import InputError
from jimt.evaluation.image_differences import DENSITY, PIXEL_SIZE, Looks
from jimt.statistics.image_looks import looks_of

ORDER: Final = (PIXEL_SIZE, "detail", "contrast", "brightness", "noise")
"""In which everything is matched: what changes noise comes before it is made what it should be."""
_LOOKED_AT: Final = 24
"""Fields by which it is settled how much is to be done."""
_ALIKE: Final = 0.01  # by which medians may differ, and nothing is done
_MOST_BLUR: Final = 8.0  # pixels, of which nothing of a cell is left
_HALVINGS: Final = 12


@dataclass(frozen=True)
class Matched:
    """The images of a data set, matched to those of another in some property.

    Attributes:
        fields: As they are read then.
        reached: Median of the property then; None where it cannot be told.
        target: Median in the other data set.
    """

    fields: ChangedFields
    reached: float | None
    target: float | None

    @property
    def in_words(self) -> str:
        """What is done to each image."""
        return ", ".join(change.in_words() for change in self.fields.changes if change.changes) or "nothing to change"


def match(name: str, curated: Curated, own: Looks, target: Looks, *, seed: int, after: Sequence[Change]) -> Matched:
    """Match the images of a data set to those of another in one property.

    Args:
        name: Of ``ORDER``.
        curated: The data set.
        own: What was measured of it.
        target: What was measured of the other.
        seed: Of noise that is added.
        after: What has been done to its images before.

    Raises:
        InputError: If it cannot be done, with the reason.
    """
    changed = partial(_changed, curated, seed=seed, after=after)
    if name == PIXEL_SIZE:
        return _resampled(changed, own, target)
    numbers = own.fields.index.to_numpy()
    looked_at = numbers[np.unique(np.linspace(0, len(numbers) - 1, _LOOKED_AT).round().astype(int))].tolist()

    def median(*changes: Change) -> float:
        return _median(name, changed(*changes), looked_at)

    wanted = float(np.median(target.fields[name]))
    # a few fields stand for all, whose median they have but for this factor
    unlike = _median(name, ChangedFields(curated.store, [], seed=seed), looked_at) / float(np.median(own.fields[name]))
    change = _towards(name, median(), wanted * unlike, median)
    return Matched(changed(change), median(change) / unlike, wanted)


def _changed(curated: Curated, *changes: Change, seed: int, after: Sequence[Change]) -> ChangedFields:
    return ChangedFields(curated.store, [*after, *changes], seed=seed)


def _resampled(changed: Callable[..., ChangedFields], own: Looks, target: Looks) -> Matched:
    if own.pixel_size is None or target.pixel_size is None:
        unknown = own.name if own.pixel_size is None else target.name
        raise InputError(
            f"the pixel size of {unknown} is not known", advice="set dataset.pixel_size, curate and train again"
        )
    zoom = own.pixel_size / target.pixel_size if differ(own.pixel_size, target.pixel_size) else 1.0
    return Matched(changed(Change("resample", zoom)), own.pixel_size / zoom, target.pixel_size)


def _median(name: str, fields: ChangedFields, numbers: Sequence[int]) -> float:
    return float(np.median([looks_of(fields.field(n), ~fields.no_data(n))[name] for n in numbers]))


def _towards(name: str, value: float, goal: float, median: Callable[..., float]) -> Change:
    """The change that brings the median of a property to a goal."""
    if abs(goal / value - 1) <= _ALIKE:
        return Change("stretch", 1.0)
    if name in ("contrast", "brightness"):
        kind: Final = "stretch" if name == "contrast" else "brighten"
        return _by_steps(lambda by: Change(kind, by), goal, median, start=goal / value)
    if name == "noise" and goal > value:
        return _by_steps(lambda by: Change("noise", by), goal, median, start=goal / value)
    if goal > value:
        raise InputError("its images are less sharp, and what was not resolved cannot be brought back")
    return _by_blur(goal, median)


def _by_steps(make: Callable[[float], Change], goal: float, median: Callable[..., float], *, start: float) -> Change:
    """A factor, settled in three steps: what leaves the range of 8 bits is cut off, so that the first falls short."""
    factor = start
    for _ in range(2):
        reached = median(make(factor))
        factor *= goal / reached if reached > 0 else 1.0
    return make(float(factor))


def _by_blur(goal: float, median: Callable[..., float]) -> Change:
    """A blur, by halving the distance between too little and too much."""
    low, high = 0.0, _MOST_BLUR
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if median(Change("blur", middle)) > goal else (low, middle)
    return Change("blur", high)


def as_dense(curated: Curated, own: Looks, target: Looks) -> tuple[set[int], tuple[float, float], str]:
    """Fields that are as dense as four fifths of those of another data set: density cannot be changed in an image.

    Args:
        curated: The data set.
        own: What was measured of it.
        target: What was measured of the other.

    Returns:
        Their numbers, from which density to which, and which of ``DENSITY_OF`` that is.

    Raises:
        InputError: If there is none.
    """
    density = own.density_beside(target)
    low, high = np.quantile(target.values(DENSITY, density=density), [0.1, 0.9])
    values = own.values(DENSITY, density=density)
    like = set(own.fields.index[(values >= low) & (values <= high)].tolist())
    if not like:
        raise InputError(f"no field of {own.name} is as dense as those of {target.name}")
    return like, (float(low), float(high)), density
