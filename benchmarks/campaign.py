"""What is left of a campaign when every field has its answer: ``python benchmarks/campaign.py RUN``.

Fields of plates of 384 wells are made up, 9 a well: a small image, and the answer that a model would have given. Then
``jimt predict`` is called on them, which finds every image, reads every answer, and writes tables, plate maps and page.
Printed are seconds, peak memory and bytes at rising numbers of fields, what each further field costs, and the exponent
of time.
"""

import argparse
import itertools
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import tifffile
from rich.console import Console
from speed_measuring import process

from jimt.prediction.answers import FieldRow
from jimt.prediction.asked import Asked, depends_on, find_fields
from jimt.prediction.parts import Parts
from jimt.system.run_folders import find_checkpoint

FIELDS_OF_WELL = 9
COLUMNS, WELLS = 24, 384
PATTERN = "{plate}/{well}_s{field}.tif"


class Cost(NamedTuple):
    """Of so many fields: seconds and peak memory of the command, bytes of the page and of the table of patches."""

    n: int
    seconds: float
    mib: float
    page: int
    patches: int


def write_images(folder: Path, n: int) -> None:
    """So many small images, all alike, named by plate, well and field."""
    folder.mkdir(parents=True)
    one = folder / "one.tif"
    tifffile.imwrite(one, np.zeros((32, 32), np.uint8))
    content = one.read_bytes()
    one.unlink()
    for number in range(n):
        plate, place = divmod(number, WELLS * FIELDS_OF_WELL)
        well, field = divmod(place, FIELDS_OF_WELL)
        row, column = divmod(well, COLUMNS)
        path = folder / f"p{plate + 1:04d}" / f"{chr(ord('A') + row)}{column + 1:02d}_s{field + 1}.tif"
        if well == field == 0:
            path.parent.mkdir()
        path.write_bytes(content)


def answer_all(run: Path, images: Path, out: Path, *, patches: int) -> None:
    """Note an answer to every image, as a command that is killed leaves it before it writes any table."""
    words = {"run": run, "images": (str(images),), "out": out, "pattern": PATTERN}
    asked = Asked(
        **words,
        **dict.fromkeys(("dataset", "channel", "time", "pixel_size", "check", "onset", "doses", "accelerator", "dask")),
        z="sharpest",
        include_flagged=False,
        excel=False,
    )
    parts = Parts(out, depends_on(asked, find_checkpoint(run)[0], None), {})
    random = np.random.default_rng(0)
    places = np.arange(patches) * 112.0
    for source in find_fields(asked, None).sources:
        share = float(random.random())
        flagged = share > 0.95
        row = FieldRow(
            source.number,
            str(source.path),
            source.name,
            source.plate,
            source.well,
            source.field,
            None,
            height=1024,
            width=1344,
            pixel_size_um=0.3225,
            share_of="patches",
            dead_share=share,
            dead_share_low=0.9 * share,
            dead_share_high=min(1.0, 1.1 * share),
            n_patches=patches,
            n_empty=0,
            n_uncertain=3,
            distance=2.0 if flagged else 0.5,
            flags=("focus",) if flagged else (),
            reasons=("It is more blurred than any field of the training.",) if flagged else (),
        )
        scores = random.random(patches).round(6)
        table = {"y": places, "x": places, "score": scores, "empty": [None] * patches, "uncertain": scores > 0.9}
        parts.add(source, row, pd.DataFrame(table))


def cost(run: Path, folder: Path, n: int, *, patches: int) -> Cost:
    """What the command costs when so many fields are answered."""
    shutil.rmtree(folder, ignore_errors=True)
    images, out = folder / "images", folder / "out"
    write_images(images, n)
    answer_all(run, images, out, patches=patches)
    words = ["-m", "jimt", "predict", str(run), str(images), "--pattern", PATTERN, "--out", str(out)]
    ended = process(words, threads=1, statuses=(0, 4))
    sizes = [(out / name).stat().st_size for name in ("index.html", "patches.csv")]
    shutil.rmtree(folder)
    return Cost(n, ended.seconds, ended.peak, *sizes)


def sentences(costs: Sequence[Cost]) -> list[str]:
    """What was measured, and what each further field costs."""
    told = [
        f"{each.n:,} fields: {each.seconds:.1f} s, {each.mib:.0f} MiB, "
        f"page {each.page / 1e6:.2f} MB, patches.csv {each.patches / 1e6:.1f} MB"
        for each in costs
    ]
    if len(costs) > 1:
        for before, after in itertools.pairwise(costs):
            more = after.n - before.n
            exponent = np.log(after.seconds / before.seconds) / np.log(after.n / before.n)
            told.append(
                f"from {before.n:,} to {after.n:,}: {1e3 * (after.seconds - before.seconds) / more:.2f} ms, "
                f"{1024 * (after.mib - before.mib) / more:.1f} KiB of memory and "
                f"{(after.page - before.page) / more:.0f} bytes of the page a field, exponent of time {exponent:.2f}"
            )
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--fields", type=int, nargs="+", default=[3_456, 13_824, 55_296], help="plates of 3,456 fields")
    parser.add_argument("--patches", type=int, default=88, help="patches of a field; 88 of one of 1,344 x 1,024 px")
    parser.add_argument("--folder", type=Path, default=Path("runs/campaign"), help="emptied, and removed at the end")
    options = parser.parse_args()
    if options.folder.exists():
        sys.exit(f"error: {options.folder} is there already: name another folder")
    try:
        costs = [
            cost(options.run.absolute(), options.folder.absolute(), n, patches=options.patches) for n in options.fields
        ]
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    for line in sentences(costs):
        Console().print(line, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
