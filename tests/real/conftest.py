"""Real nights, each reduced once per session in a temporary folder.

The nights are beside the repository, in ``shared/data``; without them these tests are skipped.
"""

import csv
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest
from astropy.io import fits
from helpers import MEASUREMENTS

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
NIGHTS = {
    "arcsat": "arcsat-m13-20190503",
    "nickel": "nickel-ngc6819-20190923",
    "afosc": "afosc-gj3470-20220328",
}


@dataclass
class Reduced:
    """A night of raw frames, the folder of its products, and the Snakemake process that made them."""

    raw: Path
    out: Path
    process: subprocess.CompletedProcess = field(repr=False)

    @cached_property
    def folder(self) -> Path:
        """Folder of the one night's products."""
        (plan,) = self.out.glob("*/plan.csv")
        return plan.parent

    @cached_property
    def plan(self) -> dict[str, dict[str, str]]:
        """Rows of ``plan.csv`` by raw file."""
        with (self.folder / "plan.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        by_name = {row["file"]: row for row in rows}
        assert len(by_name) == len(rows), "a raw file has two rows"
        return by_name

    def masters(self, kind: str = "") -> list[Path]:
        """Masters of one kind, or all."""
        return sorted((self.folder / "masters").glob(f"{kind}*.fits"))

    @property
    def science(self) -> list[Path]:
        """Calibrated frames."""
        return sorted((self.folder / "science").glob("*.fits"))

    @property
    def catalogs(self) -> list[Path]:
        """Source catalogues."""
        return sorted((self.folder / "catalogs").glob("*.fits"))

    @property
    def products(self) -> list[Path]:
        """All masters and calibrated frames."""
        return [*self.masters(), *self.science]

    @property
    def written(self) -> list[Path]:
        """All products: masters, calibrated frames and source catalogues."""
        return [*self.products, *self.catalogs]

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each product, by its path below the night's folder."""
        return {path.relative_to(self.folder).as_posix(): sha256(path) for path in self.written}

    def raw_headers(self) -> dict[str, fits.Header]:
        """Primary headers of the raw files, by name."""
        return {path.name: fits.getheader(path) for path in sorted(self.raw.glob("*.fits"))}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_snakemake(
    *arguments: object, raw: object, out: Path, cores: int | None = 2, **config: str
) -> subprocess.CompletedProcess:
    """Run Snakemake in the repository, as in the manual."""
    command = [sys.executable, "-m", "snakemake", *map(str, arguments)]
    command += [] if cores is None else ["--cores", str(cores)]
    command += ["--config", f"raw={raw}", f"results={out}", *(f"{key}={value}" for key, value in config.items())]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def reduce_night(out: Path, raw: object, cores: int = 2, **config: str) -> Reduced:
    """Reduce a folder of raw frames; a failure shows the output of Snakemake."""
    process = run_snakemake(raw=raw, out=out, cores=cores, **config)
    assert process.returncode == 0, process.stdout[-2000:] + process.stderr[-6000:]
    return Reduced(Path(ROOT, raw), out, process)


@pytest.fixture(scope="session")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("no real nights beside the repository (shared/data)")
    return DATA


@pytest.fixture(scope="session")
def snakemake(data):
    """Run Snakemake in the repository with any arguments."""
    return run_snakemake


def reduce_once(data, factory, camera, **config):
    out = factory.mktemp(camera)
    yield reduce_night(out, data / "nights" / NIGHTS[camera], **config)
    shutil.rmtree(out)


@pytest.fixture(scope="session")
def arcsat(data, tmp_path_factory):
    yield from reduce_once(data, tmp_path_factory, "arcsat")


@pytest.fixture(scope="session")
def nickel(data, tmp_path_factory):
    yield from reduce_once(data, tmp_path_factory, "nickel")


@pytest.fixture(scope="session")
def afosc(data, tmp_path_factory):
    """Reduce without measurements: 205 small windows with half a dozen stars."""
    yield from reduce_once(data, tmp_path_factory, "afosc", **dict.fromkeys(MEASUREMENTS, "{enabled: false}"))


@pytest.fixture(scope="session")
def arcsat_among_strangers(data, tmp_path_factory):
    """The ARCSAT night with broken files and another telescope's frames, by a relative path, on one core."""
    folder = tmp_path_factory.mktemp("strangers")
    raw = folder / "raw"
    for source, target in [
        ("nights/" + NIGHTS["arcsat"], raw),
        ("frames/broken", raw / "broken"),
        ("frames/zwo", raw / "other telescope"),
    ]:
        shutil.copytree(data / source, target, copy_function=shutil.copyfile)
        target.chmod(0o755)
    yield reduce_night(folder / "results", os.path.relpath(raw, ROOT), cores=1)
    shutil.rmtree(folder)
