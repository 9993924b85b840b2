"""Installs conf/ as jimt/conf; what the package is and needs stands in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConf(build_py):
    """Copies ``conf/`` beside the modules; an editable install reads the checkout's own."""

    def run(self) -> None:
        """Build, then put the files of this very checkout in place of those of an earlier build."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "jimt", "conf")
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree("conf", target)

    def get_source_files(self) -> list[str]:
        """What a source distribution holds."""
        return [*super().get_source_files(), *map(str, Path("conf").rglob("*.yaml"))]


setup(cmdclass={"build_py": BuildWithConf})
