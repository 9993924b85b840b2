"""A model card (Mitchell et al., 2019), filled from what a run recorded and measured."""

from collections.abc import Iterator
from typing import Any

import jinja2

from jimt.curation.manifest import Curated
from jimt.evaluation.baseline_models import baseline_rows
from jimt.evaluation.counted import counted_in_words
from jimt.evaluation.field_shares import share_in_words as shares_in_words
from jimt.evaluation.map_agreement import maps_in_words
from jimt.models.checkpoint import Record
from jimt.paper import paper_name, printed
from jimt.report.metric_rows import metric_rows, without_interval
from jimt.report.predicted import learned_in_words, limits_in_words, predicted_in_words, share_in_words
from jimt.report.sections.metrics_section import tested_on
from jimt.report.study import Model, why_not
from jimt.statistics.correlation import correlation_in_words
from jimt.statistics.metrics import METRICS
from jimt.statistics.value_text import interval_text, number_text, percent_text
from jimt.vocabulary import SCALES

_NOT_THERE = "not there when the card was written"


def model_card(model: Model) -> str:
    """The card as Markdown; what cannot be known any more is said to be missing."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jimt.report", "."), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["cell"] = lambda text: " ".join(str(text).split()).replace("|", r"\|")
    metrics = model.metrics if model.has_metrics else None
    curated = model.curated if why_not(model, "curated") is None else None
    rows, paper, correlations, tested = [], [], [], f"The test scores are {_NOT_THERE}."
    baselines, counted = None, []
    if metrics is not None:
        rows = metric_rows(metrics)
        tested = tested_on(model) + without_interval(metrics, METRICS)
        paper = list(_paper(metrics))
        correlations = correlation_in_words(metrics["correlation"])
        baselines = baseline_rows(metrics["baselines"]) if metrics.get("baselines") else None
        words = {"counted": counted_in_words, "dead_share": shares_in_words}
        counted = [told(metrics[name]) for name, told in words.items() if metrics.get(name)]
        counted = [*maps_in_words(metrics["maps"]), *counted] if "maps" in metrics else counted
    return environment.get_template("model_card.md.jinja").render(
        name=model.name,
        dataset=model.record.dataset,
        predicts=_predicts(model),
        data=list(_data(model, curated).items()),
        groups=_groups(model, curated),
        splits=_splits(model, metrics, curated),
        tested=tested,
        metrics=rows,
        confidence=percent_text(metrics["confidence"] if metrics else model.record.confidence),
        baselines=baselines,
        counted=counted,
        paper=paper,
        correlations=correlations,
        model=list(_model(model).items()),
        limits=[*(limits_in_words(model.checkpoint) if _is_of_stain(model) else ()), *_limits(metrics, curated)],
    )


def _is_of_stain(model: Model) -> bool:
    return model.checkpoint.task == "stain"


def _predicts(model: Model) -> list[str]:
    """Paragraphs on what the model answers."""
    size = model.checkpoint.input.patch_size
    if not _is_of_stain(model):
        told = f"Tells live (1) from dead (0) cells in bright-field patches of {size} px, with no stain."
        return [f"{told} Its score is P(live)."]
    of_stain = (predicted_in_words, learned_in_words, share_in_words)
    return [
        "Predicts from bright-field, with no stain, what propidium iodide (PI) would show.",
        *(words(model.checkpoint) for words in of_stain),
        f"The score of a patch of {size} px is P(live), by a logistic regression on what the maps say of it, fitted on "
        "the training patches' labels.",
    ]


def _data(model: Model, curated: Curated | None) -> dict[str, str]:
    record, scaling = model.record, model.checkpoint.input.scaling
    rows = {
        "data set": str(record.dataset),
        "curation": f"fingerprint {record.curation_fingerprint[:16]}",
        "8-bit scaling": f"{scaling['method']}, {scaling['bit_depth']} bits carry the signal",
        **_adapted(record),
    }
    if curated is None:
        return rows | {"the curated data set": _NOT_THERE}
    counts, thresholds = curated.summary["counts"], curated.thresholds
    excluded = ", ".join(f"{number:,} {why.replace('_', ' ')}" for why, number in counts["excluded"].items())
    labels = "came with the patches"
    if thresholds["live_below"] is not None:
        labels = (
            f"live below {thresholds['live_below']:.4g}, dead above {thresholds['dead_above']:.4g} of "
            f"{SCALES[thresholds['scale']]}, {thresholds['source']}"
        )
    return rows | {
        "raw images": f"{curated.summary['n_raw_images']:,}",
        "patches": f"{counts['n_patches']:,} cut; left out: {excluded}",
        "empty filter": str(curated.summary["empty_filter"]["status"]),
        "labels": labels,
    }


def _adapted(record: Record) -> dict[str, str]:
    """Which stained fields it was adapted to, and from what."""
    adaptation = record.adaptation
    if adaptation is None:
        return {}
    names = (each.name if each.group is None else f"{each.name} ({each.group})" for each in adaptation.fields)
    origin = f"{adaptation.origin}, SHA-256 {adaptation.origin_digest[:16]}"
    fields = f"{', '.join(names)}; it answers for none of these"
    return {"adapted from": origin, f"stained fields it was adapted to ({adaptation.what})": fields}


def _groups(model: Model, curated: Curated | None) -> str:
    if not model.record.group_known:
        return "Nothing tells which raw image a patch was cut from, so the splits could not be checked for leaks."
    how = "No group (what a split may not divide: a raw image, a well, an experiment) is in two splits"
    if model.is_crossval:
        how = f"{len(model.checkpoints)} folds; no group is trained on by the model that is tested on it"
    if curated is None:
        return f"{how}."
    used = curated.manifest[curated.manifest["split"].notna()]
    return f"{how}: {used['group'].nunique():,} groups in all."


def _splits(model: Model, metrics: dict[str, Any] | None, curated: Curated | None) -> list[tuple[str, str, str]]:
    parts: dict[str, dict[str, int]] = {}
    if model.is_crossval and metrics is not None:
        alone = metrics["leave"] == "group"
        names = [f"group {fold['groups'][0]}" if alone else f"fold {fold['fold']}" for fold in metrics["folds"]]
        parts = dict(zip(names, (fold["counts"] for fold in metrics["folds"]), strict=True))
    elif not model.is_crossval and curated is not None:
        parts = curated.summary["counts"]["splits"]
    return [(part, f"{counts['live']:,}", f"{counts['dead']:,}") for part, counts in parts.items()]


def _paper(metrics: dict[str, Any]) -> Iterator[str]:
    paper = printed(metrics["dataset"], metrics["backbone"])
    if paper is not None:
        numbers = number_text(paper.balanced_accuracy), number_text(paper.auroc), number_text(paper.correlation)
        yield (
            f"{paper_name(metrics['backbone'])} on the same data set, balanced accuracy {numbers[0]} "
            f"({interval_text(paper.interval)} over patches), AUROC {numbers[1]}, r {numbers[2]} in raw counts."
        )


def _model(model: Model) -> dict[str, str]:
    record, takes, gives = model.record, model.checkpoint.input, model.checkpoint.output
    settings = record.settings
    trainable = settings["backbone.trainable"]
    optimiser = {}
    if record.method == "finetune":
        optim = {key.partition(".")[2]: value for key, value in settings.items() if key.startswith("optim.")}
        optimiser["optimiser"] = (
            f"{'AdamW' if optim['decoupled'] else 'Adam'}, learning rate {optim['lr']:g} ({optim['schedule']}), weight "
            f"decay {optim['weight_decay']:g}, batches of {optim['batch_size']}, at most "
            f"{settings['trainer.max_epochs']} epochs"
        )
    return {
        "backbone": f"{model.checkpoint.network.name} (timm)",
        "weights it started from": str(record.weights),
        "trained": "a linear layer on frozen features" if trainable is None else trainable,
        **({"decoder": _decoder(model)} if _is_of_stain(model) else {}),
        "input": f"one grey channel, repeated; mean {list(takes.mean)}, standard deviation {list(takes.std)}",
        "orientations averaged": str(gives.orientations),
        "temperature": f"{gives.temperature:.3f}",
        **({"offset": f"{gives.offset:+.3f}"} if gives.offset else {}),
        **optimiser,
        "seed": str(record.seed),
        "precision": f"{record.precision} on {record.accelerator}",
        "jimt": str(record.versions["jimt"]),
    }


def _decoder(model: Model) -> str:
    network, settings = model.checkpoint.network, model.record.settings
    crop = f"crops of {settings['stain.crop']} px" if settings["stain.crop"] else "whole fields"
    shrunk = f", {network.reduction} x {network.reduction} pixels as one" if network.reduction > 1 else ""
    rate = f"learning rate {settings['stain.decoder_lr']:g}"
    return f"{network.decoder}, {network.channels} channels, {rate}; {crop}{shrunk}"


def _limits(metrics: dict[str, Any] | None, curated: Curated | None) -> list[str]:
    limits = [] if metrics is None else [f"{note[0].upper()}{note[1:]}." for note in metrics["notes"]]
    if curated is not None and curated.summary["config"]["dataset"]["simulation"] is not None:
        limits.append("Trained and tested on a simulated microscope: no evidence about real cells.")
    if curated is not None and curated.summary["counts"]["excluded"]["ambiguous"]:
        limits.append(
            "Patches between the thresholds were neither trained nor tested on, so metrics are of the easier patches "
            "(`jimt label-sensitivity`)."
        )
    return [
        *limits,
        "A label says how much PI a patch of many cells has taken up; it is not a count of dead cells.",
        "Nothing is known of other microscopes, magnifications, cell lines and stains than those of the data.",
        "Made for research; not for diagnosis.",
    ]
