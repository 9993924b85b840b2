"""How far dead shares are off after some fields were taken for stained and the model adapted to them."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jimt.evaluation.curve_words import KINDS, TRUTHS
from jimt.statistics.paired_errors import mean_errors

if TYPE_CHECKING:
    from jimt.models.stained_evidence import Evidence, What


def errors_of_draws(
    fields: list[dict[str, Any]], *, pool: str | None, what: "What", n_stained: Sequence[int], n_draws: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Of each number of stained fields, draw and other field, how far each answer is off.

    Args:
        fields: Of each its ``name``, ``group``, ``evidence``, the ``temperature`` of its model, and its dead share by
            each of ``TRUTHS``, NaN where that is not known.
        pool: Key of what fields are drawn from and told of together, such as ``group``; None for all of one model.
        what: What is fitted.
        n_stained: Numbers of stained fields.
        n_draws: Draws of each, at most: where there are fewer, each once.
        seed: Of the draws.
    """
    from jimt.models.adapting import as_it_was, fit, share_after

    for drawn_from in sorted({field[pool] for field in fields} if pool is not None else {""}):
        own = [field for field in fields if pool is None or field[pool] == drawn_from]
        temperature = own[0]["temperature"]
        before = [share_after(field["evidence"], as_it_was(temperature)) for field in own]
        for number in n_stained:
            for draw, stained in enumerate(draws(len(own), number, n_draws=n_draws, seed=seed)):
                evidence: list[Evidence] = [own[place]["evidence"] for place in stained]
                fitted = fit(evidence, temperature=temperature, what=what)
                for place in sorted(set(range(len(own))) - set(stained)):
                    adapted = share_after(own[place]["evidence"], fitted)
                    for truth in TRUTHS:
                        known = [own[other][truth] for other in stained if np.isfinite(own[other][truth])]
                        true = own[place][truth]
                        if not known or not np.isfinite(true):
                            continue
                        answers = zip(KINDS, (adapted, before[place], float(np.mean(known))), strict=True)
                        told = {"truth": truth, "stained": number, "group": own[place]["group"]}
                        told |= {"field": own[place]["name"]}
                        yield told | {"draw": draw} | {kind: abs(answer - true) for kind, answer in answers}


def draws(n: int, number: int, *, n_draws: int, seed: int) -> list[tuple[int, ...]]:
    """Which of some fields are stained, in each draw; none where no field would be left.

    >>> draws(3, 2, n_draws=5, seed=0)
    [(0, 1), (0, 2), (1, 2)]
    >>> draws(2, 2, n_draws=5, seed=0)
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


def mean_row(part: pd.DataFrame, *, confidence: float) -> dict[str, Any]:
    """Mean errors of the fields that were left, each the mean over the draws that left it; intervals over groups."""
    of_fields = part.groupby(["group", "field"], as_index=False)[list(KINDS)].mean()
    errors = {kind: of_fields[kind].to_numpy(np.float64) for kind in KINDS}
    found = mean_errors(errors, of_fields["group"].to_numpy(object), confidence=confidence)
    told: dict[str, Any] = {"groups": int(of_fields["group"].nunique()), "fields": len(of_fields)}
    return told | {name: {"value": mean.value, "interval": mean.interval} for name, mean in found.items()}
