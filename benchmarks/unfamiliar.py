"""What a model of ``mcf7`` flags as unlike its training data: experiments it has not seen, and spoilt images.

A cross-validation of frozen tiles (five folds of whole experiments) is trained, or taken from its folder; each field is
then shown, from its file, to the model that has not seen its experiment: as it is, and spoilt. Overrides of
``jimt crossval`` may follow:

    python benchmarks/unfamiliar.py

Two tables: how many fields of each kind are flagged, by which flag, with the distance in the middle (above 1 is
unlike); and the error of the dead share, against counted nuclei, of flagged and other fields.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from jimt.config.hydra_schema import to_dataclasses
from jimt.config.own_configs import CONF
from jimt.curation.images import read_page
from jimt.curation.manifest import open_curated
from jimt.curation.store import read_field_names
from jimt.models.predictor import Predictor, open_predictor
from jimt.statistics.value_text import number_text, value_text
from jimt.synthetic.microscope import draw_well, simulate_field
from jimt.training.crossval import cross_validate

Image = NDArray[Any]
Change = Callable[[Image, np.random.Generator], Image]
OFF = 0.15
"""Difference of a dead share from counted nuclei that makes a field one that misleads."""
FLAGS = ("unlike", "texture", "focus", "noise", "contrast")
KINDS = "frozen tiles", ("experiment=frozen_tiles", "curation.empty_filter.enabled=false", "report=false")


def blurred(sigma: float) -> Change:
    """Defocus, as a Gaussian blur of so many pixels."""
    return lambda image, rng: gaussian_filter(image.astype(np.float32), sigma).astype(np.uint16)


def resized(factor: float) -> Change:
    """Another pixel size, which nothing in the file tells."""
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return lambda image, rng: cv2.resize(image, None, fx=factor, fy=factor, interpolation=how)


def noisy(times: float) -> Change:
    """White noise of so many standard deviations of the image."""

    def change(image: Image, rng: np.random.Generator) -> Image:
        changed = image + rng.normal(0, times * image.std(), image.shape)
        return np.asarray(np.clip(changed, 0, 65535).astype(np.uint16))

    return change


def as_jpeg(quality: int) -> Change:
    """In 8 bits between the image's ends, compressed."""

    def change(image: Image, rng: np.random.Generator) -> Image:
        low, high = np.percentile(image, [0.1, 99.9])
        grey = np.clip((image - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        coded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE))

    return change


def inverted(image: Image, rng: np.random.Generator) -> Image:
    """Dark for bright."""
    return (int(image.max()) + int(image.min()) - image.astype(np.int64)).astype(np.uint16)


