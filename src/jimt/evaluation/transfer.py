"""Each model on each data set, what separates the data sets, and what would bridge it: ``jimt transfer RUN_A RUN_B``.

What a model learned on one microscope or on untreated cells, tested on another or on treated ones, and back; never on a
raw image of its own training.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from jimt.curation.manifest import Curated
from jimt.errors import InputError, in_one_sentence, writing
from jimt.evaluation.image_differences import Looks, differences, measure
from jimt.evaluation.matched_scores import Tested, matched_rows
from jimt.evaluation.reported_metrics import test_metrics
from jimt.evaluation.score_matrix import as_frame, as_markdown, as_table
from jimt.evaluation.scores import score_test_split
from jimt.evaluation.tested_models import Model, data_sets, names_of, open_models, without_training
from jimt.evaluation.transfer_adaptation import adaptation_of
from jimt.evaluation.transfer_tables import (
    adaptation_frame,
    bridging_table,
    differences_frame,
    differences_table,
    matching_frame,
)
from jimt.evaluation.transfer_words import in_words
from jimt.system.arguments import from_0, from_1
from jimt.system.files import write_json, write_whole
from jimt.system.locks import make_folder, unmake_folders
from jimt.system.screen import print_whole
from jimt.vocabulary import AMBIGUOUS, Split

CONFIDENCE: Final = 0.95
_FILES = "transfer"


def transfer(
    runs: Sequence[Path],
    *,
    whole: bool,
    match: bool,
    n_stained: int,
    n_draws: int,
    seed: int,
    accelerator: str | None,
) -> dict[str, Any]:
    """Score every run's model on the test split of every run's data set, and tell what separates the data sets.

    Patches of a raw image or a group that the model was trained or validated on are left out: raw images are the same
    if they have one name below one folder, or share the pixels of a channel as the files hold them, whatever the files'
    names, encoding and 8-bit scaling.

    Args:
        runs: Folders of finished runs.
        whole: Test on every labelled patch of another data set, of which none was trained on, not on its test split
            alone; on its own data set a model is always tested on the test split.
        match: Whether other data sets are scored again with their images matched to those of the training.
        n_stained: Fields of another data set that are taken for stained, to adapt the model to.
        n_draws: Draws of these, at most.
        seed: Of draws, resamples and noise.
        accelerator: ``cpu`` or ``gpu``; None for each training's.

    Returns:
        What ``transfer.json`` holds: ``scores``, one entry a model and data set with names, counts, patches left out
        and metrics as in ``test_metrics.json`` (None where nothing is left to test on); ``differences``, one a pair of
        data sets; ``bridges``, one a model and another data set: what matching and adaptation bring; ``words``.

    Raises:
        InputError: If a run or its data set is absent or damaged, or they cannot be compared.
    """
    models = open_models(runs, accelerator=accelerator)
    data = data_sets(models)
    looks = {str(curated.summary["dataset"]): measure(curated) for curated in data}
    result: dict[str, Any] = {"confidence": CONFIDENCE, "whole": whole, "stained": n_stained, "draws": n_draws}
    result |= {"seed": seed, "scores": [], "differences": _differences(list(looks.values()), seed=seed), "bridges": []}
    for model, name in zip(models, names_of(models), strict=True):
        for curated in data:
            entry, tested = _scored(model, name, curated, looks, whole=whole)
            result["scores"].append(entry)
            if model.is_of(curated):
                continue
            bridge: dict[str, Any] = {key: entry[key] for key in ("run", "model", "trained_on", "tested_on")}
            bridge |= {"matching": None, "adaptation": None, "no_adaptation": None, "against": None, "share_of": None}
            if tested is not None:
                if match:
                    bridge["matching"] = matched_rows(tested, confidence=CONFIDENCE, seed=seed)
                adapted = adaptation_of(tested, n_stained=n_stained, n_draws=n_draws, seed=seed, confidence=CONFIDENCE)
                bridge |= adapted
            result["bridges"].append(bridge)
    return result | {"words": in_words(result)}


def _differences(looks: Sequence[Looks], *, seed: int) -> list[dict[str, Any]]:
    """In what each two data sets differ."""
    return [
        {
            "first": one.name,
            "second": other.name,
            "fields": [len(each.fields) for each in (one, other)],
            "measures": [each.as_plain() for each in differences(one, other, confidence=CONFIDENCE, seed=seed)],
        }
        for number, one in enumerate(looks)
        for other in looks[number + 1 :]
    ]


def _scored(
    model: Model, name: str, curated: Curated, looks: dict[str, Looks], *, whole: bool
) -> tuple[dict[str, Any], Tested | None]:
    """A model on a data set, and what it was tested on, None where nothing was left."""
    kept, n_left_out = without_training(model, curated, whole=whole)
    record = model.predictor.checkpoint.record
    entry: dict[str, Any] = {
        "run": str(model.folder),
        "model": name,
        "backbone": model.predictor.checkpoint.network.name,
        "weights": record.weights,
        "trained_on": model.curated.summary["dataset"],
        "tested_on": curated.summary["dataset"],
        "n_left_out": n_left_out,
        "metrics": None,
    }
    if not (kept.manifest["split"] == Split.TEST.value).any():
        return entry, None
    table = score_test_split(model.predictor, kept)
    metrics = test_metrics(
        table[table["label"] != AMBIGUOUS],
        record,
        dataset=entry["tested_on"],
        confidence=record.confidence,
        scale=kept.thresholds["scale"],
        checkpoint=Path("best.ckpt"),
        sample="the test split",
    )
    entry |= {key: metrics[key] for key in ("metrics", "counts", "correlation", "notes", "confidence")}
    own, target = looks[entry["tested_on"]], looks[entry["trained_on"]]
    return entry, Tested(model.predictor, kept, table, own, target)


def write(result: dict[str, Any], folder: Path) -> None:
    """Write the tables and the figure that have something to show, and remove those of an earlier transfer."""
    from jimt.figures.bridges import draw_transfer
    from jimt.figures.style import save

    with writing(folder, advice="give another folder"):
        write_whole(folder / f"{_FILES}.csv", as_frame(result["scores"]).to_csv(index=False))
        write_whole(folder / f"{_FILES}.md", as_markdown(result["scores"]))
        write_json(folder / f"{_FILES}.json", result)
        frames = {"differences": differences_frame, "matching": matching_frame, "adaptation": adaptation_frame}
        for name, frame in frames.items():
            path, table = folder / f"{_FILES}_{name}.csv", frame(result)
            if len(table):
                write_whole(path, table.to_csv(index=False))
            else:
                path.unlink(missing_ok=True)
        if result["bridges"]:
            save(draw_transfer(result), folder, _FILES)
        else:
            for kind in ("png", "svg"):
                (folder / f"{_FILES}.{kind}").unlink(missing_ok=True)


@in_one_sentence()
def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt transfer``."""
    parser = argparse.ArgumentParser(
        prog="jimt transfer",
        description="Test each run's model on each run's data set, and tell what separates the data sets.",
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of finished runs")
    parser.add_argument(
        "--whole", action="store_true", help="test on all of another data set, not on its test split alone"
    )
    parser.add_argument("--no-matching", action="store_true", help="do not score images again that are matched")
    parser.add_argument("--stained", type=from_1, default=2, metavar="N", help="fields that are adapted to: 2")
    parser.add_argument("--draws", type=from_1, default=20, metavar="N", help="draws of these, at most: 20")
    parser.add_argument("--seed", type=from_0, default=0, help="of draws, resamples and noise: 0")
    parser.add_argument("--out", type=Path, default=Path(), help="where tables and figure go")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], help="device, where it is not the training's")
    options = parser.parse_args(arguments)
    made = make_folder(options.out)  # before an hour of scoring
    try:
        result = transfer(
            options.runs,
            whole=options.whole,
            match=not options.no_matching,
            n_stained=options.stained,
            n_draws=options.draws,
            seed=options.seed,
            accelerator=options.accelerator,
        )
        write(result, options.out)
    except (InputError, KeyboardInterrupt):
        unmake_folders(made)
        raise
    _tell(result, options.out)


def _tell(result: dict[str, Any], folder: Path) -> None:
    """Print it."""
    console = Console()
    print_whole(as_table(result["scores"]), console)
    for difference in result["differences"]:
        print_whole(differences_table(difference), console)
    for bridge in result["bridges"]:
        if bridge["matching"] or bridge["adaptation"]:
            print_whole(bridging_table(bridge, n_stained=result["stained"]), console)
    for line in result["words"]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if left_out := sum(entry["n_left_out"] for entry in result["scores"]):
        console.print(
            f"{left_out} test patches were left out: their raw image or group was trained on", highlight=False
        )
    what = "tables and figure are" if result["bridges"] else "tables are"
    console.print(f"{what} in {folder.resolve()}", highlight=False, markup=False, soft_wrap=True)
