"""Reading camera files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from nightcal.cameras.camera import Camera, Patterns
from nightcal.cameras.geometry import AmplifierRule
from nightcal.errors import ConfigurationError
from nightcal.io.schema import check, read_yaml
from nightcal.io.sections import parse_section

SCHEMA = Path(__file__).parents[2] / "schemas" / "camera.schema.yaml"


@cache
def _schema() -> Mapping[str, Any]:
    return read_yaml(SCHEMA)


def load_camera(path: Path) -> Camera:
    """Read a camera file.

    Parameters
    ----------
    path : Path
        YAML; ``docs/cameras.md`` explains each line.

    Returns
    -------
    Camera

    Raises
    ------
    ConfigurationError
        With key, value and what was expected.
    """
    document = read_yaml(path)
    check(document, _schema(), str(path))
    _check_sections(document, path)
    listed = enumerate(document.get("amplifiers", [{}]), start=1)
    amplifiers = tuple(_amplifier(document | one, n) for n, one in listed)
    bleed = document.get("bleed", {})
    return Camera(
        name=document["name"],
        title=document["title"],
        path=path,
        recognise=tuple(_patterns(entry) for entry in document.get("recognise", [])),
        cards={role: tuple(_listed(names)) for role, names in document.get("cards", {}).items()},
        binning=tuple(tuple(_listed(entry)) for entry in document.get("binning", [])),
        mode=tuple(document.get("mode", [])),
        types=_rules(document["types"]),
        flat_source=_rules(document.get("flat_source", [])),
        gain=document.get("gain"),
        read_noise=document.get("read_noise"),
        saturation=document.get("saturation"),
        linearity=document.get("linearity"),
        longitude=document.get("longitude"),
        pixel_scale=document.get("pixel_scale"),
        amplifiers=amplifiers,
        overscan_method=document.get("overscan_method", "clipped_mean"),
        crosstalk_cards=document.get("crosstalk", {}).get("cards", ""),
        crosstalk=_crosstalk(document, len(amplifiers), path),
        scale_with_binning=tuple(document.get("scale_with_binning", [])),
        bleed_directions=tuple(bleed.get("directions", ())),
        bleed_pixels=bleed.get("pixels", 0),
        amplifier_glow=document.get("amplifier_glow", False),
    )


def _amplifier(entry: Mapping[str, Any], number: int) -> AmplifierRule:
    corner = entry.get("corner", "lower left")
    return AmplifierRule(
        plane=entry.get("plane", number) - 1,
        image=tuple(_listed(entry.get("image", []))),
        overscan=tuple(tuple(_listed(one)) for one in entry.get("overscan", [])),
        detector=tuple(_listed(entry.get("detector", []))),
        gain=entry.get("gain"),
        read_noise=entry.get("read_noise"),
        saturation=entry.get("saturation"),
        polynomial=tuple(map(float, entry.get("linearity_polynomial", []))),
        from_right="right" in corner,
        from_top="upper" in corner,
    )


def _crosstalk(document: Mapping[str, Any], amplifiers: int, path: Path) -> tuple[tuple[float, ...], ...]:
    rows = document.get("crosstalk", {}).get("coefficients", [])
    if rows and {len(rows), *map(len, rows)} != {amplifiers}:
        raise ConfigurationError(
            f"{path}: crosstalk.coefficients is {rows}; "
            f"expected a row and a column for each of {amplifiers} amplifiers."
        )
    return tuple(tuple(map(float, row)) for row in rows)


def load_cameras(folder: Path) -> tuple[Camera, ...]:
    """Read every camera file of a folder, the ones that recognise nothing (``generic``) last.

    Raises
    ------
    ConfigurationError
        If one cannot be read or two have the same name.
    """
    cameras = [load_camera(path) for path in sorted(folder.glob("*.yaml"))]
    names = [camera.name for camera in cameras]
    for camera in cameras:
        if names.count(camera.name) > 1:
            raise ConfigurationError(f"{camera.path}: name is {camera.name!r}; expected a name no other file has.")
    return tuple(sorted(cameras, key=lambda camera: not camera.recognise))


def _listed(entry: str | Sequence[str]) -> list[str]:
    return [entry] if isinstance(entry, str) else list(entry)


def _rules(entries: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, Patterns], ...]:
    return tuple((word, _patterns(rule)) for entry in entries for word, rule in entry.items())


def _patterns(entry: Mapping[str, Any]) -> Patterns:
    return {name: tuple(wanted) if isinstance(wanted, list) else (wanted,) for name, wanted in entry.items()}


def _check_sections(document: Mapping[str, Any], path: Path) -> None:
    for one in (document, *document.get("amplifiers", [])):
        for key in ("image", "overscan", "detector"):
            for entry in (name for names in _listed(one.get(key, [])) for name in _listed(names)):
                _check_template(key, entry, path)


def _check_template(key: str, entry: str, path: Path) -> None:
    """Refuse a section that no header could make right: every card in it is taken to be 1, and nothing subtracted."""
    if entry.startswith("["):
        try:
            parse_section(entry.replace("-", "+"), lambda name: 1)
        except ValueError as error:
            said = str(error).replace(entry.replace("-", "+"), entry)
            raise ConfigurationError(
                f"{path}: {key} is {entry!r}; expected a section such as [1:1024,1:1024] ({said})."
            ) from error
