"""What a change of structure must not change: results of whole commands, kept by one version, compared by another.

    python tests/frozen.py OUT                  # with the code before the change
    python tests/frozen.py OUT2 --against OUT   # with the code after it

runs each command of CASES in a process of its own with one thread and 32 bit, and keeps manifests, thresholds, splits
and scores below OUT. The second form says for each whether they are identical, and fails where they are not; scores may
differ by 1e-6. Cases of real fields need JIMT_DATA. Columns that one side lacks are named and passed over.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).parent.parent
TOLERANCE = 1e-6
SIMULATED = (
    "dataset=synthetic", "dataset.simulation.height=336", "dataset.simulation.width=448",
    "dataset.simulation.fields_per_well=2", "curation.n_jobs=1",
)  # fmt: skip
STEADY = ("trainer.num_threads=1", "trainer.precision=32-true", "report=false", "curation.n_jobs=1")


@dataclass(frozen=True)
class Case:
    """A command, and what it leaves that is compared.

    Attributes:
        words: After ``python``.
        tables: CSV or Parquet files below its working directory.
        values: JSON files, likewise.
        is_real: Whether it needs the real fields.
    """

    words: tuple[str, ...]
    tables: tuple[str, ...]
    values: tuple[str, ...] = ()
    is_real: bool = False


def _curated(name: str) -> dict[str, tuple[str, ...]]:
    folder = f"data/curated/{name}"
    return {"tables": (f"{folder}/manifest.parquet",), "values": (f"{folder}/thresholds.json",)}


CASES = {
    "simulated, curated": Case(("prepare.py", *SIMULATED), **_curated("synthetic")),
    "simulated, fine-tuned": Case(
        ("train.py", *SIMULATED, *STEADY, "backbone.name=test_resnet.r160_in1k", "backbone.weights=random",
         "trainer.max_epochs=2", "optim.lr=1e-3", "evaluation.orientations=8", "hydra.run.dir=tuned"),
        ("tuned/test_scores.csv", "tuned/test_scores_with_ambiguous.csv"),
    ),
    "simulated, folds fine-tuned": Case(
        ("jimt", "crossval", *SIMULATED, *STEADY, "backbone.name=test_resnet.r160_in1k", "backbone.weights=random",
         "trainer.max_epochs=1", "crossval.n_folds=3", "hydra.run.dir=folds"),
        ("folds/scores.csv",),
    ),
    "simulated, pooled probe": Case(
        ("train.py", *SIMULATED, *STEADY, "backbone=efficientnet_lite0", "method=linear_probe",
         "hydra.run.dir=probe"),
        ("probe/test_scores.csv",),
    ),
    "mcf7, curated": Case(("prepare.py", "dataset=mcf7", "curation.n_jobs=1"), **_curated("mcf7"), is_real=True),
    "mcf7, pooled probe": Case(
        ("jimt", "crossval", "dataset=mcf7", *STEADY, "backbone=efficientnet_lite0", "method=linear_probe",
         "hydra.run.dir=pooled"),
        ("pooled/scores.csv",),
        is_real=True,
    ),
    "mcf7, maps of fields": Case(
        ("jimt", "crossval", "experiment=frozen_tiles", *STEADY, "hydra.run.dir=maps",
         "backbone.weights=${oc.env:JIMT_DATA}/weights/resnet18.safetensors"),
        ("maps/scores.csv", "maps/scores_with_ambiguous.csv"),
        is_real=True,
    ),
}  # fmt: skip


def run(case: Case, work: Path, kept: Path) -> None:
    """Run a command in ``work`` and copy what it leaves to ``kept``."""
    script = ("-m", "jimt") if case.words[0] == "jimt" else (str(REPOSITORY / case.words[0]),)
    words = [sys.executable, *script, *case.words[1:]]
    subprocess.run(words, cwd=work, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, stdout=subprocess.DEVNULL)
    for name in (*case.tables, *case.values):
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(work / name, kept / name)


def compare(case: Case, before: Path, after: Path) -> list[str]:
    """What differs, in a line each; nothing where all is equal."""
    found = []
    for name in case.tables:
        read = pd.read_parquet if name.endswith(".parquet") else pd.read_csv
        found += [f"{name}: {line}" for line in _compare_tables(read(before / name), read(after / name))]
    for name in case.values:
        one, other = (json.loads((folder / name).read_text()) for folder in (before, after))
        common = one.keys() & other.keys()
        if any(one[key] != other[key] for key in common):
            found.append(f"{name}: { ({key: (one[key], other[key]) for key in common if one[key] != other[key]}) }")
    return found


def _compare_tables(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    if len(one) != len(other):
        return [f"{len(one)} rows became {len(other)}"]
    found = []
    for column in one.columns.intersection(other.columns):
        a, b = one[column], other[column]
        if a.dtype.kind == "f":
            if (a.isna() != b.isna()).any():
                found.append(f"{column}: missing values differ")
            elif (worst := float(np.nanmax(np.abs(a - b), initial=0))) > (TOLERANCE if "score" in column else 0):
                found.append(f"{column}: differs by up to {worst:.3g}")
        elif a.astype(str).tolist() != b.astype(str).tolist():
            found.append(f"{column}: {int((a.astype(str) != b.astype(str)).sum())} of {len(a)} differ")
    return found


def main() -> None:
    """Run all cases, and compare where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for results and work")
    parser.add_argument("--against", type=Path, help="such a folder, of the code before")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    options = parser.parse_args()
    failed = False
    work = options.out.absolute() / "work"
    work.mkdir(parents=True, exist_ok=True)
    for name, case in CASES.items():
        if options.only not in name or (case.is_real and "JIMT_DATA" not in os.environ):
            continue
        kept = options.out.absolute() / name.replace(", ", "_").replace(" ", "_")
        run(case, work, kept)
        if options.against is None:
            print(f"{name}: kept", flush=True)
            continue
        different = compare(case, options.against / kept.name, kept)
        failed |= bool(different)
        print(f"{name}: {'equal' if not different else '; '.join(different)}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
