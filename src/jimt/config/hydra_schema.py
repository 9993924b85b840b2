"""Registers the dataclasses of ``jimt.config`` with Hydra, so that every key and type in ``conf/`` is checked."""

from typing import cast

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from jimt.config.curating import PrepareConfig
from jimt.config.search import CrossvalConfig, TuneConfig
from jimt.config.training import TrainConfig
from jimt.errors import InputError

ConfigStore.instance().store(name="prepare_schema", node=PrepareConfig)
ConfigStore.instance().store(name="train_schema", node=TrainConfig)
ConfigStore.instance().store(name="crossval_schema", node=CrossvalConfig)
ConfigStore.instance().store(name="tune_schema", node=TuneConfig)

# ${first:${resume},runs/NAME}: what is resumed goes on in its own folder
OmegaConf.register_new_resolver("first", lambda value, instead: instead if value is None else value, replace=True)


def to_dataclasses(config: DictConfig) -> PrepareConfig | TrainConfig:
    """Turn a composed config into the dataclasses past which no ``DictConfig`` exists.

    Raises:
        InputError: If a key has no value or a value is out of range.
    """
    try:
        return cast(PrepareConfig | TrainConfig, OmegaConf.to_object(config))
    except MissingMandatoryValue as error:
        raise InputError(
            f"{error.full_key} has no value",
            advice="set it in the data set's YAML",
            remedies=(f"{error.full_key}=VALUE",),
        ) from error
    except OmegaConfBaseException as error:
        raise InputError(str(error).splitlines()[0]) from error
