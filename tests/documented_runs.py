"""How each command of the documentation is tried, as it is printed, and why some are not run to their end.

A command without an entry here makes ``test_documents.py`` fail. No placeholder is replaced: these tests have a folder
with a data set called NAME, runs called RUN, RUN_1, RUN_2, RUN_A and RUN_B, and a folder called FOLDER.
"""

from documented_kinds import MCF7, OF_SPEED, OF_STAIN, TRANSFERS, Ask, Compose, Read, Run, help_of, of_grid
from jimt.__main__ import COMMANDS

# appended: a network of 0.5 M parameters, one epoch, one thread, so that a training takes a second
ONE_EPOCH = (
    "backbone.weights=random",
    "trainer.max_epochs=1",
    "trainer.num_threads=1",
    "trainer.precision=32-true",
    "optim.batch_size=16",
)
TESTS = "python -m pytest -n 2 --dist loadfile --no-loadscope-reorder"
TINY = (*ONE_EPOCH, "backbone.name=test_resnet.r160_in1k", "report=false")
STAIN = (*TINY, "stain.crop=64", "stain.crops=32", "stain.channels=32", "stain.reduction=1")
OUR_LAB = (
    "dataset.root=raw",
    "curation.patches.size=64",
    "curation.patches.stride=32",
    "curation.n_jobs=1",
    "curation.empty_filter.enabled=false",
)
SMALL_SYNTHETIC = (
    "dataset.simulation.n_wells=6",
    "dataset.simulation.fields_per_well=1",
    "dataset.simulation.height=320",
    "dataset.simulation.width=320",
    "curation.patches.size=64",
    "curation.patches.stride=64",
    "curation.n_jobs=1",
    "trainer.num_threads=1",
    "trainer.precision=32-true",
    "backbone.weights=random",
    "crossval.n_folds=3",
)
FILTERED = (
    "dataset.empty_word=bare",
    "dataset.not_empty_word=cells",
    "curation.empty_filter.enabled=true",
    "curation.empty_filter.backbone=test_resnet.r160_in1k",
    "curation.empty_filter.weights=random",
)
CUT_OFF = "runs/NAME/resnet18/2026-11-23_10-00-00"
"""Where the tests train the run that is resumed, which is RUN and RUN_A too."""
TOGETHER: dict[str, tuple[str, ...]] = {
    "dataset.group=[plate]": ("dataset.pattern='{plate}/{well}_{channel}.tif'",),
    "dataset.conditions.condition=[drug,dose]": (
        "dataset.pattern='{drug}/{dose}/{well}_{channel}.tif'",
        "dataset.conditions.control=none/0",
    ),
    "dataset.conditions.day=time": (
        "dataset.pattern='{condition}/{time}/{well}_{channel}.tif'",
        "dataset.conditions.control=untreated",
    ),
    "dataset.conditions.well=[well]": (
        "dataset.pattern='{condition}/{well}_{channel}.tif'",
        "dataset.conditions.control=untreated",
    ),
    "dataset.bit_shift=4": ("dataset.bit_depth=12",),
    "dataset.nuclei_index=2": ("dataset.layout=stack",),
    "dataset.live_stain_index=3": ("dataset.layout=stack",),
    "probe=pooled": ("method=linear_probe",),
    "probe=tiles": ("method=linear_probe",),
    "stain.crop=null stain.positive_crops=0": ("task=stain",),
    "stain.decoder=fpn": ("task=stain",),
    "stain.decoder=unet": ("task=stain",),
    "trainer.compile=reduce-overhead": ("trainer=gpu",),
    "stain.nuclei_of=cells": ("task=stain", "stain.nuclei=1"),
}
"""What an override of a sentence needs beside it."""
PAPER = "the paper's images are not part of the repository"


