"""Put rules, scripts, schemas, camera files and profiles into the package as data; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DATA = ("Snakefile", "config", "envs", "profiles", "scripts", "workflow/rules", "workflow/schemas")


class BuildWithData(build_py):
    """Lay the data out as in the checkout, below ``nightcal/data``."""

    def run(self):
        """Build the package; an editable installation finds the data in the checkout."""
        super().run()
        if not self.editable_mode:
            for target, source in self._list_data().items():
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode=1):
        """List what is built."""
        return [*super().get_outputs(include_bytecode), *self._list_data()]

    def _list_data(self):
        roots = [Path(name) for name in DATA]
        found = [path for root in roots for path in ([root] if root.is_file() else sorted(root.rglob("*")))]
        kept = [path for path in found if path.is_file() and "__pycache__" not in path.parts]
        return {str(Path(self.build_lib, "nightcal", "data", path)): str(path) for path in kept}


setup(cmdclass={"build_py": BuildWithData})
