"""How a command starts: what is refused is said in one sentence and leaves nothing behind."""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from jimt.config.hydra_errors import in_a_sentence, refuse_flags
from jimt.config.own_configs import completed
from jimt.config.search import CrossvalConfig, TuneConfig
from jimt.config.setting_names import unknown_setting
from jimt.config.training import TrainConfig
from jimt.errors import InputError, in_one_sentence
from jimt.system.locks import make_folder, make_new_folder, owner, unmake_folders
from jimt.system.processes import is_first, started_together
from jimt.system.screen import quiet_if_nobody_reads

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
        with quiet_if_nobody_reads(), _AT_END, in_one_sentence():
            refuse_flags(sys.argv[1:], kind)
            sys.argv[1:] = completed(sys.argv[1:])
            main()
    except (HydraException, YAMLError, ValueError, AssertionError) as error:
        told = in_a_sentence(error, sys.argv[1:], kind)
        if told is None:  # a fault of ours
            raise
        sys.exit(f"error: {told}")
    except KeyboardInterrupt:
        sys.exit("error: told to stop (Ctrl-C)")


class StartCallback(Callback):
    """Hydra's callback before it makes a folder; Hydra lets only SystemExit out of it."""

    @in_one_sentence()
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse unknown settings; own the run's folder, a new one where the clock names it."""
        kind = cast(type, OmegaConf.get_type(config))
        _refuse_unknown(config, kind)
        if not issubclass(kind, TrainConfig):  # prepare.py: a curation has no folder of Hydra's
            return
        _refuse_raw_data(config, "hydra.run.dir")
        # the files Hydra keeps of a start are written when the training has been accepted: see write_start
        config.hydra.output_subdir = None
        is_new = config.resume is None and _is_named_by_clock(config.hydra.run)
        if is_new and started_together(os.environ) > 1:
            raise InputError(
                "the processes of a training that were started together would each name its folder by its own clock",
                remedies=("hydra.run.dir=runs/NAME",),
            )
        folder = _make(config, "hydra.run.dir", is_new=is_new)
        if is_first(os.environ) and kind is not TuneConfig:  # processes share a search
            who = "a cross-validation" if issubclass(kind, CrossvalConfig) else "a training"
            _AT_END.enter_context(owner(folder, who=who))

    @in_one_sentence()
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Likewise for the folder of a sweep, which its jobs share."""
        _refuse_unknown(config, cast(type, OmegaConf.get_type(config)))
        if not is_first(os.environ):
            return
        _refuse_raw_data(config, "hydra.sweep.dir")
        is_new = _is_named_by_clock(config.hydra.sweep)
        folder = _make(config, "hydra.sweep.dir", is_new=is_new)
        if is_new:  # jobs are composed anew, with these
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir='{folder}'")
        _AT_END.enter_context(owner(folder, who="a sweep"))


def _make(config: DictConfig, key: str, *, is_new: bool) -> Path:
    """Make the folder that a setting names; what is made goes again at the end where it has stayed empty."""
    folder = _selected(config, key)
    made = make_new_folder(folder) if is_new else make_folder(folder)
    if is_new:
        folder = made[0]
        OmegaConf.update(config, key, str(folder))
    _AT_END.callback(unmake_folders, made)
    return folder


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


def _is_named_by_clock(section: DictConfig) -> bool:
    return "${now:" in str(OmegaConf.to_container(section, resolve=False)["dir"])  # type: ignore[index,call-overload]


def _refuse_unknown(config: DictConfig, kind: type) -> None:
    """Raise if a key that was added with ``+``, which Hydra takes, is a setting that its dataclass lacks.

    Of Hydra's own config, launchers and sweepers take what others lack.
    """
    loader: ConfigLoader = GlobalHydra.instance().config_loader()
    given: Any = OmegaConf.to_container(config.hydra.overrides, resolve=False)  # interpolations are of jobs to come
    for override in OverridesParser.create().parse_overrides([*given["task"], *given["hydra"]]):
        key = override.key_or_group
        if (override.is_add() or override.is_force_add()) and not loader.get_group_options(key):
            for name in _names(key, override.value()):
                section, _, last = name.rpartition(".")
                parent = OmegaConf.get_type(OmegaConf.select(config, section) if section else config)
                fields = dataclasses.fields(parent) if dataclasses.is_dataclass(parent) else ()
                is_free = not fields or name.startswith(("hydra.launcher.", "hydra.sweeper."))
                if not is_free and last not in {field.name for field in fields}:
                    raise unknown_setting(name, kind)


def _names(key: str, value: Any) -> list[str]:
    """Settings that an override gives: the one it names, or those of the dictionary that it names."""
    below = value.items() if isinstance(value, dict) else ()
    return [key, *(name for inner, part in below for name in _names(f"{key}.{inner}", part))]
