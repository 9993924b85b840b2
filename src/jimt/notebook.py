"""For notebooks: what ``prepare.py`` and ``train.py`` do, with the same overrides, and the blocks of a report shown."""

import warnings
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import compose, initialize_config_dir

from jimt.config.curating import PrepareConfig
from jimt.config.hydra_schema import compose_other, to_dataclasses
from jimt.config.own_configs import CONF
from jimt.config.training import TrainConfig
from jimt.system.files import digest_of

if TYPE_CHECKING:
    from jimt.curation.manifest import Curated
    from jimt.data.preparation import OtherDataset
    from jimt.report.blocks import Block
    from jimt.report.study import Study

# said by a package that loads weights, in every notebook without ipywidgets: no progress bar of it is ever shown
warnings.filterwarnings("ignore", message="IProgress not found")


def prepare(*overrides: str) -> "Curated":
    """Curate a data set as ``prepare.py`` does with these overrides, and open it; where it stands, just open it.

    Raises:
        InputError: If it cannot be curated as asked.
    """
    from jimt.curation.manifest import open_curated
    from jimt.data.preparation import prepare as prepare_dataset

    with initialize_config_dir(str(CONF), version_base="1.3"):
        config: PrepareConfig = to_dataclasses(compose("prepare", overrides=list(overrides)))
        config_of = partial(_other_dataset, "prepare", overrides)
        return open_curated(prepare_dataset(config.dataset, config.curation, config_of=config_of))


def train(*overrides: str) -> "Study":
    """Train as ``train.py`` does with these overrides, without its report, and open the results.

    They go below ``runs/notebook``, to a folder of these overrides; what is finished there is not trained again.

    Raises:
        InputError: If it cannot be trained as asked.
    """
    from jimt.report.study import open_study
    from jimt.training.run import train as train_and_evaluate

    of_these = digest_of(overrides)[:8]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        folder = Path("runs/notebook") / of_these
        of_run = (*overrides, f"run_dir={folder}", "report=false")
        config: TrainConfig = to_dataclasses(compose("train", overrides=list(of_run)))
        folder.mkdir(parents=True, exist_ok=True)
        train_and_evaluate(config, config_of=partial(_other_dataset, "train", of_run))
    return open_study(folder)


def _other_dataset(config_name: str, overrides: tuple[str, ...], name: str) -> "OtherDataset | None":
    from jimt.data.preparation import OtherDataset

    other = compose_other(config_name, overrides, name, shares=False)
    return None if other is None else OtherDataset(other.dataset, other.curation, anew=False)


def show(blocks: "Iterable[Block]") -> None:
    """Show figures, tables and texts of a report under the cell; of a part that cannot be made, why."""
    from IPython.display import HTML, display  # notebooks have it

    from jimt.report.blocks import Html, attempt

    for block in attempt("This part", blocks):
        head = block.head if isinstance(block, Html) else ()
        display(HTML("".join([*head, block.html()])))  # type: ignore[no-untyped-call]
