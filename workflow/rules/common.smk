"""Configuration, plan, and helpers of the rules."""

import hashlib
import json
import os
import shlex
import time
from importlib.util import find_spec
from pathlib import Path

import nightcal
from nightcal.errors import ConfigurationError
from nightcal.numerics.kernels import LAPLACIAN_WORTHWHILE, SCIENCE_STEPS, WORTHWHILE, fingerprint
from nightcal.planning.earlier_masters import JUDGED
from nightcal.planning.fingerprint import hash_frames
from nightcal.planning.naming import find_misread, slugify
from nightcal.planning.night_verdict import describe_verdict, judge_night
from nightcal.planning.overrides import dump_overrides, leave_out_gain
from nightcal.planning.positions import write_fetch_command
from nightcal.planning.stand_ins import describe_stand_ins
from nightcal.planning.summary import read_summary, summarise_plan
from nightcal.planning.summary_text import describe_summary
from nightcal.config import (
    locate_plan,
    parse_command_line,
    read_run_config,
    select_measurements,
    wants_fringes_subtracted,
)
from nightcal.io.progress import watch_products
from nightcal.io.schema import read_yaml
from nightcal.measurement.star_catalog.cone import round_cone
from nightcal.resources import find_home
from nightcal.science.persistent_hits import FEWEST as FEWEST_HITS
from nightcal.version import __version__
from snakemake.utils import update_config

HOME = find_home()
STARTED = time.time()

try:
    if workflow.is_main_process:
        for path in workflow.configfiles:
            read_yaml(Path(path))  # a key that stands there twice is a mistake; Snakemake takes the last
    # Not by configfile, which Snakemake leaves out of a module.
    defaults = read_yaml(HOME / "config" / "config.yaml")
    update_config(defaults, config)
    config.update(parse_command_line(defaults))
    RUN = read_run_config(config, HOME, in_job=not workflow.is_main_process)
except ConfigurationError as mistake:
    sys.exit(str(mistake))

PLAN = RUN.plan
NIGHTS = RUN.nights
MEASUREMENTS = select_measurements(config)
RESULTS = Path(config["results"])
KERNELS = Path(".snakemake/kernels")  # shared by all nights of a working folder

# Scripts find the package without installation, and run with the Python that runs Snakemake unless a conda environment
# provides another.
_python = (
    "" if "conda" in str(workflow.deployment_settings.deployment_method).lower() else os.path.dirname(sys.executable)
)
shell.prefix(
    "set -euo pipefail; "
    f"export PYTHONPATH={shlex.quote(str(Path(nightcal.__file__).parents[1]))} PYTHONDONTWRITEBYTECODE=1; "
    + f"export NUMBA_CACHE_DIR={shlex.quote(os.path.abspath(KERNELS))}; "
    + (f'export PATH={shlex.quote(_python)}:"$PATH"; ' if _python else "")
)


wildcard_constraints:
    night=r"\d{8}|undated",
    master=r"[A-Za-z0-9._+-]+",


def script(rule_name):
    """Path of the script that a rule runs, the same after the working folder was copied."""
    path = HOME / "scripts" / f"{rule_name}.py"
    return os.path.relpath(path) if Path.cwd().is_relative_to(HOME) else str(path)


def product_path(master):
    """Path of a master, in a library or in the results."""
    suffix = "json" if master.kind == "gain" else "fits"
    return str(master.path) if master.path else f"{RESULTS}/{master.night}/masters/{master.name}.{suffix}"


def matched_path(match):
    """Path of a matched master as a list, empty if there is none."""
    return [product_path(match.master)] if match.master else []


def candidate_paths(match):
    """Paths of the masters that may serve, in order; the job uses the first that is not rejected."""
    return [product_path(master) for master in match.candidates]


def verdict_path(master):
    """Path of the verdict on a master of this run."""
    return f"{RESULTS}/{master.night}/verdicts/{master.name}.json"


def maps_path(master):
    """What a master is judged by: a small summary of one of this run, or the file of one of a library."""
    return str(master.path) if master.path else f"{RESULTS}/{master.night}/verdicts/{master.name}.npz"


def verdict_paths(masters):
    """Paths of the verdicts on masters of this run; those of a library are judged already."""
    return [verdict_path(master) for master in masters if master.path is None and master.kind in JUDGED]


def verdicts_for(*matches):
    """Verdicts on all masters that may serve."""
    return verdict_paths(dict.fromkeys(master for match in matches for master in match.candidates))


