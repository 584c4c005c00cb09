"""Read the observer's rules for a night, and find what they say of each frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from nightcal.errors import ConfigurationError, FrameRejectedError
from nightcal.io.iso_time import parse_utc
from nightcal.io.schema import check, read_yaml
from nightcal.planning.frames import Frame
from nightcal.planning.naming import make_printable
from nightcal.planning.overrides import Override
from nightcal.planning.verdict import reach_verdict, read_filter

FILE_NAME = "night.yaml"
SELECTORS = ("file", "folder", "from", "to", "where")
OF_MASTERS = ("accept", "reject")
"""What a rule may say of masters, and only of them."""
TIMES = ("from", "to", "time")
NAMES = ("filter", "mode", "group")
MINUTES_A_DAY = 1440
ALIKE = 0.9
"""Similarity of names of which one may be a slip of the pen for the other."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: which frames or masters, and what is true of them.

    Attributes
    ----------
    source : str
        Name of the file.
    place : str
        File and number of the rule, for messages.
    files, folders : tuple of str
        Names or patterns; empty for any.
    first, last : float or None
        The middle of the exposure lies between them [MJD, UTC].
    like : mapping of str to value
        What the header says: ``type``, ``filter``, ``object`` (patterns), ``exposure`` [s].
    says : mapping of str to value
        What is true, by the words of the file.
    masters : tuple of str
        Names or patterns of masters; empty for a rule about frames.
    """

    source: str
    place: str
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    first: float | None = None
    last: float | None = None
    like: Mapping[str, Any] = field(default_factory=dict)
    says: Mapping[str, Any] = field(default_factory=dict)
    masters: tuple[str, ...] = ()


def read_rules(path: Path, schema: Mapping[str, Any]) -> tuple[Rule, ...]:
    """Read a file of rules.

    Parameters
    ----------
    path : Path
        YAML, as explained in ``docs/night_yaml.md``.
    schema : mapping
        JSON schema of a rule.

    Returns
    -------
    tuple of Rule
        In the order of the file.

    Raises
    ------
    ConfigurationError
        With the rule, the key, the value and what was expected.
    """
    document = read_yaml(path)
    if document is None:
        return ()
    if not isinstance(document, list):
        raise ConfigurationError(
            f"{path} is not a list; expected rules, each after a hyphen, as in - {{file: d2051.fits, ignore: true}}."
        )
    return tuple(_read_rule(rule, path, f"{path}: rule {n}", schema) for n, rule in enumerate(document, start=1))


def _read_rule(document: Any, path: Path, place: str, schema: Mapping[str, Any]) -> Rule:
    rule = _write_times(document) if isinstance(document, dict) else document
    if not isinstance(rule, dict):
        raise ConfigurationError(f"{place} is {rule!r}; expected {schema['description']}.")
    check(rule, schema, place)
    if "master" in rule or any(word in rule for word in OF_MASTERS):
        return _read_master_rule(rule, path, place)
    says = {key: str(value) if key in NAMES else value for key, value in rule.items() if key not in SELECTORS}
    for needed, found in (
        (SELECTORS, set(rule) - set(says)),
        (sorted(set(schema["properties"]) - {*SELECTORS, "master", *OF_MASTERS}), says),
    ):
        if not found:
            what = "names no files" if needed == SELECTORS else "says nothing of its files"
            raise ConfigurationError(f"{place} {what}; expected at least one of {', '.join(needed)}.")
    times = {key: _read_time(rule[key], f"{place}: {key}") for key in TIMES if key in rule}
    return Rule(
        source=path.name,
        place=place,
        files=_as_tuple(rule.get("file", ())),
        folders=_as_tuple(rule.get("folder", ())),
        first=times.get("from"),
        last=times.get("to"),
        like=rule.get("where", {}),
        says=says,
    )


def _read_master_rule(rule: Mapping[str, Any], path: Path, place: str) -> Rule:
    """Read a rule about masters, which are accepted or rejected whatever the checks find."""
    words = [word for word in OF_MASTERS if rule.get(word)]
    if "master" not in rule or len(words) != 1 or set(rule) - {"master", *OF_MASTERS}:
        raise ConfigurationError(
            f"{place} is {dict(rule)!r}; expected a master that is accepted or rejected and nothing else, as in "
            "{master: bias_*, reject: light leak}."
        )
    return Rule(path.name, place, says={words[0]: rule[words[0]]}, masters=_as_tuple(rule["master"]))


def _write_times(rule: Mapping[Any, Any]) -> dict[Any, Any]:
    """Write times as text, as the observer did: YAML turns some into dates."""
    return {key: _write_time(value) if key in TIMES else value for key, value in rule.items()}


def _write_time(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)).isoformat()
    if isinstance(value, int) and 0 <= value < MINUTES_A_DAY:  # YAML takes 22:30 for a number of base 60
        return f"{value // 60}:{value % 60:02d}"
    return f"{value.isoformat()}T00:00:00" if isinstance(value, date) else value


def _read_time(text: str, where: str) -> float:
    try:
        return parse_utc(text)
    except FrameRejectedError as mistake:
        raise ConfigurationError(
            f"{where} is {text!r}; expected a time in UTC, as in 2024-03-01T22:30:00."
        ) from mistake


def _as_tuple(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def find_overrides(rules: Sequence[Rule], frames: Sequence[Frame]) -> tuple[dict[str, Override], list[Rule]]:
    """Find what rules say of each frame.

    Parameters
    ----------
    rules : sequence of Rule
        Of what several rules say under the same word, the last counts.
    frames : sequence of Frame
        As their headers describe them.

    Returns
    -------
    overrides : dict of str to Override
        By name of the frame; frames of which nothing new is said are left out.
    unmatched : list of Rule
        Rules that match no frame.
    """
    index = _Index(frames)
    said: dict[str, dict[str, Any]] = defaultdict(dict)
    source: dict[str, str] = {}
    unmatched = []
    for rule in (rule for rule in rules if not rule.masters):
        covered = [frame for frame in index.find(rule.files) if _covers(rule, frame)]
        for frame in covered:
            known = said[frame.name]
            use = known.get("use", {}) | rule.says.get("use", {})
            known.update(rule.says)
            known.update({"use": use} if use else {})
            source[frame.name] = rule.source
        unmatched += [] if covered else [rule]
    verdicts = {f.name: reach_verdict(f, said[f.name], source[f.name]) for f in frames if f.name in said}
    return {name: verdict for name, verdict in verdicts.items() if verdict is not None}, unmatched


def explain_unmatched(rule: Rule, frames: Sequence[Frame]) -> str:
    """Say that a rule matches no file, with a file of almost the same name and the same number if there is one."""
    names = list(dict.fromkeys(name for frame in frames for name in _list_names(frame)))
    near = ((file, found) for file in rule.files for found in get_close_matches(file, names, cutoff=ALIKE))
    hint = next((f"; did you mean {found}?" for file, found in near if _find_digits(file) == _find_digits(found)), ".")
    return f"{rule.place} matches no file{hint}"


def _find_digits(name: str) -> str:
    return "".join(filter(str.isdecimal, name))


class _Index:
    """Frames by name, so that a rule for each of thousands of files is found at once."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self.places: dict[str, set[int]] = defaultdict(set)
        for n, frame in enumerate(frames):
            for name in _list_names(frame):
                self.places[name].add(n)

    def find(self, patterns: Sequence[str]) -> Iterator[Frame]:
        """Find the frames that a name or pattern names, in order; all without patterns."""
        found = set(range(len(self.frames))) if not patterns else set()
        for pattern in patterns:
            found |= self.places.get(pattern) or {
                n for name, places in self.places.items() if fnmatchcase(name, pattern) for n in places
            }
        return (self.frames[n] for n in sorted(found))


