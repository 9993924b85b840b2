import functools
import re
from copy import deepcopy
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig

from conftest import REPOSITORY, composed_train
from jimt.config.curating import PrepareConfig
from jimt.config.hydra_schema import to_dataclasses
from jimt.config.search import CrossvalConfig
from jimt.config.training import TrainConfig
from jimt.errors import InputError

DATASETS = sorted(path.stem for path in (REPOSITORY / "conf/dataset").glob("*.yaml"))
BACKBONES = sorted(path.stem for path in (REPOSITORY / "conf/backbone").glob("*.yaml"))


@functools.cache
def _composed(name: str, dataset: str) -> DictConfig:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose(name, overrides=[f"dataset={dataset}", *(["run_dir=run"] if name == "train" else [])])


def checked(*overrides: str, name: str = "prepare", dataset: str = "no_treatment") -> PrepareConfig | TrainConfig:
    """What the dataclasses say to values set on a composed config, without composing it for every one."""
    config = deepcopy(_composed(name, dataset))
    config.merge_with_dotlist(list(overrides))
    return to_dataclasses(config)


# ---- what is in conf/


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


# ---- typos


@pytest.mark.parametrize(
    ("override", "key", "cls"),
    [
        ("curation.patches.strid=56", "strid", "PatchConfig"),
        ("curation.label.n_sigmas=2", "n_sigmas", "LabelConfig"),
        ("dataset.bitdepth=12", "bitdepth", "DatasetConfig"),
        ("curation.split.tset=1", "tset", "SplitConfig"),
        ("curation.empty_filter.kernal=rbf", "kernal", "EmptyFilterConfig"),
        ("optim.learning_rate=0.1", "learning_rate", "OptimConfig"),
        ("trainer.epochs=3", "epochs", "TrainerConfig"),
    ],
)
def test_a_typo_in_a_key_names_the_key(train_config, override, key, cls):
    with pytest.raises(ConfigCompositionException) as caught:
        train_config(override)
    assert f"Key '{key}' not in '{cls}'" in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize("override", ["dataset=mcf_7", "backbone=resnet_18", "trainer=tpu"])
def test_a_choice_that_is_not_there_lists_those_that_are(train_config, override):
    with pytest.raises(Exception, match="Available options") as caught:
        train_config(override)
    group = override.split("=")[0]
    assert f"{override.split('=')[1]}'" in str(caught.value)
    for path in (REPOSITORY / "conf" / group).glob("*.yaml"):
        assert path.stem in str(caught.value)


def test_a_word_where_a_number_belongs_names_the_field(prepare_config):
    with pytest.raises(ConfigCompositionException) as caught:
        prepare_config("curation.patches.stride=half")
    text = f"{caught.value} {caught.value.__cause__}"
    assert "half" in text
    assert "Integer" in text


# ---- values out of range