def cropped(image: Image, rng: np.random.Generator) -> Image:
    """The middle of a field, no larger than a patch."""
    top, left = ((side - 224) // 2 for side in image.shape)
    return image[top : top + 224, left : left + 224]


CHANGES: dict[str, Change] = {
    "a crop of one patch": cropped,
    "defocus, sigma 1 px": blurred(1),
    "defocus, sigma 2 px": blurred(2),
    "defocus, sigma 4 px": blurred(4),
    "defocus, sigma 8 px": blurred(8),
    "half the size": resized(0.5),
    "double the size": resized(2.0),
    "inverted contrast": inverted,
    "noise, 0.25 SD of the field": noisy(0.25),
    "noise, 1 SD of the field": noisy(1.0),
    "JPEG, quality 30": as_jpeg(30),
    "JPEG, quality 10": as_jpeg(10),
}


def simulated(rng: np.random.Generator) -> Image:
    """A field of the simulated microscope."""
    well = draw_well(rng, difficulty=0.5)
    return simulate_field(
        rng, height=512, width=512, dead_fraction=0.3, bare_fraction=0.05, unfocused_fraction=0.0, difficulty=0.5,
        well=well,
    ).brightfield  # fmt: skip


def histology(rng: np.random.Generator) -> Image:
    """Pink tissue with violet nuclei, as grey: the colours themselves would be flagged at once."""
    tissue = gaussian_filter(rng.normal(size=(512, 512, 3)), (6, 6, 0))
    picture = np.array([225.0, 150.0, 190.0]) + 25 * tissue / tissue.std()
    for _ in range(260):
        centre = tuple(int(value) for value in rng.integers(0, 512, 2))
        axes = tuple(int(value) for value in rng.integers(5, 11, 2))
        cv2.ellipse(picture, centre, axes, float(rng.uniform(0, 180)), 0, 360, (95.0, 60.0, 140.0), -1)
    picture = gaussian_filter(picture, (0.8, 0.8, 0)) + rng.normal(0, 2, picture.shape)
    return np.asarray(cv2.cvtColor(np.clip(picture, 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY))


def configured(*overrides: str) -> Any:
    """A cross-validation's config."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return to_dataclasses(compose("crossval", overrides=[*KINDS[1], *overrides]))


def judged(predictor: Predictor, image: Image) -> dict[str, Any]:
    """Distance and flags of one image whose file says nothing more."""
    found = predictor.familiarity(predictor.fields_of([image]), 0, colour=False, pixel_size=None, zoom=1.0)
    names = {flag.name for flag in found.flags}
    return {"distance": found.distance, "flagged": bool(names)} | {name: name in names for name in FLAGS}


def shown(config: Any, each: int) -> Iterator[dict[str, Any]]:
    """A row for each image, shown to the model of the fold that it was held out of."""
    curated = open_curated(Path(config.curation.output_root) / config.dataset.name)
    files = read_field_names(curated.folder)
    files["turn"] = files.groupby("group").cumcount()
    root = Path(config.dataset.root)
    for folder in sorted(Path(config.folder).glob("fold_*")):
        predictor = open_predictor(folder)
        reference, rng = predictor.checkpoint.reference, np.random.default_rng(0)
        limit = reference.limits["unlike"]
        told = value_text(limit, reference.interval and [limit * end for end in reference.interval])
        print(
            f"{folder.name}: {reference.n_fields} fields of {reference.n_groups} experiments, limit {told}", flush=True
        )
        held = files[files["group"].astype(str).isin(predictor.checkpoint.record.groups["test"])]
        for row in held.itertuples():
            image = read_page(root / row.file)
            told = {"fold": folder.name, "group": row.group, "raw_image_id": row.raw_image_id}
            yield told | {"kind": "as it is"} | judged(predictor, image)
            if row.turn >= each:
                continue
            for kind, change in CHANGES.items():
                yield told | {"kind": kind} | judged(predictor, change(image, rng))
            stain = read_page(root / row.file.replace(config.dataset.brightfield, config.dataset.fluorescence, 1))
            yield told | {"kind": "PI taken for bright-field"} | judged(predictor, stain)
        for kind, draw in {"simulated": simulated, "histology, drawn, as grey": histology}.items():
            for _ in range(4):
                yield {"fold": folder.name, "kind": kind} | judged(predictor, draw(rng))


def line(*cells: str) -> None:
    """A line of a table in Markdown."""
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--each", type=int, default=2, help="fields of an experiment that are spoilt")
    parser.add_argument("--folder", type=Path, default=Path("runs/unfamiliar"), help="of the cross-validation")
    options = parser.parse_args()
    config = configured(f"run_dir={options.folder}", *options.overrides)
    cross_validate(config)
    table = pd.DataFrame(shown(config, options.each))
    table.to_csv(options.folder / "unfamiliar.csv", index=False)

    print()
    line("images", "fields", "flagged", *FLAGS, "distance")
    print("|" + "---|" * (4 + len(FLAGS)))
    for kind, part in table.groupby("kind", sort=False):
        shares = [f"{100 * part[name].mean():.0f} %" for name in ("flagged", *FLAGS)]
        line(str(kind), str(len(part)), *shares, number_text(part["distance"].median()))

    as_they_are = table.loc[table["kind"] == "as it is", ["raw_image_id", "distance", "flagged"]]
    fields = pd.read_csv(options.folder / "field_shares.csv").merge(as_they_are, on="raw_image_id")
    print()
    header = ["dead share", "fields", "error", "error of flagged", "of the others", f"off by more than {OFF}"]
    line(*header, "AUROC of the distance for that")
    print("|" + "---|" * 7)
    for name in ("calibrated", "uncalibrated"):
        error = (fields[name] - fields["true"]).abs()
        off, flagged = error > OFF, fields["flagged"]
        parts = [number_text(error[chosen].mean()) for chosen in (error >= 0, flagged, ~flagged)]
        line(
            name,
            str(len(fields)),
            *parts,
            f"{100 * off.mean():.0f} %",
            number_text(roc_auc_score(off, fields["distance"])),
        )


if __name__ == "__main__":
    main()
