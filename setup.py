"""Puts the files that `dataselect init` writes, which exist once at the top, into the wheel."""

import runpy
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

TEMPLATES = runpy.run_path("src/dataselect/project/templates.py")
NAMES = TEMPLATES["names"](Path(), TEMPLATES["PATTERNS"] + TEMPLATES["DEMO"])
FOLDER = "dataselect/project/files"


class BuildWithProjectFiles(build_py):
    """Builds the package with the files of a project; an editable install uses them in place."""

    def run(self) -> None:
        """Copies the files beside the modules."""
        super().run()
        if self.editable_mode:
            return
        for name in NAMES:
            target = Path(self.build_lib, FOLDER, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, target)

    def get_source_files(self) -> list[str]:
        """What a source distribution needs to build a wheel."""
        return [*super().get_source_files(), *NAMES]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What `run` writes."""
        written = (
            [] if self.editable_mode else [str(Path(self.build_lib, FOLDER, n)) for n in NAMES]
        )
        return [*super().get_outputs(include_bytecode), *written]


setup(cmdclass={"build_py": BuildWithProjectFiles})
