"""Names of settings: which a command knows, and which one somebody may have meant."""

import dataclasses
import difflib
import types
from collections.abc import Iterable
from typing import Any, get_args, get_origin

from jimt.errors import InputError


def unknown_setting(key: str, kind: type) -> InputError:
    """The error of a key that no setting has.

    Args:
        key: As it was given, with its sections: ``optim.learning_rate``.
        kind: Dataclass of the whole config.
    """
    section, dot, _ = key.rpartition(".")
    types_of = setting_types(kind)
    beside = _beside(section + dot, types_of)
    if get_origin(types_of.get(key)) is dict:  # Hydra adds to what is empty where it is told to
        return InputError(f"{key} holds names of one's own, which are added", remedies=(f"+{key}={{NAME: VALUE}}",))
    if near := nearest(key, kind):
        return InputError(f"there is no setting {key}", advice=f"did you mean {' or '.join(near)}?")
    if section and beside:
        return InputError(f"there is no setting {key}", advice=f"{section} has {', '.join(beside)}")
    return InputError(f"there is no setting {key}", advice=f"this command has {', '.join(section_names(kind))}")


def nearest(key: str, kind: type) -> list[str]:
    """At most three settings that somebody may have meant by a name that none has, the likeliest first.

    >>> from jimt.config.training import TrainConfig
    >>> nearest("optim.lrate", TrainConfig), nearest("optim.epochs", TrainConfig)
    (['optim.lr'], ['trainer.max_epochs'])
    """
    section, dot, last = key.rpartition(".")
    names = list(setting_types(kind))
    beside = _beside(section + dot, names)
    near = [name for name in names if name.rpartition(".")[2] == last]
    near = near or [section + dot + name for name in difflib.get_close_matches(last, beside, n=3)]
    near = near or [section + dot + name for name in beside if _resembles(last, name)]
    near = near or sorted(
        (name for name in names if _resembles(last, name.rpartition(".")[2])),
        # what begins alike, and settings of a short name
        key=lambda name: (not name.rpartition(".")[2].startswith(last), name.count(".")),
    )
    if not near and not beside:
        near = difflib.get_close_matches(key, names, n=3)
    return near[:3]


def _beside(section: str, names: Iterable[str]) -> list[str]:
    """Settings and sections that a section holds."""
    return list(
        dict.fromkeys(name.removeprefix(section).partition(".")[0] for name in names if name.startswith(section))
    )


_WORD = 2  # letters below which a beginning says nothing: ``c`` of a probe begins many names


def _resembles(given: str, name: str) -> bool:
    """Whether one begins with the other, they share a word, or the setting is the other's initials.

    >>> _resembles("lrate", "lr"), _resembles("n_epochs", "max_epochs"), _resembles("learning_rate", "lr")
    (True, True, True)
    """
    if min(len(given), len(name)) < _WORD:
        return False
    words = given.split("_")
    return bool(
        given.startswith(name)
        or name.startswith(given)
        or {word for word in words if len(word) > _WORD} & set(name.split("_"))
        or (len(words) > 1 and name == "".join(word[:1] for word in words))
    )


def setting_types(kind: Any) -> dict[str, Any]:
    """Every setting of a config's dataclass by its full name, ``optim.lr`` and its like, with its annotation.

    >>> from jimt.config.curating import PatchConfig
    >>> setting_types(PatchConfig)
    {'size': <class 'int'>, 'stride': <class 'int'>, 'max_no_data': <class 'float'>}
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        section = next((part for part in alternatives(field.type) if dataclasses.is_dataclass(part)), None)
        if section is None:
            found[field.name] = field.type
        else:
            found |= {f"{field.name}.{name}": hint for name, hint in setting_types(section).items()}
    return found


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The kinds of value that an annotation allows: of ``int | None`` both."""
    return get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def section_names(kind: type) -> list[str]:
    """What stands outermost in a config's dataclass: its sections, and settings of none."""
    return _beside("", setting_types(kind))


def takes_text(key: str, kind: type) -> bool:
    """Whether a setting holds text, as all folders of Hydra's do.

    >>> from jimt.config.curating import PrepareConfig
    >>> takes_text("dataset.pattern", PrepareConfig), takes_text("dataset.group", PrepareConfig)
    (True, False)
    """
    return key.startswith(("hydra.run.", "hydra.sweep.")) or str in alternatives(setting_types(kind).get(key))


def takes_a_list(key: str, kind: type) -> bool:
    """Whether a setting holds several values.

    >>> from jimt.config.curating import PrepareConfig
    >>> takes_a_list("dataset.group", PrepareConfig), takes_a_list("dataset.root", PrepareConfig)
    (True, False)
    """
    return any(get_origin(part) in (list, tuple) for part in alternatives(setting_types(kind).get(key)))
