"""The text of a value with its confidence interval, the same in every table, figure and card."""

from collections.abc import Mapping, Sequence

import numpy as np

NO_VALUE = "-"
"""What stands for a value that cannot be had."""


def number_text(value: float | None, *, signed: bool = False) -> str:
    """A value with three decimals; ``-`` for None and NaN.

    Args:
        value: The value.
        signed: Whether a positive value has its sign, as a difference has.

    >>> number_text(0.76), number_text(0.1, signed=True), number_text(None)
    ('0.760', '+0.100', '-')
    """
    if value is None or np.isnan(value):
        return NO_VALUE
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def interval_text(interval: Sequence[float] | None, *, signed: bool = False) -> str:
    """Both ends of an interval; ``-`` where there is none.

    >>> interval_text((0.684, 0.822))
    '0.684 to 0.822'
    """
    if interval is None:
        return NO_VALUE
    return f"{number_text(interval[0], signed=signed)} to {number_text(interval[1], signed=signed)}"


def value_text(value: float | None, interval: Sequence[float] | None, *, signed: bool = False) -> str:
    """A value and, in brackets, its interval, where there is one.

    >>> value_text(0.76, (0.684, 0.822)), value_text(0.76, None), value_text(None, None)
    ('0.760 (0.684 to 0.822)', '0.760', '-')
    """
    number = number_text(value, signed=signed)
    return number if interval is None else f"{number} ({interval_text(interval, signed=signed)})"


def spread_text(spread: Mapping[str, float | None]) -> str:
    """Mean and standard deviation over the folds of a cross-validation.

    Args:
        spread: ``mean`` and ``sd``, as ``crossval.json`` has them of a metric.

    >>> spread_text({"mean": 0.8, "sd": 0.05})
    'mean 0.800, standard deviation 0.050'
    """
    return f"mean {number_text(spread['mean'])}, standard deviation {number_text(spread['sd'])}"


def percent_text(share: float) -> str:
    """A share as per cent, such as the coverage of an interval.

    >>> percent_text(0.95), percent_text(0.999)
    ('95 %', '99.9 %')
    """
    return f"{100 * share:g} %"
