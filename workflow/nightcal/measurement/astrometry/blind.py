"""Solve a frame without pointing or scale, with ``solve-field`` of a local astrometry.net."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nightcal.errors import UNREADABLE
from nightcal.measurement.astrometry.solution import AstrometryOptions, Solution, verify
from nightcal.measurement.sources.table import read_column
from nightcal.measurement.star_catalog.record import StarCatalog

if TYPE_CHECKING:
    from astropy.table import Table
    from astropy.wcs import WCS

PROGRAM = "solve-field"
BRIGHTEST = 200
CPU_LIMIT = 60  # [s] of CPU time, so that the result does not depend on the load


def solve_blind(
    table: Table,
    shape: tuple[int, int],
    catalog: StarCatalog,
    options: AstrometryOptions | None = None,
    epoch: float | None = None,
    scale: float | None = None,
) -> Solution:
    """Solve a frame with ``solve-field`` and refine the result with the reference stars.

    Parameters
    ----------
    table, shape, catalog, options, epoch
        As for `nightcal.measurement.astrometry.solution.solve`.
    scale : float, optional
        [arcsec/pix], correct within the tolerance of the options; speeds up the search.

    Returns
    -------
    Solution
        Checked by `nightcal.measurement.astrometry.solution.verify`; ``status`` says why a frame is not solved.
    """
    options = options or AstrometryOptions()
    program = shutil.which(PROGRAM)
    if program is None:
        return Solution(f"not solved: {PROGRAM} of astrometry.net is not installed", catalog=catalog.name)
    with tempfile.TemporaryDirectory(prefix="nightcal-blind-") as folder:
        positions = Path(folder) / "sources.xyls"
        if _write_positions(table, positions) < options.smallest_number:
            return Solution(f"not solved: too few sources for {PROGRAM}", catalog=catalog.name)
        command = [program, *_make_arguments(positions, shape, options, scale)]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        except OSError as error:
            return Solution(f"not solved: {PROGRAM} cannot be run ({error.strerror})", catalog=catalog.name)
        wcs = _read_wcs(Path(folder) / "sources.wcs")
    if wcs is None:
        failed = f" (exit status {done.returncode})" if done.returncode else ""
        return Solution(f"not solved: {PROGRAM} found no match{failed}", catalog=catalog.name)
    return verify(table, shape, catalog, wcs, options, epoch)


def _make_arguments(
    positions: Path, shape: tuple[int, int], options: AstrometryOptions, scale: float | None
) -> list[str]:
    """Make the arguments of the program: a list of positions instead of an image, no text from a header."""
    rows, columns = shape
    arguments = ["--overwrite", "--no-plots", "--crpix-center", "--tweak-order", "1", "--cpulimit", str(CPU_LIMIT)]
    arguments += ["--x-column", "X", "--y-column", "Y", "--sort-column", "FLUX"]
    arguments += ["--width", str(columns), "--height", str(rows)]
    if scale is not None and np.isfinite(scale) and scale > 0:
        low, high = (float(scale) * (1 + sign * options.scale_tolerance) for sign in (-1, 1))
        arguments += ["--scale-units", "arcsecperpix", "--scale-low", f"{low:.6g}", "--scale-high", f"{high:.6g}"]
    return [*arguments, str(positions)]


def _write_positions(table: Table, path: Path) -> int:
    """Write positions and fluxes of the brightest sources; return how many."""
    from astropy.table import Table

    names = {"X": "XWIN_IMAGE", "Y": "YWIN_IMAGE", "FLUX": "FLUX_AUTO"}
    if not set(names.values()) <= set(table.colnames):
        return 0
    columns = {new: read_column(table, old) for new, old in names.items()}
    good = np.all([np.isfinite(values) for values in columns.values()], axis=0)
    brightest = np.flatnonzero(good)[np.argsort(-columns["FLUX"][good], kind="stable")][:BRIGHTEST]
    Table({name: values[brightest] for name, values in columns.items()}).write(path, format="fits")
    return len(brightest)


def _read_wcs(path: Path) -> WCS | None:
    """Read the WCS that the program wrote, if any."""
    from astropy.io import fits

    from nightcal.measurement.astrometry.header import read_celestial_wcs

    if not path.is_file():
        return None
    try:
        return read_celestial_wcs(fits.getheader(path))
    except UNREADABLE:
        return None
