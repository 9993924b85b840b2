"""Numbers that are typed after an option of a command."""

import argparse


def from_1(text: str) -> int:
    """A whole number from 1 on, such as how many of something; argparse prints what is wrong with another.

    >>> from_1("20")
    20
    """
    return _from(1, text)


def from_0(text: str) -> int:
    """A whole number from 0 on, such as a place or a seed: numpy takes no seed below 0.

    >>> from_0("0")
    0
    """
    return _from(0, text)


def _from(least: int, text: str) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text} is no number from {least} on")
    return int(text)
