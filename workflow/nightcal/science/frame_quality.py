"""Compare the science frames of a night with each other, filter by filter, and grade them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nightcal.masters.trends import format_number, write_csv
from nightcal.planning.doubts import Doubt, count_warnings
from nightcal.planning.summary import NightSummary
from nightcal.science.transparency import NO_TRANSPARENCY, ReadStars, Transparency, measure_transparency, read_nothing

GOOD, USABLE, POOR, UNKNOWN = "good", "usable", "poor", "unknown"

WIDE = (1.25, 1.6)
"""FWHM relative to the best quarter of the frames in its filter, above which a frame is usable, or poor."""

CLOUDED = (0.8, 0.5)
"""Transparency relative to the best frame, below which a frame is usable, or poor."""

BRIGHT_SKY = (2.0, 10.0)
"""Sky per second relative to the typical frame, above which a frame is usable, or poor."""

NOISY = 1.5
"""Noise of empty apertures over their errors, above which a frame is usable."""

WIDE_STARS, CLOUDS, SKY, NOISE, TRAILED, NO_FWHM = (
    "wide stars", "clouds or haze", "bright sky", "more noise than the errors say", "trailed", "FWHM unknown"
)  # fmt: skip
"""Causes of doubt."""

COMMON = frozenset((WIDE_STARS, SKY, NOISE))
"""Causes that ordinary nights have: seeing, twilight, Moon and crowds."""

ALIKE = "INSTRUME", "TELESCOP", "NAXIS1", "NAXIS2"
"""Frames are compared with those of which these are the same."""

COLUMNS = (
    "frame", "quality", "why", "filter", "mjd", "exposure_time", "fwhm", "seeing", "ellipticity", "trailed", "sky",
    "sources", "zero_point", "transparency", "transparency_error", "transparency_from", "aperture_noise",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FrameDoubt:
    """Why a frame is not good.

    Attributes
    ----------
    cause : str
        As in `CLOUDS`.
    grade : str
    words : str
        What was measured.
    size : float
        How bad it is, to compare frames.
    """

    cause: str
    grade: str
    words: str
    size: float = 0.0


@dataclass(frozen=True, slots=True)
class FrameQuality:
    """Grade of a science frame.

    Attributes
    ----------
    grade : str
        ``good``, ``usable``, ``poor``, or ``unknown`` if its sources were not measured.
    why : str
        Why it is not good, in one sentence.
    transparency : Transparency
        Of atmosphere and clouds.
    doubts : tuple of FrameDoubt
        The same as ``why``, one by one.
    """

    grade: str
    why: str = ""
    transparency: Transparency = NO_TRANSPARENCY
    doubts: tuple[FrameDoubt, ...] = ()


def grade_frames(
    headers: Mapping[str, Mapping[str, Any]], filters: Mapping[str, str], read: ReadStars = read_nothing
) -> dict[str, FrameQuality]:
    """Grade the science frames of a night.

    Parameters
    ----------
    headers : mapping of str to mapping
        Headers of the products, by path.
    filters : mapping of str to str
        Filters, likewise; their keyword depends on the camera.
    read : function
        Reads the stars of a frame, whose path and exposure time it takes, if it has no zero point.

    Returns
    -------
    dict of str to FrameQuality
        In the same order.
    """
    groups = defaultdict(list)
    for path, header in headers.items():
        if "NSOURCES" in header and "EMPTY" not in header:
            groups[filters.get(path, ""), *(header.get(card) for card in ALIKE)].append(path)
    graded: dict[str, FrameQuality] = {}
    for paths in groups.values():
        graded.update(zip(paths, _grade_group(paths, [headers[path] for path in paths], read), strict=True))
    return {path: graded.get(path, FrameQuality(UNKNOWN, "sources were not measured")) for path in headers}


def _grade_group(paths: Sequence[str], headers: Sequence[Mapping[str, Any]], read: ReadStars) -> list[FrameQuality]:
    """Grade the frames of one filter, camera and size."""
    fwhm = _read_numbers(headers, "FWHM")
    seconds = np.maximum(_read_numbers(headers, "EXPTIME"), 1e-3)
    sky = _read_numbers(headers, "SKYLEVEL") / seconds
    noise = _read_numbers(headers, "APERNOIS")
    sharp, typical_sky = _find_quantile(fwhm, 0.25), _find_quantile(sky, 0.5)
    brightness = sky / typical_sky if typical_sky > 0 else np.full(len(sky), np.nan)
    zero_points = _read_numbers(headers, "ZP"), np.nan_to_num(_read_numbers(headers, "ZPERR"))
    steady = np.array([not header.get("TRAILED") for header in headers])  # apertures for round stars fit no others
    kept = [path for path, good in zip(paths, steady, strict=True) if good]
    points, errors = (values[steady] for values in zero_points)
    measured = dict(zip(kept, measure_transparency(kept, seconds[steady], points, errors, read), strict=True))
    transparency = [measured.get(path, NO_TRANSPARENCY) for path in paths]
    out = []
    for n, header in enumerate(headers):
        doubts = [
            _grade(WIDE_STARS, fwhm[n] / sharp, WIDE, "FWHM {:.2f} times that of the best frames"),
            _grade(
                CLOUDS, -transparency[n].value, [-limit for limit in CLOUDED], "transparency {:.2f} of the best frame"
            ),
            _grade(SKY, brightness[n], BRIGHT_SKY, "sky {:.1f} times the typical one"),
            _grade(NOISE, noise[n], (NOISY, np.inf), "noise of empty apertures {:.2f} times their error"),
        ]
        if header.get("TRAILED"):
            doubts.append(FrameDoubt(TRAILED, POOR, "trailed"))
        if not np.isfinite(fwhm[n]):
            doubts.append(FrameDoubt(NO_FWHM, USABLE, "FWHM unknown"))
        found = tuple(doubt for doubt in doubts if doubt is not None)
        grade = POOR if any(doubt.grade == POOR for doubt in found) else USABLE if found else GOOD
        out.append(FrameQuality(grade, "; ".join(doubt.words for doubt in found), transparency[n], found))
    return out


def _grade(cause: str, value: float, limits: Sequence[float], words: str) -> FrameDoubt | None:
    """Grade a number that should be small; None if it is, or is unknown."""
    if not value > limits[0]:
        return None
    return FrameDoubt(cause, POOR if value > limits[1] else USABLE, words.format(abs(value)), float(value))


def add_quality(
    summary: NightSummary, grades: Mapping[str, FrameQuality], warnings: Iterable[Sequence[str]]
) -> NightSummary:
    """Add to the summary of a night why its frames are not good, and their warnings.

    Parameters
    ----------
    summary : NightSummary
    grades : mapping of str to FrameQuality
        By product.
    warnings : iterable of sequence of str
        Of each science frame.

    Returns
    -------
    NightSummary
    """
    poor = sum(quality.grade == POOR for quality in grades.values())
    return replace(summary, poor=poor, doubts=sum_up_doubts(grades), warnings=count_warnings(warnings))


def sum_up_doubts(grades: Mapping[str, FrameQuality]) -> tuple[Doubt, ...]:
    """Sum up why the frames of a night are not good.

    Parameters
    ----------
    grades : mapping of str to FrameQuality
        By product.

    Returns
    -------
    tuple of Doubt
        One for each cause, those that ordinary nights have last.
    """
    causes: dict[str, list[tuple[str, FrameDoubt]]] = defaultdict(list)
    for path, quality in grades.items():
        for doubt in quality.doubts:
            causes[doubt.cause].append((path.removeprefix("science/").removesuffix(".fits"), doubt))
    return tuple(_sum_up(cause, causes[cause]) for cause in sorted(causes, key=lambda one: (one in COMMON, one)))


def _sum_up(cause: str, found: Sequence[tuple[str, FrameDoubt]]) -> Doubt:
    """Sum up the frames that are doubtful for one cause."""
    name, worst = max(found, key=lambda item: item[1].size)
    words = f"{name}: {worst.words}" if worst.size else f"first: {name}"
    return Doubt(cause, tuple(frame for frame, _ in found), f"worst {words}" if worst.size else words, cause in COMMON)


def _read_numbers(headers: Sequence[Mapping[str, Any]], keyword: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    values = (header.get(keyword) for header in headers)
    return np.array([float(value) if isinstance(value, int | float) else np.nan for value in values])


def _find_quantile(values: np.ndarray[Any, Any], share: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, share)) if len(known) else float("nan")


def write_quality_table(
    headers: Mapping[str, Mapping[str, Any]], filters: Mapping[str, str], grades: Mapping[str, FrameQuality]
) -> str:
    """Write ``frames.csv``: a row for each science frame, with its grade and what it was compared by.

    Parameters
    ----------
    headers, filters : mapping
        As for `grade_frames`.
    grades : mapping of str to FrameQuality

    Returns
    -------
    str
    """
    return write_csv(
        COLUMNS, (_make_row(path, header, filters.get(path, ""), grades[path]) for path, header in headers.items())
    )


def _make_row(path: str, header: Mapping[str, Any], name: str, quality: FrameQuality) -> Iterable[str]:
    numbers = (
        header.get(card)
        for card in ("MJD-AVG", "EXPTIME", "FWHM", "SEEING", "ELLIPTIC", "TRAILED", "SKYLEVEL", "NSOURCES", "ZP")
    )
    found = quality.transparency
    light = (_write(value if np.isfinite(value) else None) for value in (found.value, found.error))
    first = path.removeprefix("science/"), quality.grade, quality.why, name
    return *first, *map(_write, numbers), *light, found.source, _write(header.get("APERNOIS"))


def _write(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format_number(float(value)) if isinstance(value, int | float) else ""
