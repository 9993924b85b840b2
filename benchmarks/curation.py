"""Curation against a plain script, in one run: ``python benchmarks/curation.py --rounds 1``.

Raw images a second of (a) a plain script, OpenCV crop and one ``imwrite`` per patch, and (b) jimt's curation without
the empty filter, on the same simulated 1344 x 1024 px pairs; and peak memory of curation on 1 x and 4 x the images.
Each is a process of its own, timed as a whole, imports included; one round to warm up, then those that count, (a) and
(b) in turn. jimt's rate is that of the 4 x images, as many as the paper's larger data set has.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from speed_measuring import REPOSITORY, Ended, process

from jimt.synthetic import simulate_dataset

PLAIN = """
import sys
from pathlib import Path
import cv2
raw, out = Path(sys.argv[1]), Path(sys.argv[2])
means = open(out / "means.csv", "w")
for path in sorted(raw.glob("*--Trans.tif")):
    brightfield = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    fluorescence = cv2.imread(str(path).replace("--Trans", "--PI"), cv2.IMREAD_UNCHANGED)
    eight_bit = cv2.convertScaleAbs(brightfield, alpha=255 / 65535)
    for y in range(0, brightfield.shape[0] - 223, 112):
        for x in range(0, brightfield.shape[1] - 223, 112):
            cv2.imwrite(str(out / f"{path.stem}_{y}_{x}.png"), eight_bit[y:y + 224, x:x + 224])
            print(path.stem, y, x, fluorescence[y:y + 224, x:x + 224].mean(), sep=",", file=means)
"""


# the same pixels in two groups would be refused
COPIES_IN_ONE_GROUP = (
    r"dataset.pattern='^(?P<raw_image_id>W\d+--(?P<group>P\d+)--Z\d+--T\d+)--(?P<channel>Trans|PI)\.tif$'"
)


def plain(raw: Path, out: Path) -> Ended:
    """The plain script."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return process(["-c", PLAIN, str(raw), str(out)])


def curate(raw: Path, out: Path) -> Ended:
    """Curate without the filter, as a command."""
    shutil.rmtree(out, ignore_errors=True)
    settings = ["dataset=synthetic", "dataset.simulation=null", "curation.empty_filter.enabled=false"]
    where = [f"dataset.root={raw}", f"curation.output_root={out}", COPIES_IN_ONE_GROUP]
    return process([str(REPOSITORY / "prepare.py"), *settings, "curation.scaling.method=full_range", *where])


def simulate(root: Path, n_images: int, *, height: int, width: int) -> None:
    """Simulate a few fields and link them under further names: their number matters here, not their pixels."""
    n_different = min(n_images, 8)
    simulate_dataset(
        root,
        n_wells=1,
        fields_per_well=n_different,
        height=height,
        width=width,
        dead_fraction=0.5,
        difficulty=0.5,
        seed=0,
        patch_size=224,
        stride=112,
        n_jobs=-1,
    )
    files = sorted(root.glob("W*.tif"))
    for path in files:
        for copy in range(1, n_images // n_different):
            (root / path.name.replace("W00001", f"W{copy + 1:05d}")).hardlink_to(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warming", type=int, default=1, help="rounds before those that count, for the disk cache")
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 1344), help="of a raw image: height and width, px")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        raw, four_times, out = Path(folder) / "raw", Path(folder) / "raw4", Path(folder) / "out"
        height, width = options.size
        simulate(raw, options.images, height=height, width=width)
        simulate(four_times, 4 * options.images, height=height, width=width)
        plain_rates, jimt_rates, peaks, peaks4 = [], [], [], []
        for number in range(options.warming + options.rounds):
            slow, few, many = plain(raw, out), curate(raw, out), curate(four_times, out)
            if number >= options.warming:
                plain_rates.append(options.images / slow.seconds)
                jimt_rates.append(4 * options.images / many.seconds)
                peaks.append(few.peak)
                peaks4.append(many.peak)
                print(
                    f"round {number - options.warming + 1}: plain script {plain_rates[-1]:.1f} raw images/s; jimt "
                    f"{options.images / few.seconds:.1f} on {options.images}, {jimt_rates[-1]:.1f} on "
                    f"{4 * options.images}; peak memory {few.peak:.0f} and {many.peak:.0f} MiB"
                )
        ratio = statistics.median(fast / slow for fast, slow in zip(jimt_rates, plain_rates, strict=True))
        growth = statistics.median(peaks4) / statistics.median(peaks) - 1
        print(f"median: {ratio:.1f} times the plain script; 4 x the images: {100 * growth:+.1f} % peak memory")


if __name__ == "__main__":
    main()
