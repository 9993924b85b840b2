"""What the networks look at: Grad-CAM beside PI, and how far the two agree (paper: Fig. 6 and its Discussion)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from jimt.analysis.agreement import MIN_SHARE, pixel_auroc, pointing_game, positive_pixels, summarise
from jimt.analysis.figures.maps import MappedPatch, activation_maps, maps_of_models
from jimt.analysis.grad_cam import SpatialLayer, class_maps, last_spatial_layer
from jimt.checkpoints import load_classifier
from jimt.curation.rereading import UNITS, configs_of, fluorescence_patches, value_in_unit
from jimt.errors import InputError
from jimt.evaluate import write_aside
from jimt.model.classifier import LiveDeadClassifier
from jimt.reporting.blocks import Block, Drawing, Table, Text, attempt
from jimt.reporting.curation import patches_of
from jimt.reporting.results import Model
from jimt.scoring import evaluation_device, input_batches
from jimt.vocabulary import DEAD, LIVE

AGREEMENT_FILE = "agreement.csv"
MAX_MAPPED = 200
"""Test patches whose maps are held against PI, at most."""
_N_EACH = 3
_BATCH = 32
_SMOOTHING = 2.0  # standard deviation, pixels
_MEASURES = {
    "dead_auroc": "AUROC of the map for dead against PI, pixel by pixel",
    "dead_pointing": "pointing game: the map for dead is highest in PI",
    "live_auroc": "AUROC of the map for live against PI",
    "dead_empty": "share of maps for dead that are empty (AUROC 0.5)",
}


def attention_blocks(models: Sequence[Model], *, accelerator: str | None, max_mapped: int) -> Iterator[Block]:
    """Activation maps and their agreement with PI, of models of one data set."""
    if len(models) == 1:
        yield from attempt("Grad-CAM", example_blocks(models[0], accelerator))
    else:
        yield from attempt("Grad-CAM of all models", side_by_side_blocks(models, accelerator))
    yield from attempt("The agreement of maps with PI", agreement_blocks(models, accelerator, max_mapped))


@dataclass(frozen=True)
class _Loaded:
    """A classifier, ready to be mapped."""

    classifier: LiveDeadClassifier
    prediction: dict[str, Any]
    provenance: dict[str, Any]
    layer: SpatialLayer
    device: torch.device

    def maps(self, folder: Any, rows: pd.DataFrame, labels: tuple[int, ...]) -> dict[int, NDArray[np.float32]]:
        """Maps of some rows of the manifest, by label, each of shape ``(n, size, size)``."""
        images = input_batches(folder, rows, prediction=self.prediction, device=self.device, batch_size=_BATCH)
        bfloat16 = self.provenance["precision"] == "bf16-mixed"
        return class_maps(self.classifier, self.layer, images, labels=labels, bfloat16=bfloat16)


def _load(model: Model, checkpoint: int, accelerator: str | None, *, randomised: bool = False) -> _Loaded:
    classifier, hyperparameters = load_classifier(model.checkpoints[checkpoint])
    prediction, provenance = hyperparameters["prediction"], hyperparameters["provenance"]
    if randomised:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(provenance["seed"])
            classifier = LiveDeadClassifier(**hyperparameters).eval()
    device = evaluation_device(accelerator or provenance["accelerator"], index=0, precision=provenance["precision"])
    classifier = classifier.to(device, memory_format=torch.channels_last)
    name = hyperparameters["layer"]
    if name is not None:
        layer = SpatialLayer(name, classifier.network.get_submodule(name), torch.Tensor.float)
    else:
        layer = last_spatial_layer(classifier.network, size=prediction["patch_size"], name=str(provenance["backbone"]))
    return _Loaded(classifier, prediction, provenance, layer, device)


def _mapped(
    model: Model, indices: NDArray[np.int64], accelerator: str | None, *, labels: tuple[int, ...], randomised: bool
) -> tuple[dict[int, NDArray[np.float32]], str]:
    """Maps of some tested patches, each by the model that was tested on it; and the layer's name."""
    curated, rows = model.tested
    chosen = rows.iloc[indices]
    size = int(curated.summary["patch_size"])
    found = {label: np.empty((len(indices), size, size), np.float32) for label in labels}
    layer = ""
    for checkpoint in np.unique(chosen["checkpoint"]):
        of = np.flatnonzero(chosen["checkpoint"].to_numpy() == checkpoint)
        loaded = _load(model, int(checkpoint), accelerator, randomised=randomised)
        layer = loaded.layer.name
        for label, maps in loaded.maps(curated.folder, chosen.iloc[of], labels).items():
            found[label][of] = maps
    return found, layer


@dataclass(frozen=True)
class _Dye:
    """PI of some patches, and where it is positive; both None where there are no fluorescence images."""

    images: NDArray[np.float32] | None
    positive: NDArray[np.bool_] | None
    unit: str
    words: str


