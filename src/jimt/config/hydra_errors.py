"""Errors of Hydra, OmegaConf and YAML, each as one sentence that names what mends it."""

import re
from collections.abc import Sequence

from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from jimt.config.command_words import no_name_of_a_file, no_value, unreadable
from jimt.config.hydra_schema import is_idle, without_effect
from jimt.config.own_configs import CONF, OWN_FOLDER
from jimt.config.setting_names import setting_names, takes_a_list, unknown_setting
from jimt.config.training import TrainConfig
from jimt.errors import InputError


def in_a_sentence(error: Exception, words: Sequence[str], kind: type) -> InputError | None:
    """What Hydra, OmegaConf or YAML could not do, in one line; None where it is a fault of jimt.

    Args:
        error: As it was raised.
        words: Of the command line, without the command.
        kind: Dataclass of the command's config.
    """
    if isinstance(error, HydraException):
        return _of_hydra(error, kind)
    if isinstance(error, YAMLError):  # in a file of one's own
        return _of_yaml(error)
    told = str(error)
    if "Unexpected type for root: NoneType" in told:  # OmegaConf's, of a setting in a section that is null
        keys = [word.partition("=")[0].lstrip("+~") for word in words]
        return without_effect(next(key for key in keys if is_idle(key)))
    return _of_defaults(told) if "Invalid defaults list" in told else no_name_of_a_file(words, told, kind)


def _of_hydra(error: HydraException, kind: type) -> InputError:
    """What Hydra says, with a remedy that works here."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        group, _, name = error.missing_cfg_file.rpartition("/")
        options = error.options or sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        takes = f"it takes {', '.join(options)}; " if options else ""
        return InputError(
            f"there is no {group}={name}",
            advice=f"{takes}write {OWN_FOLDER}/{group}/{name}.yaml in the working directory",
            remedies=("--config-dir FOLDER",),
        )
    text = str(error)
    in_file = re.match(r"In '([^']+)': \w+ raised while composing config:\s*(.*)", text, re.DOTALL)
    if in_file:
        return _of_file(in_file[1], in_file[2], kind)
    if isinstance(error, OverrideParseException):
        return unreadable(str(error.override), kind)
    several = re.match(r"Ambiguous value for argument '(.*)'", text)
    if several:
        key, _, values = several[1].partition("=")
        if takes_a_list(key, kind):
            return InputError(f"{several[1]} is no list", remedies=(f"{key}=[{values}]",))
        return InputError(f"{several[1]} has several values, which -m tries one after another", remedies=("-m",))
    twice = re.match(r"Multiple values for (\S+)\.|(\S+) appears more than once in the final defaults list", text)
    if twice:
        name = twice[1] or twice[2]
        return InputError(f"{name} has a value already, so + cannot add one", remedies=(f"{name}=NAME",))
    unknown = re.match(r"Could not (?:override|append) '([^']+)'", text)
    if unknown and issubclass(kind, TrainConfig) and "." not in unknown[1] and is_idle(unknown[1]):
        return without_effect(unknown[1])
    if unknown and isinstance(error, ConfigCompositionException):
        return unknown_setting(unknown[1], kind)
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        told = str(cause).splitlines()[0]
        key = str(cause.full_key or "")
        if "not in" in told and key and key.rpartition(".")[2] in told:
            return unknown_setting(key, kind)
        if (wrong := no_value(told, key)) is not None:
            return wrong
        return InputError(f"{key}: {told}" if key and key not in told else told)
    return InputError(" ".join(text.split()))


def _of_file(name: str, told: str, kind: type) -> InputError:
    """What is wrong with a YAML of one's own, by its name among the configs."""
    key = re.search(r"full_key: (\S+)", told)
    if key is None or "not in" not in told:
        return InputError(f"{name}.yaml cannot be used ({' '.join(told.split())})", advice="mend it")
    section, *rest = key[1].split(".")
    if rest and rest[0] in {name.partition(".")[0] for name in setting_names(kind)}:
        return InputError(
            f"{name}.yaml holds {rest[0]} where {section} begins",
            advice="let its first line be # @package _global_, since it holds settings of several sections",
        )
    return unknown_setting(key[1], kind).about(f"{name}.yaml holds {key[1]}, which is no setting")


def _of_yaml(error: YAMLError) -> InputError:
    """What is wrong with a file that is no YAML, and where."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    tab = "\\t" in problem
    where = f"{mark.name}, line {mark.line + 1}" if mark is not None else "a file of settings"
    return InputError(
        f"{where} cannot be read as YAML ({problem})",
        advice="indent with spaces, not with tabs" if tab else "mend that line, or the one above it",
    )


def _of_defaults(told: str) -> InputError:
    """What is wrong with the list of other files that a file begins with."""
    found = re.search(r"in '([^']+)'", told)
    name = f"{found[1]}.yaml" if found else "a file of settings"
    return InputError(f"{name} has defaults that are no list", advice="write below it - layout/pairs and - _self_")
