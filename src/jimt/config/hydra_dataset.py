"""The settings of a data set by its name, or of a cluster, for commands that compose no config of their own."""

import dataclasses
import re

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from jimt.config.curating import ExecutorConfig, PrepareConfig
from jimt.config.data import DatasetConfig
from jimt.config.hydra_errors import in_a_sentence
from jimt.config.hydra_schema import to_dataclasses
from jimt.config.own_configs import CONF, OWN_FOLDER
from jimt.errors import InputError, did_you_mean, quoted


def dataset_of_name(name: str) -> DatasetConfig:
    """What ``conf/dataset/NAME.yaml``, or one's own of that name in ``jimt_conf/dataset``, says.

    Raises:
        InputError: If there is none, or it cannot be used.
    """
    as_text = re.sub(r"\$(?=\{)|^\?{3}$", "_", name)  # OmegaConf would look up what ${x} says; no file is called either
    override = f"dataset={quoted(as_text)}"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            config: PrepareConfig = to_dataclasses(compose("prepare", overrides=[override]))
        except MissingConfigException as error:
            known = sorted(error.options or [])
            raise InputError(
                f"there is no data set {name}",
                advice=did_you_mean(
                    name, known, otherwise=f"there are {', '.join(known)}, and your own in {OWN_FOLDER}/dataset"
                ),
            ) from error
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            told = in_a_sentence(error, [override], PrepareConfig)
            if told is None:
                raise
            raise told from error
    return config.dataset


def executor_of_scheduler(address: str) -> ExecutorConfig:
    """The Dask cluster that a curation would use with ``conf/executor/dask.yaml``.

    Args:
        address: Of its scheduler.
    """
    overrides = ["executor=dask", "curation.executor.scheduler=tcp://HOST:8786"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config: PrepareConfig = to_dataclasses(compose("prepare", overrides=overrides))
    return dataclasses.replace(config.curation.executor, scheduler=address)  # as it was typed: Hydra would read a ${
