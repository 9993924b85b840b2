"""Whether the networks look where the dye is (the next step that the paper's Discussion names)."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.errors import InputError
from jimt.interpretation.agreement import MIN_SHARE, pixel_auroc, pointing_game, summarise
from jimt.networks.side_by_side import side_by_side
from jimt.report.activation import SMOOTHING, dye_of, maps_of, positive_in_words
from jimt.report.blocks import Block, Missing, Table, attempted
from jimt.report.progress import part
from jimt.report.study import Model
from jimt.statistics.value_text import interval_text, percent_text, value_text
from jimt.system.files import write_json
from jimt.vocabulary import DEAD, LIVE

AGREEMENT_FILE = "agreement.csv"
MAX_MAPPED = 200
"""Test patches whose maps are held against PI, at most."""
N_COPIES = 5
"""Networks with random weights: one alone says little, since chance decides which way its maps lean."""
Measured = dict[int, dict[str, NDArray[np.float64]]]
"""By label and measure, a value for each patch."""
_MEASURES = {
    "dead_auroc": (DEAD, "auroc", "AUROC of the map for dead against PI, pixel by pixel"),
    "dead_pointing": (DEAD, "pointing", "pointing game: the map for dead is highest in PI"),
    "live_auroc": (LIVE, "auroc", "AUROC of the map for live against PI"),
    "dead_empty": (DEAD, "empty", "share of maps for dead that are empty (their AUROC is 0.5)"),
}
"""Of the trained network: whose map, the measure, and what is told of it; random ones have the same measures."""


def agreement_of(model: Model, *, max_mapped: int = MAX_MAPPED) -> pd.DataFrame:
    """Agreement of maps with PI for each patch, kept in ``figures/agreement.csv``.

    Columns: place and group of the patch, ``positive`` (share of its pixels with data), each measure of the trained
    network, and of each copy with random weights ``random_K_auroc``, ``_pointing`` and ``_empty``, which are means over
    the maps of both labels; NaN where a patch lacks PI or is full of it.

    Raises:
        InputError: If there is no fluorescence, no spatial layer, no scores or no curated data set.
    """

    def make() -> pd.DataFrame:
        scores = model.scores
        indices = np.sort(np.random.default_rng(model.record.seed).permutation(len(scores))[:max_mapped])
        dye = dye_of(model, indices)
        data = np.isfinite(dye.images)
        columns: dict[str, Any] = {"positive": dye.positive.sum((1, 2)) / np.maximum(data.sum((1, 2)), 1)}
        held = np.flatnonzero((columns["positive"] >= MIN_SHARE) & (columns["positive"] <= 1 - MIN_SHARE))
        positive = dye.positive[held]

        def measured(copy: int | None) -> Measured:
            maps, _ = maps_of(model, indices[held], labels=(DEAD, LIVE), copy=copy, quickly=True)
            for of_label in maps.values():
                of_label[~data[held]] = np.nan
            return {
                label: {
                    "auroc": pixel_auroc(of_label, positive),
                    "pointing": pointing_game(of_label, positive),
                    "empty": (np.nanmax(of_label, axis=(1, 2)) == np.nanmin(of_label, axis=(1, 2))).astype(float),
                }
                for label, of_label in maps.items()
            }

        def put(name: str, values: NDArray[np.float64]) -> None:
            columns[name] = np.full(len(indices), np.nan)
            columns[name][held] = values

        if not len(held):
            raise InputError(f"none of the {len(indices)} patches holds pixels with PI and pixels without")
        works = [partial(measured, copy) for copy in (None, *range(N_COPIES))]
        with part(f"maps of {len(held):,} patches by {model.name} and by {N_COPIES} networks with random weights"):
            trained, *copies = side_by_side(works, device=model.predictor(0).device)
        for name, (label, measure, _) in _MEASURES.items():
            put(name, trained[label][measure])
        for copy, random in enumerate(copies):
            for measure in ("auroc", "pointing", "empty"):
                put(f"random_{copy}_{measure}", (random[DEAD][measure] + random[LIVE][measure]) / 2)
        return scores[["raw_image_id", "group", "y", "x", "label"]].iloc[indices].assign(**columns)

    depends_on = {"max_mapped": max_mapped, "smoothing": SMOOTHING, "copies": N_COPIES, "measures": list(_MEASURES)}
    return model.kept_table(AGREEMENT_FILE, make, depends_on=depends_on)


def agreement_blocks(models: Sequence[Model], *, max_mapped: int = MAX_MAPPED) -> Iterator[Block]:
    """How far maps agree with PI, beside the maps of networks with random weights; a row a model and measure."""
    rows: list[list[str]] = []
    told: list[str] = []
    for model in models:
        what = "The agreement of maps with PI" if len(models) == 1 else f"The agreement of {model.name} with PI"
        made = attempted(what, partial(_rows, model, max_mapped))
        if isinstance(made, Missing):
            yield made
            continue
        rows += made[0]
        told += made[1]
    if not rows:
        return
    yield Table(
        "Agreement of activation maps with PI",
        ["model", "measure", "trained", "random weights", "difference", "patches"],
        rows,
        "Does the network look where the dye is? Means over test patches that hold pixels with and without PI, in "
        f"brackets the {percent_text(models[0].record.confidence)} interval over groups. "
        f"{' '.join(dict.fromkeys(told))} 0.5 is chance for an AUROC. "
        f"Random weights: {N_COPIES} networks, the maps of both labels, each counted alike; how far single networks "
        "lie apart is not in the intervals and stands beside them.",
        groups_rows=True,
    )


def _rows(model: Model, max_mapped: int) -> tuple[list[list[str]], list[str]]:
    """A model's rows and what is to be said of them; the measures go to ``figures/agreement.json`` too."""
    rows: list[list[str]] = []
    told: list[str] = []
    table = agreement_of(model, max_mapped=max_mapped)
    curated, _ = model.tested
    record = model.record
    groups = table["group"].to_numpy(object) if table["group"].notna().all() else None
    held = (table["positive"] >= MIN_SHARE) & (table["positive"] <= 1 - MIN_SHARE)
    results = {}
    for name, (_, measure, words) in _MEASURES.items():
        copies = table[[f"random_{copy}_{measure}" for copy in range(N_COPIES)]]
        found = summarise(
            table[name].to_numpy(float),
            copies.mean(axis=1).to_numpy(float),
            groups,
            confidence=record.confidence,
        )
        single = copies[held].mean()
        results[name] = asdict(found) | {"single_random": single.tolist()}
        random = value_text(found.randomised.value, found.randomised.interval)
        rows.append(
            [
                model.name,
                words,
                value_text(found.trained.value, found.trained.interval),
                f"{random}; single {interval_text((single.min(), single.max()))}",
                value_text(found.difference.value, found.difference.interval, signed=True),
                f"{found.n_patches:,}",
            ]
        )
    share = float(table.loc[held, "positive"].mean())
    rows.append([model.name, "share of pixels with PI: the pointing game of guessing", f"{share:.3f}", "", "", ""])
    pointing = results["dead_pointing"]["trained"]["value"]
    if pointing < share:  # not where either is NaN
        told.append(f"The map for dead is highest in PI no more often ({pointing:.3f}) than a guess is ({share:.3f}).")
    write_json(model.folder / "figures" / "agreement.json", results)
    if len(table) < len(model.scores):
        told.append(f"Of a sample of {len(table):,} test patches, drawn with seed {record.seed}.")
    if groups is None or any(result["n_groups"] < 3 for result in results.values()):
        told.append("Groups are too few, or not known, for intervals.")
    if model.checkpoint.output.tile is not None:
        told.append("Maps are of the patch alone, while scores are of tiles seen in the whole field.")
    told.append(f"PI is positive {positive_in_words(curated)}.")
    return rows, told
