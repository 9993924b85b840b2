"""What Hydra, OmegaConf and YAML cannot take, each as one sentence that names what mends it."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from jimt.config.hydra_schema import is_idle, without_effect
from jimt.config.own_configs import CONF, OWN_FOLDER
from jimt.config.setting_names import (
    nearest,
    section_names,
    setting_types,
    takes_a_list,
    takes_text,
    unknown_setting,
)
from jimt.config.training import TrainConfig, no_decoder
from jimt.errors import InputError, as_typed

_KEY: Final = re.compile(r"[+~]*[\w./@]+(?==)")
_NO_VALUE: Final = {
    "Integer": "is no whole number",
    "Float": "is no number",
    "bool": "is neither true nor false",
}


def in_a_sentence(error: Exception, words: Sequence[str], kind: type) -> InputError | None:
    """What Hydra, OmegaConf or YAML could not do, in one line; None where it is a fault of jimt.

    Args:
        error: As it was raised.
        words: Of the command line, without the command.
        kind: Dataclass of the command's config.
    """
    if isinstance(error, HydraException):
        return _no_fold(str(error.__cause__), words) or _of_hydra(error, kind)
    if isinstance(error, YAMLError):  # in a file of one's own
        return _of_yaml(error)
    told = str(error)
    if "Unexpected type for root: NoneType" in told:  # OmegaConf's, of a setting in a section that is null
        keys = [word.partition("=")[0].lstrip("+~") for word in words]
        return without_effect(next(key for key in keys if is_idle(key)))
    return _of_defaults(told) if "Invalid defaults list" in told else _no_name_of_a_file(words, told, kind)


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
    if in_file := re.match(r"In '([^']+)': \w+ raised while composing config:\s*(.*)", text, re.DOTALL):
        return _of_file(in_file[1], in_file[2], kind)
    if isinstance(error, OverrideParseException):
        return unreadable(str(error.override), kind)
    if several := re.match(r"Ambiguous value for argument '(.*)'", text):
        key, _, values = several[1].partition("=")
        if takes_a_list(key, kind):
            return InputError(f"{several[1]} is no list", remedies=(f"{key}=[{values}]",))
        return InputError(f"{several[1]} has several values, which -m tries one after another", remedies=("-m",))
    twice = re.match(r"Multiple values for (\S+)\.|(\S+) appears more than once in the final defaults list", text)
    if twice:
        name = twice[1] or twice[2]
        return InputError(f"{name} has a value already, so + cannot add one", remedies=(f"{name}=NAME",))
    if text.startswith("In 'task/stain': Could not override"):  # there is neither optim nor augmentation
        return no_decoder("linear_probe")
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
        if (wrong := _no_value(told, key)) is not None:
            return wrong
        return InputError(f"{key}: {told}" if key and key not in told else told)
    return InputError(" ".join(text.split()))


def _of_file(name: str, told: str, kind: type) -> InputError:
    """What is wrong with a YAML of one's own, by its name among the configs."""
    key = re.search(r"full_key: (\S+)", told)
    if key is None or "not in" not in told:
        return InputError(f"{name}.yaml cannot be used ({' '.join(told.split())})", advice="mend it")
    section, *rest = key[1].split(".")
    if rest and rest[0] in section_names(kind):
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


def refuse_flags(words: Sequence[str], kind: type) -> None:
    """Refuse flags that no command has, before Hydra prints its usage of thirty lines.

    Args:
        words: Of the command line, without the command.
        kind: Dataclass of the command's config.

    Raises:
        InputError: Naming the first such word and the right form.
    """
    parser = get_args_parser()
    known = set(parser._option_string_actions)

    def refuse(message: str) -> NoReturn:
        for word, after in zip(words, [*words[1:], ""], strict=True):
            if word.startswith("-") and word.partition("=")[0] not in known:
                raise _unknown_flag(word, after, known, kind)
        raise InputError(f"the flags cannot be read ({message})", advice="mend what it names")

    parser.error = refuse  # type: ignore[method-assign]  # argparse would print its usage and end the process
    parser.parse_intermixed_args(list(words))


