"""What a transfer comes to, in sentences."""

from typing import Any, Final

from jimt.evaluation.matching_gains import MEASURES, SHARE_ERROR
from jimt.evaluation.transfer_tables import SHORT
from jimt.statistics.value_text import number_text, value_text

_SHOWN: Final = 3
"""Differences that a sentence names."""


def in_words(result: dict[str, Any]) -> list[str]:
    """What separates the data sets, what matching helps, and what stained fields do.

    Args:
        result: What ``transfer.json`` holds, but for these words.
    """
    names = dict.fromkeys(entry["trained_on"] for entry in result["scores"])
    if len(names) == 1:
        return [
            f"All runs were trained on {next(iter(names))}: give one of another data set to hear what separates them."
        ]
    told = [_what_separates(pair) for pair in result["differences"]]
    for bridge in result["bridges"]:
        told += _what_bridges(bridge)
    shares = {bridge["share_of"]: bridge["model"] for bridge in result["bridges"] if bridge["share_of"]}
    if len(shares) > 1:
        of = ", ".join(f"that of {name}'s model of {share}" for share, name in shares.items())
        told.append(f"The models differ in what their dead share is a share of ({of}): compare no errors between them.")
    return told


def _what_separates(pair: dict[str, Any]) -> str:
    one, other = pair["first"], pair["second"]
    told = [each for each in pair["measures"] if each["separation"] and each["separation"]["beyond_chance"]]
    unknown = "".join(f" {each['note'].capitalize()}." for each in pair["measures"] if each["separation"] is None)
    if told:
        listed = [
            f"{SHORT[each['name']]} ({each['first']['value']:.3g} against {each['second']['value']:.3g}, AUROC "
            f"{number_text(each['separation']['area'])})"
            for each in told[:_SHOWN]
        ]
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        return f"Images of {one} and {other} are told apart by {', then '.join(listed)}{more}.{unknown}"
    measured = [each["separation"] for each in pair["measures"] if each["name"] != "pixel_size"]
    if all(each["interval"] is None for each in measured):
        return f"Whether the images of {one} and {other} differ, so few groups cannot tell.{unknown}"
    return f"Nothing that was measured tells images of {one} and {other} apart by more than chance.{unknown}"


def _what_bridges(bridge: dict[str, Any]) -> list[str]:
    model, data = f"the model of {bridge['model']}", bridge["tested_on"]
    if bridge["matching"] is None and bridge["adaptation"] is None and bridge["no_adaptation"] is None:
        return [f"Nothing is left of {data} to test {model} on: it was trained on all of it."]
    told = []
    if bridge["matching"] is not None:
        told.append(_of_matching(bridge["matching"], model=model, data=data))
    told.append(_of_adaptation(bridge, model=model, data=data))
    return told


def _of_matching(rows: list[dict[str, Any]], *, model: str, data: str) -> str:
    made = [row for row in rows[1:] if row["reason"] is None and row["matched"] != "density"]
    better, worse = ([_gain(row, sign) for row in made if _gain(row, sign)] for sign in (1, -1))
    text = ""
    if rows[0]["auroc"]["value"] is None:
        text = f"What is tested of {data} is of one class, so there is no AUROC. "
    if better:
        text += f"Of {data}, {model} does better once images are matched in {' and in '.join(better)}."
    else:
        gains = [row[measure]["gain_interval"] for row in made for measure in MEASURES]
        changed = [row for row in made if any(row[measure]["gain"] for measure in MEASURES)]
        if not changed:
            text += f"Matching changes nothing in what {model} says of {data}."
        elif all(gain is None for gain in gains):
            text += f"Whether matching images of {data} mends what {model} says, so few groups cannot tell."
        else:
            text += f"No matching of images of {data} mends what {model} says by more than chance."
    if worse:
        text += f" It does worse once they are matched in {' and in '.join(worse)}."
    for row in rows[1:]:
        if row["reason"] is not None:
            text += f" Not matched: {SHORT[row['matched']]}, since {row['reason']}."
    return text


def _gain(row: dict[str, Any], sign: int) -> str:
    """By which measures a matching is better, or with the sign -1 worse; empty by none."""
    told = []
    for measure, words in MEASURES.items():
        found = row[measure]
        way = -sign if measure == SHARE_ERROR else sign
        if found["beyond_chance"] and found["gain"] * way > 0:
            named = words if measure != "auroc_within_groups" else "AUROC within groups"
            told.append(f"{named} {value_text(found['gain'], found['gain_interval'], signed=True)}")
    return f"{SHORT[row['matched']]} ({', '.join(told)})" if told else ""


def _of_adaptation(bridge: dict[str, Any], *, model: str, data: str) -> str:
    found = bridge["adaptation"]
    if found is None:
        return f"No stained fields of {data} were tried for {model}: {bridge['no_adaptation']}."
    n, gain, beside = found["stained"], found["adapted - before"], found["adapted - mean of the stained"]
    errors = f"from {number_text(found['before']['value'])} to {number_text(found['adapted']['value'])}"
    change = value_text(gain["value"], gain["interval"], signed=True)
    one, s = f"{n} stained field{'s' * (n != 1)} of {data}", "s" * (n == 1)
    if gain["interval"] is None:
        text = f"Whether {one} mend{s} the dead shares of {model}, so few groups cannot tell: their error goes {errors}"
    elif gain["interval"][1] < 0:
        text = f"{one[0].upper()}{one[1:]} mend{s} the dead shares of {model}: their error goes {errors} ({change})"
    elif gain["interval"][0] > 0:
        text = f"{one[0].upper()}{one[1:]} spoil{s} the dead shares of {model}: their error goes {errors} ({change})"
    else:
        text = (
            f"{one[0].upper()}{one[1:]} {'does' if s else 'do'} not mend the dead shares of {model} by more than "
            "chance: their error goes "
        )
        text += f"{errors} ({change})"
    low, high = beside["interval"] or (-1.0, 1.0)
    verdict = "no nearer, by more than chance, than"
    if high < 0 or low > 0:
        verdict = "nearer than" if high < 0 else "farther off than"
    against = value_text(beside["value"], beside["interval"], signed=True)
    return f"{text}, {verdict} the mean share of the stained fields alone ({against})."
