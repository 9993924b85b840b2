"""Run as a script with a command's words: a process that lacks what Windows lacks imports all of jimt, then runs it.

Modules and functions of POSIX are hidden from this process and from those that it starts, which are spawned; text read
or written without a named encoding is an error, since Windows would take the code page of its country.
"""

import builtins
import importlib
import multiprocessing
import os
import pkgutil
import sys
import warnings

POSIX = ("fcntl", "grp", "pwd", "resource", "termios")
FUNCTIONS = ("fork", "forkpty", "getpgid", "getuid", "killpg", "posix_fadvise", "setpgrp", "setsid")

import_any = builtins.__import__


def import_on_windows(name, globals=None, *rest, **more):
    """Refuse jimt what Windows has not; other packages choose what they import by ``sys.platform``."""
    if name in POSIX and globals is not None and str(globals.get("__name__")).startswith("jimt"):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return import_any(name, globals, *rest, **more)


builtins.__import__ = import_on_windows
sys.modules["fcntl"] = None  # type: ignore[assignment]
importlib.import_module("filelock")  # it then locks as on a system without flock
del sys.modules["fcntl"]
for function in FUNCTIONS:
    vars(os).pop(function, None)

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    import jimt

    for found in pkgutil.walk_packages(jimt.__path__, "jimt."):
        if found.name != "jimt.__main__":
            importlib.import_module(found.name)
    warnings.filterwarnings("error", category=EncodingWarning, module=r"jimt\.")
    from jimt.__main__ import main

    main()
