"""How a command starts: what is refused is said in one sentence and leaves nothing behind."""

import contextlib
import dataclasses
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from jimt.config.command_words import no_name_of_a_file, no_value, refuse_flags, unreadable
from jimt.config.hydra_schema import is_idle, without_effect
from jimt.config.own_configs import CONF, OWN_FOLDER, completed
from jimt.config.search import CrossvalConfig, TuneConfig
from jimt.config.setting_names import refuse_unknown, setting_names, takes_a_list, unknown_setting
from jimt.config.training import TrainConfig
from jimt.errors import InputError
from jimt.system.locks import make_folder, make_new_folder, owner, unmake_folders
from jimt.system.processes import is_first, started_together

_AT_END = contextlib.ExitStack()
"""What this process holds until its command ends: the lock of its folder."""


def start(main: Callable[[], Any], kind: type) -> None:
    """Run a command of Hydra's; end with one sentence and exit status 1 where it cannot be done as asked.

    Args:
        main: Decorated by ``hydra.main``; what it does stands below ``in_one_sentence``.
        kind: Dataclass of its config.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what it would print with a traceback or in many lines
    try:
        with _AT_END, in_one_sentence():
            refuse_flags(sys.argv[1:], kind)
            sys.argv[1:] = completed(sys.argv[1:])
            main()
    except HydraException as error:
        sys.exit(f"error: {_in_a_sentence(error, kind)}")
    except YAMLError as error:  # in a file of one's own
        sys.exit(f"error: {_of_yaml(error)}")
    except ValueError as error:
        if (nameless := no_name_of_a_file(sys.argv[1:], str(error), kind)) is not None:
            sys.exit(f"error: {nameless}")
        if "Invalid defaults list" not in str(error):  # a fault of ours
            raise
        sys.exit(f"error: {_of_defaults(str(error))}")
    except AssertionError as error:
        if "Unexpected type for root: NoneType" not in str(
            error
        ):  # OmegaConf's, of a setting in a section that is null
            raise
        keys = [word.partition("=")[0].lstrip("+~") for word in sys.argv[1:]]
        sys.exit(f"error: {without_effect(next(key for key in keys if is_idle(key)))}")
    except KeyboardInterrupt:
        sys.exit("error: told to stop (Ctrl-C)")


@contextlib.contextmanager
def in_one_sentence() -> Iterator[None]:
    """End the process with the sentence of an ``InputError``; Hydra would print its overrides before it."""
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")


class StartCallback(Callback):
    """Hydra's callback before it makes a folder; Hydra lets only SystemExit out of it."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse unknown settings; own the run's folder, a new one where the clock names it."""
        with in_one_sentence():
            _own_folder(config)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Likewise for the folder of a sweep, which its jobs share."""
        with in_one_sentence():
            _own_folder_of_sweep(config)


def _own_folder(config: DictConfig) -> None:
    kind = _kind(config)
    _refuse_unknown(config, kind)
    if not issubclass(kind, TrainConfig):  # prepare.py: a curation has no folder of Hydra's
        return
    _refuse_raw_data(config, "hydra.run.dir")
    # the files Hydra keeps of a start are written when the training has been accepted: see write_start
    config.hydra.output_subdir = None
    folder = _selected(config, "hydra.run.dir")
    if config.resume is None and _is_named_by_clock(config, "hydra.run.dir"):
        if started_together(os.environ) > 1:
            raise InputError(
                "the processes of a training that were started together would each name its folder by its own clock",
                remedies=("hydra.run.dir=runs/NAME",),
            )
        made = make_folder(folder.parent)
        folder = make_new_folder(folder)
        config.hydra.run.dir = str(folder)
        made = [folder, *made]
    else:
        made = make_folder(folder)
    _AT_END.callback(unmake_folders, made)
    if is_first(os.environ) and kind is not TuneConfig:  # processes share a search
        who = "a cross-validation" if kind is CrossvalConfig else "a training"
        _AT_END.enter_context(owner(folder, who=who))


