"""Features of the patches to label, on disk: computed once, and gone on with after a kill."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jimt.errors import writing
from jimt.system.files import digest_of, write_whole
from jimt.system.locks import in_turn


class PatchFeatures:
    """Features of patches, a row each; NaN until they are computed.

    Args:
        folder: That keeps them.
        made_with: Plain values that tell these features from others.
        n: Patches.
        embed: From numbers of patches to their features, shape ``(n, n_features)``; called when some are wanted.
    """

    def __init__(
        self, folder: Path, made_with: object, *, n: int, embed: Callable[[NDArray[np.int64]], NDArray[np.float32]]
    ) -> None:
        self._path = folder / f"features_{digest_of(made_with)[:16]}.f32"
        self._made_with, self._n, self._embed = made_with, n, embed
        self._values: NDArray[np.float32] | None = None
        self._missing: NDArray[np.bool_] | None = None

    def compute(self, numbers: NDArray[np.int64]) -> None:
        """Compute features of some patches, and keep them."""
        found = self._embed(numbers)
        if self._values is None:
            self._values = self._opened(found.shape[1])
        self._values[numbers] = found
        self.missing()[numbers] = False
        assert isinstance(self._values, np.memmap)
        self._values.flush()

    def missing(self) -> NDArray[np.bool_]:
        """Which patches have none yet, shape ``(n,)``."""
        if self._missing is None:
            values = self.values()
            self._missing = np.ones(self._n, np.bool_)
            if values is not None:  # a killed process leaves half a row
                self._missing = np.asarray(np.isnan(values).any(1), np.bool_)
        return self._missing

    def values(self) -> NDArray[np.float32] | None:
        """Of all patches, shape ``(n, n_features)``; None before the first were computed."""
        if self._values is None and self._path.is_file():
            n_bytes = self._path.stat().st_size
            self._values = self._opened(n_bytes // (4 * self._n))
        return self._values

    def _opened(self, n_features: int) -> NDArray[np.float32]:
        """The file; made where it is absent or of another size, full of NaN."""
        shape, advice = (self._n, n_features), "free some space, or give another folder"
        with in_turn(self._path, what=f"makes {self._path}"), writing(self._path, advice=advice):
            if not self._path.is_file() or self._path.stat().st_size != 4 * self._n * n_features:
                write_whole(self._path, np.full(shape, np.nan, np.float32).tobytes())
                write_whole(self._path.with_suffix(".json"), json.dumps(self._made_with, indent=2) + "\n")
        return np.memmap(self._path, np.float32, "r+", shape=shape)
