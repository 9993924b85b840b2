"""What is in conf/: the paper's values, and choices that go together."""

import pytest

from checked_settings import checked
from conftest import REPOSITORY, composed_train
from jimt.config.search import CrossvalConfig
from jimt.config.training import TrainConfig
from jimt.errors import InputError

DATASETS = sorted(path.stem for path in (REPOSITORY / "conf/dataset").glob("*.yaml"))
BACKBONES = sorted(path.stem for path in (REPOSITORY / "conf/backbone").glob("*.yaml"))


def test_the_data_sets_and_backbones_of_the_paper_and_our_own_are_there():
    assert {"no_treatment", "doxo", "mcf7", "synthetic"} <= set(DATASETS)
    assert {"resnet18", "squeezenet", "inception_v3", "efficientnet_lite0"} <= set(BACKBONES)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_data_set_goes_with_every_backbone(train_config, dataset, backbone):
    config = train_config(f"dataset={dataset}", f"backbone={backbone}")
    assert isinstance(config, TrainConfig)
    assert config.dataset.name == dataset
    assert config.backbone.name  # a timm name, which may differ from the file's


def test_any_network_of_timm_goes_without_a_file_of_its_own(train_config):
    config = train_config("backbone.name=convnext_atto", "backbone.weights=random", "backbone.trainable=last_stage")
    assert (config.backbone.name, config.backbone.weights) == ("convnext_atto", "random")


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (REPOSITORY / "conf" / group).glob("*.yaml"))


@pytest.mark.parametrize(
    ("group", "choice"),
    [  # not of probe, which needs a frozen network
        (group, choice)
        for group in ("augmentation", "experiment", "logger", "optim", "trainer")
        for choice in choices(group)
    ],
)
def test_every_choice_of_every_group_composes_in_training_and_in_cross_validation(group, choice):
    for name in ("train", "crossval"):
        config = composed_train(f"{group}={choice}", "run_dir=run", name=name)
        assert isinstance(config, CrossvalConfig if name == "crossval" else TrainConfig)


def test_the_papers_augmentation_changes_no_intensity_and_ours_does(train_config):
    paper, ours = train_config().augmentation, train_config("augmentation=intensity").augmentation
    assert paper.orientations
    assert ours.orientations
    assert [getattr(paper, name) for name in ("brightness", "contrast", "gamma", "blur")] == [0, 0, 0, 0]
    assert all(getattr(ours, name) > 0 for name in ("brightness", "contrast", "gamma", "blur"))


def test_a_cross_validation_trains_as_training_does():
    config, crossval = (composed_train("run_dir=run", name=name) for name in ("train", "crossval"))
    for part in ("seed", "dataset", "curation", "backbone", "probe", "augmentation", "optim", "trainer", "evaluation"):
        assert getattr(crossval, part) == getattr(config, part), part


@pytest.mark.parametrize("dataset", DATASETS)
def test_preparing_and_training_curate_alike(dataset):
    # otherwise train.py would curate anew what prepare.py has curated
    preparing, training = (checked(name=name, dataset=dataset) for name in ("prepare", "train"))
    assert preparing.dataset == training.dataset
    assert preparing.curation == training.curation


def test_training_defaults_to_the_recipe_of_the_paper(train_config):
    config = train_config()
    assert config.optim.lr == 1e-5
    assert config.optim.betas == (0.5, 0.999)
    assert config.optim.weight_decay == 1e-5
    assert config.optim.batch_size == 4
    assert config.trainer.max_epochs == 30
    assert config.backbone.trainable == "all"
    optim = config.optim  # what the paper does not speak of is off
    assert (optim.decoupled, optim.accumulate, optim.schedule, optim.warmup) == (False, 1, "constant", 0)
    assert (optim.ema_decay, optim.label_smoothing, config.trainer.patience) == (0, 0, None)
    assert config.evaluation.orientations == 1


def test_curation_defaults_to_the_paper(prepare_config):
    dataset, curation = prepare_config("dataset=no_treatment")
    assert (curation.patches.size, curation.patches.stride) == (224, 112)
    assert (curation.label.scale, curation.label.n_sigma) == ("raw", 1.0)
    assert (curation.label.live_below, curation.label.dead_above) == (None, None)  # results, not settings
    split = curation.split
    assert (split.train / split.test, split.val / split.test) == (10, 1)
    assert dataset.bit_depth == 12  # ScanR
    assert curation.empty_filter.backbone.startswith("resnet18")
    assert curation.empty_filter.precision == "32-true"  # whatever the processor has


def test_doxo_is_curated_as_no_treatment_is_and_labelled_with_its_cut_offs():
    doxo, no_treatment = checked(dataset="doxo"), checked(dataset="no_treatment")
    assert doxo.curation.label.fit_on == "no_treatment"
    assert doxo.curation == no_treatment.curation
    for field in ("pattern", "bit_depth", "brightfield", "fluorescence", "layout"):
        assert getattr(doxo.dataset, field) == getattr(no_treatment.dataset, field)


@pytest.mark.parametrize(
    ("dataset", "fit_on"),
    [
        ("no_treatment", ["no_treatment", "doxo"]),  # paper: 226 + 226 patches of both train one filter
        ("doxo", ["no_treatment", "doxo"]),
        ("mcf7", ["mcf7"]),
        ("mcf7_dated", ["mcf7"]),
        ("mcf7_named", ["mcf7"]),
        ("synthetic", ["synthetic"]),
        ("synthetic_treated", ["synthetic_treated"]),
    ],
)
def test_the_empty_filter_is_trained_on_hand_labels_of(dataset, fit_on):
    assert checked(dataset=dataset).curation.empty_filter.fit_on == fit_on


def test_a_dry_run_and_hand_labels_are_not_asked_for_together(prepare_config):
    with pytest.raises(InputError, match="dry_run=true writes nothing and hand_labels_only=true writes a file"):
        prepare_config("dry_run=true", "hand_labels_only=true")


@pytest.mark.parametrize("dataset", ["mcf7", "synthetic", "synthetic_treated"])
def test_data_sets_without_a_hub_take_the_packaged_weights_for_the_empty_filter(dataset):
    settings = checked(dataset=dataset).curation.empty_filter
    assert (settings.backbone, settings.weights) == ("tf_efficientnet_lite0", "packaged")


@pytest.mark.parametrize("dataset", ["no_treatment", "doxo", "mcf7"])
def test_raw_data_lies_below_jimt_data_or_below_data(monkeypatch, dataset):
    monkeypatch.setenv("JIMT_DATA", "/somewhere/else")
    assert checked(dataset=dataset).dataset.root == f"/somewhere/else/{dataset}"
    monkeypatch.delenv("JIMT_DATA")
    assert checked(dataset=dataset).dataset.root == f"data/{dataset}"


def test_another_seed_of_the_training_keeps_the_split():
    assert checked("seed=0", name="train").curation == checked("seed=7", name="train").curation


def test_an_experiment_wins_over_the_values_of_its_groups(train_config):
    config = train_config("experiment=demo")
    assert (config.backbone.trainable, config.optim.lr, config.trainer.max_epochs) == ("head", 1e-3, 8)
    assert train_config("experiment=demo", "optim.lr=0.5").optim.lr == 0.5