def _own_folder_of_sweep(config: DictConfig) -> None:
    _refuse_unknown(config, _kind(config))
    if not is_first(os.environ):
        return
    _refuse_raw_data(config, "hydra.sweep.dir")
    folder = _selected(config, "hydra.sweep.dir")
    if _is_named_by_clock(config, "hydra.sweep.dir"):
        made = make_folder(folder.parent)
        folder = make_new_folder(folder)
        made = [folder, *made]
        config.hydra.sweep.dir = str(folder)
        # jobs are composed anew, with these
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir='{folder}'")
    else:
        made = make_folder(folder)
    _AT_END.callback(unmake_folders, made)
    _AT_END.enter_context(owner(folder, who="a sweep"))


def _kind(config: DictConfig) -> type:
    kind = OmegaConf.get_type(config)
    assert kind is not None
    return kind


def write_start(config: DictConfig) -> None:
    """Keep in the run's folder what it was started with, in ``.hydra/``, as Hydra does.

    Not before a training has been accepted: one that is refused because the folder holds another must not leave its
    own settings there.

    Args:
        config: As the command was given it.
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir) / ".hydra"
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"config": config, "hydra": OmegaConf.create({"hydra": hydra}), "overrides": hydra.overrides.task}
    for name, content in contents.items():
        (folder / f"{name}.yaml").write_text(OmegaConf.to_yaml(content), encoding="utf-8")


def _selected(config: DictConfig, key: str) -> Path:
    """A folder's name; its words may come from ``hydra.runtime``, which Hydra sets up a little later."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        return Path(str(OmegaConf.select(config, key)))
    finally:
        HydraConfig.instance().cfg = before
        OmegaConf.set_readonly(config.hydra, False)


def _refuse_raw_data(config: DictConfig, key: str) -> None:
    """Raise if results would go among the raw images; of a sweep over data sets, among those of the first it names."""
    root = OmegaConf.select(config, "dataset.root", throw_on_missing=False)
    folder = _selected(config, key)
    if root is not None and folder.resolve().is_relative_to(Path(str(root)).resolve()):
        raise InputError(f"{key}={folder} lies in the raw data's folder {root}", remedies=(f"{key}=FOLDER",))


def _is_named_by_clock(config: DictConfig, key: str) -> bool:
    section, _, last = key.rpartition(".")
    written = OmegaConf.to_container(OmegaConf.select(config, section), resolve=False)
    assert isinstance(written, dict)
    return "${now:" in str(written[last])


def _refuse_unknown(config: DictConfig, kind: type) -> None:
    """Raise if the config, or a key that was added with ``+``, holds a setting that its dataclass lacks.

    Keys of a sweep are not in the config yet; of Hydra's own config, launchers and sweepers take what others lack.
    """
    refuse_unknown(config, kind)
    loader: ConfigLoader = GlobalHydra.instance().config_loader()
    given = OmegaConf.to_container(config.hydra.overrides, resolve=False)  # interpolations are of jobs to come
    assert isinstance(given, dict)
    for override in OverridesParser.create().parse_overrides([*given["task"], *given["hydra"]]):
        key = override.key_or_group
        if (
            not override.is_add()
            or loader.get_group_options(key)
            or key.startswith(("hydra.launcher.", "hydra.sweeper."))
        ):
            continue
        section, _, last = key.rpartition(".")
        parent = OmegaConf.get_type(OmegaConf.select(config, section) if section else config)
        if not dataclasses.is_dataclass(parent):
            continue
        if last not in {field.name for field in dataclasses.fields(parent)}:
            raise unknown_setting(key, kind)


def _in_a_sentence(error: HydraException, kind: type) -> InputError:
    """What Hydra says, in one line, with a remedy that works here."""
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
    if unknown and isinstance(error, ConfigCompositionException) and is_idle(unknown[1]):
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
