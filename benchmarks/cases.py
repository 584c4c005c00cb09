"""Define the cases by name, and prepare their jobs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inputs import find_folder
from benchmarks.jobs import Job
from benchmarks.measure import run
from benchmarks.peers import with_nightcal

STACKERS = ("with_nightcal", "with_ccdproc", "with_banzai", "with_siril", "with_numpy")
INGREDIENTS = {
    "bias": (),
    "dark": ("bias",),
    "flat": ("bias", "dark"),
    "science": ("bias", "dark", "flat"),
    "cosmic_rays": (),
    "night": (),
}


MEASUREMENTS = ("cosmic_rays", "sources", "astrometry", "photometry")
CALIBRATION_ONLY = tuple(f"{step}={{enabled: false}}" for step in MEASUREMENTS)


@dataclass(frozen=True, slots=True)
class Case:
    """A comparison.

    Attributes
    ----------
    what : str
        Title in the table.
    inputs : str
        Name of a set of frames.
    task : str
        As in `Job`.
    count : int
        Number of frames; 0 for all of that kind.
    peers : tuple of str
        Modules of `benchmarks.peers`.
    cores : tuple of int
        Numbers of cores for nightcal.
    settings : tuple of str
        For a night, as typed after ``snakemake --config``.
    """

    what: str
    inputs: str
    task: str
    count: int = 0
    peers: tuple[str, ...] = STACKERS
    cores: tuple[int, ...] = (1,)
    settings: tuple[str, ...] = ()


CASES = {
    "stack_bias_16x4096": Case("16 bias frames of 4096 x 4096", "bias_4096", "bias", 16),
    "stack_bias_64x2048": Case("64 bias frames of 2048 x 2048", "bias_2048", "bias"),
    "stack_bias_64x4096": Case("64 bias frames of 4096 x 4096", "bias_4096", "bias"),
    "stack_bias_200x1024": Case("200 bias frames of 1024 x 1024", "bias_1024", "bias"),
    "stack_dark_16x2048": Case("16 darks of 2048 x 2048, with bias", "calibration_2048", "dark"),
    "stack_flat_16x2048": Case("16 flats of 2048 x 2048, with bias and dark", "calibration_2048", "flat"),
    "science_4096": Case(
        "one frame of 4096 x 4160: overscan, trim, gain, bias, dark, flat, uncertainty, written to disk",
        "science_4096",
        "science",
        peers=("with_nightcal", "with_ccdproc", "with_banzai", "with_siril"),
    ),
    "cosmic_rays_4096": Case(
        "cosmic rays in a calibrated frame of 4096 x 4096 with 3000 hits",
        "cosmic_rays_4096",
        "cosmic_rays",
        peers=("with_nightcal", "with_astroscrappy"),
    ),
    "night_2000x256": Case(
        "2000 science frames of 256 x 288 and their 34 calibration frames",
        "night_256",
        "night",
        peers=("with_nightcal", "night_with_ccdproc"),
        cores=(2, 1),
    ),
    "night_small": Case(
        "20 bias, 10 dark, 3 x 10 flats and 40 science frames of 2048 x 2080, calibration only",
        "night_small",
        "night",
        peers=("with_nightcal", "night_with_ccdproc"),
        settings=CALIBRATION_ONLY,
    ),
    "night_2048": Case(
        "a typical night of 2048 x 2080: 60 bias, 20 dark, 3 x 15 flats, 150 science frames",
        "night_2048",
        "night",
        peers=("with_nightcal", "night_with_ccdproc"),
        cores=(2, 1),
    ),
}


@dataclass(frozen=True, slots=True)
class Workplace:
    """Folder for all files, and whether frame sets are small."""

    work: Path
    small: bool

    def prepared(self, case: Case) -> tuple[Job, Job]:
        """Simulate missing frames; return the job of a case, and the job that warms up a process for it."""
        raw = self._simulated(case.inputs)
        if case.task == "night":
            job = Job("night", [str(raw)], settings=list(case.settings))
            return job, job
        frames = self._frames(raw, case.task, case.count)
        job = Job(case.task, frames, self._masters(raw, INGREDIENTS[case.task]))
        if case.task != "bias":
            return job, job
        return job, Job("bias", self._frames(self._simulated("warm_up"), "bias", len(frames)))

    def _simulated(self, name: str) -> Path:
        folder = find_folder(self.work, name, self.small)
        if not folder.exists():
            command = [sys.executable, "-m", "benchmarks.inputs", str(self.work), name, *["--small"] * self.small]
            run(command, self._log(f"simulate_{name}"), with_nightcal.REPOSITORY)
        return folder

    def _frames(self, raw: Path, kind: str, count: int) -> list[str]:
        paths = sorted(str(path) for path in raw.glob(f"{kind}_*.fits"))
        return paths[:count] if count else paths

    def _masters(self, raw: Path, kinds: tuple[str, ...]) -> dict[str, str]:
        made: dict[str, str] = {}
        for kind in kinds:
            out = self.work / "masters" / raw.name / f"{kind}.fits"
            if not out.exists():
                out.parent.mkdir(parents=True, exist_ok=True)
                job = Job(kind, self._frames(raw, kind, 0), {name: made[name] for name in INGREDIENTS[kind]})
                run(with_nightcal.command(job, out), self._log(f"master_{raw.name}_{kind}"), with_nightcal.REPOSITORY)
            made[kind] = str(out)
        return made

    def _log(self, name: str) -> Path:
        folder = self.work / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.log"


def check_names(names: list[str]) -> list[str]:
    """Return the names, all if there are none; exit with the known names if one is unknown."""
    unknown = sorted(set(names) - set(CASES))
    if unknown:
        sys.exit(f"unknown case {unknown[0]}; expected one of {', '.join(CASES)}.")
    return names or list(CASES)
