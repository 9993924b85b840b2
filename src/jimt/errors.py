"""The one exception whose message is meant for the person at the keyboard."""

import errno
import re
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
        self.cause, self.advice, self.remedies = cause, advice, remedies

    def about(self, cause: str) -> Self:
        """The same error with the same ways out of it, its cause in other words."""
        return type(self)(cause, advice=self.advice, remedies=self.remedies)


class Interrupted(InputError):
    """The person at the keyboard, or the system, told a run to stop; a sweep stops with it."""


def ways_out(*, advice: str = "", remedies: tuple[str, ...] = ()) -> str:
    """Advice and remedies as the end of a sentence, for an error or a warning; empty without any.

    >>> ways_out(advice="mend the file", remedies=("trainer=cpu", "--config-dir FOLDER", "pip install optuna"))
    'mend the file, or give trainer=cpu, or --config-dir FOLDER, or run pip install optuna'
    """
    given = [remedy for remedy in remedies if re.match(r"-|'?[+~]*[\w./@]+=", remedy)]  # overrides and flags
    run = [remedy for remedy in remedies if remedy not in given]
    ways = [advice] if advice else []
    ways += [f"{verb} {', or '.join(those)}" for verb, those in (("give", given), ("run", run)) if those]
    return ", or ".join(ways)
