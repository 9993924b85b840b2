"""Mutates raw images and their folders at random; each is to be refused in a sentence, or read as what it is.

    python tests/fuzz.py 1000 --seed 0

prints a line for each failure and, at the end, how many cases were read and refused. A case is a folder of two raw
images, read as `prepare.py` reads it: found by name, decoded, checked, converted, measured, judged together. Truth is
the image as it was drawn, where a mutation stores it in another way, and where it damages a file, what Pillow or OpenCV
make of the file, or what was drawn where the damage changes no pixel.
"""

import argparse
import contextlib
import functools
import logging
import os
import sys
import tempfile
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from rich.console import Console

from conftest import SMALL, composed_prepare
from jimt.curation.curate import find_raw_images
from jimt.curation.raw_images import Finding
from jimt.curation.read_stage import read_all
from jimt.curation.store import FieldStore
from jimt.errors import InputError
from mutations import MUTATIONS, TURNS, Case, Pixels, draw

PATCH = 32
PATTERNS = {
    "pairs": r"^(?:.*/)?(?P<raw_image_id>(?P<group>well\d+)_f\d)_(?P<channel>BF|PI)\.(?:tiff?|png)$",
    "stack": r"^(?:.*/)?(?P<raw_image_id>(?P<group>well\d+)_f\d)\.(?:tiff?|png)$",
}


# ---- truth of damaged files


def decoded(path: Path) -> list[Pixels]:
    """What Pillow and OpenCV make of a file: one image or a stack; none where neither reads it."""
    found = []
    for decode in (_by_pillow, _by_opencv):
        with warnings.catch_warnings(), contextlib.suppress(Exception):  # another library's reasons to give up
            warnings.simplefilter("ignore")
            pages = decode(path)
            found.append(pages[0] if len(pages) == 1 else np.stack(pages))
    return found


def _by_pillow(path: Path) -> list[Pixels]:
    pages = []
    with Image.open(path) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            pages.append(np.asarray(image))
    return pages


def _by_opencv(path: Path) -> list[Pixels]:
    read, pages = cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)
    assert read
    orientation = 1
    if path.suffix != ".png":
        with Image.open(path) as image:
            orientation = image.tag_v2.get(274, 1)
    return [TURNS[orientation - 1](page) for page in pages]


# ---- the check


def outcome(case: Case, partial: Path) -> str:
    """How a case ends, ``read`` or ``refused``.

    Raises:
        AssertionError: If something was dropped without a word, or read as what it is not.
    """
    dataset, curation = _config()
    dataset = replace(dataset, root=str(case.root), layout=case.layout, pattern=PATTERNS[case.layout])
    try:
        finding = find_raw_images(dataset, curation, case.root)
        _, rows, fields, bad, bits = read_all(dataset, curation, finding, partial, Console(quiet=True))
    except InputError as refusal:
        check_sentence(str(refusal))
        return "refused"
    check_nothing_dropped(case, finding, set(fields["file"]) | {os.path.relpath(path, case.root) for path in bad})
    for reason in bad.values():
        check_sentence(reason)
    if not len(fields):
        return "refused"
    store = FieldStore(partial)
    by_file = {raw.brightfield.relative_to(case.root).as_posix(): raw for raw in finding.images}
    for number, file in enumerate(fields["file"]):
        raw, field, patches = by_file[file], store.field(number), rows[rows["field"] == number]
        pairs = _truths(case, raw.brightfield, raw.fluorescence)
        assert any(_is_read_as(pair, field, patches, bits["masked_offset"]) for pair in pairs), (
            f"{file} was read as something else"
        )
    return "refused" if bad or finding.bad else "read"


def check_sentence(text: str) -> None:
    assert len(text) > 15 and len(text.splitlines()) == 1 and ": " in text, f"no sentence with a remedy: {text}"  # noqa: PT018


