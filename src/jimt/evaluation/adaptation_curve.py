"""What stained fields of a new experiment buy: ``jimt adaptation-curve CROSSVAL``, on a cross-validation.

The model of a fold has not seen its held-out groups, so each of them stands for a new experiment: some of its fields
are taken for stained, the model is adapted to them, and its other fields are predicted.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from jimt.curation.manifest import Curated
from jimt.errors import InputError, in_one_sentence, writing
from jimt.evaluation.adapted_errors import errors_of_draws, mean_row
from jimt.evaluation.curve_words import adaptation_frame, adaptation_in_words, adaptation_rows
from jimt.evaluation.field_shares import MIN_CELLS
from jimt.evaluation.scores import own_data
from jimt.system.arguments import from_0, from_1
from jimt.system.files import ADAPTATION_CURVE, BEST, CROSSVAL_RESULT, read_json, write_json, write_whole
from jimt.system.screen import print_whole, table_of
from jimt.vocabulary import Excluded, Split

if TYPE_CHECKING:
    from jimt.models.stained_evidence import What

CONFIDENCE: Final = 0.95


def adaptation_curve(
    folder: Path, *, what: "What", n_stained: Sequence[int], n_draws: int, seed: int, accelerator: str | None
) -> dict[str, Any]:
    """Adapt the models of a cross-validation to fields of their held-out groups, and predict the other fields of these.

    Args:
        folder: Of the cross-validation.
        what: What is fitted.
        n_stained: Numbers of stained fields.
        n_draws: Draws of stained fields of each group and number, at most: where there are fewer, each once.
        seed: Of the draws.
        accelerator: ``cpu`` or ``gpu``; None for the training's.

    Returns:
        What ``adaptation_curve.json`` holds: ``rows``, one for each truth and number of stained fields.

    Raises:
        InputError: If it is no cross-validation, PI alone does not tell the labels, or no group has fields enough.
    """
    found: list[dict[str, Any]] = []
    skipped: list[str] = []
    n_fields, groups, share_of = 0, set[str](), None
    for path in _checkpoints(folder):  # what a model says of a fold's fields is kept no longer than it takes
        fields = _fields_of_fold(path, what, skipped, accelerator)
        found += errors_of_draws(fields, pool="group", what=what, n_stained=n_stained, n_draws=n_draws, seed=seed)
        n_fields, groups = n_fields + len(fields), groups | {field["group"] for field in fields}
        share_of = fields[0]["evidence"].share_of if fields else share_of
    errors = pd.DataFrame(found)
    if not len(errors):
        raise InputError(
            f"no group of {folder} has a field over beside {min(n_stained)} stained",
            advice="add fields to its groups, or ask for fewer stained ones",
        )
    n_groups = len(groups)
    rows = [
        {
            "truth": truth,
            "stained": int(str(number)),
            **mean_row(part, confidence=CONFIDENCE),
            "groups_left_out": n_groups - part["group"].nunique(),
        }
        for (truth, number), part in errors.groupby(["truth", "stained"], sort=False)
    ]
    return {
        "share_of": share_of,
        "what": what,
        "confidence": CONFIDENCE,
        "draws": n_draws,
        "seed": seed,
        "fields": n_fields,
        "groups": n_groups,
        "fields_left_out": skipped,
        "rows": sorted(rows, key=lambda row: (row["truth"] == "pi", row["stained"])),
    }


def _checkpoints(folder: Path) -> list[Path]:
    """Of the folds that a cross-validation holds."""
    advice = "give the folder of a finished cross-validation"
    held = read_json(folder / CROSSVAL_RESULT, advice=advice)["folds_held"]
    return [folder / f"fold_{fold}" / BEST for fold in held]


def _fields_of_fold(path: Path, what: "What", skipped: list[str], accelerator: str | None) -> list[dict[str, Any]]:
    """The fields that a fold holds out, with what its model and PI say of them."""
    from jimt.models.adapting import refuse_last_layer  # late: torch
    from jimt.models.pi_truth import pi_settings
    from jimt.models.predictor import open_predictor
    from jimt.models.stained_evidence import evidence_of

    predictor = open_predictor(path, accelerator=accelerator)
    if what == "last-layer":
        refuse_last_layer(predictor.checkpoint)
    settings = pi_settings(predictor.checkpoint)
    curated = own_data(predictor.checkpoint.record, path)
    counted = curated.summary["cells"]
    found = []
    for field, rows in _held_out(curated).groupby("field"):
        number, first = int(str(field)), rows.iloc[0]
        name = str(first["raw_image_id"])
        pi = curated.store.fluorescence(number)
        places = rows[["field", "y", "x"]].reset_index(drop=True)
        try:
            evidence = evidence_of(predictor, curated.store, number, places, pi, settings, what=what)
        except InputError as error:
            skipped.append(f"{name}: {error.cause}")
            continue
        n_cells, n_dead = (0, 0) if counted is None else counted["by_field"].get(name, (0, 0))
        found.append(
            {
                "name": name,
                "group": str(first["group"]),
                "evidence": evidence,
                "temperature": predictor.checkpoint.output.temperature,
                "pi": evidence.pi_share,
                "counted": n_dead / n_cells if n_cells >= MIN_CELLS else math.nan,
            }
        )
    return found


def _held_out(curated: Curated) -> pd.DataFrame:
    """Patches with cells of the held-out groups, those between the thresholds too."""
    manifest = curated.manifest
    test = manifest["split"] == Split.TEST.value
    groups = set(manifest.loc[test, "group"].dropna())
    between = (manifest["excluded"] == Excluded.AMBIGUOUS.value) & manifest["group"].isin(groups)
    return manifest[test | between.to_numpy(bool)]


@in_one_sentence()
def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt adaptation-curve``."""
    parser = argparse.ArgumentParser(
        prog="jimt adaptation-curve",
        description="Tell how much some stained fields of a new experiment would mend, on a cross-validation.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished cross-validation")
    parser.add_argument("--what", choices=["calibration", "last-layer"], default="calibration", help="what is fitted")
    parser.add_argument(
        "--stained", type=from_1, nargs="+", default=[1, 2, 4], metavar="N", help="numbers of stained fields: 1 2 4"
    )
    parser.add_argument("--draws", type=from_1, default=20, metavar="N", help="draws of each, at most: 20")
    parser.add_argument("--seed", type=from_0, default=0, help="of the draws: 0")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], help="device, where it is not the training's")
    options = parser.parse_args(arguments)
    curve = adaptation_curve(
        options.run,
        what=options.what,
        n_stained=sorted(set(options.stained)),
        n_draws=options.draws,
        seed=options.seed,
        accelerator=options.accelerator,
    )
    from rich.console import Console

    from jimt.figures.curves_over_groups import draw_adaptation
    from jimt.figures.style import save

    with writing(options.run, advice="copy the cross-validation to where you may write"):
        write_whole(options.run / "adaptation_curve.csv", adaptation_frame(curve).to_csv(index=False))
        write_json(options.run / ADAPTATION_CURVE, curve)
        save(draw_adaptation(curve["rows"]), options.run / "figures", "adaptation_curve")
    console = Console()
    header, rows = adaptation_rows(curve)
    title = f"Error of the dead share ({curve['share_of']}) of fields of groups that the model had not seen"
    print_whole(table_of(title, header, rows), console)
    lacking = [
        number for number in sorted(set(options.stained)) if number not in {row["stained"] for row in curve["rows"]}
    ]
    for number in lacking:
        line = f"{number} stained: no group has a field over beside so many"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for line in (*adaptation_in_words(curve), *(f"left out: {reason}" for reason in curve["fields_left_out"])):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"table and figure are in {options.run}", highlight=False, markup=False, soft_wrap=True)
