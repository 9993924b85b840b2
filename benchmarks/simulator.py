"""How hard the simulated microscope is, by its difficulty: ``python benchmarks/simulator.py``.

AUC of a logistic regression on frozen EfficientNet-Lite0 features of 24 simulated fields a row, twelve wells in five
folds of whole wells, labelled by their fluorescence as ``dataset=synthetic`` is, without the empty filter. A minute a
row on two cores; the third decimal differs between processors:

    difficulty 0, seed 1: AUC 0.986
    difficulty 0.5, seed 1: AUC 0.914
    difficulty 0.5, seed 2: AUC 0.934
    difficulty 0.5, seed 3: AUC 0.912
    difficulty 1, seed 1: AUC 0.687
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

WELLS = r"dataset.pattern='^(?P<raw_image_id>(?P<group>W\d+)--P\d+--Z\d+--T\d+)--(?P<channel>Trans|PI)\.tif$'"
OVERRIDES = [
    "dataset=synthetic",
    WELLS,
    "backbone=efficientnet_lite0",
    "method=linear_probe",
    "curation.empty_filter.enabled=false",
    "trainer.precision=32-true",
    "report=false",
]


def auc(folder: Path, difficulty: float, seed: int, n_wells: int, overrides: list[str]) -> float:
    """Pooled AUC of a cross-validation over wells of one simulation, which stays in the folder."""
    command = [
        *(sys.executable, "-m", "jimt", "crossval", *OVERRIDES),
        f"dataset.root={folder / 'raw'}",
        f"dataset.simulation.difficulty={difficulty}",
        f"dataset.simulation.seed={seed}",
        f"dataset.simulation.n_wells={n_wells}",
        "dataset.simulation.fields_per_well=2",
        f"curation.output_root={folder}",
        f"hydra.run.dir={folder / 'run'}",
        *overrides,
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return float(json.loads((folder / "run/crossval.json").read_text())["pooled"]["auroc"]["value"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="of a quick try, such as smaller fields")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark_simulator"), help="kept for the next time")
    parser.add_argument("--wells", type=int, default=12, help="of two fields each")
    parser.add_argument("--difficulties", type=float, nargs="+", default=[0, 0.5, 1])
    options = parser.parse_args()
    for difficulty in options.difficulties:
        for seed in (1, 2, 3) if difficulty == 0.5 else (1,):
            folder = options.folder.absolute() / f"{difficulty:g}_{seed}_{options.wells}"
            found = auc(folder, difficulty, seed, options.wells, options.overrides)
            print(f"difficulty {difficulty:g}, seed {seed}: AUC {found:.3f}", flush=True)


if __name__ == "__main__":
    main()
