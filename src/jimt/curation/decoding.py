"""One raw image that cannot be used, and what a decoder says of it in one sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from jimt.errors import InputError


class BadImageError(InputError):
    """One raw image cannot be used; the message says why and what to do, without the file's name."""


@contextmanager
def decoding(form: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one sentence; nothing but decoding belongs in the block.

    Args:
        form: Name of the file format.

    Raises:
        BadImageError: Where anything is raised in the block.
    """
    try:
        yield
    except BadImageError:
        raise
    except MemoryError as error:
        raise BadImageError(
            f"is damaged, or needs more memory than there is ({_first_line(error)})", advice="export it again"
        ) from error
    except OSError as error:
        raise BadImageError(
            f"cannot be read ({error.strerror or _first_line(error)})", advice="check the file and its permissions"
        ) from error
    # Exception: what tifffile, imagecodecs and OpenCV raise at a damaged file is documented nowhere (cv2.error,
    # zlib.error and xml's ParseError have no base in common), and one file must not end the reading of all others
    except Exception as error:
        raise BadImageError(f"is not a {form}, or damaged ({_first_line(error)})", advice="export it again") from error


def _first_line(error: BaseException) -> str:
    # OpenCV begins with its version and the place in its source: "OpenCV(5.0.0) /io/...cpp:116: error: (-215:...) ..."
    text = re.sub(r"^OpenCV\(\S+\) \S+: error: ", "", str(error))
    return (text.strip().splitlines() or [type(error).__name__])[0]
