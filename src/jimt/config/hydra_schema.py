"""Registers the dataclasses of ``jimt.config`` with Hydra, so that every key and type in ``conf/`` is checked."""

import re
from collections.abc import Sequence
from typing import Any

from hydra import compose
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from jimt.config.curating import PrepareConfig
from jimt.config.search import CrossvalConfig, LearningCurveConfig, TuneConfig
from jimt.config.training import WITHOUT_EFFECT, TrainConfig
from jimt.errors import InputError, quoted

_COMMANDS = {
    "prepare": PrepareConfig,
    "train": TrainConfig,
    "crossval": CrossvalConfig,
    "learning-curve": LearningCurveConfig,
    "tune": TuneConfig,
}
for _command, _config in _COMMANDS.items():
    ConfigStore.instance().store(name=f"{_command}_schema", node=_config)

# ${first:${resume},runs/NAME}: what is resumed goes on in its own folder
OmegaConf.register_new_resolver("first", lambda value, instead: instead if value is None else value, replace=True)
# ${where:${SETTING},{VALUE:RESULT}}: a default that another setting decides, null for its other values
OmegaConf.register_new_resolver("where", lambda value, results: results.get(value), replace=True)
# ${unless:${SETTING},VALUE,DEFAULT}: a default that one value of another setting makes null
OmegaConf.register_new_resolver("unless", lambda value, idle, default: None if value == idle else default, replace=True)


def compose_other(
    config_name: str, overrides: Sequence[str], name: str, *, shares: bool
) -> PrepareConfig | TrainConfig | None:
    """The config that a command's overrides make for another data set, once Hydra has begun.

    Args:
        config_name: Of the command.
        overrides: As they were typed.
        name: Of the other data set.
        shares: Whether settings of ``dataset`` are of the other one too, as in a sweep over both; else they are the
            command's own, and the other is read as its YAML says.

    Returns:
        None where there is no such data set, or no config can be made of it.
    """
    own = r"[+~]*dataset=" if shares else r"[+~]*dataset[./@=]"
    kept = [text for text in overrides if re.match(own, text) is None]
    try:
        config: PrepareConfig | TrainConfig = to_dataclasses(compose(config_name, [*kept, f"dataset={quoted(name)}"]))
    except (HydraException, InputError):
        return None
    return config if config.dataset.name == name else None


def to_dataclasses(config: DictConfig) -> Any:
    """Turn a composed config into the dataclasses past which no ``DictConfig`` exists.

    Returns:
        The command's, one of ``_COMMANDS``.

    Raises:
        InputError: If a key has no value or a value is out of range.
    """
    _refuse_without_effect(config)
    try:
        return OmegaConf.to_object(config)
    except MissingMandatoryValue as error:
        raise InputError(
            f"{error.full_key} has no value",
            advice="set it in the data set's YAML",
            remedies=(f"{error.full_key}=VALUE",),
        ) from error
    except OmegaConfBaseException as error:
        raise InputError(str(error).splitlines()[0]) from error


def _refuse_without_effect(config: DictConfig) -> None:
    """Raise if a setting was given of a section that the method, or the task, has no use for.

    Before the dataclasses are made: a section that is null but for one setting lacks all others.
    """
    for setting, values in WITHOUT_EFFECT.items():
        for section in values.get(config.get(setting), ()):
            if (node := config[section]) is not None:
                given = next(name for name in node if not OmegaConf.is_missing(node, name))
                raise without_effect(f"{section}.{given}")


def is_idle(key: str) -> bool:
    """Whether a setting, or a file of settings, may be one that a method, or a task, has no use for."""
    return key.partition(".")[0] in {
        section for values in WITHOUT_EFFECT.values() for sections in values.values() for section in sections
    }


def without_effect(key: str) -> InputError:
    """The error of a setting, or of a file of settings, for which the method, or the task, has no use.

    >>> print(without_effect("optim.lr"))
    optim.lr is without effect under method=linear_probe: give method=finetune
    >>> print(without_effect("stain.crop"))
    stain.crop is without effect under task=patch: give task=stain
    """
    section = key.partition(".")[0]
    ((setting, value),) = (
        (setting, value)
        for setting, values in WITHOUT_EFFECT.items()
        for value, sections in values.items()
        if section in sections
    )
    (other,) = (name for name in WITHOUT_EFFECT[setting] if name != value)
    return InputError(f"{key} is without effect under {setting}={value}", remedies=(f"{setting}={other}",))
