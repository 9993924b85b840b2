"""The one exception whose message is meant for the person at the keyboard."""

import errno
from typing import Final

DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What writing to a full disk, over a quota or over a limit on file size fails with."""


class InputError(ValueError):
    """What was asked cannot be done; the message is one line that names the cause and the remedy.

    >>> print(InputError("the hub cannot be reached", remedies=("backbone.weights=FILE", "backbone.weights=random")))
    the hub cannot be reached: give backbone.weights=FILE, or backbone.weights=random

    Args:
        cause: In prose; with its remedy where that is prose too.
        remedies: Overrides to add to the command, each of which mends it; those of one remedy parted by spaces. What
            stands in capitals is for the person to fill in.
    """

    def __init__(self, cause: str, *, remedies: tuple[str, ...] = ()) -> None:
        super().__init__(f"{cause}: give {', or '.join(remedies)}" if remedies else cause)
        self.remedies = remedies


class Interrupted(InputError):
    """The person at the keyboard, or the system, told a run to stop; a sweep stops with it."""
