"""What stained fields of a new experiment buy: ``jimt adaptation-curve CROSSVAL``, on a cross-validation.

The model of a fold has not seen its held-out groups, so each of them stands for a new experiment: some of its fields
are taken for stained, the model is adapted to them, and its other fields are predicted.
"""

import argparse
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from jimt.curation.manifest import Curated
from jimt.errors import InputError, in_one_sentence, writing
from jimt.evaluation.curve_words import KINDS, adaptation_frame, adaptation_in_words, adaptation_rows
from jimt.evaluation.field_shares import MIN_CELLS
from jimt.evaluation.scores import training_data
from jimt.statistics.paired_errors import mean_errors
from jimt.system.files import ADAPTATION_CURVE, BEST, CROSSVAL_RESULT, read_json, write_json, write_whole
from jimt.system.screen import print_whole, table_of
from jimt.vocabulary import Excluded, Split

if TYPE_CHECKING:
    from jimt.models.stained_evidence import Evidence, What

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
        found += _errors(fields, what=what, n_stained=n_stained, n_draws=n_draws, seed=seed)
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
            **_row(part),
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
    curated = training_data(predictor.checkpoint.record, None, path)
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


def _errors(
    fields: list[dict[str, Any]], *, what: "What", n_stained: Sequence[int], n_draws: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Of each group, number of stained fields, draw and other field, how far each answer is off."""
    from jimt.models.adapting import as_it_was, fit, share_after

    for group in sorted({field["group"] for field in fields}):
        own = [field for field in fields if field["group"] == group]
        temperature = own[0]["temperature"]
        before = [share_after(field["evidence"], as_it_was(temperature)) for field in own]
        for number in n_stained:
            for draw, stained in enumerate(_draws(len(own), number, n_draws=n_draws, seed=seed)):
                evidence: list[Evidence] = [own[place]["evidence"] for place in stained]
                fitted = fit(evidence, temperature=temperature, what=what)
                for place in sorted(set(range(len(own))) - set(stained)):
                    adapted = share_after(own[place]["evidence"], fitted)
                    for truth in ("counted", "pi"):
                        known = [own[other][truth] for other in stained if np.isfinite(own[other][truth])]
                        true = own[place][truth]
                        if not known or not np.isfinite(true):
                            continue
                        answers = zip(KINDS, (adapted, before[place], float(np.mean(known))), strict=True)
                        told = {"truth": truth, "stained": number, "group": group, "field": own[place]["name"]}
                        yield told | {"draw": draw} | {kind: abs(answer - true) for kind, answer in answers}


def _draws(n: int, number: int, *, n_draws: int, seed: int) -> list[tuple[int, ...]]:
    """Which of some fields are stained, in each draw; none where no field would be left.

    >>> _draws(3, 2, n_draws=5, seed=0)
    [(0, 1), (0, 2), (1, 2)]
    >>> _draws(2, 2, n_draws=5, seed=0)
    []
    """
    if number >= n:
        return []
    if math.comb(n, number) <= n_draws:
        return list(itertools.combinations(range(n), number))
    rng, drawn = np.random.default_rng([seed, n, number]), set[tuple[int, ...]]()
    while len(drawn) < n_draws:
        drawn.add(tuple(sorted(rng.choice(n, number, replace=False).tolist())))
    return sorted(drawn)


def _row(part: pd.DataFrame) -> dict[str, Any]:
    """Mean errors of the fields that were left, each the mean over the draws that left it."""
    of_fields = part.groupby(["group", "field"], as_index=False)[list(KINDS)].mean()
    errors = {kind: of_fields[kind].to_numpy(np.float64) for kind in KINDS}
    found = mean_errors(errors, of_fields["group"].to_numpy(object), confidence=CONFIDENCE)
    told: dict[str, Any] = {"groups": int(of_fields["group"].nunique()), "fields": len(of_fields)}
    return told | {name: {"value": mean.value, "interval": mean.interval} for name, mean in found.items()}


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
        "--stained", type=_number, nargs="+", default=[1, 2, 4], metavar="N", help="numbers of stained fields: 1 2 4"
    )
    parser.add_argument("--draws", type=_number, default=20, metavar="N", help="draws of each, at most: 20")
    parser.add_argument("--seed", type=int, default=0, help="of the draws: 0")
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
    for line in (*adaptation_in_words(curve), *(f"left out: {reason}" for reason in curve["fields_left_out"])):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"table and figure are in {options.run}", highlight=False, markup=False, soft_wrap=True)


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 on")
    return int(text)