@pytest.mark.parametrize(
    ("override", "allowed"),
    [
        ("dataset.name=a/b", "letters, digits, dots, _ and -"),
        ("dataset.name=..", "letters, digits, dots, _ and -"),
        ("dataset.layout=triples", "one of pairs, stack, patches"),
        ("dataset.bit_depth=7", "8 to 16"),
        ("dataset.bit_depth=17", "8 to 16"),
        (
            "curation.scaling.method=auto",
            "one of full_range, bit_depth, percentile_image, percentile_dataset",
        ),
        ("curation.scaling.low_percentile=-1.0", "0 to below 50"),
        ("curation.scaling.high_percentile=100.5", "above 50 to 100"),
        ("curation.patches.size=8", "32 or more pixels"),
        ("curation.patches.stride=0", "1 or more pixels"),
        ("curation.patches.max_no_data=1.5", "0 to 1"),
        ("curation.empty_filter.kernel=cosine", "one of linear, rbf"),
        ("curation.empty_filter.regularisation=0.0", "more than 0"),
        ("curation.empty_filter.n_folds=1", "2 or more"),
        ("curation.empty_filter.fit_on=[]", "names of one or more data sets, each once"),
        ("curation.empty_filter.fit_on=[a,b,a]", "names of one or more data sets, each once"),
        ("curation.empty_filter.fit_on=[../a]", "names of one or more data sets, each once"),
        ("curation.label.fit_range=[2.0,1.0]", "null, or two values of which the second is larger"),
        ("curation.label.fit_range=[1.0]", "null, or two values of which the second is larger"),
        ("curation.empty_filter.precision=auto", "one of 32-true, bf16-mixed"),
        ("curation.label.scale=log", "one of raw, background_subtracted, log_background_ratio"),
        ("curation.label.background_percentile=101.0", "0 to 100"),
        ("curation.label.n_sigma=-1.0", "0 or more"),
        ("curation.label.n_sigma=nan", "0 or more"),
        ("curation.label.min_weight=0.5", "0 to below 0.5"),
        ("curation.label.min_patches=1", "2 or more"),
        ("curation.split.val=0.0", "more than 0"),
        ("curation.on_bad_image=ignore", "one of raise, skip"),
        ("curation.n_jobs=0", "-1, or 1 or more"),
        ("optim.lr=0.0", "more than 0"),
        ("optim.betas=[0.5,1.0]", "two numbers from 0 to below 1"),
        ("optim.weight_decay=-0.1", "0 or more"),
        ("optim.batch_size=0", "1 or more"),
        ("trainer.accelerator=tpu", "one of cpu, gpu"),
        ("trainer.precision=8", "one of auto, 32-true, bf16-mixed, 16-mixed"),
        ("trainer.max_epochs=0", "1 or more"),
        ("trainer.num_threads=0", "null, or 1 or more"),
        ("backbone.trainable=some", "one of all, last_stage, head, none"),
        ("optim.accumulate=0", "1 or more"),
        ("optim.schedule=linear", "one of constant, cosine, one_cycle"),
        ("optim.warmup=1.0", "0 to below 1"),
        ("optim.ema_decay=1.0", "0 to below 1"),
        ("optim.label_smoothing=1.0", "0 to below 1"),
        ("probe.c=0.0", "more than 0"),
        ("augmentation.brightness=1.5", "0 to 1"),
        ("augmentation.contrast=-0.1", "0 to 3"),
        ("augmentation.gamma=4.0", "0 to 3"),
        ("augmentation.blur=9.0", "0 to 8"),
        ("probe.tile=5", "null, 8, 16 or 32 pixels"),
        ("trainer.devices=0", "1 or more"),
        ("trainer.num_nodes=0", "1 or more"),
        ("trainer.strategy=fsdp", "one of auto, ddp"),
        ("trainer.patience=0", "null, or 1 or more"),
        ("trainer.num_workers=-1", "0 or more"),
        ("trainer.eval_batch_size=0", "1 or more"),
        ("trainer.progress=bar", "one of lines, rich, none"),
        ("trainer.profiler=nsight", "one of simple, advanced, pytorch"),
        ("logger.n_table_patches=-1", "0 or more"),
        ("curation.executor.backend=ray", "one of local, dask"),
        ("curation.executor.worker_timeout=0.0", "more than 0 seconds"),
        ("evaluation.orientations=2", "1, 4 or 8"),
        ("evaluation.confidence=95.0", "0.5 to below 1"),
        ("seed=-1", "0 to 4294967295"),
    ],
)
def test_a_bad_value_names_field_value_and_range(override, allowed):
    with pytest.raises(InputError) as caught:
        checked(override, name="train")
    field, value = override.split("=")
    assert str(caught.value).startswith(f"{field}=")
    if not value.startswith("["):
        assert str(caught.value).startswith(f"{field}={value} ")
    assert f" is not allowed: it takes {allowed}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_scikit_learn_cannot_take_is_refused_at_the_start(seed):
    with pytest.raises(InputError, match=f"curation.seed={seed} is not allowed"):
        checked(f"curation.seed={seed}")


