"""METHODS.md: a paragraph for a paper and what stands behind it, by ``methods.md.jinja``, filled from what was done."""

import importlib.metadata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jimt
from jimt.models.checkpoint import Checkpoint
from jimt.prediction.answer_tables import counts
from jimt.prediction.answers import FieldRow
from jimt.prediction.gallery import FLAG_WORDS
from jimt.prediction.model_words import model_in_words, plain
from jimt.prediction.templates import methods_template
from jimt.prediction.time_files import TimesShown
from jimt.statistics.value_text import percent_text, value_text
from jimt.system.files import write_whole
from jimt.vocabulary import ShareOf

_SHARES: Final[dict[ShareOf, str]] = {
    "nuclei": "Nuclei were told as peaks of these maps, and taken for dead where death was the likelier. The dead "
    "share of a field is that of dead nuclei among all that were predicted, and its viability 1 minus the dead share.",
    "area": "The dead share of a field is the area predicted as stained, over the area of cells, which was told by the "
    "texture of the bright-field image.",
    "patches": "The dead share of a field is the mean of 1 - P(live) over what its patches with cells cover.",
}
_NOT_STAINED: Final = (
    "A cell that dies without taking up the stain is not dead to the model, and one that has come off is not there."
)
_LIMITS: Final[dict[ShareOf, tuple[str, ...]]] = {
    "nuclei": (
        "Nuclei that touch may be predicted as one, so that a number of nuclei is too low where cells crowd.",
        _NOT_STAINED,
    ),
    "area": (
        "A share of area is no share of cells, since dead cells shrink: do not call 1 minus it viability.",
        _NOT_STAINED,
    ),
    "patches": (
        "A patch holds many cells, and one that is scored dead may hold living ones. The share of patches rises with "
        "that of dead cells and is not it: do not call 1 minus it viability.",
    ),
}
_MOST_NOTES: Final = 12
_PACKAGES: Final = {"torch": "PyTorch", "timm": "timm", "segmentation-models-pytorch": "segmentation-models-pytorch"}


@dataclass(frozen=True)
class Analysis:
    """What the command was asked, and how it decided.

    Attributes:
        model: The run or checkpoint, as it was named.
        stride: Pixels from one patch to the next, at the model's magnification.
        uncertain: P(live) between these two is too near to even to be counted on; None where no patch is uncertain.
        false_alarms: Share of fields like the training data that the threshold flags as unlike it all the same; None
            where the model has no such threshold.
        include_flagged: Whether flagged fields enter the means.
        confidence: Coverage of the intervals over fields.
        check: Agreement with PI, as ``agreement_with_pi`` gives it; None where there was none to check by.
        over_time: What positions tell over time; None where none was imaged at several times.
        doses: How curves were fitted, in sentences; none where wells have no doses.
        doses_found: What they say, likewise.
    """

    model: str
    stride: int
    uncertain: tuple[float, float] | None
    false_alarms: float | None
    include_flagged: bool
    confidence: float
    check: Mapping[str, Any] | None = None
    over_time: TimesShown | None = None
    doses: tuple[str, ...] = ()
    doses_found: tuple[str, ...] = ()


def write_methods(checkpoint: Checkpoint, rows: Sequence[FieldRow], path: Path, *, analysis: Analysis) -> None:
    """Write METHODS.md.

    Args:
        checkpoint: The model.
        rows: All fields.
        path: Of the file.
        analysis: What was asked.
    """
    share_of = _share_of(rows)
    flags = Counter(flag for row in rows for flag in row.flags)
    notes = Counter(note for row in rows for note in row.notes)
    told = [(plain(note), fields_in_words(number)) for note, number in notes.most_common(_MOST_NOTES)]
    if len(notes) > _MOST_NOTES:
        told.append(("other notes, which fields.csv has", f"{len(notes) - _MOST_NOTES:,}"))
    page = methods_template().render(
        paragraph=" ".join(paragraph(checkpoint, rows, analysis)),
        counts=list(_counts(rows, analysis)),
        flags=[(FLAG_WORDS.get(name, name), number) for name, number in sorted(flags.items())],
        notes=told,
        over_time=[] if analysis.over_time is None else [plain(line) for line in analysis.over_time.sentences],
        doses=[plain(line) for line in analysis.doses_found],
        limits=[*(_LIMITS[share_of] if share_of is not None else ()), *_general_limits(checkpoint, analysis)],
        version=jimt.__version__,
    )
    write_whole(path, page)


def paragraph(checkpoint: Checkpoint, rows: Sequence[FieldRow], analysis: Analysis) -> Iterator[str]:
    """The sentences of the paragraph, in their order; arguments as of ``write_methods``."""
    answered = [row for row in rows if row.failed is None]
    wells = {(row.plate, row.well) for row in answered if row.well is not None}
    plates = {row.plate for row in answered if row.plate is not None}
    of_wells = f" of {len(wells):,} well{_s(len(wells))}" if wells else ""
    of_plates = f" on {len(plates):,} plates" if len(plates) > 1 else ""
    yield (
        f"Bright-field images of {fields_in_words(len(answered))}{of_wells}{of_plates} were analysed without any stain "
        f"by jimt {jimt.__version__}, which builds on the method of Pattarone et al. (2021)."
    )
    yield from _images_in_words(checkpoint, answered)
    yield from model_in_words(checkpoint, stride=analysis.stride)
    share_of = _share_of(rows)
    if share_of is not None:
        yield _SHARES[share_of]
    if analysis.uncertain is not None and any(row.n_uncertain is not None for row in answered):
        low, high = analysis.uncertain
        yield (
            f"Patches with P(live) between {low:g} and {high:g} were counted as uncertain, and a share is given with "
            "the range from all of them living to all of them dead."
        )
    yield from _flags_in_words(answered, analysis)
    yield _check_in_words(analysis.check)
    if wells:
        yield (
            "The dead share of a well is the mean of its fields, weighed alike, with the standard deviation between "
            f"them and a {percent_text(analysis.confidence)} confidence interval over fields by Student's t."
        )
    if analysis.over_time is not None:
        yield from map(plain, analysis.over_time.methods)
    yield from map(plain, analysis.doses)
    software = ", ".join(f"{name} {importlib.metadata.version(package)}" for package, name in _PACKAGES.items())
    trained_by = checkpoint.record.versions["jimt"]
    by_other = "" if trained_by == jimt.__version__ else f" The model was trained by jimt {trained_by}."
    yield f"Software: jimt {jimt.__version__}, {software}.{by_other}"


