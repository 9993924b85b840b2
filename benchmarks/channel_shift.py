"""How well a shift between bright-field and PI is found: ``python benchmarks/channel_shift.py FOLDER``.

FOLDER holds ``brightfield/GROUP__FIELD.tif`` and ``pi/GROUP__FIELD.tif``, as ``mcf7`` does, and may hold ``hoechst``.
PI is moved by 5, 10 and 20 px each way, and what is found is held against what is found of the images as they are, plus
so many pixels. What was found is then undone, and sought again: that must give no warning.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from jimt.curation.no_data import no_data_mask
from jimt.curation.shift import Shift, find_shift, shift_evidence, undo_shift
from jimt.curation.shift_consensus import is_large, shifts_of_fields

_WITHIN = 2  # pixels


def evidence_of(pair: tuple[NDArray[Any], NDArray[Any]], moved: Shift) -> NDArray[np.int8]:
    """Evidence of a pair whose PI is moved down by ``y`` and right by ``x``."""
    brightfield, fluorescence = pair
    shifted, uncovered = undo_shift(fluorescence, Shift(-moved.y, -moved.x))
    return shift_evidence(brightfield, shifted, ~(no_data_mask(brightfield, shifted) | uncovered))


def is_right(found: Shift | None, at_first: Shift | None, moved: Shift) -> bool:
    """Whether a shift is what was found at first and what came on top."""
    if found is None or at_first is None:
        return False
    away = found.y - at_first.y - moved.y, found.x - at_first.x - moved.x
    return max(map(abs, away)) <= _WITHIN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0].partition(":")[0])
    parser.add_argument("folder", type=Path, help="holds brightfield/ and pi/")
    root = parser.parse_args().folder
    paths = sorted((root / "brightfield").glob("*.tif"))
    pairs = [(tifffile.imread(path), tifffile.imread(root / "pi" / path.name)) for path in paths]
    groups = np.array([path.name.partition("__")[0] for path in paths], object)
    at_first = np.array([evidence_of(pair, Shift(0, 0)) for pair in pairs])
    shifts, alone = shifts_of_fields(at_first, groups), [find_shift(each[None]) for each in at_first]
    print(f"as they are: {find_shift(at_first)} of all; {sum(map(is_large, shifts))} of {len(pairs)} fields warned of")
    for group in dict.fromkeys(groups):
        own = find_shift(at_first[groups == group])
        print(f"  {group} ({(groups == group).sum()} fields): {'nothing stands out' if own is None else own}")
    if (root / "hoechst").is_dir():  # another stain of nuclei, as a witness
        third = [tifffile.imread(root / "hoechst" / path.name) for path in paths]
        against_third = [(brightfield, stain) for (brightfield, _), stain in zip(pairs, third, strict=True)]
        from_third = [(stain, pi) for (_, pi), stain in zip(pairs, third, strict=True)]
        for words, others in (("Hoechst from bright-field", against_third), ("PI from Hoechst", from_third)):
            print(f"{words}: {find_shift(np.array([evidence_of(pair, Shift(0, 0)) for pair in others]))} of all")
    for pixels in (5, 10, 20):
        fields = n_alone = n_told = 0
        for moved in (Shift(pixels, 0), Shift(-pixels, 0), Shift(0, pixels), Shift(0, -pixels)):
            evidence = np.array([evidence_of(pair, moved) for pair in pairs])
            found = shifts_of_fields(evidence, groups)
            fields += sum(is_right(*two, moved) for two in zip(found, shifts, strict=True))
            one_by_one = [find_shift(each[None]) for each in evidence]
            n_told += sum(each is not None for each in one_by_one)
            n_alone += sum(is_right(*two, moved) for two in zip(one_by_one, alone, strict=True))
        print(
            f"moved by {pixels} px: {fields} of {4 * len(pairs)} fields right to {_WITHIN} px; from one field alone "
            f"{n_alone} of the {n_told} of which anything stands out"
        )
    undone = [
        evidence_of(pair, Shift(-shift.y, -shift.x) if shift is not None else Shift(0, 0))
        for pair, shift in zip(pairs, shifts, strict=True)
    ]
    n_warned = sum(map(is_large, shifts_of_fields(np.array(undone), groups)))
    print(f"undone: {find_shift(np.array(undone))} of all; {n_warned} fields warned of")


if __name__ == "__main__":
    main()
