"""Turn a configuration into a plan: only this module knows the keys of ``config.yaml``."""

from __future__ import annotations

import csv
import logging
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from nightcal.cameras.camera import Camera
from nightcal.cameras.camera_file import load_camera, load_cameras
from nightcal.errors import ConfigurationError
from nightcal.io.raw_files import explain_unopened
from nightcal.io.schema import check, read_yaml
from nightcal.measurement.options import find_rule
from nightcal.planning.batches import BATCH_SIZE
from nightcal.planning.dark_scaling import DarkPolicy
from nightcal.planning.header_cache import read_cached_frames
from nightcal.planning.master_library import read_library
from nightcal.planning.master_rules import ByHand, find_by_hand
from nightcal.planning.matching import Options
from nightcal.planning.naming import find_misread
from nightcal.planning.night_files import NightFiles
from nightcal.planning.plan import STEPS, Plan, make_plan
from nightcal.planning.records import PlannedMaster
from nightcal.planning.user_masks import read_user_masks
from nightcal.science.steps import MEASUREMENTS, read_options

_log = logging.getLogger(__name__)
WHERE = "configuration"
STARS = ("stars.ecsv", "stars.csv", "stars.parquet")
"""Names of a catalogue of reference stars in the raw folder."""

WORDS = {"true": True, "false": False, "null": None, "yes": True, "no": False, "on": True, "off": False, "~": None}
"""What YAML makes of words; Snakemake leaves them as text on the command line."""
PATHS = frozenset(("raw", "results", "camera", "bad_pixels", "library", "archive", "overrides"))
CATALOG_PATHS = frozenset(("file", "folder"))
NO_PATH = {"null": None, "Null": None, "NULL": None}
DASHED = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Cameras by name, the plan, the nights to reduce, the observer's reference stars, and his rules.

    Attributes
    ----------
    remarks : mapping of str to sequence of str
        For each night, rules that match no file.
    by_hand : mapping of (str, str) to str
        What the rules say of masters, by night and name.
    """

    cameras: Mapping[str, Camera]
    plan: Plan
    nights: Sequence[str]
    stars: Path | None = None
    remarks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    by_hand: ByHand = field(default_factory=dict)


def parse_command_line(config: Mapping[str, Any]) -> dict[str, Any]:
    """Parse values such as ``strict=true`` or ``bias={split_hours: 3}``, which Snakemake leaves as text.

    Parameters
    ----------
    config : mapping
        As merged by Snakemake.

    Returns
    -------
    dict
    """
    parsed = {key: _read_path(value) if key in PATHS else _parse_value(value) for key, value in config.items()}
    if isinstance(parsed.get("catalog"), Mapping):
        paths = {key: _read_path(value) for key, value in config["catalog"].items() if key in CATALOG_PATHS}
        parsed["catalog"] |= paths
    night = parsed.get("night")
    if isinstance(night, date) or (isinstance(night, str) and DASHED.fullmatch(night)):
        parsed["night"] = str(night).replace("-", "")
    return parsed


def _read_path(value: Any) -> Any:
    """Read a path, or a list of paths: with the home folder for ``~``, and ``$VARIABLES``, unless it exists."""
    if isinstance(value, list):
        return [_read_path(item) for item in value]
    if isinstance(value, str):
        if value in NO_PATH:
            return NO_PATH[value]
        return value if os.path.lexists(value) else os.path.expandvars(os.path.expanduser(value))
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _parse_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _parse_inner(item) for key, item in value.items()}
    return WORDS.get(value.lower(), value) if isinstance(value, str) else value


def _parse_inner(value: Any) -> Any:
    """Parse a value within a group, at any depth; names that only look like YAML are kept."""
    if isinstance(value, Mapping):
        return {key: _parse_inner(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_parse_inner(item) if _is_number(item) else item for item in value]
    if _is_number(value):
        return int(value) if value.lstrip("+-").isdecimal() else float(value)
    return WORDS.get(value.lower(), value) if isinstance(value, str) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and NUMBER.fullmatch(value) is not None


def read_run_config(config: Mapping[str, Any], home: Path, *, in_job: bool = False) -> RunConfig:
    """Check a configuration, read the headers of the raw frames, and plan.

    Parameters
    ----------
    config : mapping
        As in ``config/config.yaml``.
    home : Path
        Folder of the workflow, with the camera files and schemas that come with nightcal.
    in_job : bool
        Whether this is a job of a run that has just planned; its header cache is then used unchecked.

    Returns
    -------
    RunConfig

    Raises
    ------
    ConfigurationError
        With key, value and what was expected.
    """
    check(config, read_config_schema(home), WHERE)
    cameras = choose_cameras(config["camera"], home / "config" / "cameras")
    raw, results = _check_folders(config["raw"], config["results"])
    _check_path("archive", config.get("archive") or "")
    _check_path("catalog.folder", config.get("catalog", {}).get("folder", ""))
    night_files = NightFiles(
        config.get("overrides", "auto"), results, home / "workflow" / "schemas", f"{WHERE}: overrides"
    )
    frames = read_cached_frames(raw, cameras, results, night_files, trusted=in_job, save=not in_job)
    unopened = [reason for frame in frames if (reason := explain_unopened(frame.path.name))]
    if len(unopened) == len(frames):
        others = f"; {len(frames)} of other formats: {unopened[0]}" if frames else ""
        raise ConfigurationError(
            f"{WHERE}: raw is {config['raw']!r}, which contains no FITS file; expected names ending in .fits, .fit or "
            f".fts, optionally followed by .fz or .gz{others}."
        )
    made_here = {(results / night / "masters").resolve() for night in {frame.night for frame in frames}}
    library = [
        master
        for folder in config.get("library", [])
        for master in _read_folder(folder, config.get("archive"))
        if master.path is not None and master.path.resolve().parent not in made_here  # these will be made again
    ]
    previous = {night: read_batches(locate_plan(results, night)) for night in {frame.night for frame in frames}}
    user_masks = read_user_masks(_as_list(config.get("bad_pixels")), f"{WHERE}: bad_pixels")
    wanted = config.get("night")
    plan = make_plan(
        frames,
        make_options(config, cameras),
        library,
        config.get("batch_size", BATCH_SIZE),
        previous,
        user_masks,
        None if wanted is None else {str(wanted)},
    )
    if wanted is not None and str(wanted) not in plan.nights:
        raise ConfigurationError(f"{WHERE}: night is {wanted!r}; expected one of {', '.join(plan.nights)}.")
    nights = plan.nights if wanted is None else (str(wanted),)
    stars = find_stars_file(config.get("catalog", {}).get("file", "auto"), raw)
    by_hand, unmatched = find_by_hand(night_files.rules, plan.masters)
    if not in_job:
        check_measurements(config, stars)
        told = [remark for night in nights for remark in night_files.remarks.get(night, [])]
        for remark in dict.fromkeys([*told, *unmatched]):
            _log.warning("%s", remark)
    by_name = {camera.name: camera for camera in cameras}
    return RunConfig(by_name, plan, nights, stars, night_files.remarks, by_hand)


def _check_folders(raw: str | None, results: str) -> tuple[Path, Path]:
    """Check the folders of raw frames and products; of two ``--config`` options Snakemake keeps the last only."""
    if raw is None:
        raise ConfigurationError(
            f"{WHERE}: raw is not set; give --config raw=/path/to/frames (put all settings after a single "
            "--config), or run `make demo` for a simulated night."
        )
    if not Path(raw).is_dir():
        raise ConfigurationError(f"{WHERE}: raw is {raw!r}, which is not a folder or cannot be read.")
    _check_path("results", results)
    if Path(raw).resolve() == Path(results).resolve():
        raise ConfigurationError(
            f"{WHERE}: results is {results!r}, the folder of the raw frames; expected a different folder."
        )
    return Path(raw), Path(results)


def find_stars_file(chosen: str | None, raw: Path) -> Path | None:
    """Find the observer's catalogue of reference stars.

    Parameters
    ----------
    chosen : str or None
        ``auto``, a path, or None for no catalogue.
    raw : Path
        Where ``auto`` searches for `STARS`.

    Returns
    -------
    Path or None

    Raises
    ------
    ConfigurationError
        If the file does not exist.
    """
    if chosen is None:
        return None
    if chosen == "auto":
        return next((raw / name for name in STARS if (raw / name).is_file()), None)
    if not Path(chosen).is_file():
        raise ConfigurationError(f"{WHERE}: catalog.file is {chosen!r}; expected auto, null, or the path of a file.")
    return Path(chosen)


def select_measurements(config: Mapping[str, Any], filters: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Select the sections of the configuration whose steps are switched on.

    Parameters
    ----------
    config : mapping
        As checked.
    filters : collection of str
        Filters of the frames, as named in headers; what concerns other filters is left out.

    Returns
    -------
    dict of str to dict
        As for `nightcal.science.measure.read_measurements`.
    """
    sections = {step.options: dict(config.get(name, {})) for name, step in MEASUREMENTS.items() if step.options}
    wanted = {options: section for options, section in sections.items() if section.pop("enabled", True)}
    return {options.section: options.select(section, filters) for options, section in wanted.items()}