RUNS: dict[str, Run | Compose | Ask | Read] = {
    # ---- installation
    "make venv": Ask(("python3 -m venv .venv",), "an installation takes minutes and a package registry"),
    "make venv CONSTRAINTS=constraints/titan-xp.txt": Ask(
        ("python -m pip install --quiet --disable-pip-version-check -c constraints/titan-xp.txt -e .[dev]",),
        "an installation takes minutes and a package registry",
    ),
    "pip install bioimageio.core onnxruntime 'pydantic<2.14'": Ask(
        ("pip install bioimageio.core onnxruntime pydantic<2.14",), "test_zoo.py tests a package where they are"
    ),
    "pip install -e '.[export]'": Ask(("pip install -e .[export]",), "likewise"),
    "pip install -e '.[cluster]'": Ask(("pip install -e .[cluster]",), "likewise"),
    "pip install jupyterlab": Ask(("pip install jupyterlab",), "likewise"),
    "make demo": Ask(
        ("python train.py experiment=demo", "python train.py experiment=demo_stain"),
        "02_results.ipynb runs experiment=demo in the slow tests; test_stain.py trains task=stain",
    ),
    "make test": Ask(("python -m pytest -n 2 --dist loadfile --no-loadscope-reorder",), "tests do not start all tests"),
    "make test-slow": Ask(
        ("python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow",), "tests do not start all tests"
    ),
    "python -m pytest tests/curation": Ask(("python -m pytest tests/curation",), "tests do not start tests"),
    "make test-zoo": Ask(
        ("python -m pip install --quiet --disable-pip-version-check -r constraints/zoo.txt",),
        ".ci/run makes the environment, and all tests use it",
    ),
    **{
        f"make bench{kind}": Ask((f"python benchmarks/speed.py {flags}",), "minutes of an idle machine")
        for kind, flags in {"": "--write", "-quick": "--quick", "-long": "--long --repeats 3 --write"}.items()
    },
    "make lint": Ask(("python -m ruff check .", "python -m mypy"), "tests do not start the linters"),
    # ---- curation
    "jimt prepare dataset=NAME": Run(leaves="data/curated/NAME/manifest.parquet"),
    "python prepare.py dataset=NAME": Run(leaves="data/curated/NAME/manifest.parquet"),
    "jimt prepare dataset=NAME dry_run=true": Run(says="12 raw images in 12 groups"),
    "python prepare.py dataset=NAME dry_run=true": Run(says="12 raw images in 12 groups"),
    "jimt prepare dataset=synthetic": Compose(("synthetic",), "a minute; test_synthetic.py simulates smaller fields"),
    "jimt prepare dataset=synthetic_plate": Compose(
        ("synthetic_plate",), "a minute; test_simulated_data_set.py simulates smaller wells"
    ),
    "jimt prepare dataset=NAME hand_labels_only=true": Run(
        ("dataset.empty_labels=hand.csv", *FILTERED),
        leaves="data/curated/NAME.hand_labels.npz",
    ),
    "jimt prepare dataset=NAME dataset.conditions.control=untreated dataset.conditions.table=wells.csv": Run(
        ("curation.output_root=data/of_conditions",), says="PI-positive area, % of the field"
    ),
    "jimt prepare --config-dir mine dataset=our_lab": Run(OUR_LAB, leaves="data/curated/our_lab/manifest.parquet"),
    "JIMT_DATA=FOLDER jimt prepare dataset=mcf7": Compose(("mcf7",), MCF7),
    "jimt prepare dataset=NAME executor=dask curation.executor.scheduler=tcp://HOST:8786": Compose(
        ("NAME",), "no machine is called HOST; test_cluster.py curates on a cluster of this machine"
    ),
    "dask scheduler": Read("it runs until it is ended; test_cluster.py has a cluster of its own"),
    "dask worker tcp://HOST:8786 --nworkers 8 --nthreads 1": Read("no machine is called HOST"),
    # ---- training
    "jimt train backbone=resnet18 dataset=NAME": Run(
        (*TINY, "hydra.run.dir=runs/first"), leaves="runs/first/test_metrics.json"
    ),
    "jimt train experiment=demo": Compose(
        ("synthetic tf_efficientnet_lite0",), "minutes; 02_results.ipynb runs experiment=demo in the slow tests"
    ),
    "jimt train experiment=demo_stain": Compose(
        ("synthetic tf_efficientnet_lite0",), "minutes; test_stain.py trains task=stain"
    ),
    "jimt train task=stain dataset=NAME": Run(STAIN, says="predicted stain against the true one"),
    "jimt train task=stain stain=nuclei dataset=NAME": Compose(
        ("NAME resnet18.tv_in1k",), "the tests' data set has no counted cells; test_stain.py trains on some"
    ),
    "jimt crossval task=stain dataset=NAME": Run(
        (*STAIN, "crossval.n_folds=2"), says="predicted stain against the true one", slow=True
    ),
    "jimt train dataset=NAME method=linear_probe": Run(
        ("backbone.weights=random", "trainer.precision=32-true", "report=false", "hydra.run.dir=runs/probe"),
        leaves="runs/probe/test_metrics.json",
    ),
    "jimt crossval dataset=NAME method=linear_probe backbone=efficientnet_lite0": Run(
        ("trainer.precision=32-true", "report=false", "crossval.n_folds=3"), says="3 folds of NAME"
    ),
    "jimt train -m dataset=NAME optim.lr=1e-5,1e-4": Compose(
        ("NAME resnet18.tv_in1k",) * 2, "test_sweep.py runs sweeps of small networks"
    ),
    **{
        f"{program} backbone=inception_v3 dataset=doxo": Compose(("doxo inception_v3.tv_in1k",), PAPER)
        for program in ("jimt train", "python train.py")
    },
    "jimt train backbone.name=convnext_atto dataset=NAME": Run(
        (*ONE_EPOCH, "report=false"), says="training convnext_atto"
    ),
    "jimt train dataset=NAME backbone.trainable=last_stage": Run(TINY, says="(last_stage, "),
    "jimt train dataset=NAME optim.schedule=cosine optim.warmup=0.1 optim.accumulate=2 optim.ema_decay=0.999": Run(
        TINY, says="epoch   1/1"
    ),
    "jimt train dataset=NAME trainer.patience=5 trainer.progress=rich trainer.profiler=simple": Run(
        (*TINY, "hydra.run.dir=runs/profiled"), leaves="runs/profiled/fit-profile.txt"
    ),
    "jimt train dataset=NAME '+trainer.callbacks.Timer={duration:{hours:8}}'": Run(
        (*TINY, "hydra.run.dir=runs/watched"), leaves="runs/watched/test_metrics.json"
    ),
    "jimt train resume=runs/NAME/resnet18/2026-11-23_10-00-00": Run(("trainer.max_epochs=2",), says="after epoch 1"),
    "srun jimt train trainer=ddp trainer.num_nodes=2 optim.batch_size=4 hydra.run.dir=runs/NAME": Compose(
        ("synthetic resnet18.tv_in1k",), "it takes two nodes with two cards; test_ddp.py trains in two processes"
    ),
    # ---- evaluation
    "jimt evaluate RUN": Run(says="balanced accuracy"),
    "jimt crossval dataset=NAME backbone=resnet18": Run(
        (*TINY, "crossval.n_folds=3", "crossval.folds=[0]", "hydra.run.dir=runs/folds"),
        leaves="runs/folds/crossval.json",
    ),
    "jimt crossval experiment=demo crossval.n_folds=5 hydra.run.dir=runs/crossval/demo": Compose(
        ("synthetic tf_efficientnet_lite0",), "minutes; test_crossval.py trains small networks in folds"
    ),
    "jimt crossval dataset=NAME method=linear_probe "
    "\"+crossval.choose.among={weak:['probe.c=1e-4'],strong:['probe.c=1']}\"": Run(
        (
            "backbone.weights=random",
            "trainer.precision=32-true",
            "report=false",
            "crossval.n_folds=3",
            "crossval.folds=[0]",
            "backbone.name=test_resnet.r160_in1k",
            "hydra.run.dir=runs/choosing",
        ),
        says="fold 0 chose ",
    ),
    **OF_STAIN,
    "jimt prepare dataset=synthetic_doses": Compose(("synthetic_doses",), "a minute; test_plate.py simulates less"),
    "jimt predict RUN 'IMAGES/*/*_BF.tif' --out fields": Run(leaves="fields/index.html"),
    "jimt predict RUN IMAGES --pattern '{plate}/{well}_s{field}_{channel}.tif' --channel BF --out by_well": Run(
        leaves="by_well/plate_P1.png"
    ),
    "jimt predict RUN IMAGES --pattern '{plate}/{well}_s{field}_{channel}.tif' --channel BF --check PI "
    "--out checked": Run(says="Held against PI: "),
    "jimt predict RUN IMAGES --pattern '{plate}/{well}_s{field}_{channel}.tif' --channel BF --out by_well "
    "--dask tcp://HOST:8786": Run(
        ("--help",), says="--dask", why="no machine is called HOST; test_spreading.py has a cluster of its own"
    ),
    "jimt predict RUN TIMES --pattern '{plate}/{well}_s{field}_{time}.tif' --onset 0.5 --out over_time": Run(
        says="Onset, the first time with a dead share of 0.5"
    ),
    "jimt predict runs/demo_stain data/synthetic_doses --dataset synthetic_doses --check PI --out predicted": Run(
        says="Held against PI: "
    ),
    "jimt predict RUN IMAGES --pattern '{plate}/{well}_s{field}_{channel}.tif' --channel BF --doses doses.csv "
    "--out by_dose": Run(leaves="by_dose/doses.csv"),
    "jimt predict runs/demo_stain data/synthetic_doses --dataset synthetic_doses --doses "
    "data/synthetic_doses/well_truth.csv --out dosed": Run(says="no curve: "),
    "jimt export RUN --format onnx": Run(leaves="RUN/exported/onnx/model.onnx", slow=True),
    "jimt export RUN --format zoo --author 'A. Name' --licence CC-BY-4.0 --data-licence 'CC-BY-4.0'": Run(
        leaves="RUN/exported/zoo/package.zip", slow=True
    ),
    "jimt export --dataset NAME --format imagefolder": Run(leaves="data/exported/NAME/patches.csv"),
    **{
        f"jimt annotate NAME{options}": Run(
            ("--help",), says="--annotator", why="it runs until it is ended; tests/annotation labels in a browser"
        )
        for options in (
            "",
            " --annotator anna",
            " --annotator ben",
            " --mode audit --annotator anna",
            " --mode cells --annotator anna",
            " --mode cells --annotator ben --run RUN",
        )
    },
    "jimt annotate NAME --compare annotations/NAME/empty_anna.csv annotations/NAME/empty_ben.csv": Run(
        leaves="annotations/NAME/disagreements.csv"
    ),
    "jimt annotate NAME --compare annotations/NAME/audit_anna.csv --run RUN": Run(says="RUN: live"),
    "jimt prepare dataset=NAME dataset.empty_labels=null": Run(leaves="data/curated/NAME/manifest.parquet"),
    "jimt prepare dataset=NAME dataset.empty_labels=annotations/NAME/empty_anna.csv": Run(
        (*FILTERED, "curation.empty_filter.fit_on=[NAME]", "curation.output_root=data/filtered"),
        says="0 with too much no-data",
    ),
    "jimt prepare dataset=NAME dataset.cells=annotations/NAME/cells_anna.csv dataset.cells_on=brightfield": Run(
        ("curation.output_root=data/of_cells",), says="labels against counted cells"
    ),
    "jimt adapt RUN 'IMAGES/P1/A0[12]_*' --pattern '{plate}/{well}_s{field}_{channel}.tif' --channel BF --check PI "
    "--out adapted": Run(leaves="adapted/MODEL_CARD.md"),
    "jimt learning-curve dataset=NAME method=linear_probe": Run(
        (
            "backbone.weights=random",
            "trainer.precision=32-true",
            "report=false",
            "crossval.n_folds=3",
            "learning.groups=[2]",
            "backbone.name=test_resnet.r160_in1k",
            "hydra.run.dir=runs/learning",
        ),
        leaves="runs/learning/learning_curve.csv",
        slow=True,
    ),
    "jimt learning-curve experiment=frozen_tiles curation.empty_filter.enabled=false hydra.run.dir=runs/tiles": Compose(
        ("mcf7 resnet18.tv_in1k",), MCF7
    ),
    **{
        f"jimt adaptation-curve {words}": Run(
            ("--help",), says="--stained", why=f"{MCF7}; test_adaptation_curve.py makes curves"
        )
        for words in ("CROSSVAL", "runs/tiles", "runs/tiles --what last-layer")
    },
    "jimt compare RUN_1 RUN_2": Run(says="+0.000"),
    **TRANSFERS,
    "jimt label-sensitivity RUN": Run(leaves="RUN/label_sensitivity.md"),
    "jimt report RUN": Run(("--max-shown", "4", "--max-mapped", "2"), leaves="RUN/report.html", slow=True),
    # ---- many trainings
    "jimt train -m experiment=paper_grid": Compose(of_grid("no_treatment", "doxo"), PAPER),
    **{
        f"{program} -m experiment=paper_grid trainer=gpu hydra/launcher=gpus": Compose(
            of_grid("no_treatment", "doxo"), PAPER
        )
        for program in ("jimt train", "python train.py")
    },
    **{
        f"{program} -m experiment=paper_grid trainer=gpu hydra/launcher=slurm hydra.launcher.partition=NAME": Compose(
            of_grid("no_treatment", "doxo"), "it takes SLURM; test_sweep.py queues jobs by submitit on this machine"
        )
        for program in ("jimt train", "python train.py")
    },
    "python train.py -m experiment=paper_grid dataset=synthetic,synthetic_treated": Compose(
        of_grid("synthetic", "synthetic_treated"), "a day without a graphics card"
    ),
    "jimt train -m experiment=paper_grid dataset=synthetic,synthetic_treated backbone.weights=random "
    "dataset.simulation.fields_per_well=1 curation.empty_filter.enabled=false trainer.max_epochs=1 "
    "optim.batch_size=16": Compose(
        of_grid("synthetic", "synthetic_treated"), "79 s; test_sweep.py runs sweeps of small networks"
    ),
    "jimt sweep runs/paper_grid": Run(leaves="runs/paper_grid/table.md"),
    "jimt sweep DIR": Run(leaves="DIR/table.md"),
    "jimt tune dataset=NAME backbone=resnet18 tune.n_trials=20": Run(
        (
            *(each for each in TINY if each != "report=false"),
            "tune.n_trials=2",
            "hydra.run.dir=runs/search",
        ),
        leaves="runs/search/best.yaml",
    ),
    "wandb login": Read("it asks for a key and a server; test_tracking.py has a server of its own"),
    "wandb sync FOLDER": Read("it takes a server"),
    "tensorboard --logdir runs": Read("it runs until it is ended"),
    # ---- what was measured
    "jimt prepare dataset=mcf7 curation.empty_filter.enabled=false curation.label.scale=log_background_ratio": Compose(
        ("mcf7",), MCF7
    ),
    "jimt prepare dataset=mcf7 curation.empty_filter.enabled=false dataset.nuclei=hoechst "
    "curation.label.scale=nuclei": Compose(("mcf7",), MCF7),
    **{
        f"jimt train dataset=synthetic backbone={backbone} backbone.trainable=head optim.lr=1e-3 "
        "optim.batch_size=32 trainer.max_epochs=3": Compose(
            (f"synthetic {network}",), "ImageNet weights take a model hub or a file"
        )
        for backbone, network in (("squeezenet", "squeezenet1_1.tv_in1k"), ("resnet18", "resnet18.tv_in1k"))
    },
    "jimt crossval experiment=frozen_tiles": Compose(("mcf7 resnet18.tv_in1k",), MCF7),
    "jimt crossval experiment=frozen_tiles curation.empty_filter.enabled=false": Compose(
        ("mcf7 resnet18.tv_in1k",), MCF7
    ),
    "jimt crossval dataset=mcf7 curation.empty_filter.enabled=false method=linear_probe backbone=NAME": Compose(
        ("mcf7 NAME",), MCF7
    ),
    **{
        "jimt crossval dataset=mcf7 curation.empty_filter.enabled=false curation.label.scale=log_background_ratio "
        "curation.label.tolerance=1e-3 crossval.folds=[0] trainer.num_threads=1 trainer.precision=32-true "
        f"hydra.run.dir=runs/{recipe}": Compose(
            ("mcf7 resnet18.tv_in1k",), f"{MCF7}; test_crossval.py runs some folds alone"
        )
        for recipe in ("paper", "one_cycle experiment=one_cycle")
    },
    "jimt compare runs/paper runs/one_cycle": Run(says="+0.000"),
    "python benchmarks/curation.py --rounds 1": Run(
        ("--images", "4", "--size", "560", "672", "--warming", "0"), says="median:", slow=True
    ),
    **OF_SPEED,
    "python benchmarks/coverage.py": Run(("--data-sets", "2"), says="80 groups, ICC 0.3", slow=True),
    "python benchmarks/coverage.py --scores scores.csv": Run(("--data-sets", "2"), says="80 drawn of 3", slow=True),
    "python benchmarks/coverage.py --data-sets 500 --jobs 2": Run(
        ("--data-sets", "2"), says="80 groups, ICC 0.3", slow=True
    ),
    "python benchmarks/time_series.py": Run(
        ("--fields", "1", "--wells", "20"), says="5 positions: the interval of the onset holds", slow=True
    ),
    "python benchmarks/dose_response.py": Run(("--plates", "1"), says="added at the edge", slow=True),
    "python benchmarks/dose_response.py --plates 1000": Run(("--plates", "1"), says="added at the edge", slow=True),
    "python benchmarks/channel_shift.py FOLDER": Run(("--help",), says="holds brightfield/", why=MCF7),
    "python benchmarks/prediction.py RUN IMAGES": Run(("--rounds", "1"), says="scores differ by 0.000"),
    "python benchmarks/empty_filter.py": Run(("--help",), says="hand labels of", why=MCF7),
    "python benchmarks/annotate.py NAME": Run(
        ("--help",), says="--labels", why="a minute in a browser, which tests/annotation open"
    ),
    "python benchmarks/cell_area.py": Run(("--help",), says="of jimt prepare", why=MCF7),
    "python benchmarks/nuclei.py": Run(
        ("--help",), says="--data", why="minutes on the fields of mcf7, which are not part of the repository"
    ),
    "python benchmarks/nested_selection.py": Run(
        ("dataset=NAME", "backbone.weights=random", "--layers", "layer4.0"),
        says="chosen on inner folds",
        slow=True,
    ),
    **{
        f"python benchmarks/unfamiliar.py{how}": Run(("--help",), says="--each", why=MCF7)
        for how in ("", " --each 1 evaluation.orientations=1")
    },
    "python benchmarks/yardstick.py": Run(
        ("dataset=synthetic", *SMALL_SYNTHETIC, "--models", "frozen ResNet-18"),
        says="chosen by the other experiments",
        slow=True,
    ),
    "python benchmarks/picture.py runs/demo": Run(leaves="scored_field.png", slow=True),
    "python benchmarks/simulator.py": Run(
        ("dataset.simulation.height=336", "dataset.simulation.width=448", "--wells", "5", "--difficulties", "0"),
        says="AUC",
        slow=True,
    ),
    "python benchmarks/report.py": Run(
        ("--help",), says="--max-mapped", why="minutes even of 72 patches; test_report.py writes reports"
    ),
    # ---- named without arguments
    "jimt --help": Run(says="label-sensitivity"),
    "python -m jimt": Run(says="usage: jimt COMMAND"),
    "python train.py": Run(("--help",), says="experiment"),
    "python prepare.py": Run(("--help",), says="dataset"),
    **{f"jimt {name}": help_of(name) for name in COMMANDS},
}
