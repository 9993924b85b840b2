"""Words of a command line that Hydra cannot take as they were typed, and how they are to be typed."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString

from jimt.config.own_configs import CONF, OWN_FOLDER
from jimt.config.setting_names import nearest, setting_names, takes_text
from jimt.errors import InputError, as_typed

_KEY: Final = re.compile(r"[+~]*[\w./@]+(?==)")
_NO_VALUE: Final = {
    "Integer": "is no whole number",
    "Float": "is no number",
    "bool": "is neither true nor false",
}


def refuse_flags(words: Sequence[str], kind: type) -> None:
    """Refuse flags that no command has, before Hydra prints its usage of thirty lines.

    Args:
        words: Of the command line, without the command.
        kind: Dataclass of the command's config.

    Raises:
        InputError: Naming the first such word and the right form.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise InputError(f"the flags cannot be read ({message})", advice="mend what it names")

    parser.error = refuse  # type: ignore[method-assign]  # argparse prints its usage and ends the process
    _, unknown = parser.parse_known_intermixed_args(list(words))
    if unknown:
        following = dict(zip(words, [*words[1:], ""], strict=True))
        raise _unknown_flag(unknown[0], following.get(unknown[0], ""), set(parser._option_string_actions), kind)


def _unknown_flag(word: str, after: str, known: set[str], kind: type) -> InputError:
    flag, has_value, value = word.partition("=")
    value = value if has_value else after if not after.startswith("-") and not _KEY.match(after) else ""
    name = flag.lstrip("-")
    cause = f"there is no flag {flag}"
    if f"--{name}" in known:
        return InputError(cause, remedies=(f"--{name} {shlex.quote(value)}" if value else f"--{name}",))
    name = name.replace("-", "_")
    sections = {setting.partition(".")[0] for setting in setting_names(kind)}
    near = [name] if name in {*sections, *setting_names(kind)} else nearest(name, kind)
    if near:
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


def no_name_of_a_file(words: Sequence[str], told: str, kind: type) -> InputError | None:
    """The error of ``dataset=null`` and its like, where a file of settings is to be named; None where it is another.

    Args:
        words: Of the command line, without the command.
        told: Hydra's words, which do not say of which setting they are.
        kind: Dataclass of the command's config.
    """
    if not told.startswith("Config group override must be a string or a list"):
        return None
    overrides = [word for word in words if _KEY.match(word)]
    for override in OverridesParser.create().parse_overrides(overrides):
        section = override.key_or_group
        given = override.value()
        values = given.list if isinstance(given, ChoiceSweep) else [given]
        names = _files_of(section)
        if not names or all(isinstance(value, str | QuotedString | list) for value in values):
            continue
        may_be_absent = section not in {name.partition(".")[0] for name in setting_names(kind)}
        return InputError(
            f"{override.input_line} names no file of settings",
            advice=f"{'leave it out, or ' if may_be_absent else ''}name one of {', '.join(names)}",
        )
    return None


def _files_of(section: str) -> list[str]:
    """Names that a section of the config takes: jimt's own, and those in the working directory."""
    folders = (CONF, Path(OWN_FOLDER))
    return sorted({path.stem for folder in folders for path in (folder / section).glob("*.yaml")})


def no_value(told: str, key: str) -> InputError | None:
    """The error of a value of the wrong kind, from OmegaConf's words; None where they are of something else.

    >>> print(no_value("Value 'fast' of type 'str' could not be converted to Float", "optim.lr"))
    optim.lr=fast is no number
    """
    wrong = re.match(r"Value '(.*)' (?:of type '\w+' could not be converted to|is not a valid) (\w+)", told)
    if wrong and wrong[2] in _NO_VALUE:
        return InputError(f"{key}={wrong[1]} {_NO_VALUE[wrong[2]]}")
    if re.match(r"field '.*' is not Optional", told):
        return InputError(f"{key} takes a value, and null is none")
    return None
