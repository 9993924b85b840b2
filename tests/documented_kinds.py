"""In which ways a printed command is tried."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """It runs to its end, with arguments appended; then a file is there, or words stand on the screen."""

    appended: tuple[str, ...] = ()
    leaves: str | None = None
    says: str | None = None
    slow: bool = False
    why: str = ""
    """Of a command that is asked for its help alone."""


@dataclass(frozen=True)
class Compose:
    """It is read to the checked config of each of its jobs, data set and network, and goes no further."""

    jobs: tuple[str, ...]
    why: str
    appended: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ask:
    """Stand-ins note what it starts: nothing is installed, and tests do not start tests."""

    started: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Read:
    """The program that it starts reads its arguments and goes no further."""

    why: str


def of_grid(*datasets: str) -> tuple[str, ...]:
    """The jobs of ``experiment=paper_grid``."""
    networks = ("resnet18.tv_in1k", "squeezenet1_1.tv_in1k", "inception_v3.tv_in1k")
    return tuple(f"{dataset} {network}" for dataset in datasets for network in networks)


def help_of(name: str) -> Run:
    """Where a command is named without its arguments."""
    return Run(("--help",), says=name)


MCF7 = "mcf7 is not part of the repository"
_WHOLE = "curation.align=true curation.empty_filter.enabled=false choose=stain trainer.max_epochs=10"
_NESTED = f"dataset=mcf7 {_WHOLE}"
_OF_HOECHST = f"dataset=mcf7 dataset.nuclei=hoechst {_WHOLE}"
"""A nested cross-validation of ``task=stain`` on the real fields, without and with their stain of all nuclei."""
_LARGE = (
    "task=stain stain=nuclei backbone=resnet18 dataset=synthetic augmentation=intensity trainer.max_epochs=16 "
    "dataset.name=synthetic_large dataset.root=data/synthetic_large dataset.simulation.n_wells=24 "
    "dataset.simulation.fields_per_well=8 curation.empty_filter.enabled=false"
)
"""A training on more simulated fields than the data set has."""
_EASY = (
    "task=stain stain=nuclei backbone=resnet18 dataset=synthetic augmentation=intensity trainer.max_epochs=8 "
    "dataset.name=easy dataset.root=data/easy dataset.simulation.n_wells=24 dataset.simulation.fields_per_well=2 "
    "dataset.simulation.difficulty=0.2 curation.empty_filter.enabled=false"
)
"""A training on cells that look as alive or dead as they are."""
OF_STAIN: dict[str, Run | Compose] = {
    "jimt crossval task=stain dataset=mcf7 curation.align=true curation.empty_filter.enabled=false": Compose(
        ("mcf7 resnet18.tv_in1k",), MCF7
    ),
    "jimt crossval task=stain dataset=mcf7 curation.align=true curation.empty_filter.enabled=false "
    "crossval.leave=group stain.reduction=1 stain.crop=160 trainer.max_epochs=10": Compose(
        ("mcf7 resnet18.tv_in1k",), MCF7
    ),
    "jimt crossval task=stain dataset=mcf7 choose=stain": Compose(("mcf7 resnet18.tv_in1k",), MCF7),
    f"jimt crossval task=stain {_NESTED}": Compose(("mcf7 resnet18.tv_in1k",), MCF7),
    f"jimt crossval task=stain stain=nuclei {_NESTED}": Compose(("mcf7 resnet18.tv_in1k",), MCF7),
    f"jimt crossval task=stain stain=nuclei stain.nuclei_of=nuclei {_OF_HOECHST}": Compose(
        ("mcf7 resnet18.tv_in1k",), MCF7
    ),
    "jimt train task=stain stain=nuclei backbone=resnet18 dataset=synthetic augmentation=intensity "
    "trainer.max_epochs=8": Compose(("synthetic resnet18.tv_in1k",), "minutes; test_stain.py trains task=stain"),
    f"jimt train {_LARGE}": Compose(("synthetic_large resnet18.tv_in1k",), "minutes; test_stain.py trains task=stain"),
    f"jimt train {_EASY}": Compose(("easy resnet18.tv_in1k",), "minutes; test_stain.py trains task=stain"),
}
_CONDITIONS = "curation.empty_filter.enabled=false hydra.run.dir=runs/"
_PROBE = "method=linear_probe backbone=efficientnet_lite0 curation.empty_filter.enabled=false"
TRANSFERS: dict[str, Run | Compose] = {
    "jimt transfer RUN_A RUN_B": Run(says="bal. accuracy"),
    "jimt transfer RUN_A RUN_B --out DIR": Run(leaves="DIR/transfer.md"),
    "jimt transfer RUN_A RUN_B --whole": Run(leaves="transfer.md"),
    **{
        f"jimt transfer {words} --whole": Run(("--help",), says="--no-matching", why="test_transfer_bridges.py does it")
        for words in ("runs/synthetic runs/camera", "runs/dated runs/named")
    },
    **{
        f"jimt train dataset={name} {_PROBE} hydra.run.dir=runs/{run}": Compose(
            (f"{name} tf_efficientnet_lite0",), "two minutes; test_transfer_bridges.py trains on two microscopes"
        )
        for name, run in (("synthetic", "synthetic"), ("synthetic_camera", "camera"))
    },
    "jimt prepare dataset=mcf7 curation.empty_filter.enabled=false": Compose(("mcf7",), MCF7),
    **{
        f"jimt train experiment=frozen_tiles dataset=mcf7_{name} {_CONDITIONS}{name}": Compose(
            (f"mcf7_{name} resnet18.tv_in1k",), MCF7
        )
        for name in ("dated", "named")
    },
}
"""From one data set to another."""
OF_SPEED: dict[str, Run] = {
    "python benchmarks/speed.py": Run(("--quick", "--rows", "11"), says="scikit-learn in a loop", slow=True),
    "python benchmarks/mixture.py": Run(says="live below 259.0, dead above 397.2"),
    "python benchmarks/looks.py": Run(
        ("--wells", "20", "--difficulties", "0"), says="100 % of 20 wells within 0.05", slow=True
    ),
    "python benchmarks/gpu.py": Run(
        ("--accelerator", "cpu", "--repeats", "1", "--rows"), says="Bare training steps", slow=True
    ),
    "python benchmarks/training_memory.py": Run(says="| Inception-v3 | 32-true | 332 | 48 |", slow=True),
    "python benchmarks/campaign.py RUN": Run(
        ("--fields", "9", "18", "--patches", "2"), says="bytes of the page a field", slow=True
    ),
}
"""How long things take."""
