"""What the observer says of a frame, whatever its header: as a record, in words, and as an argument of a job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from nightcal.cameras.corrected_camera import NOTHING, Facts
from nightcal.errors import ConfigurationError

ALL = "*"
"""In the argument of a job: all its frames."""

WORDS = {
    "type": "type {}",
    "filter": "filter {}",
    "exposure": "exposure {:g} s",
    "time": "start {}",
    "time_shift": "time shifted by {:g} s",
    "gain": "gain {:g} e-/ADU",
    "read_noise": "read noise {:g} e-",
    "temperature": "temperature {:g} C",
    "mode": "mode {}",
}
"""How a fact is told."""


Use = tuple[tuple[str, str | None], ...]
"""For bias, dark or flat: the name of the master to use, or None for no master."""


@dataclass(frozen=True, slots=True)
class Override:
    """What the observer says of a frame.

    Attributes
    ----------
    facts : Facts
        What replaces the header.
    ignored : str
        Why the frame is not used, for the plan; empty for a frame that is.
    group : str
        Calibration frames of different groups are not stacked together.
    use : Use
    text : str
        All of it in words, for the header of a product.
    remark : str
        The same for the plan, with what the header says.
    """

    facts: Facts = NOTHING
    ignored: str = ""
    group: str = ""
    use: Use = ()
    text: str = ""
    remark: str = ""


Overrides = Mapping[str, Override]
"""By path of the raw file, or for `ALL` files."""

NO_OVERRIDES: Overrides = {}
NO_OVERRIDE = Override()


def find_override(overrides: Overrides, path: str | PathLike[str]) -> Override | None:
    """Find what the observer says of a file; None if nothing."""
    return overrides.get(str(path), overrides.get(ALL)) if overrides else None


def leave_out_gain(overrides: Overrides) -> dict[str, Override]:
    """Leave out gain, read noise and words of what the observer says, for frames in which the former are measured."""
    return {
        path: replace(override, facts=replace(override.facts, gain=None, read_noise=None), text="")
        for path, override in overrides.items()
    }


def dump_overrides(overrides: Mapping[str, Override | None]) -> str:
    """Write what the observer says of the frames of a job, as its argument.

    Parameters
    ----------
    overrides : mapping of str to Override or None
        By path, for every frame of the job.

    Returns
    -------
    str
        JSON; empty if nothing is said of any frame. What is said of all frames alike is written once.
    """
    said = {
        path: one.facts.list_known() | ({"text": one.text} if one.text else {})
        for path, one in overrides.items()
        if one is not None and (one.facts or one.text)
    }
    alike = {json.dumps(one, sort_keys=True) for one in said.values()}
    if len(alike) == 1 and len(said) == len(overrides) > 1:
        said = {ALL: next(iter(said.values()))}
    return json.dumps(said) if said else ""


def parse_overrides(document: Mapping[str, Mapping[str, Any]]) -> dict[str, Override]:
    """Read the argument of a job, from JSON.

    Parameters
    ----------
    document : mapping of str to mapping
        For each path, or ``*``: the words of `Facts`, and ``text`` for the header.

    Returns
    -------
    dict of str to Override

    Raises
    ------
    ConfigurationError
        If a word is not known.
    """
    if unknown := {word for said in document.values() for word in said} - {*WORDS, "text"}:
        raise ConfigurationError(f"--overrides has {min(unknown)!r}; expected one of {', '.join(WORDS)}, text.")
    return {
        path if path == ALL else str(Path(path)): Override(
            Facts(**{word: value for word, value in said.items() if word != "text"}), text=said.get("text", "")
        )
        for path, said in document.items()
    }
