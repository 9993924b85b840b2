"""What follows from the answers to all fields: tables, plates, a page to look at, and what to say first."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from jimt.models.checkpoint import Checkpoint
from jimt.models.pi_truth import NOT_CHECKED
from jimt.prediction.answer_tables import counts, write_fields, write_patches
from jimt.prediction.answers import FieldRow, Source
from jimt.prediction.asked import Asked
from jimt.prediction.dose_answers import Doses, dose_answers
from jimt.prediction.dose_files import write_doses
from jimt.prediction.dose_plan import DosePlan
from jimt.prediction.dose_words import dose_methods, dose_rows
from jimt.prediction.field_answer import row_of
from jimt.prediction.field_files import stem_of
from jimt.prediction.gallery import write_gallery
from jimt.prediction.inputs import Found
from jimt.prediction.methods import Analysis, write_methods
from jimt.prediction.parts import Parts
from jimt.prediction.pi_agreement import agreement_with_pi
from jimt.prediction.plate_maps import SHARE_WORDS, share_label, write_plate_maps
from jimt.prediction.time_answers import TimesFound, times_found
from jimt.prediction.time_files import write_times
from jimt.prediction.well_shares import well_rows, write_wells
from jimt.prediction.workbook import write_workbook
from jimt.statistics.intervals import t_interval_of_mean
from jimt.statistics.uncertainty import UNCERTAIN
from jimt.statistics.value_text import interval_text, percent_text
from jimt.system.files import write_json

FINE: Final = 0
SOME_FAILED: Final = 3
UNLIKE_TRAINING: Final = 4
CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Results:
    """What a prediction has come to.

    Attributes:
        asked: The command.
        checkpoint: The model.
        rows: Of every field, those that failed too, in order.
        sources: Those with an answer.
        wells: As ``well_rows`` gives them.
        check: Agreement with PI; None where that was not asked for.
        doses: What doses did; None where wells have none.
        times: What positions tell over time; None where none was imaged at several times.
    """

    asked: Asked
    checkpoint: Checkpoint
    rows: list[FieldRow]
    sources: list[Source]
    wells: pd.DataFrame
    check: dict[str, Any] | None
    doses: Doses | None = None
    times: TimesFound | None = None

    @property
    def answered(self) -> list[FieldRow]:
        """Fields that have an answer."""
        return [row for row in self.rows if row.failed is None]

    @property
    def flagged(self) -> list[FieldRow]:
        """Those of them that are not to be trusted."""
        return [row for row in self.answered if row.flags]

    @property
    def status(self) -> int:
        """Exit status: 4 where most fields are unlike the training data, else 3 where some failed, else 0."""
        if 2 * len(self.flagged) > len(self.answered):
            return UNLIKE_TRAINING
        return SOME_FAILED if len(self.answered) < len(self.rows) else FINE

    def warnings(self) -> list[str]:
        """What is to be read before any number."""
        n, n_flagged, n_failed = len(self.rows), len(self.flagged), len(self.rows) - len(self.answered)
        told = []
        if n_flagged:
            left = "they enter the means, as asked" if self.asked.include_flagged else "they are left out of the means"
            reasons = pd.Series([flag for row in self.flagged for flag in row.flags]).value_counts()
            by = ", ".join(f"{name} {count}" for name, count in reasons.items())
            told.append(
                f"{n_flagged} of {len(self.answered)} fields are unlike the training data ({by}): "
                f"do not trust their numbers; {left}"
            )
        if self.checkpoint.reference.unknown is not None:
            told.append(f"whether fields are like the training data is not known: {self.checkpoint.reference.unknown}")
        if n_failed:
            told.append(f"{n_failed} of {n} fields have no answer; the reasons stand in fields.csv")
        return told

    def headline(self) -> list[str]:
        """What was found, in sentences."""
        counted = [row for row in self.answered if counts(row, include_flagged=self.asked.include_flagged)]
        told = []
        if counted:
            shares = np.array([row.dead_share for row in counted], np.float64)
            kind = counted[0].share_of
            interval = t_interval_of_mean(shares, confidence=CONFIDENCE)
            over = "" if interval is None else f" ({percent_text(CONFIDENCE)} over fields: {interval_text(interval)})"
            of = f"{len(counted)} field{'s' * (len(counted) != 1)}"
            told.append(f"Mean {SHARE_WORDS[kind or 'patches']} of {of}: {shares.mean():.3f}{over}")
        elif self.flagged and any(row.dead_share is not None for row in self.flagged):
            told.append("No field has a dead share that is to be trusted")
        elif self.answered:
            told.append("No field has cells that a dead share could be taken of")
        if self.check is None:
            told.append("Not checked against a stain: what is not flagged is not proven right")
        else:
            told.append(f"Held against PI: {self.check['sentence']}")
        return told


def results_of(
    asked: Asked, checkpoint: Checkpoint, found: Found, failed: dict[int, str], parts: Parts, plan: DosePlan | None
) -> Results:
    """Gather what fields have given.

    Args:
        asked: The command.
        checkpoint: The model.
        found: The fields.
        failed: Why some have no answer, by number, beside those that could not be opened.
        parts: Those that have.
        plan: What wells were given; None where that is not told.
    """
    without = {source.number: row_of(source, failed=reason) for source, reason in found.failed}
    without |= {
        source.number: row_of(source, failed=failed[source.number])
        for source in found.sources
        if source.number in failed
    }
    sources = [source for source in found.sources if source.number not in without]
    told = {source.number: parts.row(source) for source in sources} | without
    rows = [told[number] for number in sorted(told)]
    wells = well_rows(rows, confidence=CONFIDENCE, include_flagged=asked.include_flagged)
    check = None
    if asked.check is not None:
        check = agreement_with_pi([row for row in rows if row.failed is None], _labelled(sources, parts))
    doses = None if plan is None else dose_answers(wells, plan)
    times = None if found.series is None else times_found(found.series, rows, asked, plan, confidence=CONFIDENCE)
    return Results(asked, checkpoint, rows, sources, wells, check, doses, times)


def _labelled(sources: list[Source], parts: Parts) -> pd.DataFrame:
    """Patches with cells and their label by PI."""
    tables = [pd.DataFrame({"number": [], "score": [], "label": []})]
    for source in sources:
        _, patches = parts.read(source)
        if "label" in patches:
            tables.append(patches[patches["label"] != NOT_CHECKED][["score", "label"]].assign(number=source.number))
    return pd.concat(tables, ignore_index=True)


def write_results(results: Results, parts: Parts) -> None:
    """Write what follows for fields, wells and plates into the output folder.

    Args:
        results: What the prediction has come to.
        parts: The fields that have an answer.
    """
    asked, out = results.asked, results.asked.out
    write_fields(results.rows, out / "fields.csv", include_flagged=asked.include_flagged)
    write_patches((parts.read(source) for source in results.sources), out / "patches.csv")
    write_wells(results.wells, out / "wells.csv")
    over_time = write_times(results.times, out, confidence=CONFIDENCE)
    doses = results.doses
    shown = None if doses is None else write_doses(doses, out, label=share_label(results.wells))
    workbook = out / "predictions.xlsx"
    if asked.excel or workbook.is_file():  # one of before would not be of these answers
        write_workbook(
            results.rows,
            results.wells,
            (parts.read(source) for source in results.sources),
            workbook,
            include_flagged=asked.include_flagged,
            sheets=() if over_time is None else over_time.sheets,
            doses=None if doses is None else list(dose_rows(doses)),
        )
    if results.check is not None:
        write_json(out / "check.json", results.check)
    write_plate_maps(results.wells, out)
    reference = results.checkpoint.reference
    analysis = Analysis(
        model=str(asked.run),
        stride=results.checkpoint.input.patch_size // 2,
        uncertain=UNCERTAIN,
        false_alarms=None if reference.unknown is not None else reference.false_alarms,
        include_flagged=asked.include_flagged,
        confidence=CONFIDENCE,
        check=results.check,
        over_time=over_time,
        doses=() if doses is None else tuple(dose_methods(doses)),
        doses_found=() if shown is None else shown.sentences,
    )
    write_methods(results.checkpoint, results.rows, out / "METHODS.md", analysis=analysis)
    write_gallery(
        results.rows,
        results.wells,
        out / "index.html",
        title=f"Dead cells in {len(results.rows):,} field{'s' * (len(results.rows) != 1)}",
        warnings=results.warnings(),
        headline=results.headline(),
        stem=stem_of,
        confidence=CONFIDENCE,
        include_flagged=asked.include_flagged,
        over_time=over_time,
        doses=shown,
    )