@pytest.mark.parametrize("betas", ["[0.5]", "[0.5,0.9,0.999]"])
def test_betas_are_two(betas):
    with pytest.raises(InputError, match=r"optim\.betas=.*two numbers"):
        checked(f"optim.betas={betas}", name="train")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["optim.warmup=0.1"], "optim.warmup=0.1 is without effect under optim.schedule=constant"),
        (["trainer.devices=2"], "trainer.devices=2 on trainer.num_nodes=1 are several processes"),
        (["trainer.num_nodes=2"], "trainer.devices=1 on trainer.num_nodes=2 are several processes"),
        (["probe.tile=16"], "probe.tile needs probe.layer"),
        (["probe.layer=layer3"], "probe.layer is without effect where the network is trained"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(overrides, said):
    with pytest.raises(InputError) as caught:
        checked(*overrides, name="train")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", ["live_below", "dead_above"])
def test_fixed_cut_offs_are_given_together(given):
    with pytest.raises(InputError, match="are given together or not at all"):
        checked(f"curation.label.{given}=300")


def test_fixed_cut_offs_do_not_cross():
    with pytest.raises(InputError) as caught:
        checked("curation.label.live_below=400", "curation.label.dead_above=300")
    assert str(caught.value) == (
        "curation.label.live_below=400.0 lies above curation.label.dead_above=300.0, so a patch would be "
        "live and dead: give curation.label.live_below=300.0 curation.label.dead_above=400.0"
    )


@pytest.mark.parametrize(
    ("layout", "names", "missing"),
    [
        ("pairs", ("raw_image_id", "group"), "channel"),
        ("pairs", ("raw_image_id", "channel"), "group"),
        ("stack", ("group",), "raw_image_id"),
        ("patches", ("group",), "raw_image_id"),
    ],
)
def test_a_pattern_that_lacks_a_named_group_shows_how_to_write_it(layout, names, missing):
    pattern = "".join(f"(?P<{name}>.)" for name in names) + "x"
    with pytest.raises(InputError) as caught:
        checked(f"dataset.layout={layout}", f"dataset.pattern='{pattern}'")
    assert str(caught.value) == (
        f"dataset.pattern lacks the named group {missing}: write (?P<{missing.split(', ')[0]}>...) around the part of "
        "the path that tells it"
    )


def test_a_pattern_that_is_no_regular_expression_says_where():
    with pytest.raises(InputError, match=r"dataset.pattern is not a regular expression: missing \)"):
        checked("dataset.pattern='(?P<group>a'")


@pytest.mark.parametrize("layout", ["pairs", "stack"])
def test_raw_images_need_a_pattern(layout):
    with pytest.raises(InputError, match=f"layout {layout} needs one, such as"):
        checked(f"dataset.layout={layout}", "dataset.pattern=null")


def test_the_channels_of_a_stack_differ():
    stack = ["dataset.layout=stack"]
    with pytest.raises(InputError, match="are both 1, and each channel has its own"):
        checked(*stack, "dataset.brightfield_index=1")
    with pytest.raises(InputError, match=r"dataset.fluorescence_index=-1 is not allowed: it takes 0 or more"):
        checked(*stack, "dataset.fluorescence_index=-1")


def test_the_channels_of_a_pair_differ():
    with pytest.raises(InputError, match=r"dataset.brightfield and dataset.fluorescence are both PI"):
        checked("dataset.brightfield=PI")


# ---- a user's own data set


def compose_with(folder: Path, *overrides: str) -> PrepareConfig:
    """``python prepare.py --config-dir FOLDER OVERRIDES``: Hydra searches the folder besides ``conf/``."""
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        search = f"hydra.searchpath=[file://{folder}]"
        config = to_dataclasses(compose("prepare", overrides=[search, *overrides]))
    assert isinstance(config, PrepareConfig)
    return config


OWN = """
# @package _global_
defaults:
  - layout/{layout}
  - _self_

dataset:
  name: mine
  root: /raw/mine
  pattern: {pattern}
curation:
  label:
    scale: background_subtracted
"""


@pytest.mark.parametrize(
    ("layout", "pattern"),
    [
        ("pairs", r"^(?P<group>w\d+)/(?P<raw_image_id>\w+)_(?P<channel>brightfield|fluorescence)\.tif$"),
        ("stack", r"^(?P<group>w\d+)/(?P<raw_image_id>\w+)\.tif$"),
        ("patches", "null"),
    ],
)
def test_a_new_data_set_is_one_yaml_in_the_user_s_own_folder(tmp_path, layout, pattern):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/mine.yaml").write_text(OWN.format(layout=layout, pattern=pattern))
    config = compose_with(tmp_path, "dataset=mine")
    assert (config.dataset.name, config.dataset.layout, config.dataset.root) == ("mine", layout, "/raw/mine")
    assert config.dataset.pattern == (None if pattern == "null" else pattern)
    assert config.dataset.bit_depth == 16
    assert config.curation.label.scale == "background_subtracted"
    assert config.curation.label.fit_on == "mine"
    assert config.curation.patches.size == 224


def test_a_new_data_set_can_build_on_one_of_ours(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/taxol.yaml").write_text(
        "# @package _global_\ndefaults: [no_treatment, _self_]\ndataset: {name: taxol, root: /raw/taxol}\n"
        "curation: {label: {fit_on: no_treatment}}\n"
    )
    config = compose_with(tmp_path, "dataset=taxol", "curation.patches.stride=56")
    assert (config.dataset.bit_depth, config.dataset.brightfield) == (12, "Trans")
    assert re.match(str(config.dataset.pattern), "--W00001--P00001--Z00000--T00000--PI.tif")
    assert (config.curation.label.fit_on, config.curation.patches.stride) == ("no_treatment", 56)


def test_a_typo_in_the_user_s_own_yaml_names_the_key(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/mine.yaml").write_text(OWN.format(layout="patches", pattern="null") + "    sigma: 2\n")
    with pytest.raises(Exception, match="sigma") as caught:
        compose_with(tmp_path, "dataset=mine")
    assert "Key 'sigma' not in 'LabelConfig'" in f"{caught.value} {caught.value.__cause__}"


def test_a_data_set_without_a_name_says_what_has_no_value(tmp_path):
    (tmp_path / "dataset").mkdir()
    text = OWN.format(layout="patches", pattern="null").replace("  name: mine\n", "")
    (tmp_path / "dataset/mine.yaml").write_text(text)
    with pytest.raises(InputError, match=r"^dataset\.name has no value: set it in the data set's YAML"):
        compose_with(tmp_path, "dataset=mine", "curation.label.fit_on=mine")
