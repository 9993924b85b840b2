"""What the networks have learned: features of the test split in two dimensions (paper: Fig. 5)."""

import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.errors import InputError
from jimt.evaluation.scores import TestPatches
from jimt.figures import features as figures
from jimt.figures.maps import gallery
from jimt.interpretation.embedding import tsne
from jimt.report.blocks import Block, Drawing, Html, Missing, Table, Text, attempt, attempted
from jimt.report.progress import part
from jimt.report.study import Model
from jimt.report.thumbnails import patches_of, thumbnails
from jimt.vocabulary import LABEL_NAMES

EMBEDDING_FILE = "embedding.csv"
MAX_SHOWN = 2000
"""Test patches with a thumbnail in the report, at most."""
_N_BOUNDARY = 14
_MODELS_A_FIGURE = 6
_COLUMNS = {"group": "", "y": ".0f", "x": ".0f"}


def feature_blocks(models: Sequence[Model], *, max_shown: int = MAX_SHOWN) -> Iterator[Block]:
    """Embeddings of models of one data set; of the first alone the figures that show single patches."""
    found: list[tuple[Model, NDArray[np.floating]]] = []
    for model in models:
        embedding = attempted(f"The embedding of {model.name}", partial(embedding_of, model))
        if isinstance(embedding, Missing):
            yield embedding
        else:
            found.append((model, embedding))
    for start in range(0, len(found) if len(found) > 1 else 0, _MODELS_A_FIGURE):
        side_by_side = found[start : start + _MODELS_A_FIGURE]
        yield Drawing(
            "embeddings" + (f"_{start // _MODELS_A_FIGURE + 1}" if start else ""),
            "Learned features of the models",
            "t-SNE of the pooled features before the last layer, of the whole test split (Fig. 5a, b).",
            figures.embeddings({model.name: (each, *model.arrays[:2]) for model, each in side_by_side}),
        )
    if found:
        yield from _one(*found[0], several=len(models) > 1, max_shown=max_shown)


def embedding_of(model: Model) -> NDArray[np.floating]:
    """t-SNE of the pooled features of the tested patches, shape ``(n, 2)``, kept in ``figures/embedding.csv``.

    Raises:
        InputError: If there are no scores or no curated data set, or the models of folds have features of their own.
    """
    if model.is_crossval and model.record.method == "finetune":
        fold_folder = shlex.quote(str(model.checkpoints[0].parent.parent))
        raise InputError(
            "each fold has trained a network of its own, whose features are not those of another",
            advice="give the folder of one fold, evaluated on its own",
            remedies=(f"jimt evaluate {fold_folder} && jimt report {fold_folder}",),
        )

    def make() -> pd.DataFrame:
        curated, rows = model.tested
        with part(f"features of {len(rows):,} patches by {model.name}"):
            features = model.predictor(0).features(curated.store, rows)
        with part(f"t-SNE of {len(rows):,} patches by {model.name}"):
            coordinates = tsne(features, seed=model.record.seed)
        return rows[["raw_image_id", "y", "x"]].assign(tsne_1=coordinates[:, 0], tsne_2=coordinates[:, 1])

    return model.kept_table(EMBEDDING_FILE, make, depends_on={})[["tsne_1", "tsne_2"]].to_numpy(np.float64)


def _one(model: Model, coordinates: NDArray[np.floating], *, several: bool, max_shown: int) -> Iterator[Block]:
    labels, scores, groups = model.arrays
    model_words = f" of {model.name}" if several else ""
    frozen = " of the frozen network" if model.record.method == "linear_probe" else ""
    yield Drawing(
        "embedding",
        f"Learned features{model_words}",
        f"t-SNE of the pooled features{frozen} before the last layer, of all {len(labels):,} test patches: near points "
        "have like features, distances far apart mean nothing (Fig. 5a, b). Where colours follow the group more than "
        "the truth, the network tells experiments apart rather than cells.",
        figures.embedding(coordinates, labels, scores, groups),
    )
    yield from attempt(
        "The embedding with patches", _with_patches(model, coordinates, words=model_words, max_shown=max_shown)
    )


def _with_patches(model: Model, coordinates: NDArray[np.floating], *, words: str, max_shown: int) -> Iterator[Block]:
    curated, rows = model.tested
    labels = rows["label"].to_numpy(int)
    chosen, told = np.arange(len(rows)), ""
    if len(rows) > max_shown:
        seed = model.record.seed
        chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:max_shown])
        told = f" A sample of {max_shown:,} of the {len(rows):,} test patches, drawn with seed {seed}."
    small = thumbnails(TestPatches(curated, rows.iloc[chosen]), len(chosen))
    yield Drawing(
        "embedding_thumbnails",
        f"The same with patches in place of points{words}",
        f"Of patches that would cover each other, one is shown (Fig. 5c).{told}",
        figures.embedding_thumbnails(coordinates[chosen], small, labels[chosen]),
    )
    yield Text(
        "Move the mouse over a point to see its patch, score and raw image. Box and lasso choose patches in all plots "
        f"at once.{told}"
    )
    yield _interactive(model, coordinates, chosen, small)
    yield from _boundary(model, curated, rows, words)


def _interactive(
    model: Model, coordinates: NDArray[np.floating], chosen: NDArray[np.int64], small: NDArray[np.uint8]
) -> Html:
    from jimt.report.interactive import linked_scatter  # late: Bokeh takes a second

    # one data set and split a sheet: letters and digits alone, for the name goes into CSS
    record = model.record
    name = f"patches_{record.curation_fingerprint[:12]}_{record.splits_digest[:12]}"
    return linked_scatter(name, model.scores.iloc[chosen], coordinates[chosen], small)


def _boundary(model: Model, curated: Any, rows: pd.DataFrame, words: str) -> Iterator[Block]:
    scores = model.scores
    nearest = (scores["score"] - 0.5).abs().sort_values(kind="stable").index[:_N_BOUNDARY].to_numpy()
    table = scores.loc[nearest]
    images = patches_of(curated, rows.iloc[nearest])
    half = -(-len(nearest) // 2)
    near: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
    entries = [
        (image, None, int(row["label"]), float(row["score"]), str(number))
        for number, (image, row) in enumerate(zip(images, near, strict=True), 1)
    ]
    yield Drawing(
        "boundary",
        f"Patches at the boundary{words}",
        "The test patches whose P(live) is nearest to 0.5, framed in the colour of their label; numbers as in the "
        "table. In the paper such patches hold live and dead cells side by side.",
        gallery(
            {
                f"{start + 1} to {min(start + half, len(entries))}": entries[start : start + half]
                for start in range(0, len(entries), half)
            },
            unit="",
        ),
    )
    yield Table(
        f"Patches at the boundary{words}",
        ["number", "raw image", "group", "y", "x", "label", "P(live)", "mean PI"],
        [
            [
                str(number),
                str(row["raw_image_id"]),
                *("-" if pd.isna(row[key]) else f"{row[key]:{form}}" for key, form in _COLUMNS.items()),
                LABEL_NAMES[int(row["label"])],
                f"{row['score']:.3f}",
                "-" if pd.isna(row["mean_fluorescence"]) else f"{row['mean_fluorescence']:,.1f}",
            ]
            for number, row in enumerate(near, 1)
        ],
    )
