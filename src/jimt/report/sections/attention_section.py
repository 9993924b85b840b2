"""What the networks look at: Grad-CAM of test patches beside PI (paper: Fig. 6)."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.errors import InputError
from jimt.figures.maps import MappedPatch, activation_maps, maps_of_models
from jimt.report.activation import Dye, dye_of, maps_of, positive_in_words
from jimt.report.blocks import Block, Drawing, Missing, Text, attempt, attempted
from jimt.report.sections.agreement_section import MAX_MAPPED, agreement_blocks
from jimt.report.study import Model
from jimt.report.thumbnails import patches_of
from jimt.statistics.weighted_patches import is_right
from jimt.vocabulary import DEAD, LIVE

_N_EACH = 3
_MODELS_A_FIGURE = 6


def attention_blocks(models: Sequence[Model], *, max_mapped: int = MAX_MAPPED) -> Iterator[Block]:
    """Activation maps and their agreement with PI, of models of one data set."""
    if len(models) == 1:
        yield from attempt("Grad-CAM", example_blocks(models[0]))
    else:
        yield from attempt("Grad-CAM of all models", side_by_side_blocks(models))
    yield from agreement_blocks(models, max_mapped=max_mapped)


def _dye(model: Model, indices: NDArray[np.int64]) -> tuple[Dye | None, str]:
    """PI of tested patches and what the caption says of it; None where there are no fluorescence images."""
    try:
        return dye_of(model, indices), f"Cyan: PI {positive_in_words(model.tested[0])}."
    except InputError as error:
        return None, f"PI is not beside them: {error}."


def _patches(
    model: Model, indices: NDArray[np.int64], maps: dict[int, NDArray[np.float16]], dye: Dye | None
) -> list[MappedPatch]:
    curated, rows = model.tested
    brightfield = patches_of(curated, rows.iloc[indices])
    scores = model.scores.iloc[indices]
    return [
        MappedPatch(
            brightfield[i],
            {label: label_maps[i].astype(np.float32) for label, label_maps in maps.items()},
            float(scores["score"].iloc[i]),
            int(scores["label"].iloc[i]),
            None if dye is None else dye.images[i],
            None if dye is None else dye.positive[i],
        )
        for i in range(len(indices))
    ]


def example_blocks(model: Model) -> Iterator[Block]:
    """Maps of the most certain, least certain and wrong live and dead patches (Fig. 6).

    Raises:
        InputError: If there are no scores or no curated data set, or the network has no layer with positions.
    """
    scores = model.scores
    chosen: dict[int, dict[str, NDArray[np.int64]]] = {}
    for label in (LIVE, DEAD):
        of_label = scores[scores["label"] == label]
        order = of_label.sort_values("score", ascending=label == DEAD, kind="stable")  # the surest first
        good = is_right(order["label"].to_numpy(int), order["score"].to_numpy(float))
        right, wrong = order.index[good].to_numpy(np.int64), order.index[~good].to_numpy(np.int64)
        chosen[label] = {
            "most certain": right[:_N_EACH],
            "least certain": right[_N_EACH:][-_N_EACH:],
            "wrong": wrong[::-1][:_N_EACH],
        }
    flat = np.unique(np.concatenate([rows for blocks in chosen.values() for rows in blocks.values()]))
    maps, layer = maps_of(model, flat, labels=(LIVE, DEAD))
    dye, of_pi = _dye(model, flat)
    patches = dict(zip(flat.tolist(), _patches(model, flat, maps, dye), strict=True))
    for label, word in ((LIVE, "live"), (DEAD, "dead")):
        columns = {title: [patches[int(i)] for i in rows] for title, rows in chosen[label].items()}
        if not any(columns.values()):
            yield Text(f"The test split holds no {word} patch, so there are no maps of any.")
            continue
        yield Drawing(
            f"grad_cam_{word}",
            f"What {word} patches are judged by",
            f"{_how(model, layer)} For each patch the map of either label with its probability; yellow is most, dark "
            f"is least within one map. {of_pi} (Fig. 6)",
            activation_maps(columns, unit="" if dye is None else dye.unit),
        )


def _how(model: Model, layer: str) -> str:
    words = f"Grad-CAM of the layer {layer}."
    if model.checkpoint.output.tile is not None:
        words += (
            " Its features are what the linear classifier is given. Probabilities are of tiles seen in the whole "
            "field, while maps are of the patch alone, upright."
        )
    return words


def side_by_side_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Maps of the same patches by several models; who has none, or other patches, is named."""
    usable: list[Model] = []
    for model in models:
        made = attempted(f"Grad-CAM of {model.name}", partial(_has_patches_of, model, usable[:1]))
        if isinstance(made, Missing):
            yield made
        elif made:
            usable.append(model)
    if not usable:
        return
    first = usable[0]
    indices = _of_all_kinds(first, usable)
    dye, of_pi = _dye(first, indices)
    mapped: dict[str, list[MappedPatch]] = {}
    layers: list[str] = []
    for model in usable:
        maps = attempted(f"Grad-CAM of {model.name}", partial(maps_of, model, indices, labels=(DEAD,)))
        if isinstance(maps, Missing):
            yield maps
            continue
        mapped[model.name] = _patches(model, indices, maps[0], dye)
        layers.append(f"{model.name} {maps[1]}")
    names = list(mapped)
    for start in range(0, len(names), _MODELS_A_FIGURE):
        part = {name: mapped[name] for name in names[start : start + _MODELS_A_FIGURE]}
        yield Drawing(
            "grad_cam_models" + (f"_{start // _MODELS_A_FIGURE + 1}" if start else ""),
            "What each model takes for dead",
            "Maps for dead by Grad-CAM with the probability of dead. Of live and of dead patches the one that the "
            "models are surest of, the middle one, and the one they are least sure of. Layers: "
            f"{', '.join(layers[start : start + _MODELS_A_FIGURE])}. {of_pi}",
            maps_of_models(mapped[names[0]], part, unit="" if dye is None else dye.unit),
        )


def _has_patches_of(model: Model, first: Sequence[Model]) -> bool:
    """Whether a model was tested on any patch.

    Raises:
        InputError: If it was on other patches than the first model, where there is one already.
    """
    _, rows = model.tested
    if first and not _places(first[0]).equals(_places(model)):
        raise InputError(f"it was tested on other patches than {first[0].name}")
    return len(rows) > 0


def _places(model: Model) -> pd.DataFrame:
    return model.scores[["raw_image_id", "y", "x"]]


def _of_all_kinds(first: Model, models: Sequence[Model]) -> NDArray[np.int64]:
    mean = np.mean([model.scores["score"].to_numpy(float) for model in models], axis=0)
    labels = first.scores["label"].to_numpy(int)
    chosen: list[int] = []
    for label in (LIVE, DEAD):
        of_label = np.flatnonzero(labels == label)
        surest = mean[of_label] if label == DEAD else 1 - mean[of_label]
        order = of_label[np.argsort(surest, kind="stable")]
        chosen += dict.fromkeys(order[[0, len(order) // 2, len(order) - 1]].tolist()) if len(order) else []
    return np.array(chosen, np.int64)