def check_nothing_dropped(case: Case, finding: Finding, answered: set[str]) -> None:
    """Every file is read, refused by its name or its partner's, or told as one that the pattern does not match."""
    files = {
        (Path(folder) / name).relative_to(case.root).as_posix()
        for folder, _, names in os.walk(case.root)
        for name in names
        if not name.startswith(".")
    }
    used = [path for raw in finding.images for path in (raw.brightfield, raw.fluorescence) if path is not None]
    assert {raw.brightfield.relative_to(case.root).as_posix() for raw in finding.images} == answered
    told = " ".join(f"{name} {reason}" for name, reason in finding.bad.items())
    left = files - {path.relative_to(case.root).as_posix() for path in used}
    foreign = {name for names in finding.listing.foreign.values() for name in names}
    for name in left - set(finding.unmatched) - foreign:
        mine = Path(name).name
        assert mine in told or any(mine.startswith(Path(bad).name) for bad in finding.bad), f"{name} was dropped"


def _truths(case: Case, brightfield: Path, fluorescence: Path | None) -> list[tuple[Pixels, Pixels]]:
    def of(path: Path) -> list[Pixels]:
        known = case.truth[path]
        return [*decoded(path), case.drawn[path]] if known is None else [known]

    if fluorescence is None:
        return [(stack[0], stack[1]) for stack in of(brightfield) if stack.ndim == 3 and len(stack) >= 2]
    return [(_grey(a), _grey(b)) for a in of(brightfield) for b in of(fluorescence)]


def _grey(image: Pixels) -> Pixels:
    return image[..., 0] if image.ndim == 3 and image.shape[-1] in (3, 4) else image


def _is_read_as(pair: tuple[Pixels, Pixels], field: Pixels, rows: Any, offset: int) -> bool:
    if pair[0].shape != field.shape or pair[1].shape != field.shape:
        return False
    brightfield, fluorescence = ((image & 0xFFF if offset else image).astype(np.float64) for image in pair)
    top = 255 if pair[0].dtype == np.uint8 else 4095
    if not np.array_equal(field, np.rint(brightfield * (255 / top)).clip(0, 255)):
        return False
    if (fluorescence == 0).any() or (brightfield == 0).any():
        return True  # no data, which is another question
    means = [fluorescence[y : y + PATCH, x : x + PATCH].mean() for y, x in zip(rows["y"], rows["x"], strict=True)]
    return bool(np.allclose(rows["mean_fluorescence"], means, rtol=1e-12))


@functools.cache
def _config() -> Any:
    patches = [f"curation.patches.size={PATCH}", f"curation.patches.stride={PATCH}", "curation.on_bad_image=skip"]
    channels = ["dataset.brightfield=BF", "dataset.fluorescence=PI"]
    return composed_prepare("dataset=no_treatment", *channels, *SMALL, *patches)


def run_case(number: int, seed: int) -> tuple[str, str, str | None]:
    """Mutation, outcome and what is wrong with it, if anything is."""
    rng = np.random.default_rng([seed, number])
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "raw"
        root.mkdir()
        case = draw(root, rng)
        mutate = MUTATIONS[rng.integers(len(MUTATIONS))]
        mutate(case)
        try:
            return mutate.__name__, outcome(case, Path(folder) / "partial"), None
        except Exception as error:  # whatever it is, it is the finding
            return mutate.__name__, "failed", f"{type(error).__name__}: {error}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n_cases", type=int)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    quieten()
    counts: Counter[tuple[str, str]] = Counter()
    for number in range(arguments.n_cases):
        mutation, ending, wrong = run_case(number, arguments.seed)
        counts[mutation, ending] += 1
        if wrong is not None:
            print(f"case {number} ({mutation}): {wrong}")
    for mutation in sorted({name for name, _ in counts}):
        print(mutation, *(f"{ending} {counts[mutation, ending]}" for ending in ("read", "refused", "failed")), sep="  ")
    n_failed = sum(n for (_, ending), n in counts.items() if ending == "failed")
    print(f"{arguments.n_cases} cases, {n_failed} failed")
    return int(n_failed > 0)


def quieten() -> None:
    """The decoders that give the truth write to stderr of what they cannot read."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    for name in ("PIL", "tifffile"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


if __name__ == "__main__":
    sys.exit(main())