def _images_in_words(checkpoint: Checkpoint, answered: Sequence[FieldRow]) -> Iterator[str]:
    wanted = checkpoint.input.pixel_size
    sizes = sorted({round(row.pixel_size_um, 4) for row in answered if row.pixel_size_um is not None})
    n_unknown = sum(row.pixel_size_um is None for row in answered)
    if sizes:
        told = f"{sizes[0]:g}" if len(sizes) == 1 else f"{sizes[0]:g} to {sizes[-1]:g}"
        yield f"Their pixels had a side of {told} µm."
    n_resampled = sum(row.zoom != 1 for row in answered)
    if n_resampled and wanted is not None:
        yield (
            f"Images of {fields_in_words(n_resampled)} were resampled to the {wanted:g} µm of the images that the "
            "model was trained on."
        )
    if answered and wanted is None:
        yield "The pixel size of the images that the model was trained on is not known, so none was resampled."
    elif n_unknown:
        which = "Their pixel size" if n_unknown == len(answered) else f"The pixel size of {fields_in_words(n_unknown)}"
        yield f"{which} was not known, and taken for that of the model."


def _check_in_words(check: Mapping[str, Any] | None) -> str:
    if check is None:
        return "The answers were not held against a stain of the same fields."
    fields = check["fields"]
    if fields["mae"]["value"] is None:
        return "The answers were to be held against PI of the same fields, and none of these has a share of both."
    error = value_text(fields["mae"]["value"], fields["mae"]["interval"])
    return (
        f"Held against PI in {fields_in_words(fields['n'])}, flagged ones included, the dead share was off by {error} "
        f"on average (interval over {check['groups']}), with a bias of {fields['bias']['value']:+.3f}."
    )


def _flags_in_words(answered: Sequence[FieldRow], analysis: Analysis) -> Iterator[str]:
    if analysis.false_alarms is None:
        yield "Whether fields are unlike the training data could not be told: the model holds no threshold for it."
    else:
        yield (
            "Fields were flagged where the network's features lie farther from those of the training data than a "
            f"threshold chosen so that {percent_text(analysis.false_alarms)} of like fields are flagged, and where "
            "focus, contrast, noise, colour or pixel size differ from what the model was trained on."
        )
    n_flagged = sum(bool(row.flags) for row in answered)
    if n_flagged:
        kept = "and kept in the means" if analysis.include_flagged else "and left out of all means"
        were = "was" if n_flagged == 1 else "were"
        yield f"Of {len(answered):,}, {fields_in_words(n_flagged)} {were} flagged {kept}."
    elif answered:
        yield "No field was flagged."


def _counts(rows: Sequence[FieldRow], analysis: Analysis) -> Iterator[tuple[str, str]]:
    yield "model", plain(analysis.model)
    yield "fields given", f"{len(rows):,}"
    yield "without an answer", f"{sum(row.failed is not None for row in rows):,}"
    yield "without cells to take a share of", f"{sum(row.failed is None and row.dead_share is None for row in rows):,}"
    yield "flagged", f"{sum(bool(row.flags) for row in rows):,}"
    counted = [row for row in rows if counts(row, include_flagged=analysis.include_flagged)]
    yield "in the means", f"{len(counted):,}"
    shares = [row.dead_share for row in counted if row.dead_share is not None]
    if shares:
        yield "dead share, mean over these fields", f"{sum(shares) / len(shares):.3f}"
        yield "lowest and highest", f"{min(shares):.3f}, {max(shares):.3f}"
    cells = [row.n_cells for row in counted if row.n_cells is not None]
    if cells:
        yield "nuclei in these fields", f"{sum(cells):,}"


def _general_limits(checkpoint: Checkpoint, analysis: Analysis) -> Iterator[str]:
    yield (
        f"The model was trained on the data set {plain(checkpoint.record.dataset)} alone. Of other cells, treatments "
        "and microscopes nothing is known before some fields of them were stained and compared."
    )
    yield "An interval over fields of a well says nothing of other wells: compare treatments by wells, not by fields."
    if analysis.include_flagged:
        yield "Fields that are flagged are among the means, although there is reason not to trust them."
    yield "Made for research; not for diagnosis."


def _share_of(rows: Sequence[FieldRow]) -> ShareOf | None:
    return next((row.share_of for row in rows if row.share_of is not None), None)


def _s(number: int) -> str:
    return "" if number == 1 else "s"


def fields_in_words(number: int) -> str:
    """A number of fields.

    >>> fields_in_words(1), fields_in_words(1200)
    ('1 field', '1,200 fields')
    """
    return f"{number:,} field{_s(number)}"
