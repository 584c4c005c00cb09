"""Count the science frames of a night that have positions on the sky, and say what would help."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from typing import Any

import yaml

FETCH_STARS = "snakemake fetch_stars, with the same --config and 'catalog={download: refcat2}'"

_FIELD = re.compile(r"bundled bright stars .*in this field of (\d+) arcmin")


@dataclass(frozen=True, slots=True)
class Positions:
    """Where the positions on the sky come from.

    Attributes
    ----------
    frames : int
        Number of measured science frames.
    from_stars, from_raw : int
        Number of frames with positions from reference stars, and from the WCS of their raw header.
    reason : str
        Why most of the others were not solved; empty if all were.
    field : int
        Side of the field of these frames [arcmin], if it has too few bundled stars; else 0.
    """

    frames: int
    from_stars: int
    from_raw: int
    reason: str = ""
    field: int = 0


def count_positions(headers: Iterable[Mapping[str, Any]]) -> Positions | None:
    """Count the frames with positions.

    Parameters
    ----------
    headers : iterable of mapping
        Of the products of science frames.

    Returns
    -------
    Positions or None
        None if astrometry is switched off.
    """
    measured = [header for header in headers if "WCSSRC" in header and "EMPTY" not in header]
    if not measured:
        return None
    sources = Counter(str(header["WCSSRC"]) for header in measured)
    statuses = (str(header.get("WCSSTAT", "")) for header in measured)
    reasons = Counter(status.removeprefix("not solved: ") for status in statuses if status.startswith("not solved"))
    reason = reasons.most_common(1)[0][0] if reasons else ""
    match = _FIELD.search(reason)
    field = int(match[1]) if match else 0
    return Positions(len(measured), sources["reference stars"], sources["raw frame"], reason, field)


def describe_positions(positions: Positions | None, fetch: str = FETCH_STARS) -> str:
    """Say how many frames have positions, and how the others get some.

    Parameters
    ----------
    positions : Positions or None
    fetch : str
        The command that downloads reference stars.

    Returns
    -------
    str
        A line; empty if all frames are solved, or if none was measured.
    """
    return "; ".join(filter(None, explain_positions(positions, fetch)))


def explain_positions(positions: Positions | None, fetch: str = FETCH_STARS) -> tuple[str, str]:
    """Say the same in two parts, how many frames have positions, and what helps; either may be empty."""
    if positions is None or positions.from_stars == positions.frames:
        return "", ""
    having = positions.from_stars + positions.from_raw
    raw = f", {positions.from_raw} of them only from the WCS of the raw frame" if positions.from_raw else ""
    count = f"{having} of {positions.frames} frames have positions{raw}"
    if not positions.field:
        return f"{count}: {positions.reason}", ""
    return f"{count}: the field of {positions.field} arcmin needs stars", f"once, with a network: {fetch}"


def write_fetch_command(
    config: Mapping[str, Any],
    download: str,
    files: Sequence[Path] = (),
    snakefile: Path | None = None,
    package: Path | None = None,
) -> str:
    """Write the command that downloads reference stars, and what to do then.

    Parameters
    ----------
    config : mapping
        As given by ``--config``.
    download : str
        Catalogue to download: ``gaia`` or ``refcat2``.
    files : sequence of Path
        As given by ``--configfile``.
    snakefile : Path, optional
        If it is not the one of the current folder.
    package : Path, optional
        The checkout of nightcal, or nothing but its name, if astroquery has to be installed first.

    Returns
    -------
    str
        For a shell.
    """
    catalog = config.get("catalog", {})
    catalog = catalog if isinstance(catalog, Mapping) else {}
    wanted = {**config, "catalog": {**catalog, "download": download}}
    words = ["snakemake", "fetch_stars", "--cores", "1"]
    words += ["--snakefile", str(snakefile)] if snakefile else []
    words += ["--configfile", *map(str, files)] if files else []
    words += ["--config", *(f"{key}={_write_value(value)}" for key, value in wanted.items())]
    editable = ["--editable"] if package and package.is_absolute() else []
    install = f"{join(['pip', 'install', *editable, f'{package}[catalogs]'])} && " if package else ""
    return f"{install}{join(words)}; then run again with that --config"


def _write_value(value: Any) -> str:
    """Write a value as YAML in one line, as on a command line."""
    if isinstance(value, Mapping | list):
        return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=math.inf).strip()
    return value if isinstance(value, str) else json.dumps(value)
