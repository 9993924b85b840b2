"""Names and values that no setting takes: each is refused, and the field, the value and its range are named."""

import pytest
from hydra.errors import ConfigCompositionException

from checked_settings import checked
from conftest import REPOSITORY
from jimt.errors import InputError

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
        ("dataset.name=a/b", "a name of at most 200 letters, digits, dots, _ and -"),
        ("dataset.name=..", "a name of at most 200 letters, digits, dots, _ and -"),
        (f"dataset.name={'n' * 201}", "a name of at most 200 letters, digits, dots, _ and -"),
        (f"dataset.root=a/{'n' * 256}/b", "folders whose names have at most 255 bytes"),
        (f"curation.output_root=a/{'ü' * 128}/b", "folders whose names have at most 255 bytes"),
        ("dataset.pixel_size=0.0", "micrometres, 0.02 to 20"),
        ("dataset.pixel_size=300.0", "micrometres, 0.02 to 20"),
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
        ("backbone.trainable=some", "one of all, last_stage, head"),
        ("optim.accumulate=0", "1 or more"),
        ("optim.schedule=linear", "one of constant, cosine, one_cycle"),
        ("optim.warmup=1.0", "0 to below 1"),
        ("optim.ema_decay=1.0", "0 to below 1"),
        ("optim.label_smoothing=1.0", "0 to below 1"),
        ("augmentation.brightness=1.5", "0 to 1"),
        ("augmentation.contrast=-0.1", "0 to 3"),
        ("augmentation.gamma=4.0", "0 to 3"),
        ("augmentation.blur=9.0", "0 to 8"),
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


@pytest.mark.parametrize(
    ("override", "allowed"),
    [
        ("n_wells=0", "1 to 99999"),
        ("fields_per_well=100000", "1 to 99999"),
        ("height=31", "32 to 8192"),
        ("width=9000", "32 to 8192"),
        ("dead_fraction=1.01", "0 to 1"),
        ("dead_fraction=nan", "0 to 1"),
        ("difficulty=-0.1", "0 to 1"),
        ("seed=-1", "0 to 4294967295"),
        ("patch_size=8", "32 to 8192"),
        ("patch_size=4096", "32 to [0-9]{3}, as its fields"),
        ("stride=0", "1 to 8192"),
    ],
)
def test_a_number_of_the_simulation_out_of_range_is_named(override, allowed):
    setting = f"dataset.simulation.{override}"
    with pytest.raises(InputError, match=rf"^{setting} is not allowed: it takes {allowed}$"):
        checked(setting, dataset="synthetic")


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
        (["trainer.max_epochs=null"], "trainer.max_epochs=null is not allowed under method=finetune"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(overrides, said):
    with pytest.raises(InputError) as caught:
        checked(*overrides, name="train")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["method=linear_probe", "probe.tile=16"], "probe.tile needs probe.layer"),
        (["method=linear_probe", "probe.tile=5"], "probe.tile=5 is not allowed: it takes null, 8, 16 or 32 pixels"),
        (["method=linear_probe", "probe.c=0.0"], "probe.c=0.0 is not allowed: it takes more than 0"),
        (["method=linear_probe", "trainer.max_epochs=3"], "trainer.max_epochs is without effect under method=linear"),
        (["method=linear_probe", "backbone.trainable=head"], "backbone.trainable is without effect under method=lin"),
        (["method=linear_probe", "trainer=ddp"], "a linear probe is fitted by one process"),
    ],
)
def test_settings_without_effect_on_a_linear_probe_are_refused(train_config, overrides, said):
    with pytest.raises(InputError) as caught:
        train_config(*overrides)
    assert str(caught.value).startswith(said)


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
