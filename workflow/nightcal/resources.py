"""Where the files that come with nightcal are: rules, scripts, schemas, camera files and profiles."""

from functools import cache
from importlib.resources import files
from pathlib import Path


@cache
def find_home() -> Path:
    """Find the folder that holds ``Snakefile``, ``workflow``, ``scripts``, ``config`` and ``profiles``.

    Returns
    -------
    Path
        The checkout from which nightcal runs, or the data of the installed package, which is laid out in the same way.
    """
    checkout = Path(__file__).parents[2]
    return checkout if (checkout / "Snakefile").is_file() else Path(str(files("nightcal"))) / "data"
