"""Sections that contradict each other: overscan that other keywords call image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nightcal.cameras.geometry import AmplifierRule, Sections
from nightcal.io.raw_header import RawHeader
from nightcal.io.sections import Area
from nightcal.warning_names import Warn, name_warning

SMALLEST_REST = 0.5
"""Smallest part of an overscan area that is used if the rest lies in the image."""


def check_overscans(
    rules: Sequence[AmplifierRule], sections: Sequence[Sections], header: RawHeader, warn: Warn
) -> tuple[Sections, ...]:
    """Leave out overscan that lies in the image of any amplifier, since there is light in it.

    Parameters
    ----------
    rules : sequence of AmplifierRule
    sections : sequence of Sections
        Of the same amplifiers.
    header : RawHeader
        Of the frame.
    warn : function
        Takes warnings that name the keywords.

    Returns
    -------
    tuple of Sections
        Overscan that lies in part in the image without that part, or not at all if little would be left. If no section
        of the image is known, the overscan is kept, and stays part of the image.
    """
    checked = []
    for rule, found in zip(rules, sections, strict=True):
        plane = header.planes[rule.plane]
        beside = zip(rules, sections, strict=True)
        images = [(other, one.image) for other, one in beside if other.plane == rule.plane]
        areas = []
        for entries, area in zip(_find_present(rule, plane, found), found.overscans, strict=True):
            kept = _keep_dark(_name_area(entries, area, plane), area, images, plane, warn)
            if kept is not None:
                areas.append(kept)
        checked.append(replace(found, overscans=tuple(areas)))
    return tuple(checked)


def _find_present(rule: AmplifierRule, plane: RawHeader, found: Sections) -> list[Sequence[str]]:
    """Find the entries of each overscan area that was found."""
    present: list[Sequence[str]] = [
        entries for entries in rule.overscan if any(_is_given(entry, plane) for entry in entries)
    ]
    return present if len(present) == len(found.overscans) else [rule.overscan[0]] * len(found.overscans)


def _is_given(entry: str, plane: RawHeader) -> bool:
    return entry.startswith("[") or plane.value(entry) is not None


def _name_area(entries: Sequence[str], area: Area, plane: RawHeader) -> str:
    """Name a section by its keyword, if it has one."""
    entry = next((entry for entry in entries if _is_given(entry, plane)), "[")
    return f"{'the overscan' if entry.startswith('[') else entry} is {area}"


def _keep_dark(
    name: str, area: Area, images: Sequence[tuple[AmplifierRule, Area]], plane: RawHeader, warn: Warn
) -> Area | None:
    """Keep the part of an overscan area that is not image."""
    whole = Area(0, plane.shape[1], 0, plane.shape[0])
    for rule, image in images:
        common = find_common(area, image)
        if common is None:
            continue
        if image.shape == whole.shape:
            searched = f" ({', '.join(rule.image)})" if rule.image else ""
            text = f"{name}; no section of the image is known{searched}: the overscan stays in it"
            warn(name_warning("overscan in the image", text))
            continue
        rest = subtract(area, common)
        named = _name_area(rule.image, image, plane).replace("the overscan", "the image")
        if rest is None or rest.shape[0] * rest.shape[1] < SMALLEST_REST * area.shape[0] * area.shape[1]:
            warn(name_warning("light in the overscan", f"{name}, which lies in the image: {named}; it is not used"))
            return None
        warn(
            name_warning(
                "light in the overscan", f"{name}, of which {common} lies in the image: {named}; {rest} is used"
            )
        )
        area = rest
    return area


def find_common(one: Area, other: Area) -> Area | None:
    """Find the part that two areas share; None if they do not overlap."""
    left, right = max(one.xmin, other.xmin), min(one.xmax, other.xmax)
    bottom, top = max(one.ymin, other.ymin), min(one.ymax, other.ymax)
    return Area(left, right, bottom, top) if left < right and bottom < top else None


def subtract(area: Area, common: Area) -> Area | None:
    """Find the largest rectangle of an area beside a part of it; None if the part is all of it."""
    pieces = (
        replace(area, xmax=common.xmin),
        replace(area, xmin=common.xmax),
        replace(area, ymax=common.ymin),
        replace(area, ymin=common.ymax),
    )
    largest = max(pieces, key=lambda piece: max(piece.shape[0], 0) * max(piece.shape[1], 0))
    return largest if min(largest.shape) > 0 else None
