"""Doses as a person types them, with or without a unit: numbers, all in one unit."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jimt.errors import InputError

_DOSE: Final = re.compile(r"([+-]?(?:\d[\d.,]*|[.,]\d+)(?:[eE][+-]?\d+)?)\s*(\D.*)?", re.ASCII | re.DOTALL)
_THOUSANDS: Final = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)
"""Which is a number with commas between thousands, or one with a decimal comma: 1,000."""
_NOT_PLAIN: Final = re.compile(r"[\d'\u2019^]|[x×*·.,]\s*\d")
"""Begins what is no unit but more of the number: 1 000, 1'000, 1x10^-6."""
_PREFIXES: Final = {"f": -15, "p": -12, "n": -9, "µ": -6, "m": -3, "": 0}
_MOLAR: Final = {f"{prefix}M": power for prefix, power in _PREFIXES.items()}
_PER_VOLUME: Final = {
    f"{mass}g/{volume}L": of_mass - of_volume
    for mass, of_mass in _PREFIXES.items()
    for volume, of_volume in {"": 0, "m": -3, "µ": -6}.items()
}
_KINDS: Final = (_MOLAR, _PER_VOLUME)
"""Units that can be told in one another, by their power of ten."""


@dataclass(frozen=True)
class TypedDose:
    """A dose as a table has it.

    Attributes:
        text: The number and its unit.
        where: The table and its line, in words.
    """

    text: str
    where: str


def read_doses(typed: Sequence[TypedDose]) -> tuple[list[float], str | None]:
    """Doses as numbers, and the unit they are in: that which most of them have; None where none has one.

    Molar units are told in one another, and those of a mass in a volume; any other has to be that of every dose. A
    decimal comma is one where no dose has a decimal point. 0 needs no unit.

    >>> read_doses([TypedDose(text, "") for text in ("0", "100 nM", "1 uM", "10 µM")])
    ([0.0, 0.1, 1.0, 10.0], 'µM')
    >>> read_doses([TypedDose(text, "") for text in ("0,5", "1E-3")])
    ([0.5, 0.001], None)

    Raises:
        InputError: If one is no number, is negative, or is in a unit that others are not.
    """
    parts = [_parts(dose) for dose in typed]
    commas = _decimal_comma([(number, dose) for (number, _), dose in zip(parts, typed, strict=True)])
    numbers = [_number(number, dose, commas=commas) for (number, _), dose in zip(parts, typed, strict=True)]
    told = [
        (number, _known(unit), dose)
        for number, (_, unit), dose in zip(numbers, parts, typed, strict=True)
        if number or unit
    ]
    first: dict[str, str] = {}  # the spelling of units that differ in nothing but small and capital letters
    told = [(number, unit and first.setdefault(unit.casefold(), unit), dose) for number, unit, dose in told]
    units = Counter(unit for _, unit, _ in told)
    if not units:
        return numbers, None
    unit = min(units, key=lambda one: (-units[one], one or ""))
    powers: dict[str | None, int] = {unit: 0}
    powers.update(next((kind for kind in _KINDS if unit in kind), {}))
    for _, other, dose in told:
        if other not in powers:
            raise InputError(
                f"{dose.where} has the dose {dose.text}, and others are {f'in {unit}' if unit else 'without a unit'}",
                advice="write all of them in one unit",
            )
    scale = {id(dose): powers[other] - powers[unit] for _, other, dose in told}
    return [_scaled(number, scale.get(id(dose), 0)) for number, dose in zip(numbers, typed, strict=True)], unit


def _scaled(number: float, power: int) -> float:
    return number * 10.0**power if power >= 0 else number / 10.0**-power  # 100 nM is 0.1 µM and nothing beside it


def _parts(dose: TypedDose) -> tuple[str, str | None]:
    read = _DOSE.fullmatch(dose.text.strip().replace("\u2212", "-"))
    if read is None:
        raise InputError(
            f"{dose.where} has the dose {dose.text}, which is no number", advice="write a number, 0 for the vehicle"
        )
    unit = (read[2] or "").strip() or None
    if unit is not None and _NOT_PLAIN.match(unit):
        raise InputError(
            f"{dose.where} has the dose {dose.text}, whose number is not plain",
            advice="write 1000 or 1e3 for a thousand, and 1e-6 for a millionth",
        )
    return read[1], unit


def _decimal_comma(numbers: Sequence[tuple[str, TypedDose]]) -> bool:
    """Whether commas are decimal, which they are where that is the only way to read one, and no dose has a point."""
    with_comma = [(number, dose) for number, dose in numbers if "," in number]
    if not with_comma:
        return False
    both = next((dose for number, dose in with_comma if "." in number), None)
    if both is None and any("." in number for number, _ in numbers):
        both = with_comma[0][1]
    if both is not None:
        raise InputError(
            f"{both.where} has the dose {both.text}, and the table has decimal points beside commas",
            advice="write 1000.5 for a thousand and a half",
        )
    if all(_THOUSANDS.fullmatch(number) for number, _ in with_comma):
        unclear = with_comma[0][1]
        raise InputError(
            f"{unclear.where} has the dose {unclear.text}, which can be read in two ways",
            advice="write 1000 for a thousand, and 1 or 1.0 for one",
        )
    return True


def _number(text: str, dose: TypedDose, *, commas: bool) -> float:
    try:
        number = float(text.replace(",", ".") if commas else text)
    except ValueError as error:
        raise InputError(
            f"{dose.where} has the dose {dose.text}, which is no number", advice="write a number, 0 for the vehicle"
        ) from error
    if number < 0:
        raise InputError(
            f"{dose.where} has the negative dose {dose.text}",
            advice="write the dose itself, where this is its logarithm, and 0 for the vehicle",
        )
    if math.isinf(number):
        raise InputError(f"{dose.where} has the dose {dose.text}, which is no number", advice="write a smaller one")
    return number


def _known(unit: str | None) -> str | None:
    """A unit as it is spelt here, where it is known: uM, μM, um and µmol/L are µM."""
    if unit is None:
        return None
    plain = re.sub(r"\s*/\s*", "/", unit.replace("\u03bc", "µ"))
    plain = re.sub(r"mol/L$", "M", plain, flags=re.IGNORECASE)
    plain = re.sub(r"^u(?=M$|g/)|(?<=/)u(?=L$)", "µ", plain, flags=re.IGNORECASE)
    known = {name.casefold(): name for kind in _KINDS for name in kind}
    return known.get(plain.casefold(), unit)
