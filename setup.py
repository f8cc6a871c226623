"""What pyproject.toml cannot say: a wheel also holds what a study begins with, which lies in the project's root."""

import runpy
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithStudy(build_py):
    """Copies the files of `wen.installed.STUDY` to wen/study, from where `wen init` takes them."""

    def run(self) -> None:
        """Build the package without what an earlier build left; an editable one finds the files where they are."""
        shutil.rmtree(Path(self.build_lib, "wen"), ignore_errors=True)
        super().run()
        if self.editable_mode:
            return
        for name in runpy.run_path("src/wen/installed.py")["STUDY"]:
            place = Path(self.build_lib, "wen/study", name)
            place.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if Path(name).is_dir() else shutil.copy
            copy(name, place)


setup(cmdclass={"build_py": WithStudy})
