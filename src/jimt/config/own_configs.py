"""Data sets and experiments of one's own: in which folders Hydra looks for YAML beside ``conf/``.

``jimt_conf/`` in the working directory is looked into unasked, ``--config-dir FOLDER`` adds another, and a run that is
resumed brings the folders it was started with.
"""

from collections.abc import Sequence
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from jimt.errors import InputError

_INSTALLED = Path(__file__).resolve().parents[1] / "conf"
CONF = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).resolve().parents[3] / "conf"
"""Of an installed package inside it, of a checkout beside ``src``."""
OWN_FOLDER = "jimt_conf"
_REMEMBERED: list[Path] = []
"""Folders of the run that this process resumes."""


class OwnConfigs(SearchPathPlugin):
    """Hydra's way to add folders: asked each time a config is to be composed."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the folders of a resumed run and that in the working directory."""
        for folder in dict.fromkeys([*_REMEMBERED, Path(OWN_FOLDER).resolve()]):
            if folder.is_dir():
                refuse_names_of_ours(folder)
                search_path.append(OWN_FOLDER, f"file://{folder}")


Plugins.instance().register(OwnConfigs)


def refuse_names_of_ours(folder: Path) -> None:
    """Raise if a YAML of one's own has the name of one of ours, which would be taken in its place.

    Raises:
        InputError: Naming the file.
    """
    if folder.resolve() == CONF:
        return
    for path in sorted(folder.rglob("*.yaml")):
        if (CONF / path.relative_to(folder)).is_file():
            raise InputError(
                f"{path} has the name of a file of jimt, which would be read in its place", advice="rename it"
            )


def completed(arguments: Sequence[str]) -> list[str]:
    """The command line as Hydra takes it: flags first, and what a resumed run was started with.

    ``resume=RUN`` brings the overrides and the folders of configs that RUN was started with; those given here win.

    Args:
        arguments: Of the command.

    Raises:
        InputError: If a folder of configs is missing, or holds a name of ours.
    """
    parsed = get_args_parser().parse_intermixed_args(list(arguments))
    flags = [word for word in arguments if word not in parsed.overrides]
    _REMEMBERED.clear()
    if parsed.config_dir is not None:
        if not Path(parsed.config_dir).is_dir():
            raise InputError(
                f"--config-dir {parsed.config_dir} is no folder, and one that holds dataset/NAME.yaml is wanted",
                remedies=("--config-dir FOLDER",),
            )
        refuse_names_of_ours(Path(parsed.config_dir))
    parser = OverridesParser.create()
    given = {override.key_or_group: override.value() for override in parser.parse_overrides(parsed.overrides)}
    recorded = Path(str(given.get("resume") or "")) / ".hydra"
    if not given.get("resume") or not (recorded / "overrides.yaml").is_file():  # no run's: the training says so
        return [*flags, *parsed.overrides]
    if parsed.config_dir is None:
        _REMEMBERED.extend(_recorded_folders(recorded))
    for folder in _REMEMBERED:
        if not folder.is_dir():
            raise InputError(
                f"{recorded.parent} was started with configs in {folder}, which is missing",
                advice="put them back",
                remedies=("--config-dir FOLDER",),
            )
    before = parser.parse_overrides(list(OmegaConf.load(recorded / "overrides.yaml")))
    kept = [str(one.input_line) for one in before if one.key_or_group not in {*given, "resume", "retrain"}]
    return [*flags, *kept, *parsed.overrides]


def config_flags(recorded: Path) -> list[str]:
    """``--config-dir=FOLDER`` where a command needs it to find the configs that another was started with.

    Args:
        recorded: The folder ``.hydra`` of what was started.
    """
    folders = [folder for folder in _recorded_folders(recorded) if folder != Path(OWN_FOLDER).resolve()]
    return [f"--config-dir={folder}" for folder in folders[:1]]  # Hydra takes one


def _recorded_folders(recorded: Path) -> list[Path]:
    """Where a run's configs lay, apart from ``conf/``."""
    if not (recorded / "hydra.yaml").is_file():
        return []
    sources = OmegaConf.select(OmegaConf.load(recorded / "hydra.yaml"), "hydra.runtime.config_sources") or []
    return [Path(one.path) for one in sources if one.schema == "file" and one.provider != "main"]
