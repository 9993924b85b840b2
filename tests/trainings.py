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


def checkpoint(run: Path, name: str) -> dict:
    """What a file of a run's checkpoints holds."""
    return torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)


def differences(one: object, other: object, where: str = "") -> list[str]:
    """Where two nested structures of plain values and tensors differ in a single bit."""
    if type(one) is not type(other):
        return [where]
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return [f"{where}: {sorted(map(str, one.keys() ^ other.keys()))}"]
        return [found for key in one for found in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [f"{where}: length"]
        return [
            found
            for i, pair in enumerate(zip(one, other, strict=True))
            for found in differences(*pair, f"{where}[{i}]")
        ]
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return [] if same else [where]


def assert_same_training(run: Path, whole: Path) -> None:
    """Two trainings are the same to the last bit, in weights, optimiser, scores and metrics."""
    for name in ("best_epoch", "last"):
        ours, theirs = checkpoint(run, name), checkpoint(whole, name)
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
            assert differences(ours[part], theirs[part], part) == []
        assert differences(ours.get("current_model_state"), theirs.get("current_model_state")) == []
    ours, theirs = checkpoint(run, "best"), checkpoint(whole, "best")
    for part in ("network", "input", "output", "state_dict"):
        assert differences(ours[part], theirs[part], part) == []
    assert (run / "test_scores.csv").read_bytes() == (whole / "test_scores.csv").read_bytes()
    ours, theirs = (pd.read_csv(folder / "metrics.csv") for folder in (run, whole))
    pd.testing.assert_frame_equal(ours[sorted(ours)], theirs[sorted(theirs)])
    for column in ("train/loss", "val/auroc"):
        epochs = ours.loc[ours[column].notna(), "epoch"].astype(int).tolist()
        assert epochs == list(range(len(epochs)))
