"""Configuration, plan, and the few helpers that rules share."""

import hashlib
import json
import os
import shlex
from pathlib import Path

from nightcal.errors import ConfigurationError
from nightcal.numerics.kernels import LAPLACIAN_WORTHWHILE, SCIENCE_STEPS, WORTHWHILE, fingerprint
from nightcal.planning.naming import printable
from nightcal.config import from_command_line, measurements_of, read_run_config, planned_path
from nightcal.measurement.star_catalog.cone import round_cone
from nightcal.version import __version__

HOME = Path(workflow.basedir)

try:
    config.update(from_command_line(config))
    RUN = read_run_config(config, HOME, in_job=not workflow.is_main_process)
except ConfigurationError as mistake:
    sys.exit(str(mistake))

PLAN = RUN.plan
NIGHTS = RUN.nights
MEASUREMENTS = measurements_of(config)
RESULTS = Path(config["results"])
KERNELS = Path(".snakemake/kernels")  # of the work folder, for all its nights

# Scripts find the package without its being installed, and run with the Python that runs Snakemake unless a conda
# environment brings its own.
_python = (
    "" if "conda" in str(workflow.deployment_settings.deployment_method).lower() else os.path.dirname(sys.executable)
)
shell.prefix(
    "set -euo pipefail; "
    f"export PYTHONPATH={shlex.quote(str(HOME / 'workflow'))} PYTHONDONTWRITEBYTECODE=1; "
    + f"export NUMBA_CACHE_DIR={shlex.quote(os.path.abspath(KERNELS))}; "
    + (f'export PATH={shlex.quote(_python)}:"$PATH"; ' if _python else "")
)


wildcard_constraints:
    night=r"\d{8}|undated",
    master=r"[A-Za-z0-9._+-]+",


def script(rule_name):
    """Path of the script that a rule runs."""
    return os.path.relpath(HOME / "scripts" / f"{rule_name}.py")


def product_path(master):
    """Where a master is: in the library, or where a rule of this workflow puts it."""
    suffix = "json" if master.kind == "gain" else "fits"
    return str(master.path) if master.path else f"{RESULTS}/{master.night}/masters/{master.name}.{suffix}"


def master_of(wildcards):
    """The planned master that a rule's wildcards name."""
    return PLAN.master(wildcards.night, wildcards.master)


def matched(match):
    """Path of a chosen master as a list, empty if there is none."""
    return [product_path(match.master)] if match.master else []


def raw_frames(wildcards):
    """Raw frames that a master is stacked from."""
    return [str(frame.path) for frame in master_of(wildcards).frames]


def camera_file(setup):
    """Path of the camera file of a setup."""
    return str(RUN.cameras[setup.camera].path)


def option(flag, paths):
    """An option for a script's command line, nothing if there is no path."""
    return f"{flag} {shlex.quote(str(paths))}" if paths else ""


def options(flag, paths):
    """An option with several values, nothing if there is none."""
    return " ".join([flag, *map(shlex.quote, paths)]) if paths else ""


def pixels(setup):
    """Pixels of a frame of a setup."""
    return setup.shape[0] * setup.shape[1] * setup.amplifiers


def work(master):
    """Pixels of all frames of a stack."""
    return pixels(master.setup) * len(master.frames)


def memory(setup, bytes_a_pixel=40):
    """Memory for a job on frames of a setup [MB]: Python, and images of one frame's size, however many frames there are."""
    return 300 + round(pixels(setup) * bytes_a_pixel * 1e-6)


def minutes(pixels_read):
    """Time limit for a job [min]: a hundred times what it takes on a quiet machine, for slow disks and busy nodes."""
    return 10 + round(pixels_read * 1e-8)


def stack_threads(master):
    """Threads for a stack: small ones are over before a second thread helps."""
    return 2 if work(master) > WORTHWHILE else 1


def compiled(pixels_read):
    """The compiled loops as an input of a job that is large enough to use them."""
    return [ancient(KERNELS / f"{fingerprint()}.ok")] if pixels_read > WORTHWHILE else []


