"""The one exception whose message is meant for the person at the keyboard."""

import errno
from typing import Final

DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What writing to a full disk, over a quota or over a limit on file size fails with."""


class InputError(ValueError):
    """What was asked cannot be done; the message is one line that names the cause and the remedy."""


class Interrupted(InputError):
    """The person at the keyboard, or the system, told a run to stop; a sweep stops with it."""
