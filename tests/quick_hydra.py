"""Hydra reads and merges the files of ``conf/`` once for each choice of them: most of the time of a test of settings.

What it reads and merges is copied each time that it is asked for, and read anew where a file has changed.
"""

import copy
import os
from collections.abc import Callable
from typing import Any

from hydra._internal import defaults_list as hydras
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository


def _file(repository: Any, *config_paths: str | None) -> tuple[Any, ...]:
    """Where configs may be read from, and when the files there were written."""
    folders = [source.path for source in repository.get_sources()]
    return tuple(
        (folder, path, _written(f"{folder}/{(path or '').removesuffix('.yaml')}.yaml"))
        for path in config_paths
        for folder in folders
    )


def _written(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path.removeprefix("file://"))  # noqa: PTH116  # asked a thousand times; Path takes five times as long
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _once(function: Callable[..., Any], key_of: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[Any, Any] = {}

    def ask(self: Any, *args: Any, **kwargs: Any) -> Any:
        key = key_of(self, *args, **kwargs)
        if key not in known:
            known[key] = copy.deepcopy(function(self, *args, **kwargs))
        return copy.deepcopy(known[key])

    return ask


def _choices(overrides: Any, defaults: Any, self_added: bool) -> tuple[Any, ...]:
    """All that names of configs may be interpolated with."""
    listed = [(one.get_config_path(), one.package, str(getattr(one, "value", None)), one.is_self()) for one in defaults]
    return (self_added, *overrides.known_choices.items(), *listed)


def remember() -> None:
    """From now on, in this process."""
    ConfigRepository.load_config = _once(
        ConfigRepository.load_config, lambda self, config_path: _file(self, config_path)
    )
    ConfigLoaderImpl._compose_config_from_defaults_list = _once(
        ConfigLoaderImpl._compose_config_from_defaults_list,
        lambda self, defaults, repo: (
            _file(repo, *(one.config_path for one in defaults)),
            *((one.config_path, one.parent, one.package, one.is_self, one.primary) for one in defaults),
        ),
    )
    create, known = hydras._create_interpolation_map, {}

    def choices(overrides: Any, defaults: Any, self_added: bool) -> Any:
        key = _choices(overrides, defaults, self_added)
        if key not in known:
            known[key] = create(overrides, defaults, self_added)
        return known[key]  # Hydra only reads it

    hydras._create_interpolation_map = choices
