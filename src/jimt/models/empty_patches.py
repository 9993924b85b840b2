"""The empty filter as a checkpoint holds it: which patches hold no cells."""

import functools
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from jimt.curation.store import places_of
from jimt.data.fields import Fields
from jimt.models.checkpoint import EmptyFilter
from jimt.networks.backbones import FeatureExtractor


class EmptyPatches:
    """Tells patches without cells.

    Args:
        known: The filter.
        size: Side of a patch, pixels.
        device: Where its feature network runs.
        batch_size: Patches at once.
    """

    def __init__(self, known: EmptyFilter, *, size: int, device: torch.device, batch_size: int) -> None:
        self._known, self._size, self._whole = known, size, known.features == "field"
        self._device, self._batch_size = str(device), batch_size

    @functools.cached_property
    def opened(self) -> tuple[FeatureExtractor, Any]:
        """Network and machine: at the first use, since not everybody who opens a model asks for empty patches."""
        import skops.io  # late: seconds

        known = self._known
        features = FeatureExtractor.with_state(
            known.backbone,
            known.state_dict,
            device=self._device,
            batch_size=self._batch_size,
            precision=known.precision,
        )
        return features, skops.io.loads(known.machine.numpy().tobytes(), trusted=[])

    def __call__(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether each patch is one without cells, shape ``(n,)``; arguments as of ``Predictor.logits``."""
        network, machine = self.opened
        features = network.of_places(fields.field, places_of(rows), size=self._size, whole=self._whole)
        return np.asarray(machine.decision_function(features) > 0)
