"""Registers the dataclasses of ``config.py`` with Hydra, so that every key and type in ``conf/`` is checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from jimt.config import CrossvalConfig, PrepareConfig, TrainConfig, TuneConfig
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
            f"{error.full_key} has no value: set it in the data set's YAML or on the command line"
        ) from error
    except OmegaConfBaseException as error:
        raise InputError(str(error).splitlines()[0]) from error


def with_overrides_of_run(arguments: Sequence[str]) -> list[str]:
    """The command line of a resumed run: ``resume=RUN`` brings the overrides that RUN was started with.

    Args:
        arguments: Of the command; those given here win over the run's.
    """
    given = {_key(argument) for argument in arguments}
    runs = [argument.partition("=")[2] for argument in arguments if _key(argument) == "resume"]
    if not runs or runs[-1] in ("", "null"):
        return list(arguments)
    path = Path(runs[-1]) / ".hydra" / "overrides.yaml"
    if not path.is_file():  # of another folder than a run's: the training says so
        return list(arguments)
    before = [str(override) for override in OmegaConf.load(path)]
    return [override for override in before if _key(override) not in given | {"resume", "retrain"}] + list(arguments)


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
