"""Find what divides the frames of a set in two: in their numbers, and in their headers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nightcal.io.raw_header import RawHeader
from nightcal.stacking.calibration_frame import CalibrationFrame

CLEAR_GAP = 2.0
"""Gap between two groups, in units of the larger one's extent."""

MOST_CARDS, MOST_FILES = 3, 6

SETUP = re.compile(
    "GAIN|OFFSET|BLACK|BLKLEV|PEDESTAL|READ|MODE|TEMP|BIN|FILT|EXP|IMAGETYP|OBSTYPE|FRAME$|INSTRUM|CAMERA|DETECTOR"
    "|WINDOW|SPEED|PORT|AMP|ROWORDER|CCDSUM|COADD|NSUB|STACK|CALSTAT|SWCREATE|LAMP|COVER|SHUTTER|BITDEPTH|USBLIM"
)
"""Keywords of what may change the numbers of a frame; named before others."""

PASSING = re.compile(
    "DATE|TIME|MJD|JD|UT|LST|^ST$|HA$|AIRMASS|^RA|^DEC|OBJCT|^ALT|^AZ|ALT$|AZ$|CRVAL|CRPIX|^CD\\d|ROTAT|FOCUS|FOC"
    "|FILE|(?<!CCD)(?<!DET)(?<!CAM)(?<!AMP)NAME|NUMBER|^SEQ|SEQ$|OBSNO|OBSID|FRAMENO|FRAMENUM|EXPNO|EXPNUM|COUNT|CHECKSUM|DATASUM|CSUM|COMMENT|HISTORY|^$"
    "|HUMID|PRESS|WIND$|DEW|AMBTEMP|FOCTEMP|DATAM|MEAN|MEDIAN|STDEV|SIGMA|CBLACK|CWHITE|CSTRETCH|MOON|SUN|PARALLAC"
)
"""Keywords that differ between any two exposures."""


PLAIN = re.compile(r"\w[\w.+-]*", re.ASCII)
"""A name without a character that means something in YAML or in a pattern."""


class Groups(NamedTuple):
    """Places of the frames below and above a gap."""

    low: list[int]
    high: list[int]


def find_gap(values: Sequence[float]) -> Groups | None:
    """Divide numbers at their largest gap.

    Parameters
    ----------
    values : sequence of float

    Returns
    -------
    Groups or None
        None unless the gap is twice as large as what lies below it and as what lies above it.
    """
    order = np.argsort(values, kind="stable")
    ordered = np.array(values, dtype=np.float64)[order]
    if len(ordered) < 2:
        return None
    gaps = np.diff(ordered)
    place = int(np.argmax(gaps))
    extent = max(ordered[place] - ordered[0], ordered[-1] - ordered[place + 1])
    if gaps[place] <= CLEAR_GAP * extent:
        return None
    return Groups(sorted(order[: place + 1].tolist()), sorted(order[place + 1 :].tolist()))


def find_groups(images: Sequence[NDArray[np.float32]]) -> Groups | None:
    """Divide images by the structure in which they differ most.

    Parameters
    ----------
    images : sequence of ndarray of float32, shape (n,)
        Some pixels of each, which may be NaN.

    Returns
    -------
    Groups or None
        As for `find_gap`, of their shares of the first principal component.
    """
    if len(images) < 2:
        return None
    cube = np.array(images, dtype=np.float64)
    rest = cube - cube.mean(axis=0)
    rest = rest[:, np.isfinite(rest).all(axis=0)]
    if rest.shape[1] == 0:
        return None
    spread = np.abs(rest).max(axis=0)
    rest = rest[:, spread <= np.percentile(spread, 95)]  # without cosmic rays and hot pixels
    _, vectors = np.linalg.eigh(rest @ rest.T)
    share = vectors[:, -1]
    return find_gap((share if share[0] < 0 else -share).tolist())  # the first frame is of the lower group