def camera_file(setup):
    """Path of the camera file of a setup."""
    return str(RUN.cameras[setup.camera].path)


def tracked(paths):
    """Files of the observer as inputs, without those whose path Snakemake would misread; jobs get all by their names."""
    return [path for path in paths if not find_misread(path)]


def measured_gain(paths):
    """Options for a measured gain, and for what it is used."""
    preferred = config.get("gain", "auto")
    words = option("--measured-gain", paths), f"--gain {preferred}" if preferred != "auto" else ""
    return " ".join(filter(None, words))


def option(flag, paths):
    """An option of a script, or nothing without a path."""
    return f"{flag} {shlex.quote(str(paths))}" if paths else ""


def quote_paths(paths):
    """Paths as arguments of a script."""
    return " ".join(shlex.quote(str(path)) for path in paths)


def options(flag, paths):
    """An option of a script with several values, or nothing without values."""
    return " ".join([flag, *map(shlex.quote, paths)]) if paths else ""


def warnings_for(item):
    """Options that put warnings of the plan, and ages, into the header of a product; some hold only if a master is used."""
    always = [match.warning for match in item.matches if match.master is None or match.master.kind not in JUDGED]
    chosen = [m for step in item.matches for m in (step, *step.others) if m.master and m.master.kind in JUDGED]
    pairs = [("--warn-with", (product_path(match.master), match.warning)) for match in chosen if match.warning]
    pairs += [("--age-of", (product_path(match.master), match.age)) for match in chosen if match.age]
    return " ".join([option("--warn", text) for text in always if text] + [options(*pair) for pair in pairs])


def overrides_for(frames):
    """Option with what the observer says of the frames of a job, or nothing."""
    return option("--overrides", dump_overrides({str(frame.path): frame.override for frame in frames}))


def pixels(setup):
    """Number of pixels of a frame."""
    return setup.shape[0] * setup.shape[1] * setup.amplifiers


def memory(setup, bytes_a_pixel=40):
    """Memory of a job [MB]: Python, and some images; independent of the number of frames."""
    return 300 + round(pixels(setup) * bytes_a_pixel * 1e-6)


def minutes(pixels_read):
    """Time limit of a job [min]: a hundred times the usual time, for slow disks and busy nodes."""
    return 10 + round(pixels_read * 1e-8)


def compiled_kernels(pixels_read):
    """The compiled loops, as an input of jobs that are large enough to use them."""
    return [ancient(KERNELS / f"{fingerprint()}.ok")] if pixels_read > WORTHWHILE else []


# ---- masters: functions of the wildcards night and master


def find_master(w):
    """The planned master."""
    return PLAN.find_master(w.night, w.master)


def raw_frames(w):
    """Raw frames of a master, as inputs."""
    return tracked(str(frame.path) for frame in find_master(w).frames)


def raw_names(w):
    """Raw frames of a master, as arguments of a script."""
    return quote_paths(frame.path for frame in find_master(w).frames)


def master_camera(w):
    """Camera file of a master."""
    return camera_file(find_master(w).setup)


def other_cameras(w):
    """Camera files of frames that other programs took, besides that of a master."""
    names = dict.fromkeys(frame.camera for frame in find_master(w).frames)
    return [str(RUN.cameras[name].path) for name in names if name != find_master(w).setup.camera]


def more_cameras(w):
    """The same as an option of a script."""
    return options("--more-cameras", other_cameras(w))


def plane_option(setup):
    """Option for the colour of a split mosaic."""
    return option("--plane", setup.plane)


def master_plane(w):
    """The same for a master."""
    return plane_option(find_master(w).setup)


def master_gain(w):
    """Measured gain of a master."""
    return matched_path(find_master(w).measured_gain)


def master_candidates(step):
    """Function that finds the biases or darks that may calibrate the frames of a master, in order."""
    return lambda w: candidate_paths(getattr(find_master(w), step))


def master_verdicts(*steps):
    """Function that finds the verdicts on them."""
    return lambda w: verdicts_for(*(getattr(find_master(w), step) for step in steps))


def earlier_masters(w):
    """Earlier masters with which a master is compared, the latest first."""
    return PLAN.earlier.get((w.night, w.master), ())


def describe_earlier(w):
    """The same as options of a script, each with its verdict."""
    pairs = [(maps_path(m), verdict_path(m) if m.path is None else "-") for m in earlier_masters(w)]
    return " ".join(options("--earlier", pair) for pair in pairs)