def wants_fringes_subtracted(config: Mapping[str, Any], name: str) -> bool:
    """Check whether fringes are to be subtracted from frames of a filter.

    Parameters
    ----------
    config : mapping
        As checked.
    name : str
        Name of the filter in headers; the other names that ``photometry.filters`` gives a filter count as well.

    Returns
    -------
    bool
    """
    chosen = config.get("fringe") or {}
    rules = config.get("photometry", {}).get("filters", {})
    names = [name, *(key for key, rule in rules.items() if find_rule({key: rule}, name))]
    return next((chosen[key] for key in names if key in chosen), "off") == "auto"


def check_measurements(config: Mapping[str, Any], stars: Path | None) -> None:
    """Find mistakes that would stop a job that measures frames: in options, or in the catalogue of reference stars.

    Parameters
    ----------
    config : mapping
        As checked.
    stars : Path or None
        The observer's catalogue of reference stars.

    Raises
    ------
    ConfigurationError
        With what was found and what was expected.
    """
    wanted = select_measurements(config)
    try:
        read_options(wanted)
    except ConfigurationError as mistake:
        raise ConfigurationError(f"{WHERE}: {mistake}") from mistake
    if stars is not None and "astrometry" in wanted:
        from nightcal.measurement.star_catalog.file import read_star_catalog

        read_star_catalog(stars, config["catalog"]["columns"])


