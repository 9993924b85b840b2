"""How this process gets memory from the system."""

import ctypes
import functools
import platform

# glibc's malloc.h; the sizes are larger than any activation of a batch of 32
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


@functools.cache
def keep_freed_memory() -> None:
    """Let this process keep memory it frees, instead of handing it back to the kernel each time.

    Every image and every layer's output is otherwise fetched anew, page by page: on two cores EfficientNet-Lite0 infers
    57 patches a second in place of 33, and a raw image is read in 14 ms in place of 23. Only glibc has the settings;
    elsewhere nothing happens.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_TOP_PAD, 2**27)  # of less, the arenas of other threads hand back their heaps of 64 MiB