def compiled_for(batch):
    """The same for a batch of science frames, or if their cosmic rays are looked for by such loops."""
    size = pixels(batch.members[0].setup)
    searched = "cosmic_rays" in MEASUREMENTS and size >= LAPLACIAN_WORTHWHILE
    return compiled(WORTHWHILE + 1 if searched else SCIENCE_STEPS * len(batch.members) * size)


def warnings_for(item):
    """Options that put the plan's warnings into the header of a product."""
    return " ".join(option("--warn", match.warning) for match in item.matches)


def masters_of(night):
    """Paths of the masters of a night, its measured gain left out."""
    return [product_path(master) for master in PLAN.masters_of(night) if master.kind != "gain"]


def science_paths(batch):
    """Paths of the science frames of a batch."""
    return [f"{RESULTS}/{batch.night}/science/{science.name}.fits" for science in batch.members]


def catalog_paths(batch):
    """Paths of the catalogues of a batch; none if no sources are looked for."""
    if "sources" not in MEASUREMENTS:
        return []
    return [f"{RESULTS}/{batch.night}/catalogs/{science.name}.fits" for science in batch.members]


def measurements_for(batch):
    """What is measured in the frames of a batch, with the rules of their filters."""
    return measurements_of(config, {science.frame.filter for science in batch.members})


def star_files():
    """The observer's catalogue of reference stars, as a list."""
    return [str(RUN.stars)] if RUN.stars and "astrometry" in MEASUREMENTS else []


def field_files(batch):
    """Catalogues of reference stars that were downloaded for the fields of a batch."""
    wanted, folder = config["catalog"]["download"], Path(config["catalog"]["folder"])
    if not wanted or "astrometry" not in MEASUREMENTS:
        return []
    cones = {round_cone(*field) for field in fields_of(batch.members)}
    downloaded = sorted(folder / cone.name_file(wanted, config["catalog"]["faintest"]) for cone in cones)
    return [str(path) for path in downloaded if path.exists()]


def fields_of(science):
    """Where the telescope pointed, and the radius of a field [deg]: one of the fields that share their stars."""
    fields = sorted({(*one.frame.pointing, config["catalog"]["radius"]) for one in science if one.frame.pointing})
    return sorted({round_cone(*field): field for field in fields}.values())


def reduced_of(night):
    """One science frame of each batch of a night: whoever waits for one waits for all that its job makes."""
    return [science_paths(batch)[0] for batch in PLAN.batches_of(night)]


def lost_of(night):
    """One science frame of each batch that lacks some: asked for, its job makes all of them again."""
    if not workflow.is_main_process:
        return []
    folders = [RESULTS / night / kind for kind in ("science", "catalogs")]
    there = {f"{folder}/{name}" for folder in folders if folder.is_dir() for name in os.listdir(folder)}
    lost = (
        [path for path in (*science_paths(batch), *catalog_paths(batch)) if path not in there]
        for batch in PLAN.batches_of(night)
    )
    return [paths[0] for paths in lost if paths]


def products_of(night):
    """What a night ends in, which asks for everything before it."""
    strict = [f"{RESULTS}/{night}/strict.ok"] if config["strict"] else []
    return [
        f"{RESULTS}/{night}/plan.csv",
        f"{RESULTS}/{night}/report.html",
        *lost_of(night),
        *crosscheck_paths(night),
        *strict,
    ]


def summary():
    """What was decided, in a few lines for the terminal and the log."""
    for night in NIGHTS:
        masters = [master.kind for master in PLAN.masters_of(night)]
        kinds = ", ".join(f"{masters.count(kind)} {kind}" for kind in ("bias", "dark", "flat") if kind in masters)
        yield f"Night {night}: masters: {kinds or 'none'}; {len(PLAN.science_of(night))} science frames to calibrate."
        if not all(entry.frame.has_longitude for entry in PLAN.entries_of(night)):
            yield "  Some frames have no longitude, in header or camera file: their nights are counted at Greenwich."
        for entry in PLAN.set_aside(night):
            yield f"  {printable(entry.frame.name)}: set aside: {entry.reason}."