def kept_folder(w):
    """Folder that keeps a master, as an option of a script."""
    return option("--keep", f"{RESULTS}/{w.night}/.kept/{w.master}")


def said_by_hand(w):
    """What the observer says of a master, as an option of a script."""
    return option("--by-hand", RUN.by_hand.get((w.night, w.master), ""))


def nearest_end(w):
    """Which end of a set of bias frames is nearer to the science frames, by its time, as an option of a script.

    Without overscan it decides which of two levels is used. The mean time itself would change with each frame.
    """
    master = find_master(w)
    times = [s.frame.mjd for s in PLAN.find_served(master)] if not master.setup.has_overscan else []
    if not times:
        return ""
    mean, ends = sum(times) / len(times), (master.frames[0].mjd, master.frames[-1].mjd)
    return f"--serves-mjd {min(ends, key=lambda end: abs(end - mean)):.4f}"


def master_warnings(w):
    """Warnings of a master, as options of a script."""
    master = find_master(w)
    return " ".join([warnings_for(master), *(option("--warn", warning) for warning in master.warnings)])


def master_overrides(w):
    """What the observer says of the frames of a master, as an option of a script."""
    return overrides_for(find_master(w).frames)


def gain_overrides(w):
    """What the observer says of frames in which the gain is measured, as an option of a script."""
    said = {str(frame.path): frame.override for frame in find_master(w).frames if frame.override}
    names = {str(frame.path): None for frame in find_master(w).frames}
    return option("--overrides", dump_overrides(names | leave_out_gain(said)))


def master_frames(w):
    """Hash of the frames of a master: if it changes, the master is made again."""
    return hash_frames(find_master(w).frames)


def stack_pixels(w):
    """Number of pixels in all frames of a stack."""
    return pixels(find_master(w).setup) * len(find_master(w).frames)


def stack_kernels(w):
    """Compiled loops of a stack."""
    return compiled_kernels(stack_pixels(w))


def stack_threads(w):
    """Threads of a stack; a small stack ends before a second thread helps."""
    return 2 if stack_pixels(w) > WORTHWHILE else 1


def stack_memory(w, attempt):
    """Memory of a stack [MB]."""
    return attempt * memory(find_master(w).setup)


def stack_minutes(w, attempt):
    """Time limit of a stack [min]."""
    return attempt * minutes(stack_pixels(w))


# ---- science frames: functions of a batch


def science_kernels(batch):
    """Compiled loops of a batch."""
    size = pixels(batch.members[0].setup)
    searched = "cosmic_rays" in MEASUREMENTS and size >= LAPLACIAN_WORTHWHILE
    return compiled_kernels(WORTHWHILE + 1 if searched else SCIENCE_STEPS * len(batch.members) * size)


def science_paths(batch):
    """Paths of the products of a batch."""
    return [f"{RESULTS}/{batch.night}/science/{science.name}.fits" for science in batch.members]


def catalog_paths(batch):
    """Paths of the source catalogues of a batch."""
    if "sources" not in MEASUREMENTS:
        return []
    return [f"{RESULTS}/{batch.night}/catalogs/{science.name}.fits" for science in batch.members]


def thumbnail_paths(batch):
    """Paths of the small pictures of a batch, which the jobs that measure leave for the report."""
    if not MEASUREMENTS:
        return []
    return [f"{RESULTS}/{batch.night}/thumbnails/{science.name}.jpg" for science in batch.members]


def measurements_for(batch):
    """What is measured in the frames of a batch, with the rules of their filters."""
    return select_measurements(config, {science.frame.filter for science in batch.members})


def star_files():
    """The observer's catalogue of reference stars, as a list."""
    return [str(RUN.stars)] if RUN.stars and "astrometry" in MEASUREMENTS else []


def field_files(batch):
    """Downloaded catalogues of reference stars for the fields of a batch."""
    wanted, folder = config["catalog"]["download"], Path(config["catalog"]["folder"])
    if not wanted or "astrometry" not in MEASUREMENTS:
        return []
    cones = {round_cone(*field) for field in star_fields(batch.members)}
    paths = sorted(folder / cone.name_file(wanted, config["catalog"]["faintest"]) for cone in cones)
    return [str(path) for path in paths if path.exists()]