def read_config_schema(home: Path) -> dict[str, Any]:
    """Read the schema of the configuration, and add the sections of the measurements.

    Parameters
    ----------
    home : Path
        The folder of the workflow.

    Returns
    -------
    dict
        A JSON schema.
    """
    schema: dict[str, Any] = read_yaml(home / "workflow" / "schemas" / "config.schema.yaml")
    schema["properties"] |= {name: step.options.schema() for name, step in MEASUREMENTS.items() if step.options}
    return schema


def _as_list(paths: str | Sequence[str] | None) -> Sequence[str]:
    return [paths] if isinstance(paths, str) else paths or []


def locate_plan(results: Path, night: str) -> Path:
    """Locate the plan of a night as it was made before the reduction."""
    return results / "logs" / f"planned_{night}.csv"


def read_batches(path: Path) -> dict[str, str]:
    """Read the batches of an earlier plan.

    Parameters
    ----------
    path : Path
        From `locate_plan`.

    Returns
    -------
    dict of str to str
        The batch of each science frame, by its name in the table; empty without an earlier plan.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["file"]: row["batch"] for row in csv.DictReader(file) if row.get("file") and row.get("batch")}
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        _log.warning("%s cannot be read (%s): science frames are assigned to new batches.", path, error)
        return {}


def _read_folder(folder: str, archive: str | None) -> list[PlannedMaster]:
    """Read a folder of masters; the archive need not exist before the first night."""
    if archive is not None and Path(folder).resolve() == Path(archive).resolve() and not Path(folder).exists():
        return []
    return read_library(_check_folder("library", folder))


def _check_path(key: str, path: str) -> None:
    """Check that Snakemake does not take part of a path for a wildcard or a variable."""
    if misread := find_misread(path):
        raise ConfigurationError(f"{WHERE}: {key} is {path!r}; expected a path without {misread}.")


def _check_folder(key: str, name: str) -> Path:
    _check_path(key, name)
    if not Path(name).is_dir():
        raise ConfigurationError(f"{WHERE}: {key} contains {name!r}, which is not a folder or cannot be read.")
    return Path(name)


def choose_cameras(chosen: str, folder: Path) -> tuple[Camera, ...]:
    """Choose the camera files to try, in order.

    Parameters
    ----------
    chosen : str
        ``auto``, the name of a camera file in the folder, or the path of a file.
    folder : Path

    Raises
    ------
    ConfigurationError
        If there is no such camera, or a camera file has a mistake.
    """
    _check_path("camera", chosen)
    if chosen.endswith((".yaml", ".yml")):
        return (load_camera(Path(chosen)),)
    cameras = load_cameras(folder)
    if chosen == "auto":
        return cameras
    named = tuple(camera for camera in cameras if camera.name == chosen)
    if not named:
        known = ", ".join(camera.name for camera in cameras)
        raise ConfigurationError(
            f"{WHERE}: camera is {chosen!r}; expected auto, one of {known}, or the path of a .yaml file."
        )
    return named


def make_options(config: Mapping[str, Any], cameras: Sequence[Camera] = ()) -> Options:
    """Make the options of the planner from a checked configuration and the camera files."""
    dark = config["dark"]
    glowing = () if dark.get("scale_glow", False) else (camera.name for camera in cameras if camera.amplifier_glow)
    return Options(
        split_hours={step: config[step].get("split_hours") for step in STEPS},
        max_age_days={step: config[step].get("max_age_days") for step in STEPS},
        too_old={step: config[step].get("too_old", "use") for step in STEPS},
        temperature_tolerance=dark.get("temperature_tolerance", 2.0),
        darks=DarkPolicy(
            scaling=dark.get("scaling", "up"),
            largest_factor=dark.get("largest_factor", 2.0),
            otherwise=dark.get("otherwise", "skip"),
            unscalable=frozenset(glowing),
        ),
        age_days={step: tuple(config[step]["age_days"]) for step in STEPS if config[step].get("age_days")},
        prefer_source=config["flat"].get("prefer", "twilight"),
    )
