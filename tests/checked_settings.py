"""What the dataclasses say to values, without composing a config for every one."""

import functools
from copy import deepcopy

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from conftest import REPOSITORY
from jimt.config.curating import PrepareConfig
from jimt.config.hydra_schema import to_dataclasses
from jimt.config.training import TrainConfig


@functools.cache
def _composed(name: str, dataset: str) -> DictConfig:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose(name, overrides=[f"dataset={dataset}", *(["run_dir=run"] if name == "train" else [])])


def checked(*overrides: str, name: str = "prepare", dataset: str = "no_treatment") -> PrepareConfig | TrainConfig:
    """What the dataclasses say to values set on a composed config, without composing it for every one."""
    config = deepcopy(_composed(name, dataset))
    config.merge_with_dotlist(list(overrides))
    return to_dataclasses(config)
