"""What a training left, read without jimt's own loaders."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from jimt.curation.manifest import open_curated
from jimt.models.checkpoint import read_checkpoint
from jimt.system.files import BEST


def epochs_of(run: Path, column: str) -> list[int]:
    """The epochs of which metrics.csv holds a value, in its order."""
    table = pd.read_csv(run / "metrics.csv")
    return table.loc[table[column].notna(), "epoch"].astype(int).tolist()


def validated(run: Path, network) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits of the validation split, without jimt's own loaders."""
    checkpoint = read_checkpoint(run / BEST)
    curated = open_curated(Path(checkpoint.record.curated_folder))
    rows = curated.manifest[curated.manifest["split"] == "val"]
    patches = np.stack([curated.store.field(r.field)[r.y : r.y + 64, r.x : r.x + 64] for r in rows.itertuples()])
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (checkpoint.input.mean, checkpoint.input.std))
    images = (torch.from_numpy(patches)[:, None].float() / 255 - mean) / std
    with torch.inference_mode():
        return rows["label"].to_numpy(np.int64), network(images).numpy()