def _dye(model: Model, indices: NDArray[np.int64]) -> _Dye:
    """PI of tested patches, and where it is positive.

    Raises:
        InputError: If there are no fluorescence images, or they are no longer there.
    """
    curated, rows = model.tested
    images = fluorescence_patches(curated, rows.iloc[indices], needed_by="PI beside activation maps")
    scale = configs_of(curated)[1].label.scale
    cut = value_in_unit(curated.thresholds["dead_above"], scale=scale)
    words = (
        f"above Otsu's threshold of the patch, and above {cut:.4g} {UNITS[scale]} (the cut-off for dead), smoothed "
        f"over {_SMOOTHING:g} px"
    )
    return _Dye(images, positive_pixels(images, least=cut, smoothing=_SMOOTHING), UNITS[scale], words)


def _dye_or_none(model: Model, indices: NDArray[np.int64]) -> _Dye:
    try:
        return _dye(model, indices)
    except InputError as error:
        return _Dye(None, None, "", f"PI is not beside them: {error}.")


def _patches(
    model: Model, indices: NDArray[np.int64], maps: dict[int, NDArray[np.float32]], dye: _Dye
) -> list[MappedPatch]:
    curated, rows = model.tested
    brightfield = patches_of(curated, rows.iloc[indices])
    scores = model.scores.iloc[indices]
    return [
        MappedPatch(
            brightfield[i],
            {label: of[i] for label, of in maps.items()},
            float(scores["score"].iloc[i]),
            int(scores["label"].iloc[i]),
            None if dye.images is None else dye.images[i],
            None if dye.positive is None else dye.positive[i],
        )
        for i in range(len(indices))
    ]


def example_blocks(model: Model, accelerator: str | None = None) -> Iterator[Block]:
    """Maps of the most certain, least certain and wrong live and dead patches (Fig. 6)."""
    scores = model.scores
    chosen: dict[int, dict[str, NDArray[np.int64]]] = {}
    for label in (LIVE, DEAD):
        of = scores[scores["label"] == label]
        sureness = of["score"] if label == LIVE else 1 - of["score"]
        order = sureness.sort_values(ascending=False, kind="stable")
        right, wrong = order[order > 0.5], order[order <= 0.5]
        chosen[label] = {
            "most certain": right.index[:_N_EACH].to_numpy(np.int64),
            "least certain": right.index[_N_EACH:][-_N_EACH:].to_numpy(np.int64),
            "wrong": wrong.index[::-1][:_N_EACH].to_numpy(np.int64),
        }
    flat = np.unique(np.concatenate([rows for blocks in chosen.values() for rows in blocks.values()]))
    maps, layer = _mapped(model, flat, accelerator, labels=(LIVE, DEAD), randomised=False)
    dye = _dye_or_none(model, flat)
    patches = dict(zip(flat.tolist(), _patches(model, flat, maps, dye), strict=True))
    how = _how(model, layer)
    for label, word in ((LIVE, "live"), (DEAD, "dead")):
        columns = {title: [patches[int(i)] for i in rows] for title, rows in chosen[label].items()}
        if not any(columns.values()):
            yield Text(f"The test split holds no {word} patch, so there are no maps of any.")
            continue
        pi = f"Cyan: PI {dye.words}." if dye.images is not None else dye.words
        yield Drawing(
            f"grad_cam_{word}",
            f"What {word} patches are judged by",
            f"{how} For each patch the map of either label with its probability; yellow is most, dark is least within "
            f"one map. {pi} (Fig. 6)",
            activation_maps(columns, unit=dye.unit),
        )


def _how(model: Model, layer: str) -> str:
    words = f"Grad-CAM of the layer {layer}."
    if model.hyperparameters["prediction"]["cell"] is not None:
        words += (
            " Here it is exact: the classifier is linear in this layer's features. Probabilities are those of the "
            "report, of cells seen in the whole field; maps are of the patch alone."
        )
    return words


