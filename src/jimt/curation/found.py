"""What the names of the files tell, in words: before a curation begins, and as a dry run that computes nothing."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pandas as pd
from rich.console import Console

from jimt.curation.conditions import describe_wells
from jimt.curation.hand_labels import describe_off_grid, off_grid
from jimt.curation.listing import describe_foreign
from jimt.curation.raw_images import Finding, RawImage
from jimt.errors import ways_out

# Shares of the image files that are passed over: stray files, then what deserves a look, then most likely a mistake.
_FEW: Final = 0.02
_MANY: Final = 0.25
_LISTED: Final = 12  # values of a placeholder, on one line
_WARNING, _LOUD_WARNING = "WARNING: ", "WARNING, READ THIS FIRST: "


def print_lines(lines: Iterable[str], console: Console) -> None:
    """Print lines unwrapped, warnings so that nobody overlooks them."""
    for line in lines:
        style = None
        if line.startswith(_LOUD_WARNING):
            style = "bold white on red"
        elif line.startswith("WARNING"):
            style = "bold red"
        console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)


def describe_finding(finding: Finding) -> list[str]:
    """What a reader must know of the files before anything is computed; louder, the more files are passed over."""
    lines = []
    if finding.unmatched:
        n, n_all = len(finding.unmatched), finding.n_files
        loudness = _loudness(n, n_all)
        line = f"{loudness}{_of(n, n_all)} passed over by their names or folders, for example "
        told = ways_out(advice="mend dataset.pattern", remedies=("dataset.leave_out=PATTERN",))
        lines.append(line + ", ".join(finding.unmatched[:3]) + (f": {told}" if loudness else ""))
    if others := {word: n for word, n in sorted(finding.channels.items()) if word not in finding.used_channels}:
        words = ", ".join(f"{word} ({n})" for word, n in others.items())
        lines.append(f"{_of(sum(others.values()), finding.n_files)} of channels that are not used: {words}")
    lines += [
        f"{_loudness(len(files), len(files) + finding.n_files)}not read: {describe_foreign(name, files)}"
        for name, files in sorted(finding.listing.foreign.items())
    ]
    lines += [
        f"group {name} is also written {', '.join(others)}: one group, so that no split divides it"
        for name, others in sorted(finding.merged.items())
    ]
    if finding.groups_by_time is not None:
        position, those = finding.groups_by_time
        told = ways_out(
            advice="let the group leave the time out, unless these are different cells",
            remedies=("dataset.pattern=PATTERN",),
        )
        lines.append(
            f"{_WARNING}the group of the position {position} is another one at each time ({_some(those)}), so a split "
            f"may test on cells that were trained on: {told}"
        )
    if finding.unused_wells:
        lines.append(f"wells of dataset.conditions.table without a raw image: {', '.join(finding.unused_wells)}")
    return lines + [f"{_WARNING}the link {reason}" for reason in finding.listing.links]


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _of(n: int, n_all: int) -> str:
    return f"{n:,} of {n_all:,} image files ({100 * n / n_all:.1f} %) {'is' if n == 1 else 'are'}"


def _loudness(n: int, n_all: int) -> str:
    share = n / n_all
    return "" if share <= _FEW else _WARNING if share <= _MANY else _LOUD_WARNING


def describe_dry_run(
    name: str, root: Path, finding: Finding, hand: pd.DataFrame | None, *, stride: int
) -> Iterator[str]:
    """Every raw image with its group and its files, what each placeholder read, then what is missing.

    Args:
        name: The data set's.
        root: Its folder, which paths are shown below.
        finding: What it holds.
        hand: Hand labels for the empty filter, as ``read_hand_labels`` gives them; None where there are none.
        stride: Of patches, pixels.
    """
    for image in finding.images:
        files = " + ".join(path.relative_to(root).as_posix() for path in image.files.values())
        yield f"{image.raw_image_id}  [group {_group(image)}]  {files}"
    yield ""
    groups = Counter(_group(image) for image in finding.images)
    yield f"groups, with their number of raw images: {_values(groups, len(groups))}"
    for part, values in finding.read.items():
        several = "s" * (len(values) != 1)
        yield f"{part} reads {len(values)} value{several}, each in so many files: {_values(values, _LISTED)}"
    if finding.used_channels:
        yield "channels: " + ", ".join(f"{word} is {what}" for word, what in finding.used_channels.items())
    yield from describe_wells(finding)
    if hand is not None:
        labelled = hand["raw_image_id"].tolist()
        here = {image.raw_image_id for image in finding.images}
        absent = sorted({raw for raw in labelled if raw not in here})
        others = f"; the others name {len(absent)} that are not here, for example {absent[0]}" if absent else ""
        n_here = sum(raw in here for raw in labelled)
        yield f"hand labels: {n_here:,} of {len(labelled):,} are of these raw images{others}"
        if misplaced := off_grid(hand, stride=stride):
            yield describe_off_grid(len(misplaced), misplaced[0])
    yield from (f"not matched by dataset.pattern: {path}" for path in finding.unmatched)
    yield from (f"WARNING: cannot be used: {raw}: {reason}" for raw, reason in sorted(finding.bad.items()))
    yield ""
    yield from describe_finding(finding)
    n_groups = f"{len(groups)} group{'s' * (len(groups) != 1)}"
    yield (
        f"{name}: {len(finding.images):,} raw images in {n_groups} from {finding.n_files:,} image files in {root}, "
        f"{len(finding.bad)} unusable; a dry run, so nothing was computed or written"
    )


def _group(image: RawImage) -> str:
    return "unknown" if image.group is None else image.group


def _values(counts: Counter[str], at_most: int) -> str:
    def in_order(value: str) -> list[tuple[str, int]]:  # s2 before s10
        return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", value)]

    listed = ", ".join(f"{value} ({counts[value]})" for value in sorted(counts, key=in_order)[:at_most])
    return listed + (f" and {len(counts) - at_most} more" if len(counts) > at_most else "")
