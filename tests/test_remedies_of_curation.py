"""Every remedy of a curation is taken as it is printed, and mends what it says."""

import errno
import json
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from curations import BY_NUMBER, FIT, curates, pairs, types_in
from jimt.curation import curate as curating
from jimt.curation.folds import Fold, folds_of, split_by_fold
from jimt.curation.label_stage import thresholds_from
from jimt.curation.manifest import MANIFEST, SUMMARY, read_beside, read_manifest
from jimt.data.preparation import OtherDataset, prepare
from jimt.system.files import read_json
from remedies import Lab, Place, check, composed_prepare, composed_train, marked

# ---- the folder of the curation


def of_a_curation(lab: Lab) -> None:
    given = pairs(lab)
    inside = f"curation.output_root={lab.tmp_path / 'no_treatment/curated'}"
    lab.mends(curates, *given, inside, fill={"FOLDER": "elsewhere"})

    def another_process(folder: Path, _: object) -> None:
        if folder.parent.name == "shared":
            summary = json.loads((folder / SUMMARY).read_text())
            (folder / SUMMARY).write_text(json.dumps(summary | {"fingerprint": "another"}))

    lab.monkeypatch.setattr(curating, "_print_results", another_process)
    lab.mends(curates, *given, "curation.output_root=shared", fill={"FOLDER": "own"})


def of_a_full_disk(lab: Lab) -> None:
    runs = curating.run_pipeline

    def fills_up(*arguments: object) -> None:
        if "full" in str(arguments[6]):
            raise OSError(errno.ENOSPC, "No space left on device")
        runs(*arguments)  # type: ignore[arg-type]

    lab.monkeypatch.setattr(curating, "run_pipeline", fills_up)
    lab.mends(curates, *pairs(lab), "curation.output_root=full", fill={"FOLDER": "elsewhere"})


def of_thresholds_without_effect(lab: Lab) -> None:
    curates(*pairs(lab), *FIT)
    lab.mends(curates, *pairs(lab, "doxo"), *FIT, "curation.label.fit_range=[0,4000]")
    lab.mends(lambda *given: thresholds_from(*composed_prepare(*given)), "dataset=doxo", "curation.label.scale=cells")


def of_another_that_cannot_be_curated(lab: Lab) -> None:
    first = [*pairs(lab), *FIT]
    (lab.tmp_path / "no_treatment/--W00001--P00001--Z00000--T00000--PI.tif").write_bytes(b"")

    def prepares(*overrides: str) -> None:
        prepare(*composed_prepare(*overrides), config_of=lambda name: OtherDataset(*composed_prepare(*first), False))

    lab.mends(prepares, *pairs(lab, "doxo"), *FIT, types=partial(types_in, first))


def of_thresholds_of_another(lab: Lab) -> None:
    first = [*pairs(lab), *FIT]
    second = [*pairs(lab, "doxo"), *FIT]
    curates(*first)
    scale = "curation.label.scale=background_subtracted"
    lab.mends(curates, *second, scale, types=partial(types_in, first))


def of_a_curation_that_is_missing(lab: Lab) -> None:
    path = Path("data/curated/no_treatment") / MANIFEST
    lab.mends(lambda: read_manifest(path), types=partial(types_in, pairs(lab)))


def of_a_file_of_values(lab: Lab) -> None:
    summary = Path("data/curated/no_treatment") / SUMMARY
    lab.mends(lambda: read_beside(summary), types=partial(types_in, pairs(lab)))
    path = lab.tmp_path / "values.json"
    for damaged in ("{", "[]"):
        path.write_text(damaged)
        lab.mends(lambda: read_json(path, remedies=("python prepare.py",)), types=lambda words: path.write_text("{}"))


# ---- splits


def manifest_of(groups: list[str | None], labels: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"group": groups, "label": labels, "split": "train"})


def of_folds(lab: Lab) -> None:
    known = manifest_of(["a", "b", "c"] * 2, [0, 0, 0, 1, 1, 1])
    unknown = known.assign(group=None)

    def folds(*overrides: str) -> None:
        config = composed_train("run_dir=run", *overrides, name="crossval")
        folds_of(unknown if config.dataset.pattern is None else known, n_folds=config.crossval.n_folds)

    lab.mends(folds, "dataset=no_treatment", "crossval.n_folds=5")
    published = "dataset=no_treatment", "dataset.layout=patches", "dataset.pattern=null", "crossval.n_folds=3"
    lab.mends(folds, *published, fill={"PATTERN": BY_NUMBER})


def of_a_fold(lab: Lab) -> None:
    manifest = manifest_of([*"abcdef"], [0, 1, 0, 1, 0, 1])

    def splits(*overrides: str) -> None:
        config = composed_train(
            "run_dir=run", "crossval.n_folds=6", "crossval.validation=true", *overrides, name="crossval"
        )
        n_folds = config.crossval.n_folds
        split_by_fold(manifest, Fold(n_folds, 0, 1 if config.crossval.validation else None))

    lab.mends(splits)


RUNS: dict[Place, object] = {
    ("curation/curate.py", "curate"): of_a_curation,
    ("curation/curate.py", "_replace"): of_a_full_disk,
    ("curation/label_stage.py", "reference_thresholds"): of_thresholds_of_another,
    ("curation/label_stage.py", "thresholds_from"): of_thresholds_without_effect,
    ("data/preparation.py", "_told_of"): of_another_that_cannot_be_curated,
    ("curation/manifest.py", "read_manifest"): of_a_curation_that_is_missing,
    ("system/files.py", "read_json"): of_a_file_of_values,
    ("curation/folds.py", "folds_of"): of_folds,
    ("curation/folds.py", "check_folds"): of_a_fold,
}


SLOW: set[Place] = {  # several curations each
    ("curation/label_stage.py", "reference_thresholds"),
}


@pytest.mark.parametrize("place", marked(RUNS, SLOW), ids=":".join)
def test_each_remedy_is_taken_and_mends_what_it_says(place, request):
    check(place, RUNS[place], request)
