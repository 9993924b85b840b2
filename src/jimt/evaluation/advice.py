"""What to do where a test split is too small to tell much: the command that holds every group out in turn."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from jimt.config.own_configs import config_flags
from jimt.curation.splits import workable_folds
from jimt.errors import quoted
from jimt.vocabulary import Split

MAX_FOLDS = 5
"""Of the advice: more cost a training each, and change little."""
_OF_THE_RUN = ("run_dir", "resume", "retrain")
"""Settings that name or continue one run, which no other command takes over."""
_OF_SEVERAL_DEVICES = ("trainer.devices", "trainer.num_nodes")
"""A cross-validation trains on one."""


@dataclass(frozen=True)
class Advice:
    """A sentence, and the command that does what it says; None where nothing tells how the run was started."""

    text: str
    command: str | None


def cross_validation_advice(manifest: pd.DataFrame, run_folder: Path, *, method: str) -> Advice:
    """How to test on every group of a data set, where its test split holds few of them.

    Args:
        manifest: Of the data set, its groups known.
        run_folder: Of the training, where Hydra left the overrides that it was started with.
        method: Of the training.
    """
    used = manifest[manifest["split"].notna()]
    test = used[used["split"] == Split.TEST.value]
    n_groups = used["group"].nunique()
    small = f"{len(test):,} patches of {test['group'].nunique():,} of {n_groups:,} groups are a small test"
    for validation in (True, False) if method == "finetune" else (False,):
        n_folds = workable_folds(used, at_most=MAX_FOLDS, validation=validation)
        if n_folds is not None:
            settings = [f"crossval.n_folds={n_folds}"]
            if method == "finetune" and not validation:
                settings.append("crossval.validation=false")
            told = f"{small}; a cross-validation tests on all {len(used):,} patches of all groups, each unseen"
            return Advice(told, _command(run_folder, settings))
    return Advice(
        f"{small}, and no cross-validation can mend it, since some fold would leave one class alone to train on: add "
        "raw images of other wells or experiments",
        None,
    )


def _command(run_folder: Path, settings: Sequence[str]) -> str | None:
    """``jimt crossval`` with the overrides of a run, to be pasted into a shell; None where there are none."""
    folder = run_folder / ".hydra"
    if not (folder / "overrides.yaml").is_file():  # trained by a call, not by a command
        return None
    before = [
        str(override) for override in yaml.safe_load((folder / "overrides.yaml").read_text(encoding="utf-8")) or []
    ]
    kept = [override.replace("trainer=ddp", "trainer=gpu") for override in before if _is_kept(override)]
    hydra = (
        yaml.safe_load((folder / "hydra.yaml").read_text(encoding="utf-8"))["hydra"]
        if (folder / "hydra.yaml").is_file()
        else {}
    )
    flags = config_flags(folder)
    # an experiment may fix the folder of the run, or start a sweep
    where = [f"hydra.run.dir={quoted(_folder_beside(run_folder).as_posix())}"]
    mode = ["hydra.mode=RUN"] * (hydra.get("mode") == "MULTIRUN")
    return shlex.join(["jimt", "crossval", *flags, *kept, *settings, *mode, *where])


def _is_kept(override: str) -> bool:
    key = override.partition("=")[0].lstrip("+~")
    return key not in (*_OF_THE_RUN, *_OF_SEVERAL_DEVICES) and not key.startswith(("hydra.", "hydra/", "crossval."))


def _folder_beside(run_folder: Path) -> Path:
    """``runs/crossval/NAME`` of ``runs/NAME``; of a folder elsewhere, a neighbour of it."""
    below = Path(os.path.relpath(run_folder))
    if below.parts[0] == "runs":
        return Path("runs", "crossval", *below.parts[1:])
    return below.with_name(f"{below.name}_crossval")
