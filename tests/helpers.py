"""Helpers of several test files: run Snakemake, make masters, and compare products."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
from nightcal.io.master import load_master
from nightcal.io.product import write_product
from nightcal.masters.make import make_master_bias, make_master_dark, make_master_flat
from nightcal.measurement.star_catalog import StarCatalog
from nightcal.numerics import kernels
from nightcal.science.steps import MEASUREMENTS
from nightcal.simulation.night import simulate_night
from ready_snakemake import run_new_snakemake, run_snakemake

REPOSITORY = Path(__file__).parents[1]


def simulate_small_night(folder):
    """Simulate a night of small frames, whose truth is beside them; return the folder of its raw frames."""
    numbers = {"n_bias": 6, "n_dark": 3, "n_flat": 3, "n_science": 4, "n_stars": 20}
    simulate_night(folder / "raw", folder / "truth", shape=(96, 128), **numbers)
    return folder / "raw"


class Runner:
    """Run Snakemake in the repository, with options as typed; measurements are off unless asked for."""

    def __call__(self, *arguments, cwd=REPOSITORY, measured=False, fresh=False, **config):
        config = ({} if measured else dict.fromkeys(MEASUREMENTS, "{enabled: false}")) | config
        words = [f"{key}={value}" for key, value in config.items()]
        command = [*arguments, *(["--config", *words] if words else [])]
        return (run_new_snakemake if fresh else run_snakemake)(command, cwd)

    def reduced(self, raw, results, *arguments, **config):
        """Reduce a night, which must succeed; return the folder of its products."""
        done = self("--cores", "2", *arguments, raw=raw, results=results, **config)
        assert done.returncode == 0, "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        return Path(results)


LOOPS = ("numpy", "compiled") if importlib.util.find_spec("numba") else ("numpy",)


def use_loops(which, monkeypatch):
    """Run stacks and frames in numpy or in compiled loops, whatever their size."""
    if which == "compiled":
        kernels.load_compiled()
    monkeypatch.setattr(kernels, "are_loaded", lambda: which == "compiled")


def digests(folder):
    """Hash the products and plans in a folder, by path; logs contain times and are left out."""
    kept = (
        path for path in sorted(Path(folder).rglob("*")) if path.is_file() and path.suffix in (".fits", ".csv", ".json")
    )
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def make_masters(folder, camera, *kinds):
    """Make the masters of a night in a folder, all or of some kinds, and read them from disk."""
    made = {}
    makers = {
        "bias": lambda paths: make_master_bias(paths, camera),
        "dark": lambda paths: make_master_dark(paths, camera, bias=made["bias"]),
        "flat": lambda paths: make_master_flat(paths, camera, bias=made["bias"], dark=made["dark"]),
    }
    for kind, make in makers.items():
        if not kinds or kind in kinds:
            path = folder.parent / f"master_{kind}.fits"
            write_product(path, make(sorted(folder.glob(f"{kind}_*.fits"))))
            made[kind] = load_master(path)
            assert not made[kind].why_empty
            assert made[kind].header["NREJECT"] == 0
    return made


def make_catalog(name, ra, dec, magnitudes, errors=None):
    """Make a catalogue of reference stars without proper motion."""
    still = np.zeros(len(ra))
    return StarCatalog(name, np.asarray(ra), np.asarray(dec), still, still, 2016.0, magnitudes, errors or {})
