"""Rows of cost against size: how the time of a work grows with the number of images."""

from collections.abc import Callable
from functools import partial

import numpy as np
from speed_curation import HEIGHT, WIDTH, all_places, filter_extractor, pairs
from speed_measuring import Row, Suite, clocked, in_turn, median_of, trained
from speed_start import predicted, reported, run_of, trained_on
from speed_tables import N_GROUPS, bootstrap, scored

from curation import curate

FACTORS = (1, 4, 16)


def growth_rows(suite: Suite) -> list[Row]:
    """Row 14: slope of log(time) over log(size), at 1, 4 and 16 times; whole commands with their start."""
    run = trained(suite, "model_fine_tuned_patches", "backbone=resnet18")
    n_pairs, n_fields, n_patches = (suite.sized(n, least=least) for n, least in ((60, 16), (8, 2), (2000, 500)))
    extract = filter_extractor("32-true", 32)

    def curated(times: int) -> float:
        return curate(pairs(suite, times * n_pairs), suite.folder / "grown").seconds

    def filtered(times: int) -> float:
        field = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
        work = partial(extract.of_places, lambda number: field, all_places(times), size=224, whole=True)
        return clocked(work)()

    def resampled(times: int) -> float:
        return clocked(partial(bootstrap, scored(times * n_patches, N_GROUPS), 500))()

    works: list[tuple[str, str, Callable[[int], float]]] = [
        ("curation without the filter", f"{n_pairs} pairs", curated),
        ("features of the empty filter, each field once", "1 field", filtered),
        ("training, one epoch", "8 fields", lambda times: trained_on(suite, times).seconds),
        (
            "jimt predict, fine-tuned patches",
            f"{n_fields} fields",
            lambda times: predicted(suite, run, times * n_fields, "grown_answers").seconds,
        ),
        ("jimt report of that training", "8 fields", lambda times: reported(suite, run_of(suite, times)).seconds),
        ("bootstrap over groups", f"{n_patches:,} patches", resampled),
    ]
    rows = []
    for name, size, work in works:
        work(FACTORS[0])  # to warm up
        times = in_turn(suite.repeats, *(partial(work, factor) for factor in FACTORS), warms_up=False)
        slopes = [float(np.polyfit(np.log(FACTORS), np.log(turn), 1)[0]) for turn in zip(*times, strict=True)]
        last = [float(np.log(c / b) / np.log(4)) for _, b, c in zip(*times, strict=True)]
        words = ", ".join(median_of(each, "s") for each in times)
        note = f"from 4 to 16 times {np.median(last):.2f}: a start-up counts least there"
        what = f"{name}, 1, 4 and 16 times {size}"
        curve = tuple((factor, float(np.median(seconds))) for factor, seconds in zip(FACTORS, times, strict=True))
        rows.append(Row(14, what, "exponent of time", "<= 1.1", tuple(slopes), words, note, curve))
    return rows
