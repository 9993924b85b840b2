"""The checkpoint of a finished training, written once and complete."""

import dataclasses
import importlib.metadata
import warnings
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

import jimt
from jimt.config.curating import CurationConfig
from jimt.config.training import TrainConfig
from jimt.curation.manifest import FILTER, Curated
from jimt.data.stain_targets import target_settings
from jimt.errors import InputError
from jimt.evaluation.scores import splits_digest
from jimt.models.checkpoint import Checkpoint, EmptyFilter, Input, Network, Output, Record, StainScore
from jimt.models.like_training import Reference
from jimt.models.network import LiveDeadNetwork
from jimt.models.reference import fit_reference
from jimt.models.scorers import Scorer
from jimt.models.split_metrics import metrics_of_rows
from jimt.models.stain_network import StainNetwork
from jimt.models.stainwise import StainPredictor
from jimt.networks.backbones import FeatureExtractor, normalisation
from jimt.networks.decoders import Decoder
from jimt.statistics.calibration import fit_temperature
from jimt.system.files import VALIDATION_FILE, write_json
from jimt.training.dead_prior import set_back_dead_prior
from jimt.training.linear_probe import balanced_weights
from jimt.training.settled import Training, scorer_for
from jimt.vocabulary import Split

_SAME: Final = 1e-6
"""Standard deviation of evidence that is the same everywhere but for rounding: by which nothing may be divided."""
_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "segmentation-models-pytorch",
    "pytorch-lightning",
    "numpy",
    "scikit-learn",
)


def network_of(config: TrainConfig) -> Network:
    """Which network a training is asked for."""
    if config.stain is not None:
        return Network(
            config.backbone.name,
            "decoder",
            decoder=cast(Decoder, config.stain.decoder),
            channels=config.stain.channels,
            reduction=config.stain.reduction,
            outputs=target_settings(config.stain).outputs,
        )
    layer = None if config.probe is None else config.probe.layer
    return Network(config.backbone.name, "own" if config.method == "finetune" else "linear", layer)


def input_of(config: TrainConfig, curated: Curated) -> Input:
    """What the network takes: patches as the data set was curated, normalised as the backbone's weights expect."""
    mean, std = normalisation(config.backbone.name)
    recorded = curated.summary["config"]["dataset"]
    return Input(
        patch_size=curated.summary["patch_size"],
        scaling=curated.summary["scaling"],
        bit_depth=recorded["bit_depth"],
        bit_shift=recorded["bit_shift"],
        mean=mean,
        std=std,
        pixel_size=curated.summary["pixel_size"]["um"],
    )


def output_of(config: TrainConfig) -> Output:
    """How logits become scores, before a temperature is fitted."""
    tile = None if config.probe is None else config.probe.tile
    return Output(temperature=1.0, orientations=config.evaluation.orientations, tile=tile)


def checkpoint_of(
    training: Training, network: LiveDeadNetwork | StainNetwork, curated: Curated, *, epoch: int
) -> Checkpoint:
    """The checkpoint of a fitted network, its temperature fitted on the validation split; writes that split's metrics.

    Args:
        training: What was asked and settled.
        network: Fitted.
        curated: The data set, with the split that was trained on.
        epoch: Which epoch was kept.
    """
    scorer = scorer_for(training, network)
    if isinstance(scorer, StainPredictor):
        assert training.config.stain is not None
        if training.config.stain.nuclei_of is not None:
            set_back_dead_prior(scorer, curated, nuclei_of=training.config.stain.nuclei_of)
        training = dataclasses.replace(training, gives=_with_score(training, scorer, curated))
    return Checkpoint(
        task=training.config.task,
        network=network_of(training.config),
        input=training.takes,
        output=dataclasses.replace(training.gives, temperature=_temperature(training, network, curated)),
        empty_filter=_empty_filter(training.config.curation, curated),
        reference=_reference(training, scorer, curated),
        record=_record(training, curated, epoch),
        state_dict={name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()},
    )


def _with_score(training: Training, predictor: StainPredictor, curated: Curated) -> Output:
    """How maps become logits, fitted on the labelled training patches."""
    rows = curated.manifest[curated.manifest["split"] == Split.TRAIN.value]
    evidence = predictor.evidence(curated.store, rows)
    return dataclasses.replace(training.gives, stain=fit_stain_score(evidence, rows["label"].to_numpy(np.int64)))


