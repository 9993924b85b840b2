"""The space of a search: which settings vary, between which ends, and whether the config can take them."""

import copy
import dataclasses
import json
import math
import re
from dataclasses import dataclass
from typing import Any, Literal, get_origin

from optuna.trial import Trial

from jimt.config.checks import check
from jimt.config.hydra_schema import without_effect
from jimt.config.search import TuneConfig
from jimt.config.setting_names import alternatives, setting_types
from jimt.config.training import WITHOUT_EFFECT
from jimt.errors import InputError, did_you_mean
from jimt.statistics.metrics import METRICS

# not the data, on which trials would not compare, and not the seed, of which a search would find the lucky one
VARIED = {
    **dict.fromkeys(("backbone", "probe", "stain", "augmentation", "optim")),
    "trainer": ("max_epochs", "patience"),
}
OF_MAPS = ("val/auroc", "val/auroc_within_groups")
"""What a search over ``task=stain`` may go by."""
_WORDS = {float: "numbers", int: "whole numbers", str: "words", bool: "true or false", tuple: "lists of numbers"}


@dataclass(frozen=True)
class Setting:
    """A setting that is searched over."""

    key: str
    choices: dict[Any, Any] | None
    """By what Optuna calls them: a list by its JSON. None for a range."""
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    whole: bool = False

    def suggest(self, trial: Trial) -> Any:
        """The value of a trial; drawn the first time it is asked for."""
        if self.choices is not None:
            return self.choices[trial.suggest_categorical(self.key, list(self.choices))]
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Whether the search may come upon a value."""
        if self.choices is not None:
            return label(value) in self.choices
        return value is not None and self.low <= value <= self.high

    def ends(self) -> list[Any]:
        """The ends of a range, or all choices."""
        return [self.low, self.high] if self.choices is None else list(self.choices.values())

    def __str__(self) -> str:
        if self.choices is not None:
            return f"{self.key} one of {', '.join(map(as_override, self.ends()))}"
        return f"{self.key} {self.low:g} to {self.high:g}{' (log)' * self.log}"


def search_direction(metric: str) -> Literal["maximize", "minimize"]:
    """Which way of a metric of the validation split is better.

    Args:
        metric: ``val/loss``, or ``val/NAME`` of a metric that ``METRICS`` says a search may go by.

    Raises:
        InputError: If it is another one.

    >>> search_direction("val/auroc"), search_direction("val/brier")
    ('maximize', 'minimize')
    """
    better_by_name = {f"val/{row.name}": row.higher_is_better for row in METRICS.values() if row.is_objective}
    better_by_name["val/loss"] = False
    check("tune.metric", metric, metric in better_by_name, "one of " + ", ".join(better_by_name))
    return "maximize" if better_by_name[metric] else "minimize"


def read_space(config: TuneConfig) -> list[Setting]:
    """The settings to search over, checked against those of a training.

    Raises:
        InputError: If ``tune.space`` names what is none, or values that it cannot have, or a search cannot go by
            ``tune.metric``.
    """
    search_direction(config.tune.metric)
    if config.task == "stain" and config.tune.metric not in OF_MAPS:
        raise InputError(
            f"tune.metric={config.tune.metric} is not known of maps while they are learned, since where a score turns "
            "to dead is fitted after them",
            remedies=tuple(f"tune.metric={metric}" for metric in OF_MAPS),
        )
    known = [
        f"{section}.{field.name}"
        for section, names in VARIED.items()
        if (part := getattr(config, section)) is not None
        for field in dataclasses.fields(part)
        if names is None or field.name in names
    ]
    space = []
    idle = WITHOUT_EFFECT["method"][config.method]
    for key, asked in _flat(config.tune.space).items():
        if key.partition(".")[0] in WITHOUT_EFFECT["task"][config.task]:
            raise without_effect(key)
        if key.partition(".")[0] in idle:
            other = {"linear_probe": "search=probe", "finetune": "method=linear_probe"}[config.method]
            raise InputError(f"tune.space: {key} is without effect under method={config.method}", remedies=(other,))
        if key not in known:
            raise InputError(
                f"tune.space: {key} is not a setting that a search can vary",
                advice=did_you_mean(key, known, otherwise=f"it takes those of {', '.join(VARIED)}"),
            )
        space.append(_read_setting(key, asked))
    if not space:
        raise InputError(
            "tune.space is empty",
            advice="name a setting, such as optim: {lr: {low: 1e-6, high: 1e-2, log: true}}",
        )
    for setting in space:
        _check_ends(config, setting, space)
    return space


def _flat(space: dict[str, Any], above: str = "") -> dict[str, dict[str, Any]]:
    """What is asked of each setting, its name nested or with a dot; null takes a setting or a section out."""
    flat: dict[str, dict[str, Any]] = {}
    for name, value in space.items():
        key = f"{above}{name}"
        if value is None:
            continue
        if not isinstance(value, dict):
            raise InputError(
                f"tune.space.{key}={value} says nothing to search",
                advice="a setting such as optim.lr has {low, high, log} or {choices}",
            )
        for inner, asked in ({key: value} if "." in key else _flat(value, f"{key}.")).items():
            flat[inner] = flat.get(inner, {}) | asked
    return flat


def _read_setting(key: str, asked: dict[str, Any]) -> Setting:
    where = f"tune.space.{key}"
    kinds = [get_origin(part) or part for part in alternatives(setting_types(TuneConfig)[key])]
    words = " or ".join(_WORDS[kind] for kind in kinds if kind in _WORDS)
    ends: list[Any] = [asked.get("low"), asked.get("high")]
    log = asked.get("log", False)
    if set(asked) == {"choices"} and isinstance(asked["choices"], list) and asked["choices"]:
        ends = list(asked["choices"])
    elif not {"low", "high"} <= set(asked) <= {"low", "high", "log"} or not isinstance(log, bool):
        raise InputError(
            f"{where} has {', '.join(asked)}", advice="it takes low, high and log (true or false), or a list choices"
        )
    elif not {int, float} & set(kinds):
        raise InputError(f"{where} takes {words}", advice="give it choices in place of low and high")
    for i, end in enumerate(ends):
        kind = tuple if isinstance(end, list) else type(end)
        if kind is int and float in kinds:
            ends[i] = float(end)
        elif kind not in kinds or (kind is float and not math.isfinite(end)):
            raise InputError(f"{where} has {as_override(end)}", advice=f"it takes {words}")
    if "choices" in asked:
        return Setting(key, {label(choice): choice for choice in ends})
    low, high = ends
    if low is None or high is None or low >= high or (log and low <= 0):
        raise InputError(
            f"{where} has low={low} and high={high}",
            advice=f"low must be below high{', and above 0 where log is true' * log}",
        )
    return Setting(key, None, low, high, log, whole=isinstance(low, int))


def _check_ends(config: TuneConfig, setting: Setting, space: list[Setting]) -> None:
    """Raise if the config refuses an end whatever the other settings: warm-up needs another than a constant rate."""
    others = [one for one in space if one is not setting]
    for value in setting.ends():
        refused = None
        for rest in ({}, {one.key: one.ends()[0] for one in others}, {one.key: one.ends()[-1] for one in others}):
            try:
                with_values(config, {**rest, setting.key: value})
                break
            except InputError as error:
                refused = refused or error
        else:
            assert refused is not None
            # the value of a setting that is searched over is no way out
            remedies = tuple(one for one in refused.remedies if one.partition("=")[0] != setting.key)
            raise InputError(f"tune.space: {refused.cause}", advice=refused.advice, remedies=remedies) from refused


def with_values(config: TuneConfig, values: dict[str, Any]) -> TuneConfig:
    """A copy of a config in which some settings, by their names, are others.

    Raises:
        InputError: If the config refuses them.
    """
    changed = copy.deepcopy(config)
    for section, fields in nested(values).items():
        setattr(changed, section, dataclasses.replace(getattr(changed, section), **fields))
    changed.__post_init__()  # what holds between sections
    return changed


def nested(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Values by dotted keys, by section."""
    nested: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        nested.setdefault(section, {})[name] = value
    return nested


def label(value: Any) -> Any:
    """What Optuna is told of a choice: a list as text."""
    return json.dumps(list(value)) if isinstance(value, list | tuple) else value


def as_override(value: Any) -> str:
    """A value as Hydra reads it on the command line."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(as_override, value))}]"
    if isinstance(value, str):
        return value if re.fullmatch(r"[A-Za-z][\w./-]*", value) else f"'{value}'"
    return json.dumps(value)  # null, true or a number