def _unknown_flag(word: str, after: str, known: set[str], kind: type) -> InputError:
    flag, has_value, value = word.partition("=")
    value = value if has_value else after if not after.startswith("-") and not _KEY.match(after) else ""
    name = flag.lstrip("-")
    cause = f"there is no flag {flag}"
    if f"--{name}" in known:
        return InputError(cause, remedies=(f"--{name} {shlex.quote(value)}" if value else f"--{name}",))
    name = name.replace("-", "_")
    if near := [name] if name in {*section_names(kind), *setting_types(kind)} else nearest(name, kind):
        return InputError(
            f"{cause}, and settings have none", remedies=tuple(f"{one}={shlex.quote(value or 'VALUE')}" for one in near)
        )
    return InputError(cause, advice="write settings as KEY=VALUE")


def unreadable(override: str, kind: type) -> InputError:
    """The error of an override whose value Hydra cannot read: the shell has taken the quotes away.

    Args:
        override: As Hydra got it.
        kind: Dataclass of the command's config.
    """
    key = _KEY.match(override)
    if key is not None and takes_text(key[0].lstrip("+~"), kind):
        return InputError(
            f"{override} cannot be read: the shell takes one pair of quotes away, and a value with one of {{}}[],:= "
            "needs another",
            remedies=(as_typed(key[0], override[key.end() + 1 :]),),
        )
    return InputError(
        f"{override} cannot be read", advice="write KEY=VALUE, in quotes where the value holds one of {}[],:="
    )


def _no_name_of_a_file(words: Sequence[str], told: str, kind: type) -> InputError | None:
    """The error of ``dataset=null`` and its like, where a file of settings is to be named; None where it is another.

    Args:
        words: Of the command line, without the command.
        told: Hydra's words, which do not say of which setting they are.
        kind: Dataclass of the command's config.
    """
    if not told.startswith("Config group override must be a string or a list"):
        return None
    for override in OverridesParser.create().parse_overrides([word for word in words if _KEY.match(word)]):
        section = override.key_or_group
        given = override.value()
        values = given.list if isinstance(given, ChoiceSweep) else [given]
        names = sorted({path.stem for conf in (CONF, Path(OWN_FOLDER)) for path in (conf / section).glob("*.yaml")})
        if not names or all(isinstance(value, str | QuotedString | list) for value in values):
            continue
        return InputError(
            f"{override.input_line} names no file of settings",
            advice=f"{'' if section in section_names(kind) else 'leave it out, or '}name one of {', '.join(names)}",
        )
    return None


def _no_value(told: str, key: str) -> InputError | None:
    """The error of a value of the wrong kind, from OmegaConf's words; None where they are of something else.

    >>> print(_no_value("Value 'fast' of type 'str' could not be converted to Float", "optim.lr"))
    optim.lr=fast is no number
    """
    wrong = re.match(r"Value '(.*)' (?:of type '\w+' could not be converted to|is not a valid) (\w+)", told)
    if wrong and wrong[2] in _NO_VALUE:
        return InputError(f"{key}={wrong[1]} {_NO_VALUE[wrong[2]]}")
    if re.match(r"field '.*' is not Optional", told):
        return InputError(f"{key} takes a value, and null is none")
    return None


def _no_fold(told: str, words: Sequence[str]) -> InputError | None:
    """The error of an item of a list that takes numbers and words alike; OmegaConf names the item, and not the list.

    >>> told = "Value '1000.0' of type 'float' is incompatible with type hint 'Union[int, str]'"
    >>> print(_no_fold(told, ["crossval.folds=[1e3]"]))
    crossval.folds=[1e3] is not allowed: it takes whole numbers or names
    """
    null = told.startswith("Invalid type assigned: NoneType is not a subclass of Union[int, str]")
    given = [word for word in words if "=[" in word]
    if not given or not (null or "is incompatible with type hint 'Union[int, str]'" in told):
        return None
    return InputError(f"{' or '.join(given)} is not allowed", advice="it takes whole numbers or names")