def _list_names(frame: Frame) -> tuple[str, ...]:
    """List the names by which a rule may call a frame: that of the file, and with folders, as in the plan."""
    printable = make_printable(frame.file)
    folder, _, name = printable.rpartition("/")
    return name, printable if folder else f"./{name}", frame.file, frame.name


def _covers(rule: Rule, frame: Frame) -> bool:
    if rule.folders and not any(fnmatchcase(f, pattern) for f in _list_folders(frame) for pattern in rule.folders):
        return False
    if (rule.first is not None or rule.last is not None) and frame.mjd is None:
        return False
    if rule.first is not None and (frame.mjd or 0.0) < rule.first:
        return False
    if rule.last is not None and (frame.mjd or 0.0) > rule.last:
        return False
    header = {"type": frame.kind, "filter": read_filter(frame), "object": frame.target, "exposure": frame.exposure_time}
    return all(_agrees(header[key], wanted) for key, wanted in rule.like.items())


def _list_folders(frame: Frame) -> list[str]:
    """List the folders above a frame, each by its name and by its path below the raw folder."""
    parts = make_printable(frame.file).split("/")[:-1]
    return [*parts, *("/".join(parts[:n]) for n in range(2, len(parts) + 1))]


def _agrees(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, int | float):
        return abs(value - wanted) <= 1e-3 * max(abs(wanted), 1.0)
    return any(fnmatchcase(str(value), pattern) for pattern in _as_tuple(wanted))
