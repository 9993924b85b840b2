"""Models with the data that they were trained on, and what of another data set each of them may be tested on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jimt.curation.copies import DIGESTS
from jimt.curation.manifest import Curated
from jimt.curation.store import read_field_names
from jimt.errors import InputError
from jimt.evaluation.scores import own_data, without_adapted
from jimt.system.run_folders import find_checkpoint
from jimt.vocabulary import Split

if TYPE_CHECKING:
    from jimt.models.predictor import Predictor


@dataclass(frozen=True)
class Model:
    """A run: its model and the data it was trained on."""

    folder: Path
    predictor: "Predictor"
    curated: Curated

    @property
    def name(self) -> str:
        """Its network and data set."""
        return f"{self.predictor.checkpoint.network.name} on {self.curated.summary['dataset']}"

    def is_of(self, curated: Curated) -> bool:
        """Whether it was trained on a data set."""
        return self.curated.folder.resolve() == curated.folder.resolve()


def open_models(runs: Sequence[Path], *, accelerator: str | None) -> list[Model]:
    """Open the models of some runs, each with its data.

    Args:
        runs: Their folders.
        accelerator: ``cpu`` or ``gpu``; None for each training's.

    Raises:
        InputError: If a run or its data set is absent or damaged, a run is given twice, or two data sets have one name.
    """
    from jimt.models.predictor import open_predictor  # late: torch

    models: list[Model] = []
    for run in runs:
        checkpoint, folder = find_checkpoint(run)
        if any(folder.resolve() == model.folder.resolve() for model in models):
            raise InputError(f"{run} is given twice, and differs in nothing from itself", advice="give each run once")
        predictor = open_predictor(run, accelerator=accelerator)
        models.append(Model(folder, predictor, own_data(predictor.checkpoint.record, checkpoint)))
    return models


def names_of(models: Sequence[Model]) -> list[str]:
    """What tables and sentences call each model: its data set, and beside another of the same, its run."""
    of = [str(model.curated.summary["dataset"]) for model in models]
    folders = [model.folder.resolve().name for model in models]
    alike = len(set(folders)) < len(folders)
    runs = [str(model.folder) if alike else folder for model, folder in zip(models, folders, strict=True)]
    return [name if of.count(name) == 1 else f"{name} ({run})" for name, run in zip(of, runs, strict=True)]


def data_sets(models: Sequence[Model]) -> list[Curated]:
    """The data sets of some models, each once.

    Raises:
        InputError: If two have one name, so that no table could tell them apart, or they are cut in different ways.
    """
    data = list({model.curated.folder.resolve(): model.curated for model in models}.values())
    by_name: dict[str, Path] = {}
    for curated in data:
        name = str(curated.summary["dataset"])
        if name in by_name:
            raise InputError(
                f"{by_name[name]} and {curated.folder} are two curations of one data set, {name}, so no table could "
                "tell them apart",
                advice="curate one of them under another dataset.name and train again",
            )
        by_name[name] = curated.folder
    for model in models:
        check_scaling(model, data)
    return data


def check_scaling(model: Model, data: Sequence[Curated]) -> None:
    """Raise unless the data sets are cut as the model expects: another patch size or 8-bit scaling is another input."""
    takes = model.predictor.checkpoint.input
    for curated in data:
        summary = curated.summary
        for setting, here, there in (
            ("curation.patches.size", takes.patch_size, summary["patch_size"]),
            # percentiles of a whole data set are that data set's own
            ("curation.scaling.method", takes.scaling["method"], summary["scaling"]["method"]),
        ):
            if here != there:
                raise InputError(
                    f"{model.name} expects {setting}={here} and {curated.summary['dataset']} has {there}",
                    advice="curate both data sets in one way and train again",
                )


def without_training(model: Model, curated: Curated, *, whole: bool) -> tuple[Curated, int]:
    """A data set without test patches of raw images or groups of a model's training, and how many those were."""
    own = model.curated
    if model.is_of(curated):
        return own, 0
    manifest = without_adapted(curated, model.predictor.checkpoint.record, trained_on=False).manifest
    if whole:
        manifest = manifest.assign(split=manifest["split"].mask(manifest["split"].notna(), Split.TEST.value))
    seen = own.manifest[own.manifest["split"].isin([Split.TRAIN.value, Split.VAL.value])]
    own_digests, digests = (read_field_names(each.folder)[list(DIGESTS)] for each in (own, curated))
    pixels = set(own_digests.loc[seen["field"].unique()].stack().dropna())  # of either channel
    leaked = manifest["field"].isin(digests.index[digests.isin(pixels).any(axis=1)])
    leaked |= manifest["group"].isin(set(manifest.loc[leaked, "group"].dropna()))
    roots = [Path(each.summary["root"]) for each in (own, curated)]
    if roots[0].resolve() == roots[1].resolve():
        for column in ("raw_image_id", "group"):
            leaked |= manifest[column].isin(set(seen[column].dropna()))
    test = manifest["split"] == Split.TEST.value
    split = manifest["split"].mask(leaked & test)
    return replace(curated, manifest=manifest.assign(split=split)), int((leaked & test).sum())
