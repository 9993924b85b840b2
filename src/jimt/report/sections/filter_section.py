"""How patches without cells were told (paper: Fig. 2b)."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from jimt.curation.manifest import FILTER_LABELS, Curated
from jimt.curation.summary import hand_labels_in_words
from jimt.errors import InputError
from jimt.figures import empty_scores as filter_figures
from jimt.interpretation.embedding import tsne
from jimt.report.blocks import Block, Drawing, Text
from jimt.report.thumbnails import patches_of

_N_BARCODES = 5
_N_HARDEST = 7


def empty_filter_blocks(curated: Curated) -> Iterator[Block]:
    """Fig. 2b: barcodes, decision map and hardest patches; an InputError where no filter was trained."""
    status = curated.summary["empty_filter"]["status"]
    if status != "trained":
        raise InputError({"off": "the filter was off", "no labels": "there were no hand labels"}.get(status, status))
    path = curated.folder / FILTER_LABELS
    if not path.is_file():
        raise InputError(f"{path} is missing", advice=f"delete {curated.folder} and curate again")
    with np.load(path) as labelled:
        features, empty, decision = labelled["features"], labelled["empty"], labelled["held_out_score"]
        rows = pd.DataFrame({name: labelled[name] for name in ("field", "y", "x")})
    seed = curated.summary["config"]["curation"]["seed"]
    report = curated.summary["empty_filter"]
    rng = np.random.default_rng(seed)
    own = rows["field"].to_numpy() >= 0  # of other data sets there is no picture here
    sample = np.concatenate(
        [rng.permutation(np.flatnonzero(own & (empty == value)))[:_N_BARCODES] for value in (False, True)]
    )
    of_this = "" if own.all() else " among those of this data set"
    if len(sample):
        yield Drawing(
            "empty_filter_barcodes",
            "Features of patches with and without cells",
            f"Hand-labelled patches drawn at random{of_this}, and their features by {report['backbone']} as "
            "stripes (Fig. 2b, left).",
            filter_figures.feature_barcodes(patches_of(curated, rows.iloc[sample]), features[sample], empty[sample]),
        )
    else:
        yield Text(f"The filter was trained on {hand_labels_in_words(report)}: none of this data set can be shown.")
    if np.isfinite(decision).all():
        yield Drawing(
            "empty_filter_map",
            "The empty filter's decision",
            f"t-SNE of the features of {hand_labels_in_words(report)}. Each patch is judged by a filter that was not "
            f"trained on its {report['folds_by']}; the shades are local means of these decision "
            "values; a black line, where there is one, is where they change sign (Fig. 2b, right).",
            filter_figures.decision_map(tsne(features, seed=seed), empty, decision),
        )
    manifest = curated.manifest
    scored = manifest[manifest["empty_score"].notna()].sort_values("empty_score")
    border = int(np.searchsorted(scored["empty_score"].to_numpy(), 0, side="right"))
    rows_near = scored.iloc[max(0, border - _N_HARDEST) : border + _N_HARDEST]
    hand = {(f, y, x): bool(e) for f, y, x, e in zip(rows["field"], rows["y"], rows["x"], empty, strict=True) if f >= 0}
    words = [
        hand.get((int(f), int(y), int(x)))
        for f, y, x in zip(rows_near["field"], rows_near["y"], rows_near["x"], strict=True)
    ]
    yield Drawing(
        "empty_filter_hardest",
        "Patches the empty filter is least sure of",
        "Nearest to the decision surface on either side, with the decision value, and the hand label where there "
        "is one.",
        filter_figures.hardest_patches(
            patches_of(curated, rows_near), rows_near["empty_score"].to_numpy(), np.array(words, object)
        ),
    )