def side_by_side_blocks(models: Sequence[Model], accelerator: str | None = None) -> Iterator[Block]:
    """Maps of the same patches by several models."""
    first = models[0]
    tested = [model for model in models if _same_patches(first, model)]
    mean = np.mean([model.scores["score"].to_numpy(float) for model in tested], axis=0)
    labels = first.scores["label"].to_numpy(int)
    chosen: list[int] = []
    for label in (LIVE, DEAD):
        of = np.flatnonzero(labels == label)
        order = of[np.argsort(mean[of] if label == DEAD else 1 - mean[of], kind="stable")]
        chosen += np.unique(order[[0, len(order) // 2, len(order) - 1]]).tolist() if len(order) else []
    indices = np.array(chosen, np.int64)
    dye = _dye_or_none(first, indices)
    by_model, layers = {}, []
    for model in tested:
        maps, layer = _mapped(model, indices, accelerator, labels=(DEAD,), randomised=False)
        by_model[model.name] = _patches(model, indices, maps, dye)
        layers.append(f"{model.name} {layer}")
    pi = f"Cyan: PI {dye.words}." if dye.images is not None else dye.words
    yield Drawing(
        "grad_cam_models",
        "What each model takes for dead",
        "Maps for dead by Grad-CAM with the probability of dead. Of live and of dead patches the one that the models "
        f"are surest of, the middle one, and the one they are least sure of. Layers: {', '.join(layers)}. {pi}",
        maps_of_models(by_model[tested[0].name], by_model, unit=dye.unit),
    )


def _same_patches(first: Model, other: Model) -> bool:
    keys = ["raw_image_id", "y", "x"]
    return bool(first.scores[keys].equals(other.scores[keys]))


def agreement_of(model: Model, *, accelerator: str | None, max_mapped: int) -> pd.DataFrame:
    """Agreement of maps with PI for each patch, kept in ``figures/agreement.csv``.

    Columns: place and group of the patch, ``positive`` (share of its pixels), and each measure of the trained network
    and (``random_``) of the same one with random weights; NaN where a patch lacks PI or is full of it.

    Raises:
        InputError: If there is no fluorescence, no spatial layer, no scores or no curated data set.
    """
    seed = int(model.provenance["seed"])

    def make() -> pd.DataFrame:
        scores = model.scores
        indices = np.sort(np.random.default_rng(seed).permutation(len(scores))[:max_mapped])
        dye = _dye(model, indices)
        assert dye.positive is not None
        columns: dict[str, Any] = {"positive": dye.positive.mean((1, 2))}
        with_both = np.flatnonzero((columns["positive"] >= MIN_SHARE) & (columns["positive"] <= 1 - MIN_SHARE))
        positive = dye.positive[with_both]
        for prefix, randomised in (("", False), ("random_", True)):
            found = {name: np.full(len(indices), np.nan) for name in _MEASURES}
            if len(with_both):
                maps, _ = _mapped(model, indices[with_both], accelerator, labels=(DEAD, LIVE), randomised=randomised)
                found["dead_auroc"][with_both] = pixel_auroc(maps[DEAD], positive)
                found["dead_pointing"][with_both] = pointing_game(maps[DEAD], positive)
                found["live_auroc"][with_both] = pixel_auroc(maps[LIVE], positive)
                found["dead_empty"][with_both] = maps[DEAD].max((1, 2)) == maps[DEAD].min((1, 2))
            columns |= {prefix + name: values for name, values in found.items()}
        return scores[["raw_image_id", "group", "y", "x", "label"]].iloc[indices].assign(**columns)

    depends_on = {"max_mapped": max_mapped, "smoothing": _SMOOTHING, "measures": list(_MEASURES)}
    return model.kept_table(AGREEMENT_FILE, make, depends_on=depends_on)


def agreement_blocks(
    models: Sequence[Model], accelerator: str | None = None, max_mapped: int = MAX_MAPPED
) -> Iterator[Block]:
    """How far maps agree with PI, beside the maps of the same networks with random weights."""
    rows: list[list[str]] = []
    told: list[str] = []
    for model in models:
        table = agreement_of(model, accelerator=accelerator, max_mapped=max_mapped)
        provenance = model.provenance
        groups = table["group"].to_numpy(object) if table["group"].notna().all() else None
        both = (table["positive"] >= MIN_SHARE) & (table["positive"] <= 1 - MIN_SHARE)
        results = {}
        for name, words in _MEASURES.items():
            found = summarise(
                table[name].to_numpy(float),
                table[f"random_{name}"].to_numpy(float),
                groups,
                n_resamples=provenance["n_bootstrap"],
                confidence=provenance["confidence"],
                seed=provenance["seed"],
            )
            if found is None:
                raise InputError(f"none of the {len(table)} patches holds pixels with PI and pixels without")
            results[name] = asdict(found)
            cells = [_mean(found.trained), _mean(found.randomised), _mean(found.difference, signed=True)]
            rows.append([model.name, words, *cells, f"{found.n_patches:,}"])
        share = float(table.loc[both, "positive"].mean())
        rows.append([model.name, "share of pixels with PI: the pointing game of guessing", f"{share:.3f}", "", "", ""])
        told.append(f"{int(both.sum())} of {len(table)}")
        write_aside(model.folder / "figures" / "agreement.json", json.dumps(results, indent=2) + "\n")
    sample = f" They were drawn with seed {models[0].provenance['seed']} from the test split." * (
        max_mapped < len(models[0].scores)
    )
    yield Table(
        "Agreement of activation maps with PI",
        ["model", "measure", "trained", "random weights", "difference", "patches"],
        rows,
        "Does the network look where the dye is? Means over patches that hold pixels with and without PI "
        f"({told[0]} patches).{sample} 0.5 is chance for an AUROC. The null is the same network with random weights, "
        "whose maps still follow the outlines of cells. In brackets: interval over groups. PI is positive "
        f"{_dye_words(models[0])}.",
        groups_rows=True,
    )


def _dye_words(model: Model) -> str:
    return _dye(model, np.zeros(1, np.int64)).words


def _mean(mean: Any, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    value = f"{mean.value:{sign}.3f}"
    if mean.interval is None:
        return f"{value} (too few groups)"
    return f"{value} ({mean.interval[0]:{sign}.3f} to {mean.interval[1]:{sign}.3f})"
