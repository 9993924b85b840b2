"""The empty filter while patches are labelled: fitted every 20 labels in the background, as the curation would fit it.

Labelling has gone on long enough where the filter does not change any more: where consecutive fits call the same
patches empty, by Cohen's kappa over all of them, 0.99 or more in the mean over three (stabilizing predictions:
Bloodgood and Vijay-Shanker, CoNLL 2009). F1 rests on patches of the spread alone, which are as the data set is;
uncertain ones are harder than the usual.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jimt.annotation.patch_features import PatchFeatures
from jimt.annotation.patch_pool import PatchPool
from jimt.config.curating import EmptyFilterConfig
from jimt.curation.empty_filter import empty_scores, fit_empty_filter
from jimt.errors import InputError
from jimt.statistics.hand_label_agreement import Agreement, cohen_kappa, f1_over_groups

EVERY: Final = 20
"""Labels from one fit to the next."""
OF_EACH: Final = 20
"""Empty and not empty patches below which it is never enough: so many the documentation asks for."""
STABLE: Final = 0.99
_FITS: Final = 3  # whose agreement with the fit before is averaged
_AT_ONCE: Final = 32  # patches that pass through the network before labels are looked at again
_CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Labelled:
    """A patch that was called empty or not.

    Attributes:
        number: In the pool.
        empty: What it was called.
        is_spread: Whether it was asked for as one of the spread, and not because the filter was unsure of it.
    """

    number: int
    empty: bool
    is_spread: bool


@dataclass(frozen=True)
class Progress:
    """How far the filter has come.

    Attributes:
        n_features: Patches that it can score.
        n_fitted: Labels of the last fit; 0 before the first.
        f1: Of patches of the spread, cross-validated by group.
        n_measured: Patches that F1 rests on; 0 where both kinds come from fewer than two groups.
        agreement: Mean kappa of the last fits with the one before; None before there are as many.
        is_enough: Whether more labels hardly change the filter.
        failed: Why there is no filter; None where there is, or will be.
    """

    n_features: int = 0
    n_fitted: int = 0
    f1: Agreement = field(default_factory=lambda: Agreement(None, None))
    n_measured: int = 0
    agreement: float | None = None
    is_enough: bool = False
    failed: str | None = None


class RunningFilter:
    """Fits the filter in a thread.

    Args:
        pool: The patches, in the order in which features are computed.
        features: Of them.
        settings: Of the filter, as the curation has them.
        seed: Of its folds.

    Attributes:
        progress: The latest.
        scores: Signed distance of every patch to the decision surface, above 0 for empty, NaN where not known; None
            before the first fit.
    """

    def __init__(
        self,
        pool: PatchPool,
        features: PatchFeatures,
        settings: EmptyFilterConfig,
        *,
        seed: int,
    ) -> None:
        self.progress = Progress()
        self.scores: NDArray[np.float32] | None = None
        self._pool, self._features, self._settings, self._seed = pool, features, settings, seed
        self._labelled: list[Labelled] = []
        self._tell: Callable[[], None] | None = None
        self._agreements: list[float] = []
        self._n_passed = 0  # labels of the last fit, or that need none any more
        self._news = threading.Condition()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._work, name="running filter", daemon=True)

    def start(self, labelled: list[Labelled], *, tell: Callable[[], None]) -> None:
        """Begin; labels that were there before are fitted anew in their order, as far as the agreement needs it.

        Args:
            labelled: As of ``set_labelled``.
            tell: Called in the thread whenever there is news.
        """
        self._tell = tell
        self._labelled = labelled
        self._n_passed = max(0, len(labelled) // EVERY - _FITS - 1) * EVERY
        self._thread.start()

    def set_labelled(self, labelled: list[Labelled]) -> None:
        """Tell all labels, in the order in which they were given."""
        with self._news:
            self._labelled = labelled
            self._news.notify()

    def stop(self) -> None:
        """End when the present step is done."""
        with self._news:
            self._is_stopped = True
            self._news.notify()
        self._thread.join()

    def _work(self) -> None:
        failed: str | None = "it has ended by a fault; see the terminal"
        try:
            while not self._is_stopped:
                if (labels := self._due()) is not None:
                    self._fit(labels)
                elif not self._compute(self._next()):
                    with self._news:
                        if self._due() is None and not self._is_stopped:
                            self._news.wait()
            failed = None
        except InputError as error:
            failed = str(error)
        finally:
            if failed is not None:
                self._set(failed=failed)

    def _set(self, **changed: Any) -> None:
        self.progress = Progress(**{**vars(self.progress), **changed})
        if self._tell is not None:
            self._tell()

    def _due(self) -> list[Labelled] | None:
        """The labels to fit on, where there are enough more of them."""
        labels = self._labelled
        for n in range(self._n_passed + EVERY, len(labels) + 1, EVERY):
            if len({label.empty for label in labels[:n]}) == 2:
                return labels[:n]
        return None

    def _next(self) -> NDArray[np.int64]:
        """The patches whose features are computed next: of a whole field where one pass gives them all."""
        missing = np.flatnonzero(self._features.missing())
        if self._settings.features == "field" and len(missing):
            names = self._pool.raw_image_ids[missing]
            return missing[np.flatnonzero(names == names[0])]
        return missing[:_AT_ONCE]

    def _compute(self, numbers: NDArray[np.int64]) -> bool:
        if not len(numbers):
            return False
        self._features.compute(numbers)
        self._set(n_features=int((~self._features.missing()).sum()))
        return True

    def _fit(self, labels: list[Labelled]) -> None:
        numbers = np.array([label.number for label in labels])
        missing = self._features.missing().copy()
        for start in range(0, int(missing[numbers].sum()), _AT_ONCE):
            self._compute(numbers[missing[numbers]][start : start + _AT_ONCE])
        values = self._features.values()
        assert values is not None
        empty, groups = np.array([label.empty for label in labels]), self._pool.groups[numbers]
        machine, _, held_out = fit_empty_filter(
            np.asarray(values[numbers]),
            empty,
            self._pool.raw_image_ids[numbers].astype(str),
            groups.astype(str),
            kernel=self._settings.kernel,
            regularisation=self._settings.regularisation,
            n_folds=self._settings.n_folds,
            seed=self._seed,
        )
        known = np.flatnonzero(~self._features.missing())
        scores = np.full(len(self._pool), np.nan, np.float32)
        scores[known] = empty_scores(machine, np.asarray(values[known]))
        if self.scores is not None:
            self._agreements.append(_agreement(self.scores, scores))
        self.scores = scores
        measured = np.array([label.is_spread for label in labels]) & np.isfinite(held_out)
        agreement = float(np.mean(self._agreements[-_FITS:])) if len(self._agreements) >= _FITS else None
        self._n_passed = len(labels)
        self._set(
            n_features=len(known),
            n_fitted=len(labels),
            f1=f1_over_groups(empty[measured], held_out[measured] > 0, groups[measured], confidence=_CONFIDENCE),
            n_measured=int(measured.sum()),
            agreement=agreement,
            is_enough=agreement is not None
            and agreement >= STABLE
            and min(int(empty.sum()), int((~empty).sum())) >= OF_EACH,
        )


def _agreement(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """Cohen's kappa of what two fits call empty, of patches that both can score; 0 where both call all the same.

    >>> _agreement(np.array([1, 1, -1, np.nan], np.float32), np.array([1, 2, -3, 4], np.float32))
    1.0
    """
    both = np.isfinite(before) & np.isfinite(now)
    first, second = before[both] > 0, now[both] > 0
    table = np.array([[[(first & second).sum(), (first & ~second).sum()], [(~first & second).sum(), 0]]])
    table[0, 1, 1] = both.sum() - table.sum()
    kappa = float(cohen_kappa(table)[0])
    return kappa if np.isfinite(kappa) else 0.0
