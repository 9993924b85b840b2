"""Rows of what a person waits for at a start, and of memory that must not grow with the number of images."""

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from speed_measuring import Ended, Row, Suite, in_turn, median_of, process, ratios_of, simulated, trained
from speed_prediction import fields_to_predict


def start_rows(suite: Suite) -> list[Row]:
    """Row 9: whole commands against the import of their libraries."""
    run = trained(suite, "model_fine_tuned_patches", "backbone=resnet18")
    data = simulated(suite, "few", wells=8, fields=1, height=448, width=448)

    def of(words: Sequence[str]) -> float:
        return process(words, threads=suite.threads).seconds

    step = ["train.py", *data, "backbone=resnet18", "backbone.weights=random", "trainer.fast_dev_run=true"]
    step.append(f"hydra.run.dir={suite.folder / 'first_step'}")
    libraries = ["-c", "import torch, pytorch_lightning, timm"]
    of(libraries)  # to read their files from the disk once; whole commands need no other turn to warm up
    imported, helped, stepped, one, reported = in_turn(
        suite.repeats_of_processes,
        lambda: of(libraries),
        lambda: of(["-m", "jimt", "--help"]),
        lambda: of(step),
        lambda: predicted(suite, run, 1, "one_answer").seconds,
        lambda: reported(suite, run).seconds,
        warms_up=False,
    )
    against = "import of torch, Lightning and timm"
    rows = [
        Row(
            9,
            "jimt --help, seconds",
            "one second",
            "<= 0.7",
            tuple(helped),
            f"{median_of(helped, 's')}",
        )
    ]
    for what, seconds in (
        ("train.py, one batch of training and one of validation", stepped),
        ("jimt predict of one field", one),
        ("jimt report of a small run", reported),
    ):
        words = f"{median_of(seconds, 's')} against {median_of(imported, 's')}"
        rows.append(Row(9, what, against, "<= 1.5", ratios_of(seconds, imported), words))
    return rows


def memory_rows(suite: Suite) -> list[Row]:
    """Row 8: peak memory at four times the images; that of curation is measured beside its speed."""
    run = trained(suite, "model_fine_tuned_patches", "backbone=resnet18")
    rows = []
    n = suite.sized(4, least=2)

    works: tuple[tuple[str, Callable[[int], Ended], int], ...] = (
        ("training", partial(trained_on, suite), n),
        ("prediction", lambda fields: predicted(suite, run, fields, "many_answers"), 2 * n),
        ("report", lambda fields: reported(suite, run_of(suite, fields)), n),
    )
    for what, work, few in works:
        small, large = work(few).peak, work(4 * few).peak
        rows.append(
            Row(
                8,
                f"peak memory of {what}",
                "a quarter of the images",
                "<= 1.1",
                (large / small,),
                f"{large:.0f} MiB against {small:.0f} MiB",
            )
        )
    return rows


def trained_on(suite: Suite, fields: int) -> Ended:
    """A training of one epoch on eight wells of so many fields; the curation before it is not in what is told."""
    data = simulated(suite, f"memory_{fields}", wells=8, fields=fields, height=448, width=448)
    folder = run_of(suite, fields)
    shutil.rmtree(folder, ignore_errors=True)
    words = ["backbone=resnet18", "backbone.weights=random", "trainer.max_epochs=1", "report=false"]
    process(["prepare.py", *data])
    return process(["train.py", *data, *words, f"hydra.run.dir={folder}"], threads=suite.threads)


def predicted(suite: Suite, run: Path, fields: int, name: str) -> Ended:
    """The answers of a model for so many fields, into a new folder of this name."""
    out = suite.folder / name
    shutil.rmtree(out, ignore_errors=True)
    words = ["-m", "jimt", "predict", str(run), *fields_to_predict(suite, fields), "--out", str(out)]
    return process(words, threads=suite.threads)


def reported(suite: Suite, run: Path) -> Ended:
    """The report of a run."""
    return process(["-m", "jimt", "report", str(run)], threads=suite.threads)


def run_of(suite: Suite, fields: int) -> Path:
    """The folder of that training."""
    return suite.folder / f"memory_run_{fields}"
