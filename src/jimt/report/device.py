"""Where networks run again for a report."""

from dataclasses import dataclass
from typing import Any

import torch

from jimt.models.scoring import evaluation_device


@dataclass(frozen=True)
class Device:
    """Where networks run again.

    Attributes:
        accelerator: ``cpu`` or ``gpu``; None for the training's.
        index: Which graphics card, where one is used.
    """

    accelerator: str | None = None
    index: int = 0

    def of(self, provenance: dict[str, Any]) -> torch.device:
        """The device for a checkpoint.

        Raises:
            InputError: If there is no such card, or torch cannot use it.
        """
        accelerator = self.accelerator or str(provenance["accelerator"])
        return evaluation_device(accelerator, index=self.index, precision=provenance["precision"])


AS_TRAINED = Device()
"""The training's accelerator, its first card."""
