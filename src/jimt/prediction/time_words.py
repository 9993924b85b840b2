"""What positions tell over time, in sentences and as rows of tables."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jimt.prediction.answer_tables import printable
from jimt.prediction.time_answers import FLAGS, FOCUS, LIGHT, MOVED, Curve, FollowedField, TimesFound
from jimt.prediction.time_points import time_text
from jimt.statistics.onset import HELD
from jimt.statistics.value_text import percent_text

TIME_COLUMNS: Final = (
    "plate",
    "well",
    "position",
    "time",
    "elapsed",
    "unit",
    "raw_image_id",
    "dead_share",
    "dead_share_low",
    "dead_share_high",
    "counted",
    "well_dead_share",
    "well_low",
    "well_high",
    "n_positions",
    "sharpness",
    "brightness",
    "shift_y",
    "shift_x",
    "flags",
)
ONSET_COLUMNS: Final = (
    "plate",
    "well",
    "position",
    "treatment",
    "n_wells",
    "n_positions",
    "n_times",
    "first_time",
    "last_time",
    "unit",
    "threshold",
    "passing",
    "onset",
    "onset_after",
    "onset_earliest",
    "onset_latest",
    "n_flagged",
    "sentence",
)
_NAMED: Final = 3  # time points in a sentence
_TOLD: Final = 12  # wells


def time_rows(found: TimesFound) -> Iterator[Mapping[str, Any]]:
    """A row for each position and time, by ``TIME_COLUMNS``; those without an answer too."""
    for curve in found.curves:
        of_tick = {
            tick: {
                "well_dead_share": share,
                "well_low": None if ends is None else ends[0],
                "well_high": None if ends is None else ends[1],
                "n_positions": n,
            }
            for tick, share, ends, n in zip(curve.ticks, curve.shares, curve.ends, curve.n_counted, strict=True)
        }
        if curve.well is None:
            of_tick = {tick: dict.fromkeys(told) for tick, told in of_tick.items()}
        for followed in curve.positions:
            for field in followed.fields:
                row = field.row
                own = {name: getattr(row, name) for name in TIME_COLUMNS if hasattr(row, name)}
                yield (
                    own
                    | of_tick[field.tick]
                    | {
                        "position": followed.position.name,
                        "elapsed": field.time,
                        "unit": found.series.unit,
                        "counted": field.counted,
                        "shift_y": None if field.shift is None else field.shift[0],
                        "shift_x": None if field.shift is None else field.shift[1],
                        "flags": ";".join(field.flags) or None,
                    }
                )


def onset_rows(found: TimesFound, confidence: float) -> Iterator[Mapping[str, Any]]:
    """A row for each treatment, and each well, or position that is of none, by ``ONSET_COLUMNS``."""
    for curve in (*found.treatments, *found.curves):
        of_all = curve.onset
        yield {
            "plate": curve.plate,
            "well": curve.well,
            "position": curve.name if curve.well is None and not curve.wells else None,
            "treatment": curve.name if curve.wells else None,
            "n_wells": len(curve.wells) or None,
            "n_positions": sum(len(each.positions) for each in curve.wells or (curve,)),
            "n_times": len(curve.times),
            "first_time": curve.times[0],
            "last_time": curve.times[-1],
            "unit": found.series.unit,
            "threshold": found.threshold,
            "passing": of_all.found.passing,
            "onset": of_all.found.time,
            "onset_after": None if of_all.found.passing == "never" else of_all.found.after,
            "onset_earliest": of_all.earliest,
            "onset_latest": of_all.latest,
            "n_flagged": sum(
                bool(field.flags)
                for each in curve.wells or (curve,)
                for followed in each.positions
                for field in followed.fields
            ),
            "sentence": curve_sentence(curve, found, confidence),
        }


def curve_name(curve: Curve) -> str:
    """A well with its plate, or a position."""
    own = printable(curve.name)
    return (
        own
        if curve.plate is None or (curve.well is None and not curve.wells)
        else f"{own} of plate {printable(curve.plate)}"
    )


def onset_text(curve: Curve, found: TimesFound) -> str:
    """When the threshold is passed, in a few words."""
    told, text = curve.onset.found, found.series.text
    last = text(curve.times[-1])
    if told.passing == "never":
        return f"not within {last}" if found.series.unit != "time point" else f"not up to {last}"
    if told.passing == "unknown" or told.time is None:
        return "not known: fewer than two times with a dead share that counts"
    if told.passing == "at first":
        return f"by {text(told.time)}, the first time"
    return f"{text(told.time)}, the last time alone" if told.passing == "unconfirmed" else text(told.time)


def curve_sentence(curve: Curve, found: TimesFound, confidence: float) -> str:
    """When one well passes the threshold, between which times, and what its positions leave open."""
    told, text = curve.onset, found.series.text
    more = []
    if told.found.passing in ("passed", "unconfirmed") and told.found.after is not None:
        more.append(f"not yet at {text(told.found.after)}")
    if told.known:
        ends = [None if end is None else text(end) for end in (told.earliest, told.latest)]
        words = [f"{word} {end}" for word, end in zip(("after", "by"), ends, strict=True) if end is not None]
        over = f"{percent_text(confidence)} over {max(curve.n_counted)} {'wells' if curve.wells else 'positions'}"
        more.append(f"{over}: {' and '.join(words) or 'open'}")
    brackets = f" ({'; '.join(more)})" if more else ""
    return f"{curve_name(curve)}: {onset_text(curve, found)}{brackets}"


def summary_sentence(found: TimesFound) -> str:
    """How many wells pass the threshold, and what onset means here."""
    passing = [curve.onset.found.passing for curve in found.curves]
    n, n_never = len(passing), sum(each == "never" for each in passing)
    n_passed = sum(each in ("passed", "at first", "unconfirmed") for each in passing)
    of = "well" if all(curve.well is not None for curve in found.curves) else "position"
    return (
        f"Onset, the first time with a dead share of {found.threshold:g} or more that holds at the next {HELD} times, "
        f"or at those that are left: in {n_passed} of {n} {of}{'s' * (n != 1)}, "
        f"not within the times imaged in {n_never}"
    )


def flag_sentences(found: TimesFound) -> Iterator[str]:
    """How many time points drifted or moved, and the first of them."""
    fields = [
        (followed.position.name, field)
        for curve in found.curves
        for followed in curve.positions
        for field in followed.fields
    ]
    for flag, words in FLAGS.items():
        flagged = [(name, field) for name, field in fields if flag in field.flags]
        if not flagged:
            continue
        listed = ", ".join(_flagged(name, field, found, flag) for name, field in flagged[:_NAMED])
        more = f" and {len(flagged) - _NAMED} more (times.csv)" if len(flagged) > _NAMED else ""
        were = "is" if len(flagged) == 1 else "are"
        yield f"{len(flagged)} of {len(fields)} time points {were} {words} ({flag}): {listed}{more}"


def _flagged(name: str, field: FollowedField, found: TimesFound, flag: str) -> str:
    told = f"{printable(name)} at {found.series.text(field.time)}"
    if flag != "moved" or field.shift is None:
        return told
    y, x = (round(part) for part in field.shift)
    return f"{told} by {abs(y)} px {'down' if y >= 0 else 'up'} and {abs(x)} px {'right' if x >= 0 else 'left'}"


def time_sentences(found: TimesFound, confidence: float) -> list[str]:
    """What was found, for the terminal and the page: the first wells, and what drifted."""
    told = [summary_sentence(found)]
    shown = found.treatments or found.curves[:_TOLD]
    told += [curve_sentence(curve, found, confidence) for curve in shown]
    if len(found.curves) > len(shown) or found.treatments:
        told.append(f"onset.csv has all {len(found.curves):,} wells")
    return [*told, *flag_sentences(found)]


def time_methods(found: TimesFound, confidence: float) -> Iterator[str]:
    """How positions were followed, in sentences for a paper."""
    n_positions, n_times = len(found.series.positions), max(len(curve.times) for curve in found.curves)
    unit = found.series.unit
    by = "the files" if found.series.of_files else "the names of the images"
    clock = (
        "counted, since nothing tells how much time lies between them" if unit == "time point" else f"as {by} tell it"
    )
    last = max(curve.times[-1] for curve in found.curves)
    yield (
        f"{n_positions:,} position{'s' * (n_positions != 1)} were followed over up to {n_times} time points, to "
        f"{time_text(last, unit)} ({clock})."
    )
    yield (
        "The dead share of a well at a time is the mean of its positions, with a "
        f"{percent_text(confidence)} interval over positions by Student's t. Its onset is the first time with a dead "
        f"share of {found.threshold:g} or more that holds at the next {HELD} times, or at those that are left; it was "
        "reached at some moment since the time before. Its interval reaches from the last time at which the "
        "upper ends of the shares' intervals are below the threshold to the first at which the lower ends have passed "
        "it (Brookmeyer and Crowley, 1982)."
    )
    if found.treatments:
        yield (
            "Wells of a plate that were given the same were averaged at each time, with an interval over wells and an "
            "onset in the same way."
        )
    yield (
        f"Time points were flagged whose sharpness differs by more than {percent_text(FOCUS)} from the median of the "
        f"position's others, whose brightness differs by more than {percent_text(LIGHT)}, and at which a position had "
        f"moved by more than {percent_text(MOVED)} of the field's shorter side, by phase correlation with the time "
        "before; they were kept in the means."
    )