def _reference(training: Training, scorer: Scorer, curated: Curated) -> Reference:
    """What the fields of the training split look like; of the maps of a stain these have just passed the network."""
    rows = curated.manifest[curated.manifest["split"] == Split.TRAIN.value].drop_duplicates("field")
    groups = rows["group"].fillna(rows["raw_image_id"]).astype(str)
    of_fields = dict(zip(rows["field"].tolist(), groups.tolist(), strict=True))
    size = training.takes.patch_size
    return fit_reference(scorer, curated.store, of_fields, size=size, seed=training.config.seed)


def fit_stain_score(evidence: NDArray[np.float64], labels: NDArray[np.int64]) -> StainScore:
    """Logistic regression of the label on the mean of the standardised kinds of evidence, both classes alike.

    One factor is fitted whatever their number: on patches that the network was trained on, a regression on each of
    several kinds, which hardly differ there, would set one against another.

    Args:
        evidence: Shape ``(n_patches, n_kinds)``.
        labels: Live 1, dead 0, shape ``(n_patches,)``.
    """
    weights = balanced_weights(labels, np.zeros(len(labels), object), balance_groups=False)
    mean = np.average(evidence, axis=0, weights=weights)
    sd = np.sqrt(np.average((evidence - mean) ** 2, axis=0, weights=weights))
    sd[sd < _SAME] = 1
    together = ((evidence - mean) / sd).mean(axis=1, keepdims=True)
    regression = LogisticRegression(C=1.0).fit(together, labels, sample_weight=weights)
    slope, n_kinds = float(regression.coef_[0, 0]), evidence.shape[1]
    factors = slope / n_kinds / sd
    return StainScore(float(regression.intercept_[0] - factors @ mean), tuple(factors.tolist()))


def _temperature(training: Training, network: LiveDeadNetwork | StainNetwork, curated: Curated) -> float:
    if not training.validates:
        return 1.0
    scorer = scorer_for(training, network)
    rows = curated.manifest[curated.manifest["split"] == Split.VAL.value]
    logits = scorer.logits(curated.store, rows)
    values = {name.partition("/")[2]: value for name, value in metrics_of_rows("val", logits, rows).items()}
    del values["loss"]
    write_json(
        training.folder / VALIDATION_FILE,
        {name: value if np.isfinite(value) else None for name, value in values.items()},
    )
    return fit_temperature(logits, rows["label"].to_numpy(np.int64))


def _empty_filter(curation: CurationConfig, curated: Curated) -> EmptyFilter | None:
    """The filter that the training patches passed, with the network that gives its features."""
    path = curated.folder / FILTER
    if not path.is_file():
        return None
    settings = curation.empty_filter
    try:
        extractor = FeatureExtractor(
            settings.backbone,
            settings.weights,
            device="cpu",
            batch_size=settings.batch_size,
            precision=settings.precision,
        )
    except InputError as error:
        warnings.warn(f"the checkpoint does not hold the empty filter, since {error}", stacklevel=2)
        return None
    machine = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
    return EmptyFilter(settings.backbone, settings.features, settings.precision, machine, extractor.state())


def _labels(curated: Curated) -> dict[str, Any]:
    """The thresholds, and what counts as PI-positive also where they are of a mean."""
    label = curated.summary["config"]["curation"]["label"]
    percentile = label["background_percentile"]
    positive = {**label["positive"], "percentile": percentile, "count_nuclei": label["scale"] == "positive_nuclei"}
    return {"background_percentile": percentile, "positive": positive} | curated.thresholds


def _record(training: Training, curated: Curated, epoch: int) -> Record:
    config, manifest = training.config, curated.manifest
    known = bool(curated.summary["group_known"])
    groups = {
        split.value: sorted(manifest.loc[manifest["split"] == split.value, "group"].astype(str).unique().tolist())
        for split in Split
        if known
    }
    return Record(
        dataset=config.dataset.name,
        curated_folder=str(curated.folder.resolve()),
        curation_fingerprint=curated.summary["fingerprint"],
        splits_digest=splits_digest(manifest),
        groups=groups,
        fold=None if training.fold is None else dataclasses.asdict(training.fold),
        group_known=known,
        labels=_labels(curated),
        method=config.method,
        weights=training.weights,
        seed=config.seed,
        accelerator=config.trainer.accelerator,
        precision=training.precision,
        eval_batch_size=config.trainer.eval_batch_size,
        confidence=config.evaluation.confidence,
        epoch=epoch,
        settings=training.settings,
        versions={"jimt": jimt.__version__} | {name: importlib.metadata.version(name) for name in _PACKAGES},
    )
