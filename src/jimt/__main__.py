"""The command ``jimt``, also ``python -m jimt``: lists the commands in the order of the work, and starts one."""

import importlib
import os
import sys
from typing import Final

from jimt.errors import did_you_mean
from jimt.system.screen import quiet_if_nobody_reads

COMMANDS: Final = {
    "prepare": ("jimt.commands:prepare", "curate raw image pairs into a data set"),
    "annotate": ("jimt.annotation.annotate:main", "label patches or cells by eye, on a page of this machine"),
    "train": ("jimt.commands:train", "train a network and score the test split; -m: one training after another"),
    "evaluate": ("jimt.evaluation.test_split:main", "score the test split of a run again"),
    "predict": ("jimt.prediction.predict:main", "tell the dead share of new images, and what not to trust of it"),
    "export": ("jimt.export.export:main", "write a model or patches in a form that other tools read"),
    "adapt": ("jimt.commands:adapt", "tell a model the PI of a few fields of a new experiment"),
    "crossval": ("jimt.commands:crossval", "train once for each fold, and score every group unseen"),
    "learning-curve": ("jimt.commands:learning_curve", "what further training groups would buy"),
    "adaptation-curve": (
        "jimt.evaluation.adaptation_curve:main",
        "how much some stained fields of a new experiment would mend",
    ),
    "tune": ("jimt.commands:tune", "search over settings by the validation split"),
    "compare": ("jimt.evaluation.compare:main", "compare two runs on the same patches, with an interval"),
    "transfer": ("jimt.evaluation.transfer:main", "test each run's model on each run's data, and what separates these"),
    "label-sensitivity": ("jimt.evaluation.label_sensitivity:main", "how far results hang on the thresholds"),
    "sweep": ("jimt.sweeps.sweep:main", "rebuild the table of a sweep's folder"),
    "report": ("jimt.report.write:main", "write report.html of a run, a sweep or a cross-validation"),
}
"""Of each command the function that reads its command line, and what it does in one line."""

_STARTED: Final = "JIMT_COMMAND"
"""Tells the processes that Lightning starts beside this one, with the words behind the command, which command it is."""


def main() -> None:
    """Start the command that the first word names."""
    words = sys.argv[1:]
    if "LOCAL_RANK" in os.environ and _STARTED in os.environ and words[:1] != [os.environ[_STARTED]]:
        words = [os.environ[_STARTED], *words]
    with quiet_if_nobody_reads():
        if not words or words[0] in ("-h", "--help"):
            print(usage())
            return
        name = words[0]
        if name not in COMMANDS:
            instead = did_you_mean(name, COMMANDS, otherwise=f"give one of {', '.join(COMMANDS)}", at_most=1)
            sys.exit(f"error: there is no command {name}: {instead}")
        os.environ[_STARTED] = name
        sys.argv[1:] = words[1:]
        # Lightning and multiprocessing start other processes as this one was: a console script of Windows is no Python
        sys.modules["__main__"].__spec__ = __spec__
        module, _, function = COMMANDS[name][0].partition(":")
        try:
            getattr(importlib.import_module(module), function)()
        except KeyboardInterrupt:
            sys.exit("error: told to stop (Ctrl-C)")


def usage() -> str:
    """What ``jimt --help`` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {told}" for name, (_, told) in COMMANDS.items()]
    head = ["usage: jimt COMMAND ...", "", "Tells living from dead cells in bright-field images, with no stain.", ""]
    foot = [
        "",
        "jimt COMMAND --help says more. prepare, train, crossval, learning-curve and tune take settings as KEY=VALUE.",
    ]
    return "\n".join([*head, *lines, *foot])


if __name__ == "__main__":
    main()