def star_fields(science):
    """Pointings and radius [deg] of the fields of science frames, without those that share a catalogue."""
    radius = config["catalog"]["radius"]
    fields = sorted({(*member.frame.pointing, radius) for member in science if member.frame.pointing})
    return sorted({round_cone(*field): field for field in fields}.values())


# ---- setups of a night


def group_by_setup(night):
    """Group the science frames of a night by the name of their setup, numbered where names are equal."""
    groups = {}
    for science in PLAN.find_science(night):
        groups.setdefault(science.setup, []).append(science)
    names = [setup.name for setup in groups]
    numbered = (name if names.count(name) == 1 else f"{name}_{n}" for n, name in enumerate(names, start=1))
    return dict(zip(numbered, groups.values()))


# ---- fringes: batches of one filter are calibrated twice, first to make the fringe frame


def group_by_fringes(night):
    """Group the batches of a night whose fringes are to be subtracted by the name of their fringe frame."""
    names = {science.setup: name for name, group in group_by_setup(night).items() for science in group}
    groups = {}
    for batch in PLAN.find_batches(night):
        filters = {science.frame.filter for science in batch.members}
        if len(filters) == 1 and wants_fringes_subtracted(config, *filters):
            name = f"fringe_{slugify(*filters)}_{names[batch.members[0].setup]}"
            groups.setdefault(name, []).append(batch)
    return groups


FRINGES = {night: group_by_fringes(night) for night in (NIGHTS if config["fringe"] else ())}
FRINGE_OF = {batch.name: name for groups in FRINGES.values() for name, group in groups.items() for batch in group}
UNFRINGED = [batch for groups in FRINGES.values() for group in groups.values() for batch in group]


def fringe_path(batch):
    """Path of the fringe frame of a batch, as a list; empty if no fringes are to be subtracted."""
    return [f"{RESULTS}/{batch.night}/masters/{FRINGE_OF[batch.name]}.fits"] if batch.name in FRINGE_OF else []


def fringe_verdict(batch):
    """Path of the verdict on it, likewise."""
    return [f"{RESULTS}/{batch.night}/verdicts/{FRINGE_OF[batch.name]}.json"] if batch.name in FRINGE_OF else []


def unfringed_paths(batch):
    """Paths of the frames of a batch before fringes are subtracted; they are deleted when the fringe frame is made."""
    return [f"{RESULTS}/{batch.night}/unfringed/{science.name}.fits" for science in batch.members]


def fringe_batches(w):
    """Batches of a fringe frame."""
    return FRINGES[w.night][w.master]


def fringe_frames(w):
    """Calibrated frames of a fringe frame."""
    return [path for batch in fringe_batches(w) for path in unfringed_paths(batch)]


def fringe_pointings(w):
    """Pointings of these frames, as an option of a script."""
    places = (science.frame.pointing for batch in fringe_batches(w) for science in batch.members)
    return options("--pointings", [f"{place[0]:.6f},{place[1]:.6f}" if place else "unknown" for place in places])


def fringe_pixels(w):
    """Number of pixels in all frames of a fringe frame."""
    return sum(pixels(science.setup) for batch in fringe_batches(w) for science in batch.members)


def introduce_fringes(night):
    """Say from how many frames fringes will be subtracted."""
    for name, group in FRINGES.get(night, {}).items():
        number = sum(len(batch.members) for batch in group)
        yield f"  Fringes: {name} is made from {number} science frames, and subtracted from them if it is accepted."


# ---- cross-check


def choose_checked(night):
    """Choose a science frame of each setup for the cross-check, by name of the setup: the first with most masters."""

    def count_masters(science):
        return sum(match.master is not None for match in (science.bias, science.dark, science.flat))

    return {name: max(found, key=count_masters) for name, found in group_by_setup(night).items()}


CHECKED = {night: choose_checked(night) for night in NIGHTS} if config["crosscheck"] else {}


def checked_frame(w):
    """Science frame of a cross-check."""
    return CHECKED[w.night][w.setup]


def crosscheck_paths(night):
    """Cross-checks of a night, if switched on."""
    return [f"{RESULTS}/{night}/crosscheck_{name}.json" for name in CHECKED.get(night, {})]


# ---- pixels that are hit again and again


SEARCHED = {
    night: {name: found for name, found in group_by_setup(night).items() if len(found) >= FEWEST_HITS}
    for night in (NIGHTS if "cosmic_rays" in MEASUREMENTS else ())
}


