"""The one exception whose message is meant for the person at the keyboard, and words that are to be typed."""

import contextlib
import difflib
import errno
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Self

DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What writing to a full disk, over a quota or over a limit on file size fails with."""


class InputError(ValueError):
    """What was asked cannot be done; the message is one sentence that names the cause and what mends it.

    >>> print(InputError("the hub cannot be reached", remedies=("backbone.weights=FILE", "backbone.weights=random")))
    the hub cannot be reached: give backbone.weights=FILE, or backbone.weights=random
    >>> print(InputError("nobody answers", advice="wait", remedies=("dask scheduler",)))
    nobody answers: wait, or run dask scheduler

    Args:
        cause: In prose. It may quote a setting that was given, and names none to give.
        advice: What to do beside the command line, in prose: add groups, rename the file.
        remedies: What to type, each of which mends it: overrides and flags to add to the command, those of one remedy
            parted by spaces, or whole commands. What stands in capitals is for the person to fill in.
        listed: Lines below the sentence, such as one for each file that it is about.
    """

    def __init__(
        self, cause: str, *, advice: str = "", remedies: tuple[str, ...] = (), listed: tuple[str, ...] = ()
    ) -> None:
        told = ways_out(advice=advice, remedies=remedies)
        super().__init__("\n  ".join([f"{cause}: {told}" if told else cause, *listed]))
        self.cause, self.advice, self.remedies, self.listed = cause, advice, remedies, listed

    def about(self, cause: str) -> Self:
        """The same error with the same ways out of it, its cause in other words."""
        return type(self)(cause, advice=self.advice, remedies=self.remedies, listed=self.listed)

    def without(self, remedy: str) -> Self:
        """The same error without a remedy, such as one that has been taken."""
        kept = tuple(each for each in self.remedies if each != remedy)
        return type(self)(self.cause, advice=self.advice, remedies=kept, listed=self.listed)


class Interrupted(InputError):
    """The person at the keyboard, or the system, told a run to stop; a sweep stops with it."""


@contextlib.contextmanager
def in_one_sentence() -> Iterator[None]:
    """End the process with the sentence of an ``InputError`` and exit status 1; decorates what a command calls."""
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")


@contextlib.contextmanager
def filling_a_disk(where: Path | str, *, remedies: tuple[str, ...] = ()) -> Iterator[None]:
    """Say in a sentence that no space is left, where a disk is full.

    Args:
        where: What is made or written, as the person at the keyboard has named it.
        remedies: What to type, beside freeing space.

    Raises:
        InputError: If there is no space; any other error of the system passes.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise InputError(
            f"no space left for {where} ({error.strerror})", advice="free some", remedies=remedies
        ) from error


@contextlib.contextmanager
def writing(where: Path, *, advice: str) -> Iterator[None]:
    """Say in a sentence why a file or folder cannot be written, in the system's own words.

    Args:
        where: What is made or written, as the person at the keyboard has named it.
        advice: What to do, where there is space on the disk.

    Raises:
        InputError: If the system refuses it.
    """
    try:
        with filling_a_disk(where):
            yield
    except OSError as error:
        raise InputError(f"{where} cannot be written ({error.strerror})", advice=advice) from error


def ways_out(*, advice: str = "", remedies: tuple[str, ...] = ()) -> str:
    """Advice and remedies as the end of a sentence, for an error or a warning; empty without any.

    >>> ways_out(advice="mend the file", remedies=("trainer=cpu", "--config-dir FOLDER", "pip install optuna"))
    'mend the file, or give trainer=cpu, or --config-dir FOLDER, or run pip install optuna'
    """
    given = [remedy for remedy in remedies if not is_command(remedy)]
    run = [remedy for remedy in remedies if is_command(remedy)]
    ways = [advice] if advice else []
    ways += [f"{verb} {', or '.join(those)}" for verb, those in (("give", given), ("run", run)) if those]
    return ", or ".join(ways)


def did_you_mean(given: str, known: Iterable[str], *, otherwise: str, at_most: int = 3) -> str:
    """Advice where a name is not known: those that are spelt nearly so, or what else helps.

    >>> did_you_mean("tarin", ("train", "tune"), otherwise="give train or tune", at_most=1)
    'did you mean train?'
    """
    near = difflib.get_close_matches(given, list(known), n=at_most)
    return f"did you mean {' or '.join(near)}?" if near else otherwise


def is_command(remedy: str) -> bool:
    """Whether a remedy is a whole command, and no overrides or flags to add to one.

    >>> is_command("pip install optuna"), is_command("a.b=c d=E"), is_command("--config-dir FOLDER")
    (True, False, False)
    """
    return re.match(r"-|['\"]?[+~]*[\w./@]+=", remedy) is None


_NOT_TEXT: Final = re.compile(r"(?i)null|true|false|[+-]?(inf|nan)|[+-]?[_.]*\d[\d_.]*(e[+-]?[\d_]+)?")
"""What Hydra reads as another kind of value than text, to write it anew: 1e3 as 1000.0."""


def quoted(value: str) -> str:
    r"""A value in Hydra's quotes, where its grammar would read more into it than text.

    >>> print(quoted("runs/a"), quoted("my runs"), quoted("Süd"), quoted("3"), quoted("1e3"))
    runs/a 'my runs' 'Süd' 3 '1e3'
    >>> print(quoted("it's"), quoted("C:\\lab\\"))
    'it\'s' 'C:\lab\\'
    """
    plain = re.fullmatch(r"[\w./-]+", value, re.ASCII) and not _NOT_TEXT.fullmatch(value)
    if plain or re.fullmatch(r"-?(0|[1-9]\d*)", value, re.ASCII):
        return value
    # a backslash is one of the text unless a quote follows
    escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + found[2].replace("'", r"\'"), value)
    return f"'{escaped}'"


def as_typed(key: str, value: object) -> str:
    """An override as it is typed in a shell, in its quotes and Hydra's where they are needed.

    >>> print(as_typed("resume", "runs/a"), as_typed("resume", "my runs"))
    resume=runs/a "resume='my runs'"
    """
    text = f"{key}={quoted(str(value))}"
    if shlex.quote(text) == text or re.fullmatch(r"[\w./=-]+", text):
        return text
    return _in_shell_quotes(text)


def _in_shell_quotes(text: str) -> str:
    return f'"{text}"' if not re.search(r'["\\$`!]', text) else shlex.quote(text)


def as_list_typed(key: str, values: list[str]) -> str:
    """Likewise of a setting that holds several values.

    >>> print(as_list_typed("dataset.group", ["plate", "well"]), as_list_typed("dataset.group", ["W\u00e4lle"]))
    dataset.group=[plate,well] "dataset.group=['W\u00e4lle']"
    """
    text = f"{key}=[{','.join(map(quoted, values))}]"
    return text if "'" not in text else _in_shell_quotes(text)