def find_dividing_cards(low: Sequence[RawHeader], high: Sequence[RawHeader]) -> list[str]:
    """Find keywords that have one value in one group, and another value in the other group.

    Parameters
    ----------
    low, high : sequence of RawHeader
        Raw headers of the two groups.

    Returns
    -------
    list of str
        Up to three, such as ``OFFSET (10 and 50)``; keywords of the setup first. Measured temperatures may scatter
        within a group.
    """
    names = dict.fromkeys(name for header in (*low, *high) for name in header)
    found = []
    for name in names:
        if PASSING.search(name) and not SETUP.search(name):
            continue
        pair = [[header.find(name) for header in group] for group in (low, high)]
        values = [_find_common(group) for group in pair]
        if values[0] is not None and values[1] is not None and values[0] != values[1]:
            found.append((SETUP.search(name) is None, name, f"{name} ({values[0]} and {values[1]})"))
        elif "TEMP" in name and not PASSING.search(name) and (means := _find_two_levels(*pair)):
            found.append((False, name, f"{name} ({means[0]:.1f} and {means[1]:.1f})"))
    return [text for _, _, text in sorted(found, key=lambda each: each[0])][:MOST_CARDS]


def _find_common(values: Sequence[object]) -> str | None:
    """Find the value that all have; None if they differ."""
    texts = {"absent" if value is None else str(value) for value in values}
    return texts.pop() if len(texts) == 1 else None


def _find_two_levels(low: Sequence[object], high: Sequence[object]) -> tuple[float, float] | None:
    numbers = [[float(v) for v in group if isinstance(v, int | float) and math.isfinite(v)] for group in (low, high)]
    if len(numbers[0]) != len(low) or len(numbers[1]) != len(high):
        return None
    groups = find_gap([*numbers[0], *numbers[1]])
    first = set(range(len(low)))
    if groups is None or first not in (set(groups.low), set(groups.high)):
        return None
    return float(np.mean(numbers[0])), float(np.mean(numbers[1]))


def describe_division(frames: Sequence[CalibrationFrame], groups: Groups | None) -> str:
    """Say which keywords divide a set, and which line of ``night.yaml`` leaves the smaller group out.

    Parameters
    ----------
    frames : sequence of CalibrationFrame
    groups : Groups or None
        None if the frames are not in two groups.

    Returns
    -------
    str
        Two sentences.
    """
    if groups is None:
        return "the frames are not in two groups"
    headers = [[frames[place].readout.image.header for place in group] for group in groups]
    cards = find_dividing_cards(*headers)
    cause = f"the two groups differ in {', '.join(cards)}" if cards else "no header card divides the two groups"
    more, fewer = ([frames[place].path.name for place in group] for group in sorted(groups, key=len, reverse=True))
    return f"{cause}; to leave one out, night.yaml: - {{file: {name_files(fewer, more)}, ignore: true}}"


def name_files(names: Sequence[str], others: Sequence[str]) -> str:
    """Name files by a pattern that does not fit the others, or one by one.

    Parameters
    ----------
    names, others : sequence of str

    Returns
    -------
    str
        As a line of YAML has it.
    """
    if len(names) == 1:
        return _quote(names[0])
    start = _find_common_start(names)
    stop = _find_common_start([name[len(start) :][::-1] for name in names])[::-1]
    if PLAIN.fullmatch(start + stop) and not any(name.startswith(start) and name.endswith(stop) for name in others):
        return _quote(f"{start}*{stop}")
    return f"[{', '.join(map(_quote, names[:MOST_FILES]))}{', ...' if len(names) > MOST_FILES else ''}]"


def _find_common_start(names: Sequence[str]) -> str:
    return names[0][: next((n for n, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), None)]


def _quote(name: str) -> str:
    """Quote a name as YAML needs it."""
    return name if PLAIN.fullmatch(name.replace("*", "")) and name[0] != "*" else "'" + name.replace("'", "''") + "'"