def searched_frames(w):
    """Products in which persistent hits are searched for."""
    return [f"{RESULTS}/{w.night}/science/{science.name}.fits" for science in SEARCHED[w.night][w.setup]]


def persistent_hits(night):
    """Searches for persistent hits, one for each setup with enough science frames."""
    return [f"{RESULTS}/{night}/persistent_hits_{name}.fits" for name in SEARCHED.get(night, {})]


# ---- nights


def night_masters(night):
    """Paths of the masters of a night, without measured gains."""
    return [product_path(master) for master in PLAN.find_masters(night) if master.kind != "gain"]


def night_verdicts(night):
    """Paths of the verdicts on the masters of a night."""
    return verdict_paths(PLAN.find_masters(night))


def night_science(night):
    """A science frame of each batch of a night; its job makes the other frames of the batch, too."""
    return [science_paths(batch)[0] for batch in PLAN.find_batches(night)]


def missing_science(night):
    """A missing product of each incomplete batch of a night; its job makes all products of the batch again."""
    if not workflow.is_main_process:
        return []
    folders = [RESULTS / night / kind for kind in ("science", "catalogs", "thumbnails")]
    existing = {f"{folder}/{name}" for folder in folders if folder.is_dir() for name in os.listdir(folder)}
    missing = (
        [
            path
            for path in (*science_paths(batch), *catalog_paths(batch), *thumbnail_paths(batch))
            if path not in existing
        ]
        for batch in PLAN.find_batches(night)
    )
    return [paths[0] for paths in missing if paths]


def night_products(night):
    """Final products of a night, which require all others."""
    return [
        f"{RESULTS}/{night}/plan.csv",
        f"{RESULTS}/{night}/report.html",
        *missing_science(night),
        *crosscheck_paths(night),
        f"{RESULTS}/{night}/checked.ok",
    ]


def introduce_nights():
    """Say for each night what will be done, and what will not."""
    for night in NIGHTS:
        masters = [master.kind for master in PLAN.find_masters(night)]
        kinds = ", ".join(f"{masters.count(kind)} {kind}" for kind in ("bias", "dark", "flat") if kind in masters)
        yield f"Night {night}: masters to make: {kinds or 'none'}."
        if not all(entry.frame.has_longitude for entry in PLAN.find_entries(night)):
            yield "  Longitude unknown for some frames: their nights run from noon to noon UTC."
        yield from introduce_fringes(night)
        yield from indent(summarise_plan(PLAN, night))
        yield from (f"  {line}" for line in describe_stand_ins(PLAN, night))


def watch_science():
    """Say during the run how many science frames are calibrated."""
    paths = [Path(path) for night in NIGHTS for batch in PLAN.find_batches(night) for path in science_paths(batch)]
    watch_products(paths, lambda line: print(line, file=sys.stderr, flush=True))


def conclude_nights(failed=False):
    """Say what was done and what was not, for each night that this run checked, or could not finish."""
    for night in NIGHTS:
        done, checked = RESULTS / night / "summary.json", RESULTS / night / "checked.ok"
        if find_time(checked) < STARTED - 1 and not failed:
            continue
        if 0 < find_time(RESULTS / "logs" / f"summary_{night}.json") <= find_time(done):
            summary = read_summary(done.read_text())
            verdict = judge_night(summary, config["raw"], fetch_stars_command())
            yield f"Night {night}: {describe_verdict(verdict)} Products in {RESULTS / night}; open report.html first."
            yield from indent(summary)
        elif failed:
            yield f"Night {night}: not finished. As planned:"
            yield from indent(summarise_plan(PLAN, night))


def indent(summary):
    """Describe a summary in indented lines."""
    return (f"  {line}" for line in describe_summary(summary, config["raw"], fetch=fetch_stars_command()))


def fetch_stars_command():
    """The command that downloads reference stars for this run."""
    given = workflow.config_settings
    return write_fetch_command(
        given.config,
        config["catalog"]["download"] or "refcat2",
        given.configfiles,
        None if Path.cwd() == HOME else HOME / "Snakefile",
        None if find_spec("astroquery") else HOME if (HOME / "pyproject.toml").is_file() else Path("nightcal"),
    )


def find_time(path):
    """Find when a file was written [s]; 0 if it does not exist."""
    return path.stat().st_mtime if path.exists() else 0


if workflow.is_main_process:
    # Not in onstart, which a dry run leaves out.
    print(*introduce_nights(), sep="\n", file=sys.stderr)
