"""What the fields of a training look like, settled once at its end by passing some through its network once more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jimt.data.fields import Fields
from jimt.models.like_training import DISTANCES, Reference, StoredSpread, spectra_of, windows_of
from jimt.models.scorers import Scorer
from jimt.statistics.familiarity import MIN_GROUPS, Spread, fit_spread, joint_limits, left_out, limits_interval
from jimt.statistics.image_quality import MEASURES, measure_image
from jimt.statistics.weighted_patches import Floats

FALSE_ALARMS: Final = 0.1
"""Share of the fields of further groups that may be flagged: with less, more of what is unlike passes."""
_MAX_FIELDS: Final = 300
"""Each passes through the network once more; the limits gain from groups, and hardly from more fields of them."""
_N_DIRECTIONS: Final = 64
"""Of the covariance that are kept: half a mebibyte of a network of 2,048 features."""
_LEAST_SD: Final = 0.05
"""Of the logarithm of a measure: fields that are all as sharp to 5 % say nothing against one that differs by 10 %."""
_RESAMPLES: Final = 500
_CONFIDENCE: Final = 0.95
_Item = TypeVar("_Item", int, str)


def fit_reference(scorer: Scorer, fields: Fields, groups: Mapping[int, str], *, size: int, seed: int) -> Reference:
    """Pass the fields of a training through its network once, and settle from what on another is unlike them.

    Args:
        scorer: Gives the features.
        fields: All fields of the data set.
        groups: Group of each field of the training, by its number.
        size: Side of a patch, pixels.
        seed: Of the resampling.
    """
    chosen = spread_over_groups(groups, most=_MAX_FIELDS)
    names = np.array([groups[number] for number in chosen], object)
    n_groups = len(set(names))
    if n_groups < MIN_GROUPS:
        of = f"{n_groups} group{'s' * (n_groups != 1)}"
        reason = f"the model was trained on {of}, and fewer than {MIN_GROUPS} do not tell how much groups differ"
        nothing = StoredSpread(torch.zeros(0), torch.zeros(0), torch.zeros(0), 0.0)
        return Reference(len(chosen), n_groups, reason, nothing, nothing, {}, {}, {}, 0.0, None, FALSE_ALARMS)
    features = [scorer.window_features(fields, number).astype(np.float64) for number in chosen]
    spectra = [_spectra(fields, number, size=size) for number in chosen]
    looks = _Looks(features, spectra, [_measured(fields, number, size=size) for number in chosen], names)
    whole, single = looks.left_out()
    limits, limits_of_window = (_limits(values) for values, _ in (whole, single))
    limits_of_window = np.maximum(limits_of_window, limits)
    far, of_far = whole[0][:, : len(DISTANCES)], whole[1]
    interval = limits_interval(
        far, of_far, false_alarms=FALSE_ALARMS, n_resamples=_RESAMPLES, confidence=_CONFIDENCE, seed=seed
    )
    spread, texture, centres, sds = looks.fitted(np.arange(len(chosen)))
    kinds = (*DISTANCES, *MEASURES)
    return Reference(
        n_fields=len(chosen),
        n_groups=n_groups,
        unknown=None,
        features=_stored(spread),
        texture=_stored(texture),
        measures=dict(zip(MEASURES, zip(centres.tolist(), sds.tolist(), strict=True), strict=True)),
        limits=dict(zip(kinds, limits.tolist(), strict=True)),
        limits_of_window=dict(zip(kinds, limits_of_window.tolist(), strict=True)),
        n_windows=float(np.median([len(windows) for windows in features])),
        interval=interval,
        false_alarms=FALSE_ALARMS,
    )


def _limits(values: Floats) -> Floats:
    """Of the distances together, of each measure alone: distances flag a field, measures say what may be the reason."""
    n = len(DISTANCES)
    alone = [joint_limits(values[:, [kind]], false_alarms=FALSE_ALARMS) for kind in range(n, values.shape[1])]
    return np.concatenate([joint_limits(values[:, :n], false_alarms=FALSE_ALARMS), *alone])


@dataclass(frozen=True)
class _Looks:
    """What was seen of the training's fields.

    Attributes:
        features: Of the windows of each, shape ``(n_windows, n_features)``.
        spectra: Likewise, shape ``(n_windows, N_BANDS)``.
        measures: Of each, then of its windows, shape ``(1 + n_windows, n_measures)``.
        groups: Group of each.
    """

    features: Sequence[Floats]
    spectra: Sequence[Floats]
    measures: Sequence[Floats]
    groups: NDArray[np.object_]

    def fitted(self, on: NDArray[np.intp]) -> tuple[Spread, Spread, Floats, Floats]:
        """Of some of the fields: spread of features and spectra, centre and standard deviation of each measure."""
        groups = self.groups[on]
        spread, texture = (
            fit_spread(np.stack([of[field].mean(axis=0) for field in on]), groups, n_directions=_N_DIRECTIONS)
            for of in (self.features, self.spectra)
        )
        measures = np.stack([self.measures[field][0] for field in on])
        _, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        weights = 1 / sizes[numbers]
        centres = np.average(measures, axis=0, weights=weights)
        sds = np.sqrt(np.average((measures - centres) ** 2, axis=0, weights=weights))
        return spread, texture, centres, np.maximum(sds, _LEAST_SD)

    def left_out(self) -> tuple[tuple[Floats, NDArray[np.object_]], tuple[Floats, NDArray[np.object_]]]:
        """Both distances and all deviations, with their groups, of fields left out, then of their windows."""
        whole, single, held_out = [], [], []
        for on, held in left_out(self.groups):
            spread, texture, centres, sds = self.fitted(on)
            held_out += held.tolist()
            for field in held.tolist():
                far = [
                    of.distances(np.concatenate([seen.mean(axis=0)[None], seen]))
                    for of, seen in ((spread, self.features[field]), (texture, self.spectra[field]))
                ]
                deviations = np.abs(self.measures[field] - centres) / sds
                found = np.column_stack([*far, deviations])
                whole.append(found[:1])
                single.append(found[1:])
        groups = self.groups[held_out]
        of_windows = np.repeat(groups, [len(values) for values in single])
        return (np.concatenate(whole), groups), (np.concatenate(single), of_windows)


def spread_over_groups(groups: Mapping[int, str], *, most: int) -> list[int]:
    """All fields, or of many so many, as evenly over groups and within these as they have them.

    >>> spread_over_groups(dict(enumerate("AAAAAB")), most=4)
    [0, 2, 4, 5]

    Args:
        groups: Group of each field, by its number.
        most: How many at most.
    """
    by_group: dict[str, list[int]] = {}
    for number in sorted(groups):
        by_group.setdefault(groups[number], []).append(number)
    names = _evenly(sorted(by_group), most)
    each = max(
        each
        for each in range(1, most + 1)
        if each == 1 or sum(min(each, len(by_group[name])) for name in names) <= most
    )
    return sorted(number for name in names for number in _evenly(by_group[name], each))


def _evenly(items: list[_Item], n: int) -> list[_Item]:
    return [items[place] for place in np.unique(np.linspace(0, len(items) - 1, n).round().astype(int)).tolist()]


def _measured(fields: Fields, number: int, *, size: int) -> Floats:
    """Measures of a field, then of each of its windows, shape ``(1 + n_windows, n_measures)``."""
    pixels, valid = fields.field(number), ~fields.no_data(number)
    rows = windows_of(fields, number, size=size)
    places = zip(rows["y"].tolist(), rows["x"].tolist(), strict=True)
    windows = [np.s_[:, :], *(np.s_[y : y + size, x : x + size] for y, x in places)]
    return np.stack([measure_image(pixels[window], valid[window]) for window in windows])


def _spectra(fields: Fields, number: int, *, size: int) -> Floats:
    rows = windows_of(fields, number, size=size)
    return spectra_of(fields.field(number), ~fields.no_data(number), rows, size=size)


def _stored(spread: Spread) -> StoredSpread:
    return StoredSpread(_tensor(spread.mean), _tensor(spread.directions), _tensor(spread.variances), spread.rest)


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
