"""Time and memory of the report of 5,000 test patches: ``python benchmarks/report.py``.

Simulates 88 raw image pairs of 1344 x 1024 px, curates them with eight groups in ten tested on, and sets a logistic
regression on a frozen Inception-v3 with random weights, whose 2,048 features are the widest of the paper's networks.
Then, each in a process of its own: the forward passes of the test split alone; and the whole report.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
OVERRIDES = [
    "dataset=synthetic",
    "dataset.name=report_benchmark",
    "dataset.simulation.fields_per_well=4",
    "curation.empty_filter.enabled=false",
    "curation.split.train=1",
    "curation.split.val=1",
    "curation.split.test=8",
    "backbone=inception_v3",
    "backbone.weights=random",
    "method=linear_probe",
    "report=false",
]
FORWARD = """
import sys, time
from pathlib import Path
from jimt.evaluation.scores import rows_of_test
from jimt.models.predictor import open_predictor
run = Path(sys.argv[1])
predictor = open_predictor(run, accelerator="cpu")
curated, rows = rows_of_test(predictor.checkpoint.record, None, run / "checkpoints/best.ckpt")
start = time.perf_counter()
predictor.features(curated.store, rows)
print(time.perf_counter() - start)
"""


REPORT = """
import resource, sys
from jimt.report.write import main
main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def run(*command: str) -> tuple[str, float]:
    """What a command prints, and its seconds."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *command], check=True, text=True, stdout=subprocess.PIPE)
    return done.stdout, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark_report"), help="kept for the next time")
    parser.add_argument("--wells", type=int, default=22, help="of four raw image pairs each")
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 1344), help="height and width of an image, px")
    parser.add_argument("--max-mapped", type=int, default=200, help="patches whose maps are held against PI")
    options = parser.parse_args()
    height, width = options.size
    simulated = [f"n_wells={options.wells}", f"height={height}", f"width={width}"]
    folder = options.folder.absolute()
    data = folder / "data"
    paths = [f"dataset.root={data / 'raw'}", f"curation.output_root={data / 'curated'}", f"hydra.run.dir={folder}"]
    if not (folder / "test_metrics.json").is_file():
        sizes = [f"dataset.simulation.{each}" for each in simulated]
        run(str(REPOSITORY / "train.py"), *OVERRIDES, *sizes, *paths)
    n = json.loads((folder / "test_metrics.json").read_text())["counts"]["patches"]
    forward = float(run("-c", FORWARD, str(folder))[0])
    for path in (folder / "figures").glob("*.csv"):
        path.unlink()
    told, seconds = run("-c", REPORT, str(folder), "--max-mapped", str(options.max_mapped))
    *_, report, peak = told.splitlines()  # after its progress
    print(report)
    print(f"{n:,} test patches, Inception-v3, 2,048 features")
    print(f"forward passes of the test split  {forward:7.1f} s")
    print(f"the whole report                  {seconds:7.1f} s, so {seconds - forward:.1f} s beyond them")
    print(f"peak memory                       {float(peak):7.0f} MiB")


if __name__ == "__main__":
    main()
