"""Read camera files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from nightcal.cameras.camera import Camera, Patterns
from nightcal.cameras.geometry import AmplifierRule
from nightcal.cameras.settings import SettingRule
from nightcal.errors import ConfigurationError
from nightcal.io.schema import check, read_yaml
from nightcal.io.sections import parse_section
from nightcal.resources import find_home

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
"""Units of exposure times in camera files [s]."""

SCHEMA = find_home() / "workflow" / "schemas" / "camera.schema.yaml"


@cache
def _read_schema() -> Mapping[str, Any]:
    return read_yaml(SCHEMA)


def load_camera(path: Path) -> Camera:
    """Read a camera file.

    Parameters
    ----------
    path : Path
        YAML, as explained in ``docs/cameras.md``.

    Returns
    -------
    Camera

    Raises
    ------
    ConfigurationError
        With key, value and what was expected.
    """
    document = read_yaml(path)
    check(document, _read_schema(), str(path))
    _check_sections(document, path)
    entries = enumerate(document.get("amplifiers", [{}]), start=1)
    amplifiers = tuple(_make_amplifier(document | entry, n) for n, entry in entries)
    bleed = document.get("bleed", {})
    if document.get("bayer") == "split" and len(amplifiers) > 1:
        raise ConfigurationError(f"{path}: bayer is split, with {len(amplifiers)} amplifiers; expected one.")
    return Camera(
        name=document["name"],
        title=document["title"],
        path=path,
        family=document.get("family", ""),
        recognise=tuple(_make_patterns(entry) for entry in document.get("recognise", [])),
        cards={role: tuple(map(_name_card, _as_list(names))) for role, names in document.get("cards", {}).items()},
        exposure_units=_read_units(document.get("cards", {}).get("exposure", [])),
        binning=tuple(tuple(_as_list(entry)) for entry in document.get("binning", [])),
        mode=tuple(map(_make_setting_rule, document.get("mode", []))),
        more_filters=tuple(tuple(_as_list(names)) for names in document.get("more_filters", [])),
        types=_make_rules(document["types"]),
        flat_source=_make_rules(document.get("flat_source", [])),
        gain=document.get("gain"),
        read_noise=document.get("read_noise"),
        saturation=document.get("saturation"),
        linearity=document.get("linearity"),
        longitude=document.get("longitude"),
        latitude=document.get("latitude"),
        height=document.get("height"),
        pixel_scale=document.get("pixel_scale"),
        amplifiers=amplifiers,
        overscan_method=document.get("overscan_method", "clipped_mean"),
        crosstalk_cards=document.get("crosstalk", {}).get("cards", ""),
        crosstalk=_read_crosstalk(document, len(amplifiers), path),
        scale_with_binning=tuple(document.get("scale_with_binning", [])),
        bleed_directions=tuple(bleed.get("directions", ())),
        bleed_pixels=bleed.get("pixels", 0),
        amplifier_glow=document.get("amplifier_glow", False),
        ignored_marks=tuple(document.get("ignore_marks", [])),
        bayer=document.get("bayer", ""),
        bayer_pattern=document.get("bayer_pattern", ""),
    )


def _make_setting_rule(entry: str | Sequence[str] | Mapping[str, str | Sequence[str]]) -> SettingRule:
    if isinstance(entry, Mapping):
        return next(SettingRule(label, tuple(_as_list(names))) for label, names in entry.items())
    return SettingRule("", tuple(_as_list(entry)))


def _make_amplifier(entry: Mapping[str, Any], number: int) -> AmplifierRule:
    corner = entry.get("corner", "lower left")
    return AmplifierRule(
        plane=entry.get("plane", number) - 1,
        image=tuple(_as_list(entry.get("image", []))),
        overscan=tuple(tuple(_as_list(one)) for one in entry.get("overscan", [])),
        detector=tuple(_as_list(entry.get("detector", []))),
        gain=entry.get("gain"),
        read_noise=entry.get("read_noise"),
        saturation=entry.get("saturation"),
        polynomial=tuple(map(float, entry.get("linearity_polynomial", []))),
        from_right="right" in corner,
        from_top="upper" in corner,
    )


def _read_crosstalk(document: Mapping[str, Any], amplifiers: int, path: Path) -> tuple[tuple[float, ...], ...]:
    rows = document.get("crosstalk", {}).get("coefficients", [])
    if rows and {len(rows), *map(len, rows)} != {amplifiers}:
        raise ConfigurationError(
            f"{path}: crosstalk.coefficients is {rows}; expected {amplifiers} rows of {amplifiers} numbers."
        )
    return tuple(tuple(map(float, row)) for row in rows)


def load_cameras(folder: Path) -> tuple[Camera, ...]:
    """Read all camera files of a folder; those without rules to recognise (``generic``) come last.

    Raises
    ------
    ConfigurationError
        If a file cannot be read, or two have the same name.
    """
    cameras = [load_camera(path) for path in sorted(folder.glob("*.yaml"))]
    names = [camera.name for camera in cameras]
    for camera in cameras:
        if names.count(camera.name) > 1:
            raise ConfigurationError(f"{camera.path}: name is {camera.name!r}; another camera file has the same name.")
    return tuple(sorted(cameras, key=lambda camera: not camera.recognise))


def _as_list(entry: Any) -> list[Any]:
    return list(entry) if isinstance(entry, list) else [entry]


def _name_card(entry: str | Mapping[str, str]) -> str:
    """Take the keyword of an entry with or without a unit."""
    return entry if isinstance(entry, str) else next(iter(entry))


def _read_units(entries: Any) -> dict[str, float]:
    """Read the units of the keywords of the exposure time [s]."""
    with_unit = (entry for entry in _as_list(entries) if not isinstance(entry, str))
    return {card: UNITS[unit] for entry in with_unit for card, unit in entry.items()}


def _make_rules(entries: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, Patterns], ...]:
    return tuple((word, _make_patterns(rule)) for entry in entries for word, rule in entry.items())


def _make_patterns(entry: Mapping[str, Any]) -> Patterns:
    return {name: tuple(wanted) if isinstance(wanted, list) else (wanted,) for name, wanted in entry.items()}


def _check_sections(document: Mapping[str, Any], path: Path) -> None:
    for amplifier in (document, *document.get("amplifiers", [])):
        for key in ("image", "overscan", "detector"):
            for entry in (name for names in _as_list(amplifier.get(key, [])) for name in _as_list(names)):
                _check_template(key, entry, path)


def _check_template(key: str, entry: str, path: Path) -> None:
    """Reject a section that is wrong whatever the header says: keywords in it count as 1, and minus as plus."""
    if entry.startswith("["):
        try:
            parse_section(entry.replace("-", "+"), lambda name: 1)
        except ValueError as error:
            reason = str(error).replace(entry.replace("-", "+"), entry)
            raise ConfigurationError(
                f"{path}: {key} is {entry!r}; expected a section such as [1:1024,1:1024] ({reason})."
            ) from error
