"""Find out whether another program has calibrated, stacked or altered a frame, and whether it is a colour mosaic."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from nightcal.cameras.mark_table import (
    COLOURS,
    ELSEWHERE,
    HISTORY,
    MARKS,
    NAMED,
    PROCESSES,
    PROGRAMS,
    TYPES,
    Mark,
)
from nightcal.errors import FrameRejectedError
from nightcal.io.colour_mosaic import list_pattern_cards
from nightcal.io.raw_header import RawHeader, Value

LONGEST_VALUE = 60

_EXACT = {name: mark for mark in MARKS for name in mark.names if "*" not in name}
_PREFIXES = tuple((name[:-1], mark) for mark in MARKS for name in mark.names if name.endswith("*"))
_SUFFIXES = tuple((name[1:], mark) for mark in MARKS for name in mark.names if name.startswith("*"))
_STARTS = tuple(prefix for prefix, _ in _PREFIXES)
_ENDS = tuple(suffix for suffix, _ in _SUFFIXES)

_HISTORY = re.compile("|".join(HISTORY))
_PROCESSES = re.compile(rf"\b(?:{'|'.join(map(re.escape, PROCESSES))})\b")
_DENIED = re.compile(
    r"\b(?:no|not|none|off|without|disabled|false|skip\w*|omit\w*|never|n/a|failed|before|will|be|later|offline|unable|cannot)\b"
    r"|[=:] *(?:f|0|n|no)\b"
)
_ELSEWHERE = re.compile(ELSEWHERE)
_NEGATIONS = ("not ", "no ")
_BREAK = re.compile(r"[;,.]")


def find_processing(header: RawHeader, ignored: Sequence[str] = (), type_cards: Sequence[str] = ()) -> str:
    """Find out whether another program has calibrated or stacked a frame.

    Parameters
    ----------
    header : RawHeader
    ignored : sequence of str
        Keywords that mean something else at this observatory; ``HISTORY`` for the history, ``file`` for the name of the
        file.
    type_cards : sequence of str
        Keywords that may hold the type of the frame.

    Returns
    -------
    str
        As in ``calibrated, not a raw frame: CALSTAT is 'BDF'``; empty for a raw frame.
    """
    for name, mark in _find_candidates(header, ignored):
        value = _read(header, name)
        if value is not None and _is_mark(mark, value, header):
            return f"{mark.what}, not a raw frame: {name} is {_quote(value)}"
    for name in type_cards:
        word = None if name in ignored else _read(header, name)
        if isinstance(word, str) and _is_mark(TYPES, word, header):
            return f"{TYPES.what}, not a raw frame: {name} is {_quote(word)}"
    if NAMED.match(header.path.name) and "file" not in ignored:
        return f"a stack, not a raw frame: the name of the file is {header.path.name}"
    line = "" if "HISTORY" in ignored else _find_history(header)
    return f"processed, not a raw frame: HISTORY says {_quote(line)}" if line else ""


def find_alteration(header: RawHeader, ignored: Sequence[str] = ()) -> str:
    """Find the keyword of a program that has saved a frame again, and may have altered it.

    Parameters
    ----------
    header : RawHeader
    ignored : sequence of str
        Keywords that mean something else.

    Returns
    -------
    str
        As in ``SWMODIFY is 'MaxIm DL'``; empty without one.
    """
    for mark in PROGRAMS:
        for name in mark.names:
            value = None if name in ignored else _read(header, name)
            if isinstance(value, str) and _is_mark(mark, value, header):
                return f"{name} is {_quote(value)}"
    return ""


def _find_candidates(header: RawHeader, ignored: Sequence[str]) -> Iterator[tuple[str, Mark]]:
    """Yield the keywords of a header that may be marks; most headers have none."""
    for name in header:
        if name in ignored:
            continue
        if name in _EXACT:
            yield name, _EXACT[name]
        elif name.startswith(_STARTS):
            yield name, next(mark for prefix, mark in _PREFIXES if name.startswith(prefix))
        elif name.endswith(_ENDS):
            yield name, next(mark for suffix, mark in _SUFFIXES if name.endswith(suffix))


def _read(header: RawHeader, name: str) -> Value | None:
    """Read a value, as text if it does not follow the FITS standard; None without one."""
    try:
        return header.value(name) if name in header else None
    except FrameRejectedError as reason:
        return str(reason)


def _is_mark(mark: Mark, value: Value, header: RawHeader) -> bool:
    if mark.over:
        one, several = _to_number(_read(header, mark.over)), _to_number(value)
        return one is not None and several is not None and several > 1.5 * one > 0
    if mark.above is not None:
        number = _to_number(value)
        return number is not None and number > mark.above
    if value is False:
        return False
    text = "t" if value is True else str(value).strip().lower()
    number = _to_number(text)
    if text in mark.raw or text.startswith(_NEGATIONS) or (number is not None and number <= 0):
        return False
    return any(fnmatchcase(text, one) for one in mark.values)


def _to_number(value: Value | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _find_history(header: RawHeader) -> str:
    """Find the first line of the history that tells of a calibration or a stack."""
    for line in header.history:
        text = line.lower()
        if _PROCESSES.search(text):
            return line
        if any(not _is_denied(text, found) for found in _HISTORY.finditer(text)) and not _ELSEWHERE.search(text):
            return line
    return ""


def _is_denied(text: str, found: re.Match[str]) -> bool:
    """Check whether the words around a match deny it, as in ``dark subtraction: off``."""
    before, after = _BREAK.split(text[: found.start()])[-1], _BREAK.split(text[found.end() :])[0]
    return _DENIED.search(before[-16:] + found[0] + after[:16]) is not None


def _quote(value: Value) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}...{text[-1]}"


_PATTERN = re.compile(r"[RGBCMYW]{4,36}")


def find_colour_mosaic(header: RawHeader, ignored: Sequence[str] = ()) -> str:
    """Find the keyword that says that a frame is a colour mosaic.

    Parameters
    ----------
    header : RawHeader
    ignored : sequence of str
        Keywords that mean something else, or are wrong.

    Returns
    -------
    str
        As in ``BAYERPAT is 'RGGB'``; empty for other frames, such as those of ``COLORTYP = 'MONO'``.
    """
    for name in (*list_pattern_cards(header), *COLOURS):
        value = None if name in ignored else _read(header, name)
        if value is None:
            continue
        text = re.sub(r"[^A-Z]", "", str(value).upper())
        coloured = _PATTERN.fullmatch(text) is not None and len(set(text)) > 1
        if coloured or (name == "COLORCCD" and (value is True or value == 1)):
            return f"{name} is {_quote(value)}"
    return ""
